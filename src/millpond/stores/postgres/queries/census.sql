-- name: find_end_of_identities
SELECT identity_id FROM identities
WHERE identity_id > $1 ORDER BY identity_id OFFSET $2 LIMIT 1;

-- name: count_identities
SELECT count(*) FROM identities
WHERE identity_id > $1 AND identity_id <= $2 AND merged_into IS NULL;

-- name: count_last_identities
SELECT count(*) FROM identities WHERE identity_id > $1 AND merged_into IS NULL;

-- name: find_end_of_tombstones
SELECT identity_id, identity_pool_id, dataset_name, key_digest FROM records
WHERE (identity_id, identity_pool_id, dataset_name, key_digest) > ($1, $2, $3, $4)
ORDER BY identity_id, identity_pool_id, dataset_name, key_digest OFFSET $5 LIMIT 1;

-- name: count_tombstones
SELECT count(*) FROM records
WHERE (identity_id, identity_pool_id, dataset_name, key_digest) > ($1, $2, $3, $4)
    AND (identity_id, identity_pool_id, dataset_name, key_digest) <= ($5, $6, $7, $8)
    AND value IS NULL;

-- name: count_last_tombstones
SELECT count(*) FROM records
WHERE (identity_id, identity_pool_id, dataset_name, key_digest) > ($1, $2, $3, $4)
    AND value IS NULL;

-- name: measure_bytes
SELECT pg_database_size(current_database());
