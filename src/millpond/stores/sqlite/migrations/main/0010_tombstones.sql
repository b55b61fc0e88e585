-- Up to this count there were counts of the dataset of which no record is left.
ALTER TABLE datasets ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;

-- Tombstones are counted by dataset, and expire by date.
CREATE INDEX tombstones ON records (dataset_number, sync_count) WHERE value IS NULL;

CREATE INDEX tombstones_by_date ON records (last_modified_date_ms)
WHERE value IS NULL;
