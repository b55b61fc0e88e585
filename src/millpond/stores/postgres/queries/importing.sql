-- name: find_import
SELECT state FROM imports AS import
JOIN identity_pools AS pool
    ON pool.identity_pool_id = import.identity_pool_id AND NOT pool.deleted
WHERE import.identity_pool_id = $1;

-- name: list_imports
SELECT state FROM imports AS import
JOIN identity_pools AS pool
    ON pool.identity_pool_id = import.identity_pool_id AND NOT pool.deleted
ORDER BY import.identity_pool_id;

-- name: put_import
INSERT INTO imports (identity_pool_id, state) VALUES ($1, $2)
ON CONFLICT (identity_pool_id) DO UPDATE SET state = excluded.state;

-- name: has_identities
SELECT 1 FROM identities WHERE identity_pool_id = $1 LIMIT 1;

-- name: has_datasets
SELECT 1 FROM datasets WHERE identity_pool_id = $1 LIMIT 1;

-- name: find_import_position
SELECT position FROM import_positions
WHERE identity_pool_id = $1 AND position_name = $2;

-- name: put_import_position
INSERT INTO import_positions (identity_pool_id, position_name, position)
VALUES ($1, $2, $3)
ON CONFLICT (identity_pool_id, position_name)
DO UPDATE SET position = excluded.position;

-- name: drop_import_position
DELETE FROM import_positions WHERE identity_pool_id = $1 AND position_name = $2;

-- name: find_imported
SELECT identity_id, mark, merged_into FROM imported_identities
WHERE identity_id = ANY ($2::text[]) AND identity_pool_id = $1;

-- name: put_imported
INSERT INTO imported_identities (
    identity_id, identity_pool_id, pass_number, datasets, aside, mark
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[], $6::bytea[]
)
ON CONFLICT (identity_id, identity_pool_id) DO UPDATE
SET pass_number = excluded.pass_number, datasets = excluded.datasets,
    aside = excluded.aside, mark = excluded.mark;

-- name: note_survivor
INSERT INTO imported_identities (
    identity_id, identity_pool_id, pass_number, merged_into, mark
) VALUES ($2, $1, 0, $3, '{}'::bytea)
ON CONFLICT (identity_id, identity_pool_id) DO UPDATE
SET merged_into = excluded.merged_into;

-- name: note_enabled
UPDATE imported_identities SET enabled_pass = $3
WHERE identity_id = ANY ($2::text[]) AND identity_pool_id = $1;

-- name: list_not_enabled
SELECT identity_id FROM imported_identities
WHERE identity_pool_id = $1 AND identity_id > $2 AND pass_number = $3
    AND enabled_pass < $3
ORDER BY identity_id LIMIT $4;

-- name: list_imported
SELECT identity_id, mark FROM imported_identities
WHERE identity_pool_id = $1 AND identity_id > $2 ORDER BY identity_id LIMIT $3;

-- name: list_imported_aside
SELECT identity_id, mark FROM imported_identities
WHERE identity_pool_id = $1 AND identity_id > $2 AND aside > 0
ORDER BY identity_id LIMIT $3;

-- name: measure_import
SELECT count(*), count(*) FILTER (WHERE pass_number > 0),
    coalesce(sum(datasets), 0)::bigint, coalesce(sum(aside), 0)::bigint
FROM imported_identities WHERE identity_pool_id = $1;

-- name: list_all_datasets
SELECT identity_id, dataset_name, sync_count, live, horizon, creation_date_ms,
    last_modified_date_ms, last_modified_by, num_records, data_storage,
    root_dataset_name, forgotten
FROM datasets WHERE identity_id = ANY ($2::text[]) AND identity_pool_id = $1
ORDER BY identity_id, dataset_name;

-- name: list_all_records
SELECT dataset_name, record_key, value, sync_count, last_modified_date_ms,
    last_modified_by, device_last_modified_date_ms
FROM records WHERE identity_id = $2 AND identity_pool_id = $1
ORDER BY dataset_name, sync_count, record_key;

-- name: find_any_identities
-- Of any pool: an id stays in its pool.
SELECT identity_pool_id, identity_id, creation_date_ms, last_modified_date_ms, guest,
    merged_into, logins, origin
FROM identities WHERE identity_id = ANY ($1::text[]);

-- name: find_owners
SELECT login_digest, identity_id FROM logins WHERE login_digest = ANY ($1::bytea[]);

-- name: put_datasets
INSERT INTO datasets (
    identity_id, identity_pool_id, dataset_name, sync_count, live, horizon,
    creation_date_ms, last_modified_date_ms, last_modified_by, num_records,
    data_storage, root_dataset_name, forgotten
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::bigint[], $5::boolean[], $6::bigint[],
    $7::bigint[], $8::bigint[], $9::text[], $10::bigint[], $11::bigint[], $12::text[],
    $13::bigint[]
)
ON CONFLICT (identity_id, identity_pool_id, dataset_name) DO UPDATE
SET sync_count = excluded.sync_count, live = excluded.live,
    horizon = excluded.horizon, creation_date_ms = excluded.creation_date_ms,
    last_modified_date_ms = excluded.last_modified_date_ms,
    last_modified_by = excluded.last_modified_by,
    num_records = excluded.num_records, data_storage = excluded.data_storage,
    root_dataset_name = excluded.root_dataset_name, forgotten = excluded.forgotten;

-- name: put_newer_records
INSERT INTO records AS record (
    identity_id, identity_pool_id, dataset_name, record_key, sync_count,
    last_modified_date_ms, last_modified_by, device_last_modified_date_ms, value,
    key_digest
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
    $7::text[], $8::bigint[], $9::text[], $10::bytea[]
)
ON CONFLICT (identity_id, identity_pool_id, dataset_name, key_digest) DO UPDATE
SET value = excluded.value, sync_count = excluded.sync_count,
    last_modified_date_ms = excluded.last_modified_date_ms,
    last_modified_by = excluded.last_modified_by,
    device_last_modified_date_ms = excluded.device_last_modified_date_ms
WHERE excluded.sync_count > record.sync_count;

-- name: measure_records
SELECT count(*), coalesce(sum(
    octet_length(record_key) + octet_length(value)
), 0)::bigint
FROM records
WHERE identity_id = $2 AND identity_pool_id = $1 AND dataset_name = $3
    AND value IS NOT NULL;

-- name: set_size
UPDATE datasets SET num_records = $4, data_storage = $5
WHERE identity_id = $2 AND identity_pool_id = $1 AND dataset_name = $3;

-- name: clear_subscriptions
DELETE FROM subscriptions
WHERE identity_id = $2 AND identity_pool_id = $1 AND dataset_name = $3;

-- name: add_usage
UPDATE identity_heads
SET uncounted_bytes = uncounted_bytes + $3,
    uncounted_date_ms = greatest(uncounted_date_ms, $4)
WHERE identity_id = $2 AND identity_pool_id = $1;
