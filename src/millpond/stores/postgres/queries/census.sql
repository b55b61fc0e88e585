-- name: count_identities
SELECT identity_id, count(*) FILTER (WHERE counts) OVER () AS counted,
    count(*) OVER () AS seen
FROM (
    SELECT identity_id, merged_into IS NULL AS counts FROM identities
    WHERE identity_id > $1 ORDER BY identity_id LIMIT $2
) AS piece
ORDER BY identity_id DESC LIMIT 1;

-- name: count_tombstones
SELECT identity_id, identity_pool_id, dataset_name, key_digest,
    count(*) FILTER (WHERE counts) OVER () AS counted, count(*) OVER () AS seen
FROM (
    SELECT identity_id, identity_pool_id, dataset_name, key_digest,
        value IS NULL AS counts
    FROM records
    WHERE (identity_id, identity_pool_id, dataset_name, key_digest) > ($1, $2, $3, $4)
    ORDER BY identity_id, identity_pool_id, dataset_name, key_digest LIMIT $5
) AS piece
ORDER BY identity_id DESC, identity_pool_id DESC, dataset_name DESC, key_digest DESC
LIMIT 1;

-- name: measure_bytes
SELECT pg_database_size(current_database());
