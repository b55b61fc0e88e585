-- name: load_dataset
-- All that an update is decided on, in one look: one snapshot.
SELECT pool.streaming, pool.sync_trigger, head.version,
    EXISTS (
        SELECT 1 FROM subscriptions AS s
        WHERE s.identity_id = $2 AND s.identity_pool_id = $1 AND s.dataset_name = $3
    ) AS subscribed,
    CASE WHEN dataset.live THEN 0 ELSE (
        SELECT count(*) FROM datasets AS other
        WHERE other.identity_id = $2 AND other.identity_pool_id = $1 AND other.live
            AND other.root_dataset_name IS NULL
    ) END AS live_datasets,
    (
        SELECT json_agg(json_build_array(
            r.record_key, r.value, r.sync_count, r.last_modified_date_ms,
            r.last_modified_by, r.device_last_modified_date_ms
        ))::text
        FROM records AS r
        WHERE r.identity_id = $2 AND r.identity_pool_id = $1 AND r.dataset_name = $3
            AND r.key_digest = ANY ($4::bytea[])
    ) AS found_records,
    CASE WHEN $6::boolean THEN (
        SELECT count(*) FROM records AS t
        WHERE t.identity_id = $2 AND t.identity_pool_id = $1 AND t.dataset_name = $3
            AND t.value IS NULL
    ) END AS num_tombstones,
    spent.session_id, spent.request_sha256, spent.sync_count AS spent_count,
    spent.last_modified_date_ms AS spent_date_ms,
    spent.last_modified_by AS spent_by, spent.amended,
    dataset.sync_count, dataset.live, dataset.horizon, dataset.creation_date_ms,
    dataset.last_modified_date_ms, dataset.last_modified_by, dataset.num_records,
    dataset.data_storage, dataset.root_dataset_name, dataset.forgotten
FROM identity_pools AS pool
LEFT JOIN identity_heads AS head
    ON head.identity_id = $2 AND head.identity_pool_id = pool.identity_pool_id
LEFT JOIN datasets AS dataset
    ON dataset.identity_id = $2 AND dataset.identity_pool_id = pool.identity_pool_id
    AND dataset.dataset_name = $3
LEFT JOIN spent_sessions AS spent
    ON spent.identity_id = $2 AND spent.session_id = $5
WHERE pool.identity_pool_id = $1 AND NOT pool.deleted;

-- name: save_dataset
SELECT save_dataset_2(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
    $19, $20, $21, $22, $23, $24, $25, $26, $27
);

-- name: look_at_records
-- A listing in one look. $4 to $8: above this count, up to that one, behind a position
-- (count and key), at most so many (NULL: all).
SELECT
    (
        SELECT json_agg(merged.dataset_name ORDER BY merged.dataset_name)::text
        FROM datasets AS merged
        WHERE merged.identity_id = $2 AND merged.identity_pool_id = $1
            AND merged.root_dataset_name = $3 AND merged.live
    ) AS merged_names,
    (
        SELECT json_agg(json_build_array(
            r.record_key, r.value, r.sync_count, r.last_modified_date_ms,
            r.last_modified_by, r.device_last_modified_date_ms
        ) ORDER BY r.sync_count, r.record_key)::text
        FROM (
            SELECT * FROM records AS all_of_them
            WHERE all_of_them.identity_id = $2 AND all_of_them.identity_pool_id = $1
                AND all_of_them.dataset_name = $3
                AND all_of_them.sync_count > $4 AND all_of_them.sync_count <= $5
                AND (all_of_them.sync_count, all_of_them.record_key) > ($6, $7)
            ORDER BY all_of_them.sync_count, all_of_them.record_key LIMIT $8
        ) AS r
    ) AS found_records,
    dataset.sync_count, dataset.live, dataset.horizon, dataset.creation_date_ms,
    dataset.last_modified_date_ms, dataset.last_modified_by, dataset.num_records,
    dataset.data_storage, dataset.root_dataset_name, dataset.forgotten
FROM identity_pools AS pool
LEFT JOIN datasets AS dataset
    ON dataset.identity_id = $2 AND dataset.identity_pool_id = pool.identity_pool_id
    AND dataset.dataset_name = $3
WHERE pool.identity_pool_id = $1 AND NOT pool.deleted;

-- name: find_spent_session
SELECT session_id, request_sha256, sync_count AS spent_count,
    last_modified_date_ms AS spent_date_ms, last_modified_by AS spent_by, amended
FROM spent_sessions WHERE identity_id = $1 AND session_id = $2;

-- name: list_datasets
-- One row without a dataset when there is none: then the pool exists at least.
SELECT dataset.dataset_name, dataset.sync_count, dataset.live, dataset.horizon,
    dataset.creation_date_ms, dataset.last_modified_date_ms, dataset.last_modified_by,
    dataset.num_records, dataset.data_storage, dataset.root_dataset_name,
    dataset.forgotten
FROM identity_pools AS pool
LEFT JOIN datasets AS dataset
    ON dataset.identity_id = $2 AND dataset.identity_pool_id = pool.identity_pool_id
    AND dataset.dataset_name > $3 AND (dataset.live OR $4)
WHERE pool.identity_pool_id = $1 AND NOT pool.deleted
ORDER BY dataset.dataset_name LIMIT $5;

-- name: find_identity_usage
SELECT count(*) FILTER (WHERE dataset.live),
    coalesce(sum(dataset.data_storage), 0)::bigint,
    max(dataset.last_modified_date_ms)
FROM identity_pools AS pool
LEFT JOIN datasets AS dataset
    ON dataset.identity_id = $2 AND dataset.identity_pool_id = pool.identity_pool_id
WHERE pool.identity_pool_id = $1 AND NOT pool.deleted;

-- name: list_expired_sessions
SELECT identity_id, session_id FROM spent_sessions
WHERE session_id < $1 ORDER BY session_id LIMIT $2;

-- name: purge_spent_sessions
DELETE FROM spent_sessions
WHERE identity_id = ANY ($1::text[]) AND session_id = ANY ($2::bytea[]);

-- name: list_expired_tombstones
SELECT identity_pool_id, identity_id, dataset_name, last_modified_date_ms FROM records
WHERE value IS NULL AND last_modified_date_ms < $1
ORDER BY last_modified_date_ms LIMIT $2;

-- name: find_any_dataset
-- Of a deleted pool, too.
SELECT sync_count, live, horizon, creation_date_ms, last_modified_date_ms,
    last_modified_by, num_records, data_storage, root_dataset_name, forgotten
FROM datasets
WHERE identity_pool_id = $1 AND identity_id = $2 AND dataset_name = $3;

-- name: list_old_tombstones
SELECT sync_count, key_digest FROM records
WHERE identity_pool_id = $1 AND identity_id = $2 AND dataset_name = $3
    AND value IS NULL AND last_modified_date_ms < $4
ORDER BY sync_count DESC, record_key DESC LIMIT $5 OFFSET $6;

-- name: drop_tombstones
DELETE FROM records
WHERE identity_pool_id = $1 AND identity_id = $2 AND dataset_name = $3
    AND key_digest = ANY ($4::bytea[]);

-- name: put_horizon
UPDATE datasets SET horizon = $4, forgotten = $5
WHERE identity_pool_id = $1 AND identity_id = $2 AND dataset_name = $3;
