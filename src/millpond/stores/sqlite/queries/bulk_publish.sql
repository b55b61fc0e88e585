-- name: find_run
SELECT run FROM bulk_publish_runs WHERE identity_pool_id = ?;

-- name: find_run_of_pool
SELECT run FROM identity_pools LEFT JOIN bulk_publish_runs USING (identity_pool_id)
WHERE identity_pool_id = ? AND deleted = 0;

-- name: put_run
INSERT INTO bulk_publish_runs (identity_pool_id, run) VALUES (?, ?)
ON CONFLICT (identity_pool_id) DO UPDATE SET run = excluded.run;

-- name: drop_slices
DELETE FROM bulk_publish_slices WHERE identity_pool_id = ?;

-- name: create_slice
INSERT INTO bulk_publish_slices (
    identity_pool_id, slice_number, run_id, first_identity_id, end_identity_id, open
) VALUES (?, ?, ?, ?, ?, 1);

-- name: lease_slice
UPDATE bulk_publish_slices
SET worker = ?1, lease_until_ms = ?2 + ?3, fence = fence + 1
WHERE (identity_pool_id, slice_number) = (
    SELECT identity_pool_id, slice_number
    FROM bulk_publish_slices JOIN identity_pools USING (identity_pool_id)
    WHERE open = 1 AND deleted = 0
        AND (lease_until_ms <= ?2 OR lease_until_ms > ?2 + ?3)
    ORDER BY lease_until_ms, identity_pool_id, slice_number LIMIT 1
)
RETURNING identity_pool_id, slice_number, run_id, first_identity_id, end_identity_id,
    fence, position_identity_id, position_dataset_name, datasets, records, data_bytes;

-- name: count_slices
SELECT count(*), coalesce(sum(open), 0), coalesce(sum(datasets), 0),
    coalesce(sum(records), 0), coalesce(sum(data_bytes), 0)
FROM bulk_publish_slices WHERE identity_pool_id = ?;

-- name: list_slices
SELECT slice_number, open, lease_until_ms, datasets, records, data_bytes
FROM bulk_publish_slices WHERE identity_pool_id = ? ORDER BY slice_number;

-- name: count_bulk_publishes
SELECT count(DISTINCT identity_pool_id)
FROM bulk_publish_slices JOIN identity_pools USING (identity_pool_id)
WHERE open = 1 AND deleted = 0;

-- name: count_pool_datasets
SELECT count(*) FROM datasets WHERE identity_pool_id = ? AND live = 1;

-- name: checkpoint_slice
UPDATE bulk_publish_slices
SET position_identity_id = ?5, position_dataset_name = ?6, datasets = ?7,
    records = ?8, data_bytes = ?9, lease_until_ms = ?10
WHERE identity_pool_id = ?1 AND slice_number = ?2 AND run_id = ?3 AND fence = ?4
    AND open = 1 AND EXISTS (
        SELECT 1 FROM identity_pools WHERE identity_pool_id = ?1 AND deleted = 0
    )
RETURNING 1;

-- name: postpone_slice
UPDATE bulk_publish_slices SET worker = '', lease_until_ms = ?5
WHERE identity_pool_id = ?1 AND slice_number = ?2 AND run_id = ?3 AND fence = ?4
    AND open = 1
RETURNING 1;

-- name: hold_slice
SELECT 1 FROM bulk_publish_slices JOIN identity_pools USING (identity_pool_id)
WHERE identity_pool_id = ?1 AND slice_number = ?2 AND run_id = ?3 AND fence = ?4
    AND open = 1 AND deleted = 0;

-- name: close_slice
UPDATE bulk_publish_slices SET open = 0
WHERE identity_pool_id = ?1 AND slice_number = ?2 AND run_id = ?3 AND fence = ?4
    AND open = 1 AND EXISTS (
        SELECT 1 FROM identity_pools WHERE identity_pool_id = ?1 AND deleted = 0
    )
RETURNING 1;

-- name: close_slices
UPDATE bulk_publish_slices SET open = 0 WHERE identity_pool_id = ? AND run_id = ?;

-- name: release_slices
UPDATE bulk_publish_slices SET lease_until_ms = 0 WHERE worker = ? AND open = 1;

-- name: scan_datasets
-- The array is what core.streaming.KinesisSyncRecord describes; building it here spares
-- a Python object per record, which is most of the time of a bulk publish. As a blob,
-- because as text it would be decoded only to be encoded again.
SELECT identity_id, dataset_name, sync_count, last_modified_date_ms, num_records,
    (
        SELECT CAST(json_group_array(json_object(
            'key', record_key,
            'value', value,
            'syncCount', record.sync_count,
            'lastModifiedDate', record.last_modified_date_ms,
            'deviceLastModifiedDate',
            coalesce(record.device_last_modified_date_ms, record.last_modified_date_ms),
            'op', 'replace'
        )) AS BLOB)
        FROM records AS record
        WHERE record.dataset_number = datasets.dataset_number AND value IS NOT NULL
    )
FROM datasets
WHERE identity_pool_id = ? AND (identity_id, dataset_name) > (?, ?)
    AND identity_id < ? AND live = 1
ORDER BY identity_id, dataset_name LIMIT ?;
