-- Checks: place and text of each fault in a stretch of the table's key.

-- name: datasets_without_pool
SELECT identity_pool_id || ' ' || identity_id || ' ' || dataset_name,
    'its identity pool is not there'
FROM datasets AS dataset
WHERE dataset_number > ? AND dataset_number <= ? AND NOT EXISTS (
    SELECT 1 FROM identity_pools AS pool
    WHERE pool.identity_pool_id = dataset.identity_pool_id
);

-- name: wrong_counts
SELECT identity_pool_id || ' ' || identity_id || ' ' || dataset_name,
    printf('it is said to have %d records of %d bytes, and has %d of %d',
        num_records, data_storage, coalesce(found.records, 0), coalesce(size, 0))
FROM datasets LEFT JOIN (
    SELECT dataset_number, count(value) AS records,
        sum(iif(value IS NULL, 0, octet_length(record_key) + octet_length(value))) AS size
    FROM records WHERE dataset_number > ?1 AND dataset_number <= ?2
    GROUP BY dataset_number
) AS found USING (dataset_number)
WHERE dataset_number > ?1 AND dataset_number <= ?2 AND (
    num_records <> coalesce(found.records, 0) OR data_storage <> coalesce(size, 0)
);

-- name: records_ahead
SELECT identity_pool_id || ' ' || identity_id || ' ' || dataset_name,
    printf('its sync count is %d, and that of a record is %d', sync_count, newest)
FROM datasets JOIN (
    SELECT dataset_number, max(sync_count) AS newest
    FROM records WHERE dataset_number > ?1 AND dataset_number <= ?2
    GROUP BY dataset_number
) AS found USING (dataset_number)
WHERE dataset_number > ?1 AND dataset_number <= ?2 AND sync_count < newest;

-- name: records_without_dataset
SELECT printf('dataset number %d, key %s', dataset_number, record_key),
    'its dataset is not there'
FROM records AS record
WHERE (dataset_number, record_key) > (?, ?) AND (dataset_number, record_key) <= (?, ?)
    AND NOT EXISTS (
        SELECT 1 FROM datasets WHERE datasets.dataset_number = record.dataset_number
    );

-- name: identities_without_pool
SELECT identity_id, 'its identity pool is not there'
FROM identities AS identity
WHERE identity_id > ? AND identity_id <= ? AND NOT EXISTS (
    SELECT 1 FROM identity_pools AS pool
    WHERE pool.identity_pool_id = identity.identity_pool_id
);

-- name: logins_without_identity
SELECT identity_pool_id || ' ' || provider_name, 'identity ' || identity_id || ' is not there'
FROM logins AS login
WHERE (identity_pool_id, provider_name, subject) > (?, ?, ?)
    AND (identity_pool_id, provider_name, subject) <= (?, ?, ?) AND NOT EXISTS (
        SELECT 1 FROM identities WHERE identities.identity_id = login.identity_id
    );

-- name: devices_without_pool
SELECT device_id, 'its identity pool is not there'
FROM devices AS device
WHERE device_id > ? AND device_id <= ? AND NOT EXISTS (
    SELECT 1 FROM identity_pools AS pool
    WHERE pool.identity_pool_id = device.identity_pool_id
);

-- name: subscriptions_without_dataset
SELECT printf('dataset number %d, device %s', dataset_number, device_id),
    'its dataset or its device is not there'
FROM subscriptions AS subscription
WHERE (dataset_number, device_id) > (?, ?) AND (dataset_number, device_id) <= (?, ?)
    AND NOT (
        EXISTS (
            SELECT 1 FROM datasets
            WHERE datasets.dataset_number = subscription.dataset_number
        ) AND EXISTS (
            SELECT 1 FROM devices WHERE devices.device_id = subscription.device_id
        )
    );

-- name: pushes_without_device
SELECT device_id || ' ' || dataset_name, 'its device is not there'
FROM pushes AS push
WHERE (device_id, dataset_name) > (?, ?) AND (device_id, dataset_name) <= (?, ?)
    AND NOT EXISTS (SELECT 1 FROM devices WHERE devices.device_id = push.device_id);

-- name: outbox_without_pool
SELECT printf('%d', outbox_id), 'its identity pool is not there'
FROM outbox AS entry
WHERE outbox_id > ? AND outbox_id <= ? AND NOT EXISTS (
    SELECT 1 FROM identity_pools AS pool
    WHERE pool.identity_pool_id = entry.identity_pool_id
);

-- name: parked_without_pool
SELECT printf('%d', outbox_id), 'its identity pool is not there'
FROM parked_outbox AS entry
WHERE outbox_id > ? AND outbox_id <= ? AND NOT EXISTS (
    SELECT 1 FROM identity_pools AS pool
    WHERE pool.identity_pool_id = entry.identity_pool_id
);

-- name: wrong_usage
SELECT identity_pool_id, printf('it is said to hold %d bytes, and its datasets hold %d',
    coalesce(usage.data_storage, 0), coalesce(held, 0))
FROM identity_pools AS pool
LEFT JOIN identity_pool_usage AS usage USING (identity_pool_id)
LEFT JOIN (
    SELECT identity_pool_id, sum(data_storage) AS held FROM datasets
    GROUP BY identity_pool_id
) AS found USING (identity_pool_id)
WHERE deleted = 0 AND coalesce(usage.data_storage, 0) <> coalesce(held, 0);

-- name: put_verification
INSERT INTO verification (verification_number, ended_ms, faults) VALUES (1, ?, ?)
ON CONFLICT DO UPDATE SET ended_ms = excluded.ended_ms, faults = excluded.faults;

-- name: find_verification
SELECT ended_ms, faults FROM verification;
