-- name: find_identity
SELECT identity.identity_pool_id, identity_id, creation_date_ms,
    last_modified_date_ms, guest, merged_into, logins, origin
FROM identities AS identity
JOIN identity_pools AS pool
    ON pool.identity_pool_id = identity.identity_pool_id AND NOT pool.deleted
WHERE identity_id = $1;

-- name: find_identities
SELECT identity_pool_id, identity_id, creation_date_ms, last_modified_date_ms, guest,
    merged_into, logins, origin
FROM identities WHERE identity_id = ANY ($2::text[]) AND identity_pool_id = $1;

-- name: find_pool_of_identity
SELECT identity_pool_id FROM identities WHERE identity_id = $1;

-- name: find_owners
SELECT identity_id FROM logins WHERE login_digest = ANY ($1::bytea[]);

-- name: list_merged
-- Not recursive: Citus has no recursion over tables that are spread.
SELECT identity_id FROM identities
WHERE merged_into = ANY ($2::text[]) AND identity_pool_id = $1
ORDER BY last_modified_date_ms DESC LIMIT $3;

-- name: list_merged_into
SELECT identity.identity_pool_id, identity_id, creation_date_ms,
    last_modified_date_ms, guest, merged_into, logins, origin
FROM identities AS identity
JOIN identity_pools AS pool
    ON pool.identity_pool_id = identity.identity_pool_id AND NOT pool.deleted
WHERE merged_into = $2 AND identity.identity_pool_id = $1
ORDER BY last_modified_date_ms DESC, identity_id DESC LIMIT $3;

-- name: list_by_id
SELECT identity.identity_pool_id, identity_id, creation_date_ms,
    last_modified_date_ms, guest, merged_into, logins, origin
FROM identities AS identity
JOIN identity_pools AS pool
    ON pool.identity_pool_id = identity.identity_pool_id AND NOT pool.deleted
WHERE identity_id = ANY ($1::text[])
ORDER BY identity.identity_pool_id, identity_id;

-- name: list_with_live_datasets
SELECT DISTINCT identity_id FROM datasets
WHERE identity_id = ANY ($2::text[]) AND identity_pool_id = $1 AND live;

-- name: list_identities
SELECT identity_pool_id, identity_id, creation_date_ms, last_modified_date_ms, guest,
    merged_into, logins, origin
FROM identities
WHERE identity_pool_id = $1 AND identity_id > $2 AND (NOT $3 OR merged_into IS NULL)
ORDER BY identity_id LIMIT $4;

-- name: search_identities
SELECT identity.identity_pool_id, identity_id, creation_date_ms,
    last_modified_date_ms, guest, merged_into, logins, origin
FROM identities AS identity
JOIN identity_pools AS pool
    ON pool.identity_pool_id = identity.identity_pool_id AND NOT pool.deleted
WHERE identity_id >= $1 AND identity_id < $2 AND identity_id <> $3
ORDER BY identity_id LIMIT $4;

-- name: search_identities_of_pool
SELECT identity_pool_id, identity_id, creation_date_ms, last_modified_date_ms, guest,
    merged_into, logins, origin
FROM identities
WHERE identity_pool_id = $5
    AND identity_id >= $1 AND identity_id < $2 AND identity_id <> $3
ORDER BY identity_id LIMIT $4;

-- name: search_identities_of_kind
-- The expression is that of the index.
SELECT identity_pool_id, identity_id, creation_date_ms, last_modified_date_ms, guest,
    merged_into, logins, origin
FROM identities
WHERE identity_pool_id = $5
    AND CASE WHEN merged_into IS NULL THEN guest::integer ELSE 2 END = $6
    AND identity_id >= $1 AND identity_id < $2 AND identity_id <> $3
ORDER BY identity_id LIMIT $4;

-- name: list_logins_of
SELECT identity_id, logins FROM identities
WHERE identity_id = ANY ($2::text[]) AND identity_pool_id = $1;

-- name: put_identity
INSERT INTO identities AS identity (
    identity_id, identity_pool_id, creation_date_ms, last_modified_date_ms, guest,
    merged_into, logins, origin
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (identity_id) DO UPDATE
SET creation_date_ms = excluded.creation_date_ms,
    last_modified_date_ms = excluded.last_modified_date_ms, guest = excluded.guest,
    merged_into = excluded.merged_into, logins = excluded.logins,
    origin = excluded.origin
WHERE identity.identity_pool_id = excluded.identity_pool_id;

-- name: put_login
INSERT INTO logins (login_digest, identity_pool_id, identity_id) VALUES ($1, $2, $3);

-- name: delete_logins
DELETE FROM logins WHERE login_digest = ANY ($1::bytea[]);

-- name: delete_identity
DELETE FROM identities WHERE identity_id = $1 AND identity_pool_id = $2;

-- name: list_all_datasets
-- Gone ones too: their counters go on.
SELECT identity_id, dataset_name, sync_count, live, horizon, creation_date_ms,
    last_modified_date_ms, last_modified_by, num_records, data_storage,
    root_dataset_name, forgotten
FROM datasets WHERE identity_id = ANY ($2::text[]) AND identity_pool_id = $1
ORDER BY identity_id, dataset_name;

-- name: list_pools_with_data
SELECT DISTINCT dataset.identity_pool_id
FROM datasets AS dataset
JOIN identity_pools AS pool
    ON pool.identity_pool_id = dataset.identity_pool_id AND NOT pool.deleted
WHERE identity_id = $1;

-- name: delete_dead_dataset
DELETE FROM datasets
WHERE identity_id = $2 AND identity_pool_id = $1 AND dataset_name = $3 AND NOT live;

-- name: create_dataset
INSERT INTO datasets (
    identity_pool_id, identity_id, dataset_name, sync_count, live, horizon,
    creation_date_ms, last_modified_date_ms, last_modified_by, num_records,
    data_storage, root_dataset_name, forgotten
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: leave_dataset
UPDATE datasets
SET sync_count = $4, live = $5, horizon = $6, creation_date_ms = $7,
    last_modified_date_ms = $8, last_modified_by = $9, num_records = $10,
    data_storage = $11, root_dataset_name = $12, forgotten = $13
WHERE identity_pool_id = $1 AND identity_id = $2 AND dataset_name = $3;

-- name: copy_records
INSERT INTO records (
    identity_id, identity_pool_id, dataset_name, key_digest, record_key, value,
    sync_count, last_modified_date_ms, last_modified_by, device_last_modified_date_ms
)
SELECT $4::text, identity_pool_id, $5::text, key_digest, record_key, value,
    coalesce($6::bigint, sync_count), last_modified_date_ms, last_modified_by, device_last_modified_date_ms
FROM records
WHERE identity_pool_id = $1 AND identity_id = $2 AND dataset_name = $3;

-- name: clear_records
DELETE FROM records
WHERE identity_pool_id = $1 AND identity_id = $2 AND dataset_name = $3;

-- name: list_live_records
SELECT record_key, value, sync_count, last_modified_date_ms, last_modified_by,
    device_last_modified_date_ms
FROM records
WHERE identity_pool_id = $1 AND identity_id = $2 AND dataset_name = $3
    AND value IS NOT NULL
ORDER BY record_key;

-- name: put_outbox
INSERT INTO outbox (identity_pool_id, identity_id, data, created_ms)
VALUES ($1, $2, $3, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint);

-- name: delete_records_of_identity
DELETE FROM records WHERE identity_id = $2 AND identity_pool_id = $1;

-- name: delete_datasets_of_identity
DELETE FROM datasets WHERE identity_id = $2 AND identity_pool_id = $1;
