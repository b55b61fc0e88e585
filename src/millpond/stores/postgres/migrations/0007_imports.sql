-- How the imports of pools stand: JSON of stores.importing.ImportState.
CREATE TABLE imports (
    identity_pool_id text COLLATE "C" PRIMARY KEY,
    state bytea NOT NULL
);

-- Up to where a source was read, as it tells it.
CREATE TABLE import_positions (
    identity_pool_id text COLLATE "C" NOT NULL,
    position_name text COLLATE "C" NOT NULL,
    position bytea NOT NULL,
    PRIMARY KEY (identity_pool_id, position_name)
);

-- What came of an identity. It stays when the identity is deleted, or it would come
-- again.
CREATE TABLE imported_identities (
    identity_id text COLLATE "C" NOT NULL,
    identity_pool_id text COLLATE "C" NOT NULL,
    pass_number integer NOT NULL, -- in which it was done last; 0: in none
    enabled_pass integer NOT NULL DEFAULT 0, -- in which it was listed as not disabled
    merged_into text COLLATE "C", -- in whose datasets it was seen
    datasets bigint NOT NULL DEFAULT 0, -- that came
    aside bigint NOT NULL DEFAULT 0, -- that did not
    mark bytea NOT NULL, -- JSON of stores.importing.ImportedIdentity
    PRIMARY KEY (identity_id, identity_pool_id)
);

CREATE INDEX imported_identities_by_pool
ON imported_identities (identity_pool_id, identity_id);

CREATE INDEX imported_identities_aside
ON imported_identities (identity_pool_id, identity_id) WHERE aside > 0;
