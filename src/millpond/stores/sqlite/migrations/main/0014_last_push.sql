-- How the last push to a device went; NULL: there was none since this is kept.
ALTER TABLE devices ADD COLUMN last_push_ms INTEGER;

-- NULL: the push service took it.
ALTER TABLE devices ADD COLUMN last_push_error TEXT;
