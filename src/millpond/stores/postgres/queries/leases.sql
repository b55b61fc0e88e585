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
-- One statement for all that is to be looked after every few seconds. Leases that ran
-- out long ago are dropped; those of nodes tell that they died, and are dropped when
-- that was seen to.
WITH renewed AS (
    UPDATE leases SET expires = now() + $2::interval
    WHERE holder = $1 AND expires > now()
    RETURNING lease_name
), stale AS (
    DELETE FROM leases
    WHERE expires < now() - $3::interval AND lease_name NOT LIKE 'node:%'
)
SELECT 'renewed' AS kind, lease_name AS name FROM renewed
UNION ALL
SELECT CASE WHEN expires > now() THEN 'node' ELSE 'dead' END, holder
FROM leases WHERE lease_name LIKE 'node:%';

-- name: release_leases
DELETE FROM leases WHERE holder = $1;
