-- What a developer key may do, and until when: old ones everything, without an end.
ALTER TABLE developer_keys
    ADD COLUMN read_only boolean NOT NULL DEFAULT false,
    ADD COLUMN identity_pool_id text COLLATE "C",
    ADD COLUMN expires_ms bigint,
    ADD COLUMN last_used_ms bigint;

-- Who changed what. An id begins with the time, so ids are in the order of the changes.
-- What is not there is empty.
CREATE TABLE audit (
    entry_id text COLLATE "C" PRIMARY KEY,
    time_ms bigint NOT NULL,
    last_ms bigint NOT NULL, -- of the last change that the entry stands for
    changes bigint NOT NULL, -- for how many it stands
    frequent boolean NOT NULL, -- of an operation whose changes are merged
    origin text NOT NULL,
    access_key_id text COLLATE "C" NOT NULL,
    caller_name text NOT NULL, -- of the key, or of the user of the operating system
    operation text NOT NULL,
    identity_pool_id text COLLATE "C" NOT NULL,
    identity_id text COLLATE "C" NOT NULL,
    dataset_name text NOT NULL,
    target text NOT NULL,
    address text NOT NULL,
    user_agent text NOT NULL,
    request_id text NOT NULL,
    result text NOT NULL
);

CREATE INDEX audit_by_pool ON audit (identity_pool_id, entry_id)
WHERE identity_pool_id <> '';

CREATE INDEX audit_by_key ON audit (access_key_id, entry_id);

CREATE INDEX audit_by_identity ON audit (identity_id, entry_id)
WHERE identity_id <> '';

CREATE INDEX audit_by_frequency ON audit (frequent, entry_id);
