-- Exports: first the position, then the columns of the row. Imports take the columns of
-- a page as arrays.

-- name: try_lock_alone
SELECT pg_try_advisory_lock(1296846917);

-- name: try_lock_shared
SELECT pg_try_advisory_lock_shared(1296846917);

-- name: count_nodes
SELECT count(*) FROM leases WHERE lease_name LIKE 'node:%' AND expires > now();

-- name: estimate_rows
SELECT reltuples::bigint FROM pg_class WHERE oid = $1::text::regclass;

-- name: find_copy_mark
SELECT source, fingerprint, begun_ms FROM copy_mark;

-- name: put_copy_mark
INSERT INTO copy_mark (copy_number, source, fingerprint, begun_ms)
VALUES (1, $1, $2, $3) ON CONFLICT DO NOTHING;

-- name: drop_copy_mark
DELETE FROM copy_mark;

-- name: find_copy_position
SELECT position FROM copy_positions WHERE kind = $1;

-- name: put_copy_position
INSERT INTO copy_positions (kind, position) VALUES ($1, $2)
ON CONFLICT (kind) DO UPDATE SET position = excluded.position;

-- name: drop_copy_positions
DELETE FROM copy_positions;

-- name: read_outbox_counter
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outbox_outbox_id_seq;

-- name: raise_outbox_counter
SELECT setval('outbox_outbox_id_seq', $1);

-- name: read_stream_counters
SELECT coalesce(max(last_number), 0), coalesce(max(last_arrival_ms), 0)
FROM stream_shards;

-- name: raise_stream_counters
UPDATE stream_shards SET last_number = greatest(last_number, $1),
    last_arrival_ms = greatest(last_arrival_ms, $2);

-- name: export_developer_keys
SELECT access_key_id, access_key_id, name, sealed_secret, creation_date_ms, read_only,
    identity_pool_id, expires_ms, last_used_ms
FROM developer_keys WHERE access_key_id > $1 ORDER BY access_key_id LIMIT $2;

-- name: import_developer_keys
INSERT INTO developer_keys (
    access_key_id, name, sealed_secret, creation_date_ms, read_only,
    identity_pool_id, expires_ms, last_used_ms
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::boolean[], $6::text[],
    $7::bigint[], $8::bigint[]
)
ON CONFLICT DO NOTHING;

-- name: export_audit
SELECT entry_id, entry_id, time_ms, last_ms, changes, frequent, origin, access_key_id, caller_name,
    operation, identity_pool_id, identity_id, dataset_name, target, address, user_agent,
    request_id, result
FROM audit WHERE entry_id > $1 ORDER BY entry_id LIMIT $2;

-- name: import_audit
INSERT INTO audit (
    entry_id, time_ms, last_ms, changes, frequent, origin, access_key_id, caller_name,
    operation, identity_pool_id, identity_id, dataset_name, target, address, user_agent,
    request_id, result
)
SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::boolean[], $6::text[],
    $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
    $13::text[], $14::text[], $15::text[], $16::text[], $17::text[]
)
ON CONFLICT DO NOTHING;

-- name: export_token_keys
SELECT key_id, key_id, sealed_private_key, creation_date_ms, retire_date_ms
FROM token_keys WHERE key_id > $1 ORDER BY key_id LIMIT $2;

-- name: import_token_keys
INSERT INTO token_keys (key_id, sealed_private_key, creation_date_ms, retire_date_ms)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bigint[])
ON CONFLICT DO NOTHING;

-- name: export_identity_pools
-- What was counted; the rest of the usage is added by `sum_uncounted_usage`.
SELECT pool.identity_pool_id, pool.identity_pool_id, description,
    coalesce(sync_sessions_count, 0), coalesce(data_storage, 0), last_modified_date_ms
FROM identity_pools AS pool
LEFT JOIN identity_pool_usage AS counted
    ON counted.identity_pool_id = pool.identity_pool_id
WHERE pool.identity_pool_id > $1 AND NOT deleted
ORDER BY pool.identity_pool_id LIMIT $2;

-- name: import_identity_pools
INSERT INTO identity_pools (identity_pool_id, description, streaming, sync_trigger)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::boolean[], $4::text[])
ON CONFLICT DO NOTHING;

-- name: import_identity_pool_usage
INSERT INTO identity_pool_usage (
    identity_pool_id, sync_sessions_count, data_storage, last_modified_date_ms
)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
ON CONFLICT DO NOTHING;

