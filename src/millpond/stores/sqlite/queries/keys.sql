-- name: put_developer_key
INSERT INTO developer_keys (access_key_id, name, sealed_secret, creation_date_ms)
VALUES (?, ?, ?, ?)
ON CONFLICT (access_key_id) DO UPDATE
SET name = excluded.name, sealed_secret = excluded.sealed_secret;

-- name: list_developer_keys
SELECT access_key_id, name, sealed_secret, creation_date_ms
FROM developer_keys ORDER BY creation_date_ms, access_key_id;

-- name: delete_developer_key
DELETE FROM developer_keys WHERE access_key_id = ? RETURNING access_key_id;
