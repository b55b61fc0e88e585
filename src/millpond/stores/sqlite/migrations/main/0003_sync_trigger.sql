ALTER TABLE identity_pools ADD COLUMN sync_trigger TEXT;
ALTER TABLE spent_sessions ADD COLUMN amended BLOB;
