-- name: hold_leases
INSERT INTO leases AS held (lease_name, holder, expires)
SELECT wanted.name, $2::text, now() + $3::interval
FROM unnest($1::text[]) AS wanted (name) ORDER BY wanted.name
ON CONFLICT (lease_name) DO UPDATE
SET holder = excluded.holder, expires = excluded.expires
WHERE held.holder = excluded.holder OR held.expires <= now()
RETURNING held.lease_name;

-- name: renew_leases
UPDATE leases SET expires = now() + $2::interval
WHERE holder = $1 AND expires > now();

-- name: release_leases
DELETE FROM leases WHERE holder = $1;

-- name: drop_stale_leases
-- Those of nodes tell that they died, and are dropped when that was seen to.
DELETE FROM leases
WHERE expires < now() - $1::interval AND lease_name NOT LIKE 'node:%';
