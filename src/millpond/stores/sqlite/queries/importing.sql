-- name: find_import
SELECT state FROM imports JOIN identity_pools USING (identity_pool_id)
WHERE identity_pool_id = ? AND deleted = 0;

-- name: list_imports
SELECT state FROM imports JOIN identity_pools USING (identity_pool_id)
WHERE deleted = 0 ORDER BY identity_pool_id;

-- name: put_import
INSERT INTO imports (identity_pool_id, state) VALUES (?, ?)
ON CONFLICT DO UPDATE SET state = excluded.state;

-- name: is_empty
SELECT NOT EXISTS (SELECT 1 FROM identities WHERE identity_pool_id = ?1)
    AND NOT EXISTS (SELECT 1 FROM datasets WHERE identity_pool_id = ?1);

-- name: find_import_position
SELECT position FROM import_positions
WHERE identity_pool_id = ? AND position_name = ?;

-- name: put_import_position
INSERT INTO import_positions (identity_pool_id, position_name, position)
VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET position = excluded.position;

-- name: drop_import_position
DELETE FROM import_positions WHERE identity_pool_id = ? AND position_name = ?;

-- name: find_imported
SELECT mark, merged_into FROM imported_identities
WHERE identity_pool_id = ? AND identity_id = ?;

-- name: put_imported
INSERT INTO imported_identities (
    identity_pool_id, identity_id, pass_number, datasets, aside, mark
) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE
SET pass_number = excluded.pass_number, datasets = excluded.datasets,
    aside = excluded.aside, mark = excluded.mark;

-- name: note_survivor
INSERT INTO imported_identities (
    identity_pool_id, identity_id, pass_number, merged_into, mark
) VALUES (?, ?, 0, ?, CAST('{}' AS BLOB))
ON CONFLICT DO UPDATE SET merged_into = excluded.merged_into;

-- name: note_enabled
UPDATE imported_identities SET enabled_pass = ?3
WHERE identity_pool_id = ?1 AND identity_id = ?2;

-- name: list_not_enabled
SELECT identity_id FROM imported_identities
WHERE identity_pool_id = ? AND identity_id > ? AND pass_number = ?3
    AND enabled_pass < ?3
ORDER BY identity_id LIMIT ?;

-- name: list_imported
SELECT identity_id, mark FROM imported_identities
WHERE identity_pool_id = ? AND identity_id > ? ORDER BY identity_id LIMIT ?;

-- name: list_imported_aside
SELECT identity_id, mark FROM imported_identities
WHERE identity_pool_id = ? AND identity_id > ? AND aside > 0
ORDER BY identity_id LIMIT ?;

-- name: measure_import
SELECT count(*), coalesce(sum(pass_number > 0), 0), coalesce(sum(datasets), 0),
    coalesce(sum(aside), 0)
FROM imported_identities WHERE identity_pool_id = ?;

-- name: list_datasets_to_settle
SELECT dataset_name, dataset_number, sync_count, live, horizon, creation_date_ms,
    last_modified_date_ms, last_modified_by, num_records, data_storage,
    root_dataset_name, forgotten
FROM datasets WHERE identity_pool_id = ? AND identity_id = ? ORDER BY dataset_name;

-- name: list_all_records
SELECT record_key, value, sync_count, last_modified_date_ms, last_modified_by,
    device_last_modified_date_ms
FROM records WHERE dataset_number = ? ORDER BY sync_count, record_key;

-- name: find_any_identity
-- Of any pool: an id stays in its pool.
SELECT identity_id, identity_pool_id, creation_date_ms, last_modified_date_ms, guest,
    merged_into, origin
FROM identities WHERE identity_id = ?;

-- name: put_newer_record
INSERT INTO records AS record (
    dataset_number, record_key, value, sync_count, last_modified_date_ms,
    last_modified_by, device_last_modified_date_ms
) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (dataset_number, record_key) DO UPDATE
SET value = excluded.value, sync_count = excluded.sync_count,
    last_modified_date_ms = excluded.last_modified_date_ms,
    last_modified_by = excluded.last_modified_by,
    device_last_modified_date_ms = excluded.device_last_modified_date_ms
WHERE excluded.sync_count > record.sync_count;

-- name: measure_records
SELECT count(*), coalesce(sum(
    octet_length(record_key) + octet_length(value)
), 0)
FROM records WHERE dataset_number = ? AND value IS NOT NULL;

-- name: set_size
UPDATE datasets SET num_records = ?2, data_storage = ?3 WHERE dataset_number = ?1;

-- name: purge_imported
DELETE FROM imported_identities WHERE (identity_pool_id, identity_id) IN (
    SELECT identity_pool_id, identity_id FROM imported_identities
    WHERE identity_pool_id = ? LIMIT ?
) RETURNING 1;

-- name: purge_import
DELETE FROM imports WHERE identity_pool_id = ?;

-- name: purge_import_positions
DELETE FROM import_positions WHERE identity_pool_id = ?;
