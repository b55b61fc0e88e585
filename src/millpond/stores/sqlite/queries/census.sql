-- name: find_end_of_identities
SELECT identity_id FROM identities
WHERE identity_id > ?1 ORDER BY identity_id LIMIT 1 OFFSET ?2;

-- name: count_identities
SELECT count(*) FROM identities
WHERE identity_id > ?1 AND identity_id <= ?2 AND merged_into IS NULL;

-- name: count_last_identities
SELECT count(*) FROM identities WHERE identity_id > ?1 AND merged_into IS NULL;

-- name: find_end_of_tombstones
SELECT dataset_number, record_key FROM records
WHERE (dataset_number, record_key) > (?1, ?2)
ORDER BY dataset_number, record_key LIMIT 1 OFFSET ?3;

-- name: count_tombstones
SELECT count(*) FROM records
WHERE (dataset_number, record_key) > (?1, ?2)
    AND (dataset_number, record_key) <= (?3, ?4) AND value IS NULL;

-- name: count_last_tombstones
SELECT count(*) FROM records
WHERE (dataset_number, record_key) > (?1, ?2) AND value IS NULL;
