-- A guest who never had a login has none in `logins` either.

-- name: note_use
UPDATE identities SET used_ms = $2
WHERE identity_id = $1 AND guest AND coalesce(used_ms, 0) < $3;

-- name: find_end
-- Of each server, when there are several.
SELECT identity_id FROM identities WHERE identity_id > $1 ORDER BY identity_id
LIMIT 1 OFFSET $2;

-- name: list_unused
-- What Citus plans on a worker takes no subquery that is correlated here.
SELECT identity_id, identity_pool_id FROM identities
WHERE identity_id > $2 AND identity_id <= $3 AND guest AND merged_into IS NULL
    AND greatest(creation_date_ms, last_modified_date_ms, used_ms) < $1
    AND (identity_id, identity_pool_id) NOT IN (
        SELECT identity_id, identity_pool_id FROM datasets
        WHERE identity_id > $2 AND identity_id <= $3
    ) AND (identity_id, identity_pool_id) NOT IN (
        SELECT identity_id, identity_pool_id FROM devices
        WHERE identity_id > $2 AND identity_id <= $3
    );

-- name: delete_unused
DELETE FROM identities AS guests WHERE identity_id = $2 AND guest AND merged_into IS NULL
    AND greatest(creation_date_ms, last_modified_date_ms, used_ms) < $1
    AND NOT EXISTS (
        SELECT 1 FROM datasets WHERE datasets.identity_id = guests.identity_id
            AND datasets.identity_pool_id = guests.identity_pool_id
    ) AND NOT EXISTS (
        SELECT 1 FROM devices WHERE devices.identity_id = guests.identity_id
            AND devices.identity_pool_id = guests.identity_pool_id
    ) AND (
        used_ms IS NOT NULL OR NOT EXISTS ( -- nobody knows of its use elsewhere
            SELECT 1 FROM imported_identities AS imported
            WHERE imported.identity_id = guests.identity_id
                AND imported.identity_pool_id = guests.identity_pool_id
        )
    );

-- name: begin
INSERT INTO guest_expiry (expiry_number, since_ms) VALUES (1, $1)
ON CONFLICT (expiry_number) DO NOTHING;

-- name: find_since
SELECT since_ms FROM guest_expiry;

-- name: stop
DELETE FROM guest_expiry;
