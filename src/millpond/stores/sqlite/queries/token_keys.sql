-- name: put_token_key
INSERT INTO token_keys (key_id, sealed_private_key, creation_date_ms, retire_date_ms)
VALUES (?, ?, ?, ?)
ON CONFLICT (key_id) DO NOTHING
RETURNING key_id;

-- name: list_token_keys
SELECT key_id, sealed_private_key, creation_date_ms, retire_date_ms
FROM token_keys ORDER BY creation_date_ms, key_id;

-- name: retire_token_key
UPDATE token_keys
SET retire_date_ms = min(coalesce(retire_date_ms, ?1), ?1)
WHERE key_id = ?2
RETURNING key_id;

-- name: purge_token_keys
DELETE FROM token_keys WHERE key_id IN (
    SELECT key_id FROM token_keys WHERE retire_date_ms <= ? LIMIT ?
)
RETURNING key_id;
