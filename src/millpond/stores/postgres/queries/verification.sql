-- Checks: place and text of each fault in a stretch of the table's key. Everything of an
-- identity is joined by its id, so that on a cluster each node checks its own.

-- name: datasets_without_pool
SELECT concat_ws(' ', identity_pool_id, identity_id, dataset_name),
    'its identity pool is not there'
FROM datasets AS dataset
WHERE (identity_id, identity_pool_id, dataset_name) > ($1, $2, $3)
    AND (identity_id, identity_pool_id, dataset_name) <= ($4, $5, $6)
    AND NOT EXISTS (
        SELECT 1 FROM identity_pools AS pool
        WHERE pool.identity_pool_id = dataset.identity_pool_id
    );

-- name: wrong_counts
SELECT concat_ws(' ', identity_pool_id, identity_id, dataset_name),
    format('it is said to have %s records of %s bytes, and has %s of %s',
        num_records, data_storage, coalesce(found.records, 0), coalesce(size, 0))
FROM datasets LEFT JOIN (
    SELECT identity_id, identity_pool_id, dataset_name, count(value) AS records,
        sum(octet_length(record_key) + octet_length(value)) AS size
    FROM records
    WHERE (identity_id, identity_pool_id, dataset_name) > ($1, $2, $3)
        AND (identity_id, identity_pool_id, dataset_name) <= ($4, $5, $6)
    GROUP BY identity_id, identity_pool_id, dataset_name
) AS found USING (identity_id, identity_pool_id, dataset_name)
WHERE (identity_id, identity_pool_id, dataset_name) > ($1, $2, $3)
    AND (identity_id, identity_pool_id, dataset_name) <= ($4, $5, $6)
    AND (num_records <> coalesce(found.records, 0) OR data_storage <> coalesce(size, 0));

-- name: records_ahead
SELECT concat_ws(' ', identity_pool_id, identity_id, dataset_name),
    format('its sync count is %s, and that of a record is %s', sync_count, newest)
FROM datasets JOIN (
    SELECT identity_id, identity_pool_id, dataset_name, max(sync_count) AS newest
    FROM records
    WHERE (identity_id, identity_pool_id, dataset_name) > ($1, $2, $3)
        AND (identity_id, identity_pool_id, dataset_name) <= ($4, $5, $6)
    GROUP BY identity_id, identity_pool_id, dataset_name
) AS found USING (identity_id, identity_pool_id, dataset_name)
WHERE (identity_id, identity_pool_id, dataset_name) > ($1, $2, $3)
    AND (identity_id, identity_pool_id, dataset_name) <= ($4, $5, $6)
    AND sync_count < newest;

-- name: records_without_dataset
SELECT concat_ws(' ', identity_pool_id, identity_id, dataset_name, record_key),
    'its dataset is not there'
FROM records AS record
WHERE (identity_id, identity_pool_id, dataset_name, key_digest) > ($1, $2, $3, $4)
    AND (identity_id, identity_pool_id, dataset_name, key_digest) <= ($5, $6, $7, $8)
    AND NOT EXISTS (
        SELECT 1 FROM datasets AS dataset
        WHERE dataset.identity_id = record.identity_id
            AND dataset.identity_pool_id = record.identity_pool_id
            AND dataset.dataset_name = record.dataset_name
    );

-- name: identities_without_pool
SELECT identity_id, 'its identity pool is not there'
FROM identities AS identity
WHERE identity_id > $1 AND identity_id <= $2 AND NOT EXISTS (
    SELECT 1 FROM identity_pools AS pool
    WHERE pool.identity_pool_id = identity.identity_pool_id
);

-- name: devices_without_pool
SELECT concat_ws(' ', identity_id, device_id), 'its identity pool is not there'
FROM devices AS device
WHERE (identity_id, device_id) > ($1, $2) AND (identity_id, device_id) <= ($3, $4)
    AND NOT EXISTS (
        SELECT 1 FROM identity_pools AS pool
        WHERE pool.identity_pool_id = device.identity_pool_id
    );

-- name: subscriptions_without_dataset
SELECT concat_ws(' ', identity_pool_id, identity_id, dataset_name, device_id),
    'its dataset or its device is not there'
FROM subscriptions AS subscription
WHERE (identity_id, identity_pool_id, dataset_name, device_id) > ($1, $2, $3, $4)
    AND (identity_id, identity_pool_id, dataset_name, device_id) <= ($5, $6, $7, $8)
    AND (
        NOT EXISTS (
            SELECT 1 FROM datasets AS dataset
            WHERE dataset.identity_id = subscription.identity_id
                AND dataset.identity_pool_id = subscription.identity_pool_id
                AND dataset.dataset_name = subscription.dataset_name
        ) OR NOT EXISTS (
            SELECT 1 FROM devices AS device
            WHERE device.identity_id = subscription.identity_id
                AND device.device_id = subscription.device_id
        )
    );

-- name: pushes_without_device
SELECT concat_ws(' ', identity_id, device_id, dataset_name), 'its device is not there'
FROM pushes AS push
WHERE (identity_id, device_id, dataset_name) > ($1, $2, $3)
    AND (identity_id, device_id, dataset_name) <= ($4, $5, $6) AND NOT EXISTS (
        SELECT 1 FROM devices AS device
        WHERE device.identity_id = push.identity_id
            AND device.device_id = push.device_id
    );

-- name: outbox_without_pool
SELECT concat_ws(' ', identity_id, outbox_id), 'its identity pool is not there'
FROM outbox AS entry
WHERE (identity_id, outbox_id) > ($1, $2) AND (identity_id, outbox_id) <= ($3, $4)
    AND NOT EXISTS (
        SELECT 1 FROM identity_pools AS pool
        WHERE pool.identity_pool_id = entry.identity_pool_id
    );

-- name: parked_without_pool
SELECT concat_ws(' ', identity_id, outbox_id), 'its identity pool is not there'
FROM parked_outbox AS entry
WHERE (identity_id, outbox_id) > ($1, $2) AND (identity_id, outbox_id) <= ($3, $4)
    AND NOT EXISTS (
        SELECT 1 FROM identity_pools AS pool
        WHERE pool.identity_pool_id = entry.identity_pool_id
    );

-- name: list_logins
-- Logins are spread by themselves: on a cluster they are not joined with identities.
SELECT login_digest, identity_pool_id, identity_id FROM logins
WHERE login_digest > $1 ORDER BY login_digest LIMIT $2;

-- name: find_identities
SELECT identity_id FROM identities WHERE identity_id = ANY ($1::text[]);

-- name: list_usage
SELECT pool.identity_pool_id, coalesce(usage.data_storage, 0)
FROM identity_pools AS pool
LEFT JOIN identity_pool_usage AS usage USING (identity_pool_id)
WHERE NOT pool.deleted;

-- name: sum_uncounted
SELECT identity_pool_id, sum(uncounted_bytes)::bigint FROM identity_heads
WHERE uncounted_date_ms IS NOT NULL GROUP BY identity_pool_id;

-- name: sum_datasets
SELECT identity_pool_id, sum(data_storage)::bigint FROM datasets
GROUP BY identity_pool_id;

-- name: put_verification
INSERT INTO verification (verification_number, ended_ms, faults) VALUES (1, $1, $2)
ON CONFLICT (verification_number) DO UPDATE
SET ended_ms = excluded.ended_ms, faults = excluded.faults;

-- name: find_verification
SELECT ended_ms, faults FROM verification;
