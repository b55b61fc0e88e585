-- name: lock_identity_pools
-- Pools are created rarely, and their number is bounded: one after the other.
LOCK TABLE identity_pools IN SHARE ROW EXCLUSIVE MODE;

-- name: count_identity_pools
SELECT count(*) FROM identity_pools WHERE NOT deleted;

-- name: create_identity_pool
INSERT INTO identity_pools (identity_pool_id, description, streaming, sync_trigger)
VALUES ($1, $2, $3, $4);

-- name: create_identity_pool_usage
INSERT INTO identity_pool_usage (identity_pool_id) VALUES ($1);

-- name: find_identity_pool
SELECT description FROM identity_pools WHERE identity_pool_id = $1 AND NOT deleted;

-- name: hold_pool
SELECT hold_pool_1($1);

-- name: hold_pool_to_change
-- Updates under way are finished first, and those to come see what it is then.
SELECT hold_pool_to_change_1($1);

-- name: list_identity_pools
SELECT description FROM identity_pools
WHERE identity_pool_id > $1 AND NOT deleted
ORDER BY identity_pool_id LIMIT $2;

-- name: update_identity_pool
UPDATE identity_pools SET description = $2, streaming = $3, sync_trigger = $4
WHERE identity_pool_id = $1;

-- name: delete_identity_pool
UPDATE identity_pools SET deleted = true WHERE identity_pool_id = $1 AND NOT deleted;

-- name: close_slices_of_pool
-- Their workers lose them. None of their own writes looks whether the pool is there: a
-- write that did would ask all servers of a cluster.
UPDATE bulk_publish_slices SET open = false WHERE identity_pool_id = $1;

-- name: list_identity_pool_usage
SELECT counted.identity_pool_id, counted.sync_sessions_count, counted.data_storage,
    counted.last_modified_date_ms
FROM identity_pool_usage AS counted
JOIN identity_pools AS pool ON pool.identity_pool_id = counted.identity_pool_id
WHERE counted.identity_pool_id > $1 AND NOT pool.deleted
ORDER BY counted.identity_pool_id LIMIT $2;

-- name: find_counted_usage
SELECT counted.identity_pool_id, counted.sync_sessions_count, counted.data_storage,
    counted.last_modified_date_ms
FROM identity_pool_usage AS counted
JOIN identity_pools AS pool ON pool.identity_pool_id = counted.identity_pool_id
WHERE counted.identity_pool_id = $1 AND NOT pool.deleted;

-- name: sum_uncounted_usage
SELECT identity_pool_id, sum(uncounted_bytes)::bigint, max(uncounted_date_ms)
FROM identity_heads
WHERE identity_pool_id = ANY ($1::text[]) AND uncounted_date_ms IS NOT NULL
GROUP BY identity_pool_id;

-- name: add_sync_sessions
UPDATE identity_pool_usage SET sync_sessions_count = sync_sessions_count + $2
WHERE identity_pool_id = $1;

-- name: list_uncounted_usage
SELECT identity_pool_id, identity_id FROM identity_heads
WHERE uncounted_date_ms IS NOT NULL LIMIT $1;

-- name: clear_uncounted_usage
UPDATE identity_heads SET uncounted_bytes = 0, uncounted_date_ms = NULL
WHERE identity_id = ANY ($2::text[]) AND identity_pool_id = $1;

-- name: lock_uncounted_usage
SELECT identity_id, uncounted_bytes, uncounted_date_ms FROM identity_heads
WHERE identity_id = ANY ($2::text[]) AND identity_pool_id = $1
    AND uncounted_date_ms IS NOT NULL
ORDER BY identity_id FOR UPDATE;

-- name: drop_gone_heads
DELETE FROM identity_heads
WHERE identity_id = ANY ($2::text[]) AND identity_pool_id = $1 AND gone;

-- name: count_usage
UPDATE identity_pool_usage
SET data_storage = data_storage + $2,
    last_modified_date_ms = greatest(last_modified_date_ms, $3)
WHERE identity_pool_id = $1;

-- name: find_deleted_identity_pool
SELECT identity_pool_id FROM identity_pools WHERE deleted LIMIT 1;

-- name: purge_identity_pool
DELETE FROM identity_pools WHERE identity_pool_id = $1;