-- name: export_identities
SELECT identity_id, identity_id, identity.identity_pool_id, creation_date_ms,
    last_modified_date_ms, guest, merged_into, logins, origin
FROM identities AS identity
JOIN identity_pools AS pool
    ON pool.identity_pool_id = identity.identity_pool_id AND NOT pool.deleted
WHERE identity_id > $1 ORDER BY identity_id LIMIT $2;

-- name: import_identities
INSERT INTO identities (
    identity_id, identity_pool_id, creation_date_ms, last_modified_date_ms, guest,
    merged_into, logins, origin
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[], $6::text[],
    $7::bytea[], $8::bytea[]
) ON CONFLICT DO NOTHING;

-- name: import_logins
INSERT INTO logins (login_digest, identity_pool_id, identity_id)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING;

-- name: export_datasets
SELECT identity_id, dataset.identity_pool_id, dataset_name, identity_id,
    dataset.identity_pool_id, dataset_name, sync_count, live, horizon,
    creation_date_ms, last_modified_date_ms, last_modified_by, num_records,
    data_storage, root_dataset_name, forgotten
FROM datasets AS dataset
JOIN identity_pools AS pool
    ON pool.identity_pool_id = dataset.identity_pool_id AND NOT pool.deleted
WHERE (identity_id, dataset.identity_pool_id, dataset_name) > ($1, $2, $3)
ORDER BY identity_id, dataset.identity_pool_id, dataset_name LIMIT $4;

-- name: import_datasets
INSERT INTO datasets (
    identity_id, identity_pool_id, dataset_name, sync_count, live, horizon,
    creation_date_ms, last_modified_date_ms, last_modified_by, num_records,
    data_storage, root_dataset_name, forgotten
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::bigint[], $5::boolean[], $6::bigint[],
    $7::bigint[], $8::bigint[], $9::text[], $10::bigint[], $11::bigint[], $12::text[],
    $13::bigint[]
) ON CONFLICT DO NOTHING;

-- name: import_heads
-- So that an update that loaded a dataset finds what it has to hold on to.
INSERT INTO identity_heads (identity_id, identity_pool_id, version)
SELECT DISTINCT identity_id, pool, $3::bigint
FROM unnest($1::text[], $2::text[]) AS head (identity_id, pool)
ON CONFLICT DO NOTHING;

-- name: export_records
SELECT identity_id, record.identity_pool_id, dataset_name, key_digest, identity_id,
    record.identity_pool_id, dataset_name, record_key, sync_count,
    last_modified_date_ms, last_modified_by, device_last_modified_date_ms, value
FROM records AS record
JOIN identity_pools AS pool
    ON pool.identity_pool_id = record.identity_pool_id AND NOT pool.deleted
WHERE (identity_id, record.identity_pool_id, dataset_name, key_digest)
    > ($1, $2, $3, $4)
ORDER BY identity_id, record.identity_pool_id, dataset_name, key_digest LIMIT $5;

-- name: import_records
INSERT INTO records (
    identity_id, identity_pool_id, dataset_name, record_key, sync_count,
    last_modified_date_ms, last_modified_by, device_last_modified_date_ms, value,
    key_digest
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
    $7::text[], $8::bigint[], $9::text[], $10::bytea[]
) ON CONFLICT DO NOTHING;

-- name: export_spent_sessions
SELECT identity_id, session_id, identity_id, session_id, request_sha256, sync_count,
    last_modified_date_ms, last_modified_by, amended
FROM spent_sessions WHERE (identity_id, session_id) > ($1, $2)
ORDER BY identity_id, session_id LIMIT $3;

