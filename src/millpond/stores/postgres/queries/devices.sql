-- name: find_device
SELECT device.device_id, device.identity_pool_id, device.identity_id, device.platform,
    device.token, device.registration_date_ms, device.endpoint_arn, device.disabled
FROM devices AS device
JOIN identity_pools AS pool
    ON pool.identity_pool_id = device.identity_pool_id AND NOT pool.deleted
WHERE device.identity_id = $1 AND device.device_id = $2;

-- name: list_registered_devices
SELECT device_id, identity_pool_id, identity_id, platform, token, registration_date_ms,
    endpoint_arn, disabled,
    ARRAY (
        SELECT dataset_name FROM subscriptions AS s
        WHERE s.identity_id = $2 AND s.identity_pool_id = $1
            AND s.device_id = device.device_id
        ORDER BY dataset_name
    ) AS dataset_names,
    (
        SELECT count(*) FROM pushes AS p
        WHERE p.identity_id = $2 AND p.device_id = device.device_id
    ) AS waiting,
    (
        SELECT coalesce(max(failures), 0) FROM pushes AS p
        WHERE p.identity_id = $2 AND p.device_id = device.device_id
    ) AS failures,
    last_push_ms, last_push_error
FROM devices AS device
WHERE identity_id = $2 AND identity_pool_id = $1 AND device_id > $3
ORDER BY device_id LIMIT $4;

-- name: list_pool_devices
SELECT device_id, identity_pool_id, identity_id, platform, token, registration_date_ms,
    endpoint_arn, disabled, last_push_ms, last_push_error
FROM devices
WHERE identity_pool_id = $1 AND (identity_id, device_id) > ($2, $3)
ORDER BY identity_id, device_id LIMIT $4;

-- name: list_subscriptions_of
SELECT identity_id, device_id, dataset_name FROM subscriptions
WHERE identity_id = ANY ($2::text[]) AND identity_pool_id = $1
    AND device_id = ANY ($3::text[])
ORDER BY dataset_name;

-- name: count_pushes_of
SELECT identity_id, device_id, count(*) AS waiting, max(failures) AS failures
FROM pushes
WHERE identity_id = ANY ($1::text[]) AND device_id = ANY ($2::text[])
GROUP BY identity_id, device_id;

-- name: put_last_push
UPDATE devices SET last_push_ms = $3, last_push_error = $4
WHERE identity_id = $1 AND device_id = $2;

-- name: find_device_of
SELECT 1 FROM devices AS device
JOIN identity_pools AS pool
    ON pool.identity_pool_id = device.identity_pool_id AND NOT pool.deleted
WHERE device.identity_id = $2 AND device.device_id = $3
    AND device.identity_pool_id = $1;

-- name: has_identity
SELECT 1 FROM identities AS identity
JOIN identity_pools AS pool
    ON pool.identity_pool_id = identity.identity_pool_id AND NOT pool.deleted
WHERE identity.identity_id = $2 AND identity.identity_pool_id = $1;

-- name: put_device
INSERT INTO devices (
    device_id, identity_pool_id, identity_id, platform, token, token_digest,
    registration_date_ms
) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (identity_id, identity_pool_id, platform, token_digest) DO UPDATE
SET registration_date_ms = excluded.registration_date_ms, endpoint_arn = NULL,
    disabled = false
RETURNING device_id;

-- name: list_surplus_devices
-- All but the first so many, of which the one just registered is one in any case.
SELECT device_id FROM devices
WHERE identity_id = $2 AND identity_pool_id = $1
ORDER BY device_id <> $3, disabled, registration_date_ms DESC, device_id
OFFSET $4;

-- name: list_devices
SELECT device_id, platform, token_digest FROM devices
WHERE identity_id = $2 AND identity_pool_id = $1
ORDER BY device_id;

-- name: find_device_by_token
SELECT device_id FROM devices
WHERE identity_id = $2 AND identity_pool_id = $1 AND platform = $3
    AND token_digest = $4;

-- name: copy_device
INSERT INTO devices (
    identity_id, device_id, identity_pool_id, platform, token, token_digest,
    registration_date_ms, endpoint_arn, disabled, last_push_ms, last_push_error
)
SELECT $3::text, device_id, identity_pool_id, platform, token, token_digest,
    registration_date_ms, endpoint_arn, disabled, last_push_ms, last_push_error
