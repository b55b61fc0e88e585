-- name: hold_leases
-- Compared with the new row and not with now(), which Citus refuses here.
INSERT INTO leases AS held (lease_name, holder, held_from, expires)
SELECT wanted.name, $2::text, now(), now() + $3::interval
FROM unnest($1::text[]) AS wanted (name) ORDER BY wanted.name
ON CONFLICT (lease_name) DO UPDATE
SET holder = excluded.holder, held_from = excluded.held_from,
    expires = excluded.expires
WHERE held.holder = excluded.holder OR held.expires <= excluded.held_from
RETURNING held.lease_name;

-- name: renew_leases
UPDATE leases SET expires = now() + $2::interval
WHERE holder = $1 AND expires > now()
RETURNING lease_name;

-- name: release_leases
DELETE FROM leases WHERE holder = $1;

-- name: drop_stale_leases
-- Those of nodes tell that they died, and are dropped when that was seen to.
DELETE FROM leases
WHERE expires < now() - $1::interval AND lease_name NOT LIKE 'node:%';
