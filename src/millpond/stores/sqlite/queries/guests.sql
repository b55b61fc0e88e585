-- name: note_use
UPDATE identities SET used_ms = ?2
WHERE identity_id = ?1 AND guest = 1 AND coalesce(used_ms, 0) < ?3;

-- name: find_end
SELECT identity_id FROM identities WHERE identity_id > ? ORDER BY identity_id
LIMIT 1 OFFSET ?;

-- name: delete_unused
DELETE FROM identities WHERE identity_id IN (
    SELECT identity_id FROM identities AS guests
    WHERE identity_id > ?2 AND identity_id <= ?3 AND guest = 1 AND merged_into IS NULL
        AND max(creation_date_ms, last_modified_date_ms, coalesce(used_ms, 0)) < ?1
        AND NOT EXISTS (
            SELECT 1 FROM datasets WHERE datasets.identity_id = guests.identity_id
                AND datasets.identity_pool_id = guests.identity_pool_id
        ) AND NOT EXISTS (
            SELECT 1 FROM devices WHERE devices.identity_id = guests.identity_id
                AND devices.identity_pool_id = guests.identity_pool_id
        ) AND NOT EXISTS (
            SELECT 1 FROM logins WHERE logins.identity_id = guests.identity_id
        ) AND (
            used_ms IS NOT NULL OR NOT EXISTS ( -- nobody knows of its use elsewhere
                SELECT 1 FROM imported_identities AS imported
                WHERE imported.identity_pool_id = guests.identity_pool_id
                    AND imported.identity_id = guests.identity_id
            )
        )
) RETURNING identity_id;

-- name: begin
INSERT INTO guest_expiry (expiry_number, since_ms) VALUES (1, ?)
ON CONFLICT DO NOTHING;

-- name: find_since
SELECT since_ms FROM guest_expiry;

-- name: stop
DELETE FROM guest_expiry;
