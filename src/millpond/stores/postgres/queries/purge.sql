-- name: find_identities_to_purge
-- Those of a deleted pool that have datasets, or are known at all.
SELECT identity_id FROM datasets WHERE identity_pool_id = $1
UNION
SELECT identity_id FROM identities WHERE identity_pool_id = $1
LIMIT $2;

-- name: find_logins_to_purge
SELECT login_digest FROM logins WHERE identity_pool_id = $1 LIMIT $2;

-- name: find_outbox_to_purge
SELECT identity_id, outbox_id FROM outbox WHERE identity_pool_id = $1 LIMIT $2;

-- name: list_devices_to_purge
SELECT device_id FROM devices
WHERE identity_pool_id = $1 AND identity_id = ANY ($2::text[]);

-- name: clear_pushes_to_purge
DELETE FROM pushes
WHERE identity_id = ANY ($1::text[]) AND device_id = ANY ($2::text[]);
