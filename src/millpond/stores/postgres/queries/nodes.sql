-- name: notify
SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload;

-- name: look_again
-- To all, the one that writes included; what is rare may notify in its own transaction.
SELECT pg_notify('millpond', '-' || chr(10) || '!look');

-- name: has_node
SELECT EXISTS (SELECT 1 FROM leases WHERE lease_name = 'node:' || $1::text);

-- name: drop_dead_node
DELETE FROM leases WHERE lease_name = 'node:' || $1::text AND expires <= now();

-- name: release_slices_of_node
UPDATE bulk_publish_slices SET lease_until_ms = 0 WHERE worker LIKE $1 AND open;
