-- name: notify
SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload;

-- name: list_nodes
SELECT holder FROM leases WHERE lease_name LIKE 'node:%' AND expires > now();

-- name: has_node
SELECT EXISTS (SELECT 1 FROM leases WHERE lease_name = 'node:' || $1::text);

-- name: list_dead_nodes
SELECT holder FROM leases WHERE lease_name LIKE 'node:%' AND expires <= now();

-- name: drop_dead_node
DELETE FROM leases WHERE lease_name = 'node:' || $1::text AND expires <= now();

-- name: release_slices_of_node
UPDATE bulk_publish_slices SET lease_until_ms = 0 WHERE worker LIKE $1 AND open;
