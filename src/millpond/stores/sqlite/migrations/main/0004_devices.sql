CREATE TABLE devices (
    device_id TEXT PRIMARY KEY,
    identity_pool_id TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    platform TEXT NOT NULL,
    token TEXT NOT NULL,
    registration_date_ms INTEGER NOT NULL,
    endpoint_arn TEXT, -- known after the first push that follows a registration
    disabled INTEGER NOT NULL DEFAULT 0,
    UNIQUE (identity_pool_id, identity_id, platform, token)
) STRICT, WITHOUT ROWID;

-- Only live datasets have any.
CREATE TABLE subscriptions (
    dataset_number INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    PRIMARY KEY (dataset_number, device_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX subscriptions_by_device ON subscriptions (device_id);

-- One for each device and dataset: a newer change takes the place of one that waits.
CREATE TABLE pushes (
    device_id TEXT NOT NULL,
    dataset_name TEXT NOT NULL,
    sync_count INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device_id, dataset_name)
) STRICT, WITHOUT ROWID;

CREATE INDEX pushes_by_due ON pushes (due_ms);
