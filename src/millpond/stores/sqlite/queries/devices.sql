-- name: find_device
SELECT device_id, device.identity_pool_id, identity_id, platform, token,
    registration_date_ms, endpoint_arn, disabled
FROM devices AS device JOIN identity_pools AS pool
    ON pool.identity_pool_id = device.identity_pool_id AND pool.deleted = 0
WHERE identity_id = ? AND device_id = ?;

-- name: list_registered_devices
SELECT
    (SELECT count(*) FROM pushes WHERE pushes.device_id = device.device_id),
    (
        SELECT coalesce(max(failures), 0) FROM pushes
        WHERE pushes.device_id = device.device_id
    ),
    last_push_ms, last_push_error, device_id, identity_pool_id, identity_id, platform,
    token, registration_date_ms, endpoint_arn, disabled
FROM devices AS device
WHERE identity_pool_id = ? AND identity_id = ? AND device_id > ?
ORDER BY device_id LIMIT ?;

-- name: list_pool_devices
SELECT
    (SELECT count(*) FROM pushes WHERE pushes.device_id = device.device_id),
    (
        SELECT coalesce(max(failures), 0) FROM pushes
        WHERE pushes.device_id = device.device_id
    ),
    last_push_ms, last_push_error, device_id, identity_pool_id, identity_id, platform,
    token, registration_date_ms, endpoint_arn, disabled
FROM devices AS device
WHERE identity_pool_id = ?1 AND identity_id >= ?2
    AND (identity_id > ?2 OR device_id > ?3)
ORDER BY identity_id, device_id LIMIT ?4;

-- name: put_last_push
UPDATE devices SET last_push_ms = ?3, last_push_error = ?4
WHERE identity_id = ?1 AND device_id = ?2;

-- name: find_device_of
SELECT 1 FROM devices
WHERE device_id = ?3 AND identity_id = ?2 AND identity_pool_id = ?1;

-- name: list_subscriptions
SELECT dataset_name
FROM subscriptions JOIN datasets USING (dataset_number)
WHERE device_id = ? ORDER BY dataset_name;

-- name: put_device
INSERT INTO devices (
    device_id, identity_pool_id, identity_id, platform, token, registration_date_ms
)
SELECT ?1, identity_pool_id, identity_id, ?4, ?5, ?6
FROM identities JOIN identity_pools USING (identity_pool_id)
WHERE identity_pool_id = ?2 AND identity_id = ?3 AND deleted = 0
ON CONFLICT (identity_pool_id, identity_id, platform, token) DO UPDATE
SET registration_date_ms = excluded.registration_date_ms, endpoint_arn = NULL,
    disabled = 0
RETURNING device_id;

-- name: list_surplus_devices
-- All but the first so many, of which the one just registered is one in any case.
SELECT device_id FROM devices
WHERE identity_pool_id = ? AND identity_id = ?
ORDER BY device_id <> ?, disabled, registration_date_ms DESC
LIMIT -1 OFFSET ?;

-- name: list_devices
SELECT device_id, platform, token FROM devices
WHERE identity_pool_id = ? AND identity_id = ?;

-- name: find_device_by_token
SELECT device_id FROM devices
WHERE identity_pool_id = ? AND identity_id = ? AND platform = ? AND token = ?;

-- name: move_device
UPDATE devices SET identity_id = ?2 WHERE device_id = ?1;

-- name: delete_device
DELETE FROM devices WHERE device_id = ?;

-- name: put_endpoint
UPDATE devices SET endpoint_arn = ?3 WHERE identity_id = ?1 AND device_id = ?2;

-- name: disable_device
UPDATE devices SET disabled = 1
WHERE identity_id = ? AND device_id = ? AND endpoint_arn IS ?
RETURNING 1;

-- name: find_devices_to_purge
SELECT device_id FROM devices WHERE identity_pool_id = ? LIMIT ?;

-- name: find_subscribable
SELECT dataset_number
FROM datasets AS dataset
JOIN identity_pools AS pool
    ON pool.identity_pool_id = dataset.identity_pool_id AND pool.deleted = 0
JOIN devices AS device
    ON device.identity_pool_id = dataset.identity_pool_id
    AND device.identity_id = dataset.identity_id AND device.device_id = ?4
WHERE dataset.identity_pool_id = ?1 AND dataset.identity_id = ?2
    AND dataset_name = ?3 AND live = 1;

-- name: put_subscription
INSERT INTO subscriptions (dataset_number, device_id) VALUES (?, ?)
ON CONFLICT DO NOTHING;

-- name: delete_subscription
DELETE FROM subscriptions WHERE dataset_number = ? AND device_id = ?;

-- name: clear_subscriptions
DELETE FROM subscriptions WHERE dataset_number = ?;

-- name: clear_subscriptions_of_device
DELETE FROM subscriptions WHERE device_id = ?;

-- name: hand_over_subscriptions
UPDATE OR IGNORE subscriptions SET device_id = ?2 WHERE device_id = ?1;

-- name: redirect_subscriptions
UPDATE OR REPLACE subscriptions
SET dataset_number = (
    SELECT dataset_number FROM datasets
    WHERE identity_pool_id = ?2 AND identity_id = ?3 AND dataset_name = ?4
)
WHERE dataset_number = ?1;

-- name: put_pushes
INSERT INTO pushes (device_id, dataset_name, sync_count, due_ms)
SELECT device_id, ?2, ?3, ?4 FROM subscriptions JOIN devices USING (device_id)
WHERE dataset_number = ?1 AND disabled = 0 AND device_id IS NOT ?5
ON CONFLICT (device_id, dataset_name) DO UPDATE SET sync_count = excluded.sync_count;

-- name: list_pushes
SELECT dataset_name, sync_count, failures, device_id, device.identity_pool_id,
    identity_id, platform, token, registration_date_ms, endpoint_arn, disabled
FROM pushes
JOIN devices AS device USING (device_id)
JOIN identity_pools AS pool
    ON pool.identity_pool_id = device.identity_pool_id AND pool.deleted = 0
WHERE due_ms <= ?
ORDER BY due_ms LIMIT ?;

-- name: delete_push
DELETE FROM pushes WHERE device_id = ? AND dataset_name = ? AND sync_count = ?;

-- name: delete_push_of_dataset
DELETE FROM pushes WHERE device_id = ? AND dataset_name = ?;

-- name: clear_pushes
DELETE FROM pushes WHERE device_id = ?;

-- name: hand_over_pushes
UPDATE OR IGNORE pushes SET device_id = ?2 WHERE device_id = ?1;

-- name: defer_push
UPDATE pushes SET due_ms = ?3, failures = failures + 1
WHERE device_id = ?1 AND dataset_name = ?2;

-- name: count_pushes
SELECT count(*) FROM pushes;
