ALTER TABLE outbox ADD COLUMN created_ms INTEGER NOT NULL DEFAULT 0;

-- Entries that their stream refused for good.
CREATE TABLE parked_outbox (
    outbox_id INTEGER PRIMARY KEY, -- as it was in the outbox
    identity_pool_id TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    data BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    parked_ms INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;

CREATE INDEX parked_outbox_by_pool ON parked_outbox (identity_pool_id, outbox_id);
