-- What a developer key may do, and until when: old ones everything, without an end.
ALTER TABLE developer_keys ADD COLUMN read_only INTEGER NOT NULL DEFAULT 0;
ALTER TABLE developer_keys ADD COLUMN identity_pool_id TEXT;
ALTER TABLE developer_keys ADD COLUMN expires_ms INTEGER;
ALTER TABLE developer_keys ADD COLUMN last_used_ms INTEGER;

-- Who changed what. An id begins with the time, so ids are in the order of the changes.
-- What is not there is empty.
CREATE TABLE audit (
    entry_id TEXT PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL, -- of the last change that the entry stands for
    changes INTEGER NOT NULL, -- for how many it stands
    frequent INTEGER NOT NULL, -- of an operation whose changes are merged
    origin TEXT NOT NULL,
    access_key_id TEXT NOT NULL,
    caller_name TEXT NOT NULL, -- of the key, or of the user of the operating system
    operation TEXT NOT NULL,
    identity_pool_id TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    dataset_name TEXT NOT NULL,
    target TEXT NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    request_id TEXT NOT NULL,
    result TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_by_pool ON audit (identity_pool_id, entry_id)
WHERE identity_pool_id <> '';

CREATE INDEX audit_by_key ON audit (access_key_id, entry_id);

CREATE INDEX audit_by_identity ON audit (identity_id, entry_id)
WHERE identity_id <> '';

CREATE INDEX audit_by_frequency ON audit (frequent, entry_id);
