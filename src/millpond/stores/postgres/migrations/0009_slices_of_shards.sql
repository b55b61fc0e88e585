-- Slices of a bulk publish that follow the shards of a database that is spread.
ALTER TABLE bulk_publish_slices
    ADD COLUMN lowest_hash bigint,
    ADD COLUMN highest_hash bigint;
