-- name: find_identity
SELECT identity_id, identity.identity_pool_id, creation_date_ms, last_modified_date_ms,
    guest, merged_into, origin
FROM identities AS identity JOIN identity_pools AS pool
    ON pool.identity_pool_id = identity.identity_pool_id AND pool.deleted = 0
WHERE identity_id = ?;

-- name: find_pool_of_identity
SELECT identity_pool_id FROM identities WHERE identity_id = ?;

-- name: list_logins
SELECT provider_name, subject FROM logins
WHERE identity_id = ? ORDER BY provider_name, subject;

-- name: find_owner
SELECT identity_id FROM logins
WHERE identity_pool_id = ? AND provider_name = ? AND subject = ?;

-- name: list_leftovers
-- Merged identities that have live datasets; the last merged ones are looked at first.
WITH RECURSIVE merged (identity_id, merge_date_ms) AS (
    SELECT identity_id, last_modified_date_ms FROM identities WHERE merged_into = ?1
    UNION ALL
    SELECT each.identity_id, each.last_modified_date_ms
    FROM merged JOIN identities AS each ON each.merged_into = merged.identity_id
    ORDER BY 2 DESC LIMIT ?3
)
SELECT identity_id FROM merged
WHERE EXISTS (
    SELECT 1 FROM datasets AS dataset
    WHERE dataset.identity_pool_id = ?2 AND dataset.identity_id = merged.identity_id
        AND live = 1
);

-- name: list_merged
SELECT identity_id, identity.identity_pool_id, creation_date_ms, last_modified_date_ms,
    guest, merged_into, origin
FROM identities AS identity CROSS JOIN identity_pools AS pool
    ON pool.identity_pool_id = identity.identity_pool_id AND pool.deleted = 0
WHERE merged_into = ?1 AND identity.identity_pool_id = ?2
ORDER BY last_modified_date_ms DESC, identity_id DESC LIMIT ?3;

-- name: list_identities
SELECT identity_id, identity_pool_id, creation_date_ms, last_modified_date_ms,
    guest, merged_into, origin
FROM identities
WHERE identity_pool_id = ? AND identity_id > ? AND (NOT ? OR merged_into IS NULL)
ORDER BY identity_id LIMIT ?;

-- name: search_identities
SELECT identity_id, identity.identity_pool_id, creation_date_ms, last_modified_date_ms,
    guest, merged_into, origin
FROM identities AS identity CROSS JOIN identity_pools AS pool
    ON pool.identity_pool_id = identity.identity_pool_id AND pool.deleted = 0
WHERE identity_id >= ?1 AND identity_id < ?2 AND identity_id <> ?3
ORDER BY identity_id LIMIT ?4;

-- name: search_identities_of_pool
SELECT identity_id, identity_pool_id, creation_date_ms, last_modified_date_ms,
    guest, merged_into, origin
FROM identities
WHERE identity_pool_id = ?5
    AND identity_id >= ?1 AND identity_id < ?2 AND identity_id <> ?3
ORDER BY identity_id LIMIT ?4;

-- name: search_identities_of_kind
-- The expression is that of the index, which SQLite would not choose by itself.
SELECT identity_id, identity_pool_id, creation_date_ms, last_modified_date_ms,
    guest, merged_into, origin
FROM identities INDEXED BY identities_by_kind
WHERE identity_pool_id = ?5
    AND CASE WHEN merged_into IS NULL THEN guest ELSE 2 END = ?6
    AND identity_id >= ?1 AND identity_id < ?2 AND identity_id <> ?3
ORDER BY identity_id LIMIT ?4;

-- name: put_identity
INSERT INTO identities (
    identity_id, identity_pool_id, creation_date_ms, last_modified_date_ms, guest,
    merged_into, origin
) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (identity_id) DO UPDATE
SET creation_date_ms = excluded.creation_date_ms,
    last_modified_date_ms = excluded.last_modified_date_ms, guest = excluded.guest,
    merged_into = excluded.merged_into, origin = excluded.origin
WHERE identity_pool_id = excluded.identity_pool_id
RETURNING 1;

-- name: put_login
INSERT INTO logins (identity_pool_id, identity_id, provider_name, subject)
VALUES (?, ?, ?, ?);

-- name: clear_logins
DELETE FROM logins WHERE identity_id = ?;

-- name: delete_identity
DELETE FROM identities WHERE identity_id = ?;

-- name: list_all_datasets
-- Gone ones too: their counters go on.
SELECT dataset_number, dataset_name, sync_count, live, horizon, creation_date_ms,
    last_modified_date_ms, last_modified_by, num_records, data_storage,
    root_dataset_name, forgotten
FROM datasets WHERE identity_pool_id = ? AND identity_id = ?
ORDER BY dataset_name;

-- name: list_pools_with_data
-- Pool by pool: there are few of them, and datasets are found by pool and identity.
SELECT DISTINCT identity_pool_id
FROM identity_pools AS pool CROSS JOIN datasets USING (identity_pool_id)
WHERE identity_id = ? AND pool.deleted = 0;

-- name: delete_dead_dataset
DELETE FROM datasets
WHERE identity_pool_id = ? AND identity_id = ? AND dataset_name = ? AND live = 0;

-- name: rename_dataset
UPDATE datasets SET identity_id = ?4, dataset_name = ?5
WHERE identity_pool_id = ?1 AND identity_id = ?2 AND dataset_name = ?3
RETURNING dataset_number;

-- name: purge_identities
DELETE FROM identities WHERE identity_id IN (
    SELECT identity_id FROM identities WHERE identity_pool_id = ? LIMIT ?
) RETURNING 1;

-- name: purge_logins
DELETE FROM logins WHERE (identity_pool_id, provider_name, subject) IN (
    SELECT identity_pool_id, provider_name, subject FROM logins
    WHERE identity_pool_id = ? LIMIT ?
) RETURNING 1;
