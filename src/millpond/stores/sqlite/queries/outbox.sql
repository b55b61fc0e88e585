-- name: list_outbox_pools
-- One look at the index per pool, however long the queue is.
SELECT identity_pool_id FROM identity_pools AS pool
WHERE streaming = 1 AND deleted = 0 AND EXISTS (
    SELECT 1 FROM outbox WHERE outbox.identity_pool_id = pool.identity_pool_id
);

-- name: list_outbox
SELECT outbox_id, identity_id, data, created_ms FROM outbox
WHERE identity_pool_id = ? ORDER BY outbox_id LIMIT ?;

-- name: delete_outbox
DELETE FROM outbox
WHERE outbox_id BETWEEN ?2 AND ?3 AND identity_pool_id = ?1;

-- name: measure_outbox
SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM parked_outbox),
    (SELECT created_ms FROM outbox ORDER BY outbox_id LIMIT 1);

-- name: measure_outbox_of_pool
SELECT
    (SELECT count(*) FROM (
        SELECT 1 FROM outbox WHERE identity_pool_id = ?1 LIMIT ?2
    )),
    (SELECT count(*) FROM (
        SELECT 1 FROM parked_outbox WHERE identity_pool_id = ?1 LIMIT ?2
    )),
    (
        SELECT created_ms FROM outbox WHERE identity_pool_id = ?1
        ORDER BY outbox_id LIMIT 1
    );

-- name: list_outbox_usage
SELECT pool.identity_pool_id,
    (SELECT count(*) FROM (
        SELECT 1 FROM outbox WHERE identity_pool_id = pool.identity_pool_id LIMIT ?3
    )),
    (SELECT count(*) FROM (
        SELECT 1 FROM parked_outbox WHERE identity_pool_id = pool.identity_pool_id
        LIMIT ?3
    )),
    (
        SELECT created_ms FROM outbox WHERE identity_pool_id = pool.identity_pool_id
        ORDER BY outbox_id LIMIT 1
    )
FROM identity_pools AS pool
WHERE pool.identity_pool_id > ?1 AND deleted = 0 AND (
    EXISTS (SELECT 1 FROM outbox WHERE identity_pool_id = pool.identity_pool_id)
    OR EXISTS (
        SELECT 1 FROM parked_outbox WHERE identity_pool_id = pool.identity_pool_id
    )
)
ORDER BY pool.identity_pool_id LIMIT ?2;

-- name: list_outbox_notes
SELECT outbox_id, identity_id, length(data), coalesce(substr(data, 1, ?4), x''),
    created_ms
FROM outbox
WHERE identity_pool_id = ?1 AND outbox_id > ?2 ORDER BY outbox_id LIMIT ?3;

-- name: list_parked_outbox_notes
SELECT outbox_id, identity_id, length(data), coalesce(substr(data, 1, ?4), x''),
    created_ms, parked_ms, reason
FROM parked_outbox
WHERE identity_pool_id = ?1 AND outbox_id > ?2 ORDER BY outbox_id LIMIT ?3;

-- name: find_outbox_range
SELECT (SELECT min(outbox_id) FROM outbox WHERE identity_pool_id = ?1),
    (SELECT max(outbox_id) FROM outbox WHERE identity_pool_id = ?1);

-- name: park_outbox
INSERT INTO parked_outbox (
    outbox_id, identity_pool_id, identity_id, data, created_ms, parked_ms, reason
)
SELECT outbox_id, identity_pool_id, identity_id, data, created_ms, ?3, ?4
FROM outbox WHERE outbox_id = ?2 AND identity_pool_id = ?1;

-- name: list_parked_outbox
SELECT outbox_id, identity_id, data, created_ms, parked_ms, reason
FROM parked_outbox
WHERE identity_pool_id = ? AND outbox_id > ? ORDER BY outbox_id LIMIT ?;

-- name: return_parked_outbox
INSERT INTO outbox (outbox_id, identity_pool_id, identity_id, data, created_ms)
SELECT outbox_id, identity_pool_id, identity_id, data, created_ms
FROM parked_outbox WHERE outbox_id = ?2 AND identity_pool_id = ?1;

-- name: delete_parked_outbox
DELETE FROM parked_outbox WHERE outbox_id = ?2 AND identity_pool_id = ?1 RETURNING 1;
