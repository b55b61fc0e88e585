CREATE TABLE identities (
    identity_id TEXT PRIMARY KEY,
    identity_pool_id TEXT NOT NULL,
    creation_date_ms INTEGER NOT NULL,
    last_modified_date_ms INTEGER NOT NULL,
    guest INTEGER NOT NULL, -- it never had a login
    merged_into TEXT -- the identity that took its place; with one it is disabled
) STRICT, WITHOUT ROWID;

CREATE INDEX identities_by_pool ON identities (identity_pool_id, identity_id);

-- The subject is the provider's name for a user; for the developer provider of the pool
-- it is the developer user identifier.
CREATE TABLE logins (
    identity_pool_id TEXT NOT NULL,
    provider_name TEXT NOT NULL,
    subject TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    PRIMARY KEY (identity_pool_id, provider_name, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX logins_by_identity ON logins (identity_id);

-- A key signs until it is given a date to retire; until that date it is published.
CREATE TABLE token_keys (
    key_id TEXT PRIMARY KEY,
    sealed_private_key BLOB NOT NULL,
    creation_date_ms INTEGER NOT NULL,
    retire_date_ms INTEGER
) STRICT, WITHOUT ROWID;

-- What a merge moved beside a dataset of the same name belongs to that dataset.
ALTER TABLE datasets ADD COLUMN root_dataset_name TEXT;

CREATE INDEX merged_datasets
ON datasets (identity_pool_id, identity_id, root_dataset_name)
WHERE root_dataset_name IS NOT NULL;
