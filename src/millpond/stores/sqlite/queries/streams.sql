-- name: create_stream
INSERT INTO streams (stream_id, stream_name, shard_count, creation_date_ms)
VALUES (random() & 0x3fffffffffffffff, ?, ?, ?)
ON CONFLICT (stream_name) DO NOTHING RETURNING stream_id;

-- name: delete_stream
UPDATE streams SET stream_name = NULL WHERE stream_name = ? RETURNING stream_id;

-- name: find_stream
SELECT stream_id, stream_name, shard_count, creation_date_ms
FROM streams WHERE stream_name = ?;

-- name: list_streams
SELECT stream_id, stream_name, shard_count, creation_date_ms
FROM streams WHERE stream_name > ? ORDER BY stream_name LIMIT ?;

-- name: find_live_stream
SELECT 1 FROM streams WHERE stream_id = ? AND stream_name IS NOT NULL;

-- name: put_stream_record
INSERT INTO stream_records (stream_id, shard, arrival_ms, partition_key, data)
VALUES (?, ?, ?, ?, ?);

-- name: list_stream_records
SELECT sequence_number, partition_key, arrival_ms, data FROM stream_records
WHERE stream_id = ? AND shard = ? AND sequence_number > ?
ORDER BY sequence_number LIMIT ?;

-- name: list_earlier_stream_records
SELECT sequence_number, partition_key, arrival_ms,
    CASE WHEN partition_key = ?4 THEN data ELSE x'' END
FROM stream_records
WHERE stream_id = ?1 AND shard = ?2 AND sequence_number < ?3
ORDER BY sequence_number DESC LIMIT ?5;

-- name: find_last_sequence_number
SELECT coalesce(max(sequence_number), 0) FROM stream_records
WHERE stream_id = ? AND shard = ?;

-- name: find_last_sequence_number_below
SELECT coalesce(max(sequence_number), 0) FROM stream_records
WHERE stream_id = ? AND shard = ? AND sequence_number < ?;

-- name: find_last_arrival
SELECT sequence_number, arrival_ms FROM stream_records
ORDER BY sequence_number DESC LIMIT 1;

-- name: find_arrival_from
SELECT sequence_number, arrival_ms FROM stream_records
WHERE sequence_number >= ? ORDER BY sequence_number LIMIT 1;

-- name: put_stream_payload
INSERT INTO stream_payloads (payload_id, expires_ms, data) VALUES (?, ?, ?)
ON CONFLICT (payload_id) DO UPDATE SET
    expires_ms = excluded.expires_ms, data = excluded.data;

-- name: find_stream_payload
SELECT data FROM stream_payloads WHERE payload_id = ? AND expires_ms > ?;

-- name: purge_stream_records
DELETE FROM stream_records WHERE sequence_number IN (
    SELECT sequence_number FROM stream_records WHERE sequence_number < ?
    ORDER BY sequence_number LIMIT ?
) RETURNING 1;

-- name: find_deleted_stream
SELECT stream_id FROM streams WHERE stream_name IS NULL LIMIT 1;

-- name: purge_deleted_stream
DELETE FROM stream_records WHERE sequence_number IN (
    SELECT sequence_number FROM stream_records WHERE stream_id = ? LIMIT ?
) RETURNING 1;

-- name: drop_stream
DELETE FROM streams WHERE stream_id = ?;

-- name: purge_stream_payloads
DELETE FROM stream_payloads WHERE payload_id IN (
    SELECT payload_id FROM stream_payloads WHERE expires_ms <= ?
    ORDER BY expires_ms LIMIT ?
) RETURNING 1;
