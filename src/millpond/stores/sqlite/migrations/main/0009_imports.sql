-- How the imports of pools stand: JSON of stores.importing.ImportState.
CREATE TABLE imports (
    identity_pool_id TEXT PRIMARY KEY,
    state BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Up to where a source was read, as it tells it.
CREATE TABLE import_positions (
    identity_pool_id TEXT NOT NULL,
    position_name TEXT NOT NULL,
    position BLOB NOT NULL,
    PRIMARY KEY (identity_pool_id, position_name)
) STRICT, WITHOUT ROWID;

-- What came of an identity. It stays when the identity is deleted, or it would come
-- again.
CREATE TABLE imported_identities (
    identity_pool_id TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    pass_number INTEGER NOT NULL, -- in which it was done last; 0: in none
    enabled_pass INTEGER NOT NULL DEFAULT 0, -- in which it was listed as not disabled
    merged_into TEXT, -- in whose datasets it was seen
    datasets INTEGER NOT NULL DEFAULT 0, -- that came
    aside INTEGER NOT NULL DEFAULT 0, -- that did not
    mark BLOB NOT NULL, -- JSON of stores.importing.ImportedIdentity
    PRIMARY KEY (identity_pool_id, identity_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX imported_identities_aside
ON imported_identities (identity_pool_id, identity_id) WHERE aside > 0;