-- name: import_spent_sessions
INSERT INTO spent_sessions (
    identity_id, session_id, request_sha256, sync_count, last_modified_date_ms,
    last_modified_by, amended
)
SELECT * FROM unnest(
    $1::text[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::text[],
    $7::text[]
) ON CONFLICT DO NOTHING;

-- name: export_devices
SELECT identity_id, device_id, identity_id, device_id, device.identity_pool_id,
    platform, token, registration_date_ms, endpoint_arn, disabled, last_push_ms,
    last_push_error
FROM devices AS device
JOIN identity_pools AS pool
    ON pool.identity_pool_id = device.identity_pool_id AND NOT pool.deleted
WHERE (identity_id, device_id) > ($1, $2)
ORDER BY identity_id, device_id LIMIT $3;

-- name: import_devices
INSERT INTO devices (
    identity_id, device_id, identity_pool_id, platform, token, registration_date_ms,
    endpoint_arn, disabled, last_push_ms, last_push_error, token_digest
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
    $7::text[], $8::boolean[], $9::bigint[], $10::text[], $11::bytea[]
) ON CONFLICT DO NOTHING;

-- name: export_subscriptions
SELECT identity_id, subscription.identity_pool_id, dataset_name, device_id,
    identity_id, subscription.identity_pool_id, dataset_name, device_id
FROM subscriptions AS subscription
JOIN identity_pools AS pool
    ON pool.identity_pool_id = subscription.identity_pool_id AND NOT pool.deleted
WHERE (identity_id, subscription.identity_pool_id, dataset_name, device_id)
    > ($1, $2, $3, $4)
ORDER BY identity_id, subscription.identity_pool_id, dataset_name, device_id LIMIT $5;

-- name: import_subscriptions
INSERT INTO subscriptions (identity_id, identity_pool_id, dataset_name, device_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
ON CONFLICT DO NOTHING;

-- name: export_pushes
SELECT push.identity_id, push.device_id, dataset_name, push.identity_id,
    push.device_id, dataset_name, sync_count, due_ms, failures
FROM pushes AS push
JOIN devices AS device
    ON device.identity_id = push.identity_id AND device.device_id = push.device_id
JOIN identity_pools AS pool
    ON pool.identity_pool_id = device.identity_pool_id AND NOT pool.deleted
WHERE (push.identity_id, push.device_id, dataset_name) > ($1, $2, $3)
ORDER BY push.identity_id, push.device_id, dataset_name LIMIT $4;

-- name: import_pushes
INSERT INTO pushes (
    identity_id, device_id, dataset_name, sync_count, due_ms, failures
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[]
) ON CONFLICT DO NOTHING;

-- name: export_outbox
SELECT identity_id, outbox_id, identity_id, outbox_id, entry.identity_pool_id, data,
    created_ms
FROM outbox AS entry
JOIN identity_pools AS pool
    ON pool.identity_pool_id = entry.identity_pool_id AND NOT pool.deleted
WHERE (identity_id, outbox_id) > ($1, $2)
ORDER BY identity_id, outbox_id LIMIT $3;

-- name: import_outbox
INSERT INTO outbox (identity_id, outbox_id, identity_pool_id, data, created_ms)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::bigint[])
ON CONFLICT DO NOTHING;

-- name: export_parked_outbox
SELECT identity_id, outbox_id, identity_id, outbox_id, entry.identity_pool_id, data,
    created_ms, parked_ms, reason
FROM parked_outbox AS entry
JOIN identity_pools AS pool
    ON pool.identity_pool_id = entry.identity_pool_id AND NOT pool.deleted
WHERE (identity_id, outbox_id) > ($1, $2)
ORDER BY identity_id, outbox_id LIMIT $3;

-- name: import_parked_outbox
INSERT INTO parked_outbox (
    identity_id, outbox_id, identity_pool_id, data, created_ms, parked_ms, reason
)
SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::bigint[], $6::bigint[],
    $7::text[]
) ON CONFLICT DO NOTHING;

-- name: export_bulk_publish_runs
SELECT run.identity_pool_id, run.identity_pool_id, run
FROM bulk_publish_runs AS run
JOIN identity_pools AS pool
    ON pool.identity_pool_id = run.identity_pool_id AND NOT pool.deleted
WHERE run.identity_pool_id > $1 ORDER BY run.identity_pool_id LIMIT $2;

-- name: import_bulk_publish_runs
INSERT INTO bulk_publish_runs (identity_pool_id, run)
SELECT * FROM unnest($1::text[], $2::bytea[]) ON CONFLICT DO NOTHING;

-- name: export_bulk_publish_slices
SELECT slice.identity_pool_id, slice_number, slice.identity_pool_id, slice_number,
    run_id, first_identity_id, end_identity_id, open, fence, position_identity_id,
    position_dataset_name, datasets, records, data_bytes
FROM bulk_publish_slices AS slice
JOIN identity_pools AS pool
    ON pool.identity_pool_id = slice.identity_pool_id AND NOT pool.deleted
WHERE (slice.identity_pool_id, slice_number) > ($1, $2)
ORDER BY slice.identity_pool_id, slice_number LIMIT $3;

