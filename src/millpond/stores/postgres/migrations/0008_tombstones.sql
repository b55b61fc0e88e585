-- Up to this count there were counts of the dataset of which no record is left.
ALTER TABLE datasets ADD COLUMN forgotten bigint NOT NULL DEFAULT 0;

-- Tombstones are counted by dataset, and expire by date.
CREATE INDEX tombstones
ON records (identity_id, identity_pool_id, dataset_name, sync_count)
WHERE value IS NULL;

CREATE INDEX tombstones_by_date ON records (last_modified_date_ms)
WHERE value IS NULL;
