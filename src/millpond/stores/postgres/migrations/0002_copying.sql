-- When an entry came; 0: before there was this column.
ALTER TABLE outbox ADD COLUMN created_ms bigint NOT NULL DEFAULT 0;

-- Entries that their stream refused for good.
CREATE TABLE parked_outbox (
    identity_id text COLLATE "C" NOT NULL,
    outbox_id bigint NOT NULL, -- as it was in the outbox
    identity_pool_id text COLLATE "C" NOT NULL,
    data bytea NOT NULL,
    created_ms bigint NOT NULL,
    parked_ms bigint NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (identity_id, outbox_id)
);

CREATE INDEX parked_outbox_by_pool ON parked_outbox (identity_pool_id, outbox_id);

-- Stands in the target of `millpond store copy` until the copy is complete.
CREATE TABLE copy_mark (
    copy_number integer PRIMARY KEY, -- 1: there is one
    source text NOT NULL,
    fingerprint text NOT NULL,
    begun_ms bigint NOT NULL
);

-- How far it is: the position of the last row that is here, as the source tells it.
CREATE TABLE copy_positions (
    kind text COLLATE "C" PRIMARY KEY,
    position bytea NOT NULL
);
