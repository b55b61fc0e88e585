-- name: put_developer_key
INSERT INTO developer_keys (
    access_key_id, name, sealed_secret, creation_date_ms, read_only,
    identity_pool_id, expires_ms
)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (access_key_id) DO UPDATE
SET name = excluded.name, sealed_secret = excluded.sealed_secret,
    read_only = excluded.read_only, identity_pool_id = excluded.identity_pool_id,
    expires_ms = excluded.expires_ms;

-- name: find_developer_key
SELECT access_key_id, name, sealed_secret, creation_date_ms, read_only,
    identity_pool_id, expires_ms, last_used_ms
FROM developer_keys WHERE access_key_id = ?;

-- name: note_key_use
UPDATE developer_keys SET last_used_ms = ?1
WHERE access_key_id = ?2 AND (last_used_ms IS NULL OR last_used_ms < ?1);

-- name: list_developer_keys
SELECT access_key_id, name, sealed_secret, creation_date_ms, read_only,
    identity_pool_id, expires_ms, last_used_ms
FROM developer_keys ORDER BY creation_date_ms, access_key_id;

-- name: delete_developer_key
DELETE FROM developer_keys WHERE access_key_id = ? RETURNING access_key_id;
