-- name: put_developer_key
INSERT INTO developer_keys (
    access_key_id, name, sealed_secret, creation_date_ms, read_only,
    identity_pool_id, expires_ms
)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (access_key_id) DO UPDATE
SET name = excluded.name, sealed_secret = excluded.sealed_secret,
    read_only = excluded.read_only, identity_pool_id = excluded.identity_pool_id,
    expires_ms = excluded.expires_ms;

-- name: find_developer_key
SELECT access_key_id, name, sealed_secret, creation_date_ms, read_only,
    identity_pool_id, expires_ms, last_used_ms
FROM developer_keys WHERE access_key_id = $1 FOR UPDATE;

-- name: note_key_use
UPDATE developer_keys SET last_used_ms = $1
WHERE access_key_id = $2 AND (last_used_ms IS NULL OR last_used_ms < $1);

-- name: list_developer_keys
SELECT access_key_id, name, sealed_secret, creation_date_ms, read_only,
    identity_pool_id, expires_ms, last_used_ms
FROM developer_keys ORDER BY creation_date_ms, access_key_id;

-- name: delete_developer_key
DELETE FROM developer_keys WHERE access_key_id = $1;

-- name: put_token_key
INSERT INTO token_keys (key_id, sealed_private_key, creation_date_ms, retire_date_ms)
VALUES ($1, $2, $3, $4) ON CONFLICT (key_id) DO NOTHING;

-- name: list_token_keys
SELECT key_id, sealed_private_key, creation_date_ms, retire_date_ms
FROM token_keys ORDER BY creation_date_ms, key_id;

-- name: retire_token_key
UPDATE token_keys SET retire_date_ms = least(retire_date_ms, $1) WHERE key_id = $2;

-- name: purge_token_keys
DELETE FROM token_keys WHERE retire_date_ms <= $1;
