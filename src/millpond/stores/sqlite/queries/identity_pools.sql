-- name: count_identity_pools
SELECT count(*) FROM identity_pools WHERE deleted = 0;

-- name: create_identity_pool
INSERT INTO identity_pools (identity_pool_id, description, streaming, sync_trigger)
VALUES (?, ?, ?, ?);

-- name: create_identity_pool_usage
INSERT INTO identity_pool_usage (identity_pool_id) VALUES (?);

-- name: find_identity_pool
SELECT description FROM identity_pools WHERE identity_pool_id = ? AND deleted = 0;

-- name: find_streaming
SELECT streaming FROM identity_pools WHERE identity_pool_id = ? AND deleted = 0;

-- name: list_identity_pools
SELECT description FROM identity_pools
WHERE identity_pool_id > ? AND deleted = 0
ORDER BY identity_pool_id LIMIT ?;

-- name: update_identity_pool
UPDATE identity_pools SET description = ?2, streaming = ?3, sync_trigger = ?4
WHERE identity_pool_id = ?1;

-- name: delete_identity_pool
UPDATE identity_pools SET deleted = 1
WHERE identity_pool_id = ? AND deleted = 0
RETURNING identity_pool_id;

-- name: find_identity_pool_usage
SELECT identity_pool_id, sync_sessions_count, data_storage, last_modified_date_ms
FROM identity_pool_usage JOIN identity_pools USING (identity_pool_id)
WHERE identity_pool_id = ? AND deleted = 0;

-- name: list_identity_pool_usage
SELECT identity_pool_id, sync_sessions_count, data_storage, last_modified_date_ms
FROM identity_pool_usage JOIN identity_pools USING (identity_pool_id)
WHERE identity_pool_id > ? AND deleted = 0
ORDER BY identity_pool_id LIMIT ?;

-- name: add_sync_sessions
UPDATE identity_pool_usage SET sync_sessions_count = sync_sessions_count + ?2
WHERE identity_pool_id = ?1;

-- name: add_data_storage
UPDATE identity_pool_usage
SET data_storage = data_storage + ?2,
    last_modified_date_ms = max(coalesce(last_modified_date_ms, 0), ?3)
WHERE identity_pool_id = ?1;

-- name: find_deleted_identity_pool
SELECT identity_pool_id FROM identity_pools WHERE deleted = 1 LIMIT 1;

-- name: find_datasets_to_purge
SELECT dataset_number FROM datasets WHERE identity_pool_id = ? LIMIT ?;

-- name: purge_dataset
DELETE FROM datasets WHERE dataset_number = ?;

-- name: purge_outbox
DELETE FROM outbox WHERE outbox_id IN (
    SELECT outbox_id FROM outbox WHERE identity_pool_id = ? LIMIT ?
) RETURNING 1;

-- name: purge_parked_outbox
DELETE FROM parked_outbox WHERE outbox_id IN (
    SELECT outbox_id FROM parked_outbox WHERE identity_pool_id = ? LIMIT ?
) RETURNING 1;

-- name: purge_bulk_publish_run
DELETE FROM bulk_publish_runs WHERE identity_pool_id = ?;

-- name: purge_bulk_publish_slices
DELETE FROM bulk_publish_slices WHERE identity_pool_id = ?;

-- name: purge_identity_pool_usage
DELETE FROM identity_pool_usage WHERE identity_pool_id = ?;

-- name: purge_identity_pool
DELETE FROM identity_pools WHERE identity_pool_id = ?;
