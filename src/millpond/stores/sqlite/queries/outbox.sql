-- name: list_outbox_pools
-- One look at the index per pool, however long the queue is.
SELECT identity_pool_id FROM identity_pools AS pool
WHERE streaming = 1 AND deleted = 0 AND EXISTS (
    SELECT 1 FROM outbox WHERE outbox.identity_pool_id = pool.identity_pool_id
);

-- name: list_outbox
SELECT outbox_id, identity_id, data FROM outbox
WHERE identity_pool_id = ? ORDER BY outbox_id LIMIT ?;

-- name: delete_outbox
DELETE FROM outbox WHERE outbox_id = ?;

-- name: count_outbox
SELECT count(*) FROM outbox;

-- name: count_outbox_of_pool
SELECT count(*) FROM outbox WHERE identity_pool_id = ?;
