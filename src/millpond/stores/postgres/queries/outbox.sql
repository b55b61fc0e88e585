-- name: list_outbox_pools
-- One look at the index per pool, however long the queue is.
SELECT identity_pool_id FROM identity_pools AS pool
WHERE streaming AND NOT deleted AND EXISTS (
    SELECT 1 FROM outbox WHERE outbox.identity_pool_id = pool.identity_pool_id
)
ORDER BY identity_pool_id;

-- name: list_outbox
SELECT outbox_id, identity_id, data FROM outbox
WHERE identity_pool_id = $1 ORDER BY outbox_id LIMIT $2;

-- name: delete_outbox
DELETE FROM outbox WHERE identity_pool_id = $1 AND outbox_id = ANY ($2::bigint[]);

-- name: count_outbox
SELECT count(*) FROM outbox;
