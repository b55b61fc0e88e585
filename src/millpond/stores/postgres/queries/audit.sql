-- name: put_audit_entries
-- An entry that is there already stands for more changes by now.
INSERT INTO audit AS kept (
    entry_id, time_ms, last_ms, changes, frequent, origin, access_key_id, caller_name,
    operation, identity_pool_id, identity_id, dataset_name, target, address, user_agent,
    request_id, result
)
SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::boolean[], $6::text[],
    $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
    $13::text[], $14::text[], $15::text[], $16::text[], $17::text[]
)
ON CONFLICT (entry_id) DO UPDATE
SET last_ms = greatest(kept.last_ms, excluded.last_ms),
    changes = greatest(kept.changes, excluded.changes), result = excluded.result,
    identity_pool_id = excluded.identity_pool_id, identity_id = excluded.identity_id;

-- name: list_audit_entries
-- Further conditions stand where TRUE is.
SELECT entry_id, time_ms, last_ms, changes, frequent, origin, access_key_id, caller_name,
    operation, identity_pool_id, identity_id, dataset_name, target, address, user_agent,
    request_id, result
FROM audit WHERE entry_id >= $1 AND entry_id < $2 AND TRUE
ORDER BY entry_id DESC LIMIT $3;

-- name: trim_audit
-- The newest stay; of the others, so many at a time.
DELETE FROM audit WHERE entry_id IN (
    SELECT entry_id FROM audit WHERE frequent = $1 AND entry_id <= (
        SELECT entry_id FROM audit WHERE frequent = $1
        ORDER BY entry_id DESC LIMIT 1 OFFSET $2
    )
    ORDER BY entry_id LIMIT $3
);
