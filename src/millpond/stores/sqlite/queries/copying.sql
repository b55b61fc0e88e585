-- The main file. Exports: first the position, then the columns of the row.

-- name: find_copy_mark
SELECT source, fingerprint, begun_ms FROM copy_mark;

-- name: put_copy_mark
INSERT INTO copy_mark (copy_number, source, fingerprint, begun_ms) VALUES (1, ?, ?, ?)
ON CONFLICT DO NOTHING;

-- name: drop_copy_mark
DELETE FROM copy_mark;

-- name: find_copy_position
SELECT position FROM copy_positions WHERE kind = ?;

-- name: put_copy_position
INSERT INTO copy_positions (kind, position) VALUES (?, ?)
ON CONFLICT DO UPDATE SET position = excluded.position;

-- name: drop_copy_positions
DELETE FROM copy_positions;

-- name: read_outbox_counter
SELECT seq FROM sqlite_sequence WHERE name = 'outbox';

-- name: raise_outbox_counter
UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'outbox' RETURNING seq;

-- name: begin_outbox_counter
INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?);

-- name: export_developer_keys
SELECT access_key_id, access_key_id, name, sealed_secret, creation_date_ms, read_only,
    identity_pool_id, expires_ms, last_used_ms
FROM developer_keys WHERE access_key_id > ? ORDER BY access_key_id LIMIT ?;