FROM devices WHERE identity_id = $1 AND device_id = $2;

-- name: delete_device
DELETE FROM devices WHERE identity_id = $1 AND device_id = $2;

-- name: put_endpoint
UPDATE devices SET endpoint_arn = $3 WHERE identity_id = $1 AND device_id = $2;

-- name: disable_device
UPDATE devices SET disabled = true
WHERE identity_id = $1 AND device_id = $2 AND endpoint_arn IS NOT DISTINCT FROM $3;

-- name: is_subscribable
SELECT 1 FROM datasets AS dataset
JOIN identity_pools AS pool
    ON pool.identity_pool_id = dataset.identity_pool_id AND NOT pool.deleted
JOIN devices AS device
    ON device.identity_id = dataset.identity_id
    AND device.identity_pool_id = dataset.identity_pool_id AND device.device_id = $4
WHERE dataset.identity_id = $2 AND dataset.identity_pool_id = $1
    AND dataset.dataset_name = $3 AND dataset.live;

-- name: put_subscription
INSERT INTO subscriptions (identity_pool_id, identity_id, dataset_name, device_id)
VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;

-- name: delete_subscription
DELETE FROM subscriptions
WHERE identity_id = $2 AND identity_pool_id = $1 AND dataset_name = $3
    AND device_id = $4;

-- name: clear_subscriptions
DELETE FROM subscriptions
WHERE identity_id = $2 AND identity_pool_id = $1 AND dataset_name = $3;

-- name: clear_subscriptions_of_device
DELETE FROM subscriptions WHERE identity_id = $1 AND device_id = $2;

-- name: clear_subscriptions_of_identity
DELETE FROM subscriptions WHERE identity_id = $2 AND identity_pool_id = $1;

-- name: follow_dataset
INSERT INTO subscriptions (identity_id, identity_pool_id, dataset_name, device_id)
SELECT $4::text, identity_pool_id, dataset_name, device_id FROM subscriptions
WHERE identity_id = $2 AND identity_pool_id = $1 AND dataset_name = $3
ON CONFLICT DO NOTHING;

-- name: follow_device
-- $1: whose the subscriptions are, $2: the device that had them, $3: that gets them.
INSERT INTO subscriptions (identity_id, identity_pool_id, dataset_name, device_id)
SELECT identity_id, identity_pool_id, dataset_name, $3::text FROM subscriptions
WHERE identity_id = $1 AND device_id = $2
ON CONFLICT DO NOTHING;

-- name: follow_pushes
-- From the device $2 of $1 to the device $4 of $3.
INSERT INTO pushes (identity_id, device_id, dataset_name, sync_count, due_ms, failures)
SELECT $3::text, $4::text, dataset_name, sync_count, due_ms, failures FROM pushes
WHERE identity_id = $1 AND device_id = $2
ON CONFLICT DO NOTHING;

-- name: list_pushes
SELECT push.dataset_name, push.sync_count, push.failures, device.device_id,
    device.identity_pool_id, device.identity_id, device.platform, device.token,
    device.registration_date_ms, device.endpoint_arn, device.disabled, push.due_ms
FROM pushes AS push
JOIN devices AS device
    ON device.identity_id = push.identity_id AND device.device_id = push.device_id
JOIN identity_pools AS pool
    ON pool.identity_pool_id = device.identity_pool_id AND NOT pool.deleted
WHERE push.due_ms <= $1
ORDER BY push.due_ms LIMIT $2;

-- name: delete_push
DELETE FROM pushes
WHERE identity_id = $1 AND device_id = $2 AND dataset_name = $3 AND sync_count = $4;

-- name: delete_push_of_dataset
DELETE FROM pushes WHERE identity_id = $1 AND device_id = $2 AND dataset_name = $3;

-- name: clear_pushes
DELETE FROM pushes WHERE identity_id = $1 AND device_id = $2;

-- name: defer_push
UPDATE pushes SET due_ms = $4, failures = failures + 1
WHERE identity_id = $1 AND device_id = $2 AND dataset_name = $3;

-- name: count_pushes
SELECT count(*) FROM pushes;
