-- name: list_outbox_pools
-- One look at the index per pool, however long the queue is.
SELECT identity_pool_id FROM identity_pools AS pool
WHERE streaming AND NOT deleted AND EXISTS (
    SELECT 1 FROM outbox WHERE outbox.identity_pool_id = pool.identity_pool_id
)
ORDER BY identity_pool_id;

-- name: list_outbox
-- The oldest, as many as there is room for, and one in any case. Sizes are read without
-- reading what has them.
SELECT outbox_id, identity_id, data, created_ms FROM (
    SELECT outbox_id, identity_id, data, created_ms, row_number() OVER older AS n,
        sum(octet_length(data)) OVER older AS size
    FROM (
        SELECT outbox_id, identity_id, data, created_ms FROM outbox
        WHERE identity_pool_id = $1 ORDER BY outbox_id LIMIT $2
    ) AS oldest
    WINDOW older AS (ORDER BY outbox_id)
) AS sized
WHERE n = 1 OR size <= $3 ORDER BY outbox_id;

-- name: delete_outbox
DELETE FROM outbox
WHERE identity_id = ANY ($2::text[]) AND outbox_id = ANY ($3::bigint[])
    AND identity_pool_id = $1;

-- name: measure_outbox
SELECT (SELECT count(*) FROM outbox) AS entries,
    (SELECT count(*) FROM parked_outbox) AS parked,
    (SELECT min(created_ms) FROM outbox) AS oldest_ms;

-- name: measure_outbox_of_pool
SELECT
    (SELECT count(*) FROM (
        SELECT 1 FROM outbox WHERE identity_pool_id = $1 LIMIT $2
    ) AS counted) AS entries,
    (SELECT count(*) FROM (
        SELECT 1 FROM parked_outbox WHERE identity_pool_id = $1 LIMIT $2
    ) AS counted) AS parked,
    (
        SELECT created_ms FROM outbox WHERE identity_pool_id = $1
        ORDER BY outbox_id LIMIT 1
    ) AS oldest_ms;

-- name: list_outbox_usage
-- A few looks at the index per pool, and no count that goes beyond $3.
SELECT pool.identity_pool_id,
    (SELECT count(*) FROM (
        SELECT 1 FROM outbox
        WHERE outbox.identity_pool_id = pool.identity_pool_id LIMIT $3
    ) AS counted) AS entries,
    (SELECT count(*) FROM (
        SELECT 1 FROM parked_outbox
        WHERE parked_outbox.identity_pool_id = pool.identity_pool_id LIMIT $3
    ) AS counted) AS parked,
    (
        SELECT created_ms FROM outbox
        WHERE outbox.identity_pool_id = pool.identity_pool_id
        ORDER BY outbox_id LIMIT 1
    ) AS oldest_ms
FROM identity_pools AS pool
WHERE pool.identity_pool_id > $1 AND NOT pool.deleted AND (
    EXISTS (SELECT 1 FROM outbox WHERE outbox.identity_pool_id = pool.identity_pool_id)
    OR EXISTS (
        SELECT 1 FROM parked_outbox
        WHERE parked_outbox.identity_pool_id = pool.identity_pool_id
    )
)
ORDER BY pool.identity_pool_id LIMIT $2;

-- name: list_outbox_notes
SELECT outbox_id, identity_id, octet_length(data),
    substring(data FROM 1 FOR $4), created_ms
FROM outbox
WHERE identity_pool_id = $1 AND outbox_id > $2 ORDER BY outbox_id LIMIT $3;

-- name: list_parked_outbox_notes
SELECT outbox_id, identity_id, octet_length(data),
    substring(data FROM 1 FOR $4), created_ms, parked_ms, reason
FROM parked_outbox
WHERE identity_pool_id = $1 AND outbox_id > $2 ORDER BY outbox_id LIMIT $3;

-- name: find_outbox_range
SELECT min(outbox_id), max(outbox_id) FROM outbox WHERE identity_pool_id = $1;

-- name: park_outbox
INSERT INTO parked_outbox (
    outbox_id, identity_pool_id, identity_id, data, created_ms, parked_ms, reason
)
SELECT outbox_id, identity_pool_id, identity_id, data, created_ms, $4, $5
FROM outbox WHERE identity_id = $2 AND outbox_id = $3 AND identity_pool_id = $1;

-- name: list_parked_outbox
SELECT outbox_id, identity_id, data, created_ms, parked_ms, reason
FROM parked_outbox
WHERE identity_pool_id = $1 AND outbox_id > $2 ORDER BY outbox_id LIMIT $3;

-- name: return_parked_outbox
INSERT INTO outbox (outbox_id, identity_pool_id, identity_id, data, created_ms)
SELECT outbox_id, identity_pool_id, identity_id, data, created_ms
FROM parked_outbox
WHERE identity_pool_id = $1 AND outbox_id = ANY ($2::bigint[]);

-- name: delete_parked_outbox
DELETE FROM parked_outbox
WHERE identity_pool_id = $1 AND outbox_id = ANY ($2::bigint[]);
