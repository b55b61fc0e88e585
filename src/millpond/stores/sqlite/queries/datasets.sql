-- name: find_dataset
-- Nulls when there is none, no row when there is no pool.
SELECT dataset_number, sync_count, live, horizon, creation_date_ms,
    last_modified_date_ms, last_modified_by, num_records, data_storage,
    root_dataset_name, forgotten
FROM identity_pools AS pool LEFT JOIN datasets AS dataset
    ON dataset.identity_pool_id = pool.identity_pool_id
    AND dataset.identity_id = ?2 AND dataset.dataset_name = ?3
WHERE pool.identity_pool_id = ?1 AND pool.deleted = 0;

-- name: load_dataset
-- What an update is decided on, in one look: the pool, the dataset (nulls when there is
-- none), the mark of session ?4 and the record of key ?5, if they are there.
SELECT streaming, sync_trigger,
    EXISTS (SELECT 1 FROM subscriptions AS u WHERE u.dataset_number = d.dataset_number),
    d.dataset_number, d.sync_count, live, horizon, creation_date_ms,
    d.last_modified_date_ms, d.last_modified_by, num_records, data_storage,
    root_dataset_name, forgotten,
    session_id, request_sha256, s.sync_count, s.last_modified_date_ms,
    s.last_modified_by, amended,
    record_key, value, r.sync_count, r.last_modified_date_ms, r.last_modified_by,
    device_last_modified_date_ms
FROM identity_pools AS pool
LEFT JOIN datasets AS d ON d.identity_pool_id = pool.identity_pool_id
    AND d.identity_id = ?2 AND d.dataset_name = ?3
LEFT JOIN spent_sessions AS s ON session_id = ?4
LEFT JOIN records AS r ON r.dataset_number = d.dataset_number AND record_key = ?5
WHERE pool.identity_pool_id = ?1 AND deleted = 0;

-- name: count_live_datasets
SELECT count(*) FROM datasets
WHERE identity_pool_id = ? AND identity_id = ? AND live = 1
    AND root_dataset_name IS NULL;

