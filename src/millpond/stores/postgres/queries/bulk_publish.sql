-- name: begin_runs
INSERT INTO bulk_publish_runs (identity_pool_id, run) VALUES ($1, $2)
ON CONFLICT (identity_pool_id) DO NOTHING;

-- name: find_run
SELECT run FROM bulk_publish_runs WHERE identity_pool_id = $1;

-- name: find_run_to_change
SELECT run FROM bulk_publish_runs WHERE identity_pool_id = $1 FOR UPDATE;

-- name: find_run_of_pool
SELECT bulk.run FROM identity_pools AS pool
LEFT JOIN bulk_publish_runs AS bulk ON bulk.identity_pool_id = pool.identity_pool_id
WHERE pool.identity_pool_id = $1 AND NOT pool.deleted;

-- name: put_run
UPDATE bulk_publish_runs SET run = $2 WHERE identity_pool_id = $1;

-- name: drop_slices
DELETE FROM bulk_publish_slices WHERE identity_pool_id = $1;

-- name: create_slice
INSERT INTO bulk_publish_slices (
    identity_pool_id, run_id, slice_number, first_identity_id, end_identity_id,
    lowest_hash, highest_hash, open
) VALUES ($1, $2, $3, $4, $5, $6, $7, true);

-- name: list_free_slices
SELECT slice.identity_pool_id, slice.slice_number, slice.run_id, slice.fence
FROM bulk_publish_slices AS slice
JOIN identity_pools AS pool
    ON pool.identity_pool_id = slice.identity_pool_id AND NOT pool.deleted
WHERE slice.open AND (slice.lease_until_ms <= $1 OR slice.lease_until_ms > $2)
ORDER BY slice.lease_until_ms, slice.identity_pool_id, slice.slice_number LIMIT $3;

-- name: lease_slice
-- The fence tells whether somebody else was faster.
UPDATE bulk_publish_slices
SET worker = $5, lease_until_ms = $6, fence = fence + 1
WHERE identity_pool_id = $1 AND slice_number = $2 AND run_id = $3 AND fence = $4
    AND open
RETURNING identity_pool_id, slice_number, run_id, first_identity_id, end_identity_id,
    fence, position_identity_id, position_dataset_name, datasets, records, data_bytes,
    lowest_hash, highest_hash;

-- name: count_bulk_publishes
SELECT count(DISTINCT slice.identity_pool_id)
FROM bulk_publish_slices AS slice
JOIN identity_pools AS pool
    ON pool.identity_pool_id = slice.identity_pool_id AND NOT pool.deleted
WHERE slice.open;

-- name: count_slices
SELECT count(*), count(*) FILTER (WHERE open) AS open, coalesce(sum(datasets), 0)::bigint,
    coalesce(sum(records), 0)::bigint, coalesce(sum(data_bytes), 0)::bigint
FROM bulk_publish_slices WHERE identity_pool_id = $1;

-- name: list_slices
SELECT slice_number, open, lease_until_ms, datasets, records, data_bytes
FROM bulk_publish_slices WHERE identity_pool_id = $1 ORDER BY slice_number;

-- name: count_pool_datasets
SELECT count(*) FROM datasets WHERE identity_pool_id = $1 AND live;

-- name: checkpoint_slice
UPDATE bulk_publish_slices
SET position_identity_id = $5, position_dataset_name = $6, datasets = $7,
    records = $8, data_bytes = $9, lease_until_ms = $10
WHERE identity_pool_id = $1 AND slice_number = $2 AND run_id = $3 AND fence = $4
    AND open;

-- name: postpone_slice
UPDATE bulk_publish_slices SET worker = '', lease_until_ms = $5
WHERE identity_pool_id = $1 AND slice_number = $2 AND run_id = $3 AND fence = $4
    AND open;

-- name: hold_slice
SELECT 1 FROM bulk_publish_slices
WHERE identity_pool_id = $1 AND slice_number = $2 AND run_id = $3 AND fence = $4
    AND open;

-- name: close_slice
UPDATE bulk_publish_slices SET open = false
WHERE identity_pool_id = $1 AND slice_number = $2 AND run_id = $3 AND fence = $4
    AND open;

-- name: close_slices
UPDATE bulk_publish_slices SET open = false
WHERE identity_pool_id = $1 AND run_id = $2;

-- name: release_slices
UPDATE bulk_publish_slices SET lease_until_ms = 0 WHERE worker = $1 AND open;

-- name: scan_datasets
-- The array is what core.streaming.KinesisSyncRecord describes; building it here spares
-- a Python object per record. Put together by hand, because json_build_object spaces
-- its output, and that is sent to a stream.
SELECT dataset.identity_id, dataset.dataset_name, dataset.sync_count,
    dataset.last_modified_date_ms, dataset.num_records,
    convert_to('[' || coalesce((
        SELECT string_agg(
            '{"key":' || to_json(r.record_key) || ',"value":' || to_json(r.value)
            || ',"syncCount":' || r.sync_count
            || ',"lastModifiedDate":' || r.last_modified_date_ms
            || ',"deviceLastModifiedDate":'
            || coalesce(r.device_last_modified_date_ms, r.last_modified_date_ms)
            || ',"op":"replace"}',
            ',' ORDER BY r.record_key
        )
        FROM records AS r
        WHERE r.identity_id = dataset.identity_id
            AND r.identity_pool_id = dataset.identity_pool_id
            AND r.dataset_name = dataset.dataset_name AND r.value IS NOT NULL
    ), '') || ']', 'UTF8')
FROM (
    SELECT *, sum(about) OVER (ORDER BY identity_id, dataset_name) - about AS before
    FROM (
        -- What their events have at least, so that not all of them are ever read.
        SELECT *, data_storage + 100 * num_records AS about FROM datasets
        WHERE identity_pool_id = $1 AND (identity_id, dataset_name) > ($2, $3)
            AND ($4::text IS NULL OR identity_id < $4) AND live
        ORDER BY identity_id, dataset_name LIMIT $5
    ) AS page
) AS dataset
WHERE before < $6 ORDER BY identity_id, dataset_name;
