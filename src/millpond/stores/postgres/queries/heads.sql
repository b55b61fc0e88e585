-- name: hold_heads
SELECT hold_heads_2($1, $2, $3);

-- name: leave_head
-- Its figures are counted, then it goes.
UPDATE identity_heads
SET gone = true, uncounted_bytes = uncounted_bytes + $3,
    uncounted_date_ms = greatest(uncounted_date_ms, $4)
WHERE identity_id = $2 AND identity_pool_id = $1;

-- name: drop_head
DELETE FROM identity_heads
WHERE identity_id = $2 AND identity_pool_id = $1 AND uncounted_date_ms IS NULL;
