-- How the last push to a device went; NULL: there was none since this is kept.
ALTER TABLE devices ADD COLUMN last_push_ms bigint;

-- NULL: the push service took it.
ALTER TABLE devices ADD COLUMN last_push_error text;

-- Devices are listed by pool.
CREATE INDEX devices_by_pool ON devices (identity_pool_id, identity_id, device_id);