-- name: import_developer_keys
INSERT INTO developer_keys (
    access_key_id, name, sealed_secret, creation_date_ms, read_only,
    identity_pool_id, expires_ms, last_used_ms
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: export_audit
SELECT entry_id, entry_id, time_ms, last_ms, changes, frequent, origin, access_key_id, caller_name,
    operation, identity_pool_id, identity_id, dataset_name, target, address, user_agent,
    request_id, result
FROM audit WHERE entry_id > ? ORDER BY entry_id LIMIT ?;

-- name: import_audit
INSERT INTO audit (
    entry_id, time_ms, last_ms, changes, frequent, origin, access_key_id, caller_name,
    operation, identity_pool_id, identity_id, dataset_name, target, address, user_agent,
    request_id, result
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: export_token_keys
SELECT key_id, key_id, sealed_private_key, creation_date_ms, retire_date_ms
FROM token_keys WHERE key_id > ? ORDER BY key_id LIMIT ?;

-- name: import_token_keys
INSERT INTO token_keys (key_id, sealed_private_key, creation_date_ms, retire_date_ms)
VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: export_identity_pools
SELECT pool.identity_pool_id, pool.identity_pool_id, description,
    coalesce(sync_sessions_count, 0), coalesce(data_storage, 0), last_modified_date_ms
FROM identity_pools AS pool
LEFT JOIN identity_pool_usage USING (identity_pool_id)
WHERE pool.identity_pool_id > ? AND deleted = 0
ORDER BY pool.identity_pool_id LIMIT ?;

-- name: import_identity_pool
INSERT INTO identity_pools (identity_pool_id, description, streaming, sync_trigger)
VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: import_identity_pool_usage
INSERT INTO identity_pool_usage (
    identity_pool_id, sync_sessions_count, data_storage, last_modified_date_ms
) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: export_identities
SELECT identity_id, identity_id, identity.identity_pool_id, creation_date_ms,
    last_modified_date_ms, guest, merged_into,
    (
        SELECT json_group_array(json_array(provider_name, subject))
        FROM logins WHERE logins.identity_id = identity.identity_id
    ),
    origin
FROM identities AS identity CROSS JOIN identity_pools AS pool
WHERE identity_id > ? AND pool.identity_pool_id = identity.identity_pool_id
    AND deleted = 0
ORDER BY identity_id LIMIT ?;

-- name: import_identity
INSERT INTO identities (
    identity_id, identity_pool_id, creation_date_ms, last_modified_date_ms, guest,
    merged_into, origin
) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: import_login
INSERT INTO logins (identity_pool_id, identity_id, provider_name, subject)
VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: export_datasets
SELECT dataset_number, identity_id, dataset.identity_pool_id, dataset_name, sync_count,
    live, horizon, creation_date_ms, last_modified_date_ms, last_modified_by,
    num_records, data_storage, root_dataset_name, forgotten
FROM datasets AS dataset CROSS JOIN identity_pools AS pool
WHERE dataset_number > ? AND pool.identity_pool_id = dataset.identity_pool_id
    AND deleted = 0
ORDER BY dataset_number LIMIT ?;

-- name: import_datasets
INSERT INTO datasets (
    identity_id, identity_pool_id, dataset_name, sync_count, live, horizon,
    creation_date_ms, last_modified_date_ms, last_modified_by, num_records,
    data_storage, root_dataset_name, forgotten
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: export_records
SELECT record.dataset_number, record_key, identity_id, dataset.identity_pool_id,
    dataset_name, record_key, record.sync_count, record.last_modified_date_ms,
    record.last_modified_by, device_last_modified_date_ms, value
FROM records AS record CROSS JOIN datasets AS dataset CROSS JOIN identity_pools AS pool
WHERE (record.dataset_number, record_key) > (?, ?)
    AND dataset.dataset_number = record.dataset_number
    AND pool.identity_pool_id = dataset.identity_pool_id AND deleted = 0
ORDER BY record.dataset_number, record_key LIMIT ?;

-- name: import_records
INSERT INTO records (
    dataset_number, record_key, sync_count, last_modified_date_ms, last_modified_by,
    device_last_modified_date_ms, value
)
SELECT dataset_number, ?4, ?5, ?6, ?7, ?8, ?9 FROM datasets
WHERE identity_pool_id = ?2 AND identity_id = ?1 AND dataset_name = ?3
ON CONFLICT DO NOTHING;

-- name: export_spent_sessions
SELECT session_id, coalesce(identity_id, ''), session_id, request_sha256, sync_count,
    last_modified_date_ms, last_modified_by, amended
FROM spent_sessions WHERE session_id > ? ORDER BY session_id LIMIT ?;

-- name: import_spent_sessions
INSERT INTO spent_sessions (
    identity_id, session_id, request_sha256, sync_count, last_modified_date_ms,
    last_modified_by, amended
) VALUES (nullif(?, ''), ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: export_devices
SELECT device_id, identity_id, device_id, device.identity_pool_id, platform, token,
    registration_date_ms, endpoint_arn, disabled, last_push_ms, last_push_error
FROM devices AS device CROSS JOIN identity_pools AS pool
WHERE device_id > ? AND pool.identity_pool_id = device.identity_pool_id AND deleted = 0
ORDER BY device_id LIMIT ?;

-- name: import_devices
INSERT INTO devices (
    identity_id, device_id, identity_pool_id, platform, token, registration_date_ms,
    endpoint_arn, disabled, last_push_ms, last_push_error
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: export_subscriptions
SELECT subscription.dataset_number, device_id, identity_id, dataset.identity_pool_id,
    dataset_name, device_id
FROM subscriptions AS subscription CROSS JOIN datasets AS dataset
CROSS JOIN identity_pools AS pool
WHERE (subscription.dataset_number, device_id) > (?, ?)
    AND dataset.dataset_number = subscription.dataset_number
    AND pool.identity_pool_id = dataset.identity_pool_id AND deleted = 0
ORDER BY subscription.dataset_number, device_id LIMIT ?;

-- name: import_subscriptions
INSERT INTO subscriptions (dataset_number, device_id)
SELECT dataset_number, ?4 FROM datasets
WHERE identity_pool_id = ?2 AND identity_id = ?1 AND dataset_name = ?3
ON CONFLICT DO NOTHING;

-- name: export_pushes
SELECT push.device_id, dataset_name, identity_id, push.device_id, dataset_name,
    sync_count, due_ms, failures
FROM pushes AS push CROSS JOIN devices AS device CROSS JOIN identity_pools AS pool
WHERE (push.device_id, dataset_name) > (?, ?) AND device.device_id = push.device_id
    AND pool.identity_pool_id = device.identity_pool_id AND deleted = 0
ORDER BY push.device_id, dataset_name LIMIT ?;

-- name: import_pushes
INSERT INTO pushes (device_id, dataset_name, sync_count, due_ms, failures)
VALUES (?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING;

-- name: export_outbox
SELECT outbox_id, identity_id, outbox_id, entry.identity_pool_id, data, created_ms
FROM outbox AS entry CROSS JOIN identity_pools AS pool
WHERE outbox_id > ? AND pool.identity_pool_id = entry.identity_pool_id AND deleted = 0
ORDER BY outbox_id LIMIT ?;

-- name: import_outbox
INSERT INTO outbox (identity_id, outbox_id, identity_pool_id, data, created_ms)
VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: export_parked_outbox
SELECT outbox_id, identity_id, outbox_id, entry.identity_pool_id, data, created_ms,
    parked_ms, reason
FROM parked_outbox AS entry CROSS JOIN identity_pools AS pool
WHERE outbox_id > ? AND pool.identity_pool_id = entry.identity_pool_id AND deleted = 0
ORDER BY outbox_id LIMIT ?;

-- name: import_parked_outbox
INSERT INTO parked_outbox (
    identity_id, outbox_id, identity_pool_id, data, created_ms, parked_ms, reason
) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: export_bulk_publish_runs
SELECT run.identity_pool_id, run.identity_pool_id, run
FROM bulk_publish_runs AS run CROSS JOIN identity_pools AS pool
WHERE run.identity_pool_id > ? AND pool.identity_pool_id = run.identity_pool_id
    AND deleted = 0
ORDER BY run.identity_pool_id LIMIT ?;

-- name: import_bulk_publish_runs
INSERT INTO bulk_publish_runs (identity_pool_id, run) VALUES (?, ?)
ON CONFLICT DO NOTHING;

-- name: export_bulk_publish_slices
SELECT slice.identity_pool_id, slice_number, slice.identity_pool_id, slice_number,
    run_id, first_identity_id, end_identity_id, open, fence, position_identity_id,
    position_dataset_name, datasets, records, data_bytes
FROM bulk_publish_slices AS slice CROSS JOIN identity_pools AS pool
WHERE (slice.identity_pool_id, slice_number) > (?, ?)
    AND pool.identity_pool_id = slice.identity_pool_id AND deleted = 0
ORDER BY slice.identity_pool_id, slice_number LIMIT ?;

-- name: import_bulk_publish_slices
INSERT INTO bulk_publish_slices (
    identity_pool_id, slice_number, run_id, first_identity_id, end_identity_id, open,
    fence, position_identity_id, position_dataset_name, datasets, records, data_bytes
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: export_imports
SELECT import.identity_pool_id, import.identity_pool_id, state
FROM imports AS import CROSS JOIN identity_pools AS pool
WHERE import.identity_pool_id > ? AND pool.identity_pool_id = import.identity_pool_id
    AND deleted = 0
ORDER BY import.identity_pool_id LIMIT ?;

-- name: import_imports
INSERT INTO imports (identity_pool_id, state) VALUES (?, ?) ON CONFLICT DO NOTHING;

-- name: export_import_positions
SELECT place.identity_pool_id, position_name, place.identity_pool_id, position_name,
    position
FROM import_positions AS place CROSS JOIN identity_pools AS pool
WHERE (place.identity_pool_id, position_name) > (?, ?)
    AND pool.identity_pool_id = place.identity_pool_id AND deleted = 0
ORDER BY place.identity_pool_id, position_name LIMIT ?;

-- name: import_import_positions
INSERT INTO import_positions (identity_pool_id, position_name, position)
VALUES (?, ?, ?) ON CONFLICT DO NOTHING;

-- name: export_imported_identities
SELECT imported.identity_pool_id, identity_id, identity_id, imported.identity_pool_id,
    pass_number, enabled_pass, merged_into, datasets, aside, mark
FROM imported_identities AS imported CROSS JOIN identity_pools AS pool
WHERE (imported.identity_pool_id, identity_id) > (?, ?)
    AND pool.identity_pool_id = imported.identity_pool_id AND deleted = 0
ORDER BY imported.identity_pool_id, identity_id LIMIT ?;

-- name: import_imported_identities
INSERT INTO imported_identities (
    identity_id, identity_pool_id, pass_number, enabled_pass, merged_into, datasets,
    aside, mark
) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;