-- name: import_bulk_publish_slices
INSERT INTO bulk_publish_slices (
    identity_pool_id, slice_number, run_id, first_identity_id, end_identity_id, open,
    fence, position_identity_id, position_dataset_name, datasets, records, data_bytes
)
SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::boolean[],
    $7::bigint[], $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[]
) ON CONFLICT DO NOTHING;

-- name: export_streams
SELECT stream_id, stream_id, stream_name, shard_count, creation_date_ms,
    retention_hours, stream_mode, tags
FROM streams WHERE stream_id > $1 AND stream_name IS NOT NULL
ORDER BY stream_id LIMIT $2;

-- name: import_streams
INSERT INTO streams (
    stream_id, stream_name, shard_count, creation_date_ms, retention_hours, stream_mode,
    tags
)
SELECT * FROM unnest(
    $1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
    $7::text[]
) ON CONFLICT DO NOTHING;

-- name: export_stream_consumers
SELECT consumer.stream_id, consumer_name, consumer.stream_id, consumer_name,
    consumer.creation_date_ms, consumer.tags
FROM stream_consumers AS consumer JOIN streams USING (stream_id)
WHERE (consumer.stream_id, consumer_name) > ($1, $2) AND stream_name IS NOT NULL
ORDER BY consumer.stream_id, consumer_name LIMIT $3;

-- name: import_stream_consumers
INSERT INTO stream_consumers (stream_id, consumer_name, creation_date_ms, tags)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[])
ON CONFLICT DO NOTHING;

-- name: import_shards
INSERT INTO stream_shards (shard_key, stream_id)
SELECT * FROM unnest($1::text[], $2::bigint[]) ON CONFLICT DO NOTHING;

-- name: list_live_streams
SELECT stream_id, shard_count FROM streams
WHERE stream_id >= $1 AND stream_name IS NOT NULL ORDER BY stream_id;

-- name: export_shard
SELECT sequence_number, arrival_ms, partition_key, data FROM stream_records
WHERE shard_key = $1 AND sequence_number > $2 ORDER BY sequence_number LIMIT $3;

-- name: import_stream_records
INSERT INTO stream_records (
    shard_key, sequence_number, arrival_ms, partition_key, data
)
SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::bytea[]
) ON CONFLICT DO NOTHING;

-- name: export_stream_payloads
SELECT payload_id, payload_id, expires_ms, data
FROM stream_payloads WHERE payload_id > $1 ORDER BY payload_id LIMIT $2;

-- name: import_stream_payloads
INSERT INTO stream_payloads (payload_id, expires_ms, data)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[]) ON CONFLICT DO NOTHING;

-- name: export_imports
SELECT import.identity_pool_id, import.identity_pool_id, state
FROM imports AS import
JOIN identity_pools AS pool
    ON pool.identity_pool_id = import.identity_pool_id AND NOT pool.deleted
WHERE import.identity_pool_id > $1 ORDER BY import.identity_pool_id LIMIT $2;

-- name: import_imports
INSERT INTO imports (identity_pool_id, state)
SELECT * FROM unnest($1::text[], $2::bytea[]) ON CONFLICT DO NOTHING;

-- name: export_import_positions
SELECT place.identity_pool_id, position_name, place.identity_pool_id, position_name,
    position
FROM import_positions AS place
JOIN identity_pools AS pool
    ON pool.identity_pool_id = place.identity_pool_id AND NOT pool.deleted
WHERE (place.identity_pool_id, position_name) > ($1, $2)
ORDER BY place.identity_pool_id, position_name LIMIT $3;

-- name: import_import_positions
INSERT INTO import_positions (identity_pool_id, position_name, position)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[]) ON CONFLICT DO NOTHING;

-- name: export_imported_identities
SELECT identity_id, imported.identity_pool_id, identity_id, imported.identity_pool_id,
    pass_number, enabled_pass, merged_into, datasets, aside, mark
FROM imported_identities AS imported
JOIN identity_pools AS pool
    ON pool.identity_pool_id = imported.identity_pool_id AND NOT pool.deleted
WHERE (identity_id, imported.identity_pool_id) > ($1, $2)
ORDER BY identity_id, imported.identity_pool_id LIMIT $3;

-- name: import_imported_identities
INSERT INTO imported_identities (
    identity_id, identity_pool_id, pass_number, enabled_pass, merged_into, datasets,
    aside, mark
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::integer[], $4::integer[], $5::text[], $6::bigint[],
    $7::bigint[], $8::bytea[]
) ON CONFLICT DO NOTHING;