-- name: create_dataset
INSERT INTO datasets (
    identity_pool_id, identity_id, dataset_name, sync_count, live, horizon,
    creation_date_ms, last_modified_date_ms, last_modified_by, num_records,
    data_storage, root_dataset_name, forgotten
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING dataset_number;

-- name: update_dataset
UPDATE datasets
SET sync_count = ?2, live = ?3, horizon = ?4, creation_date_ms = ?5,
    last_modified_date_ms = ?6, last_modified_by = ?7, num_records = ?8,
    data_storage = ?9, root_dataset_name = ?10, forgotten = ?11
WHERE dataset_number = ?1;

-- name: look_at_records
-- A listing in one statement with one row: each step of a statement lets other threads
-- run, and on a busy server that costs more than the step. No records (NULL) when their
-- values have more than ?6 bytes, which are counted without reading them.
-- Of what was merged, whether there is any: mostly there is not.
SELECT dataset_number, d.sync_count, live, horizon, creation_date_ms,
    d.last_modified_date_ms, d.last_modified_by, num_records, data_storage,
    root_dataset_name, forgotten,
    EXISTS (
        SELECT 1 FROM datasets
        WHERE identity_pool_id = ?1 AND identity_id = ?2 AND root_dataset_name = ?3
    ),
    CASE WHEN data_storage <= ?6 OR (
        SELECT total(octet_length(value)) FROM (
            SELECT value FROM records AS r
            WHERE r.dataset_number = d.dataset_number AND r.sync_count > ?4
            ORDER BY r.sync_count, record_key LIMIT ?5
        )
    ) <= ?6 THEN (
        SELECT CAST(json_group_array(json_array(
            record_key, value, sync_count, last_modified_date_ms, last_modified_by,
            device_last_modified_date_ms
        )) AS BLOB)
        FROM (
            SELECT * FROM records AS r
            WHERE r.dataset_number = d.dataset_number AND r.sync_count > ?4
            ORDER BY r.sync_count, record_key LIMIT ?5
        )
    ) END
FROM identity_pools AS pool LEFT JOIN datasets AS d
    ON d.identity_pool_id = pool.identity_pool_id
    AND d.identity_id = ?2 AND d.dataset_name = ?3
WHERE pool.identity_pool_id = ?1 AND deleted = 0;

-- name: list_merged_datasets
SELECT dataset_name FROM datasets
WHERE identity_pool_id = ? AND identity_id = ? AND root_dataset_name = ? AND live = 1
ORDER BY dataset_name;

-- name: find_records
SELECT CAST(json_group_array(json_array(
    record_key, records.value, sync_count, last_modified_date_ms, last_modified_by,
    device_last_modified_date_ms
)) AS BLOB)
FROM json_each(?2) AS wanted
CROSS JOIN records ON dataset_number = ?1 AND record_key = wanted.value;

-- name: list_records
SELECT record_key, value, sync_count, last_modified_date_ms, last_modified_by,
    device_last_modified_date_ms
FROM records
WHERE dataset_number = ? AND sync_count > ? AND sync_count <= ?
    AND (sync_count, record_key) > (?, ?)
ORDER BY sync_count, record_key LIMIT ?;

-- name: list_live_records
SELECT record_key, value, sync_count, last_modified_date_ms, last_modified_by,
    device_last_modified_date_ms
FROM records WHERE dataset_number = ? AND value IS NOT NULL ORDER BY record_key;

-- name: put_record
-- For several, the row of values is repeated.
INSERT INTO records (
    dataset_number, record_key, value, sync_count, last_modified_date_ms,
    last_modified_by, device_last_modified_date_ms
) VALUES (?,?,?,?,?,?,?)
ON CONFLICT (dataset_number, record_key) DO UPDATE
SET value = excluded.value, sync_count = excluded.sync_count,
    last_modified_date_ms = excluded.last_modified_date_ms,
    last_modified_by = excluded.last_modified_by,
    device_last_modified_date_ms = excluded.device_last_modified_date_ms;

-- name: clear_records
DELETE FROM records WHERE dataset_number = ?;

-- name: find_spent_session
SELECT session_id, request_sha256, sync_count, last_modified_date_ms, last_modified_by,
    amended
FROM spent_sessions WHERE session_id = ?;

-- name: put_spent_session
INSERT INTO spent_sessions (
    session_id, request_sha256, sync_count, last_modified_date_ms, last_modified_by,
    amended, identity_id
) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: purge_spent_sessions
DELETE FROM spent_sessions WHERE session_id IN (
    SELECT session_id FROM spent_sessions WHERE session_id < ?
    ORDER BY session_id LIMIT ?
) RETURNING 1;

-- name: list_datasets
SELECT dataset_name, sync_count, live, horizon, creation_date_ms,
    last_modified_date_ms, last_modified_by, num_records, data_storage,
    root_dataset_name, forgotten
FROM datasets
WHERE identity_pool_id = ? AND identity_id = ? AND dataset_name > ? AND live >= ?
ORDER BY dataset_name LIMIT ?;

-- name: find_identity_usage
SELECT coalesce(sum(live), 0), coalesce(sum(data_storage), 0),
    max(last_modified_date_ms)
FROM datasets WHERE identity_pool_id = ? AND identity_id = ?;

-- name: stamp_records
UPDATE records SET sync_count = ?2 WHERE dataset_number = ?1;

-- name: put_outbox
INSERT INTO outbox (identity_pool_id, identity_id, data, created_ms)
VALUES (?, ?, ?, CAST(unixepoch('subsec') * 1000 AS INTEGER));

-- name: count_tombstones_of_dataset
SELECT count(*) FROM records WHERE dataset_number = ? AND value IS NULL;

-- name: list_expired_tombstones
SELECT dataset_number, last_modified_date_ms FROM records
WHERE value IS NULL AND last_modified_date_ms < ?
ORDER BY last_modified_date_ms LIMIT ?;

-- name: find_names
SELECT identity_pool_id, identity_id, dataset_name
FROM json_each(?) AS number CROSS JOIN datasets ON dataset_number = number.value;

-- name: find_any_dataset
-- Of a deleted pool, too.
SELECT dataset_number, sync_count, live, horizon, creation_date_ms,
    last_modified_date_ms, last_modified_by, num_records, data_storage,
    root_dataset_name, forgotten
FROM datasets
WHERE identity_pool_id = ? AND identity_id = ? AND dataset_name = ?;

-- name: list_old_tombstones
SELECT sync_count, record_key FROM records
WHERE dataset_number = ? AND value IS NULL AND last_modified_date_ms < ?
ORDER BY sync_count DESC, record_key DESC LIMIT ? OFFSET ?;

-- name: drop_tombstone
DELETE FROM records WHERE dataset_number = ? AND record_key = ?;
