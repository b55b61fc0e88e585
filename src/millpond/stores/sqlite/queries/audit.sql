-- name: put_audit_entry
-- An entry that is there already stands for more changes by now.
INSERT INTO audit (
    entry_id, time_ms, last_ms, changes, frequent, origin, access_key_id, caller_name,
    operation, identity_pool_id, identity_id, dataset_name, target, address, user_agent,
    request_id, result
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (entry_id) DO UPDATE
SET last_ms = max(last_ms, excluded.last_ms), changes = max(changes, excluded.changes),
    result = excluded.result,
    identity_pool_id = excluded.identity_pool_id, identity_id = excluded.identity_id;

-- name: list_audit_entries
-- Further conditions stand where TRUE is.
SELECT entry_id, time_ms, last_ms, changes, frequent, origin, access_key_id, caller_name,
    operation, identity_pool_id, identity_id, dataset_name, target, address, user_agent,
    request_id, result
FROM audit WHERE entry_id >= ? AND entry_id < ? AND TRUE
ORDER BY entry_id DESC LIMIT ?;

-- name: trim_audit
-- The newest stay; of the others, so many at a time.
DELETE FROM audit WHERE entry_id IN (
    SELECT entry_id FROM audit WHERE frequent = ?1 AND entry_id <= (
        SELECT entry_id FROM audit WHERE frequent = ?1
        ORDER BY entry_id DESC LIMIT 1 OFFSET ?2
    )
    ORDER BY entry_id LIMIT ?3
)
RETURNING entry_id;
