-- name: create_stream
INSERT INTO streams (
    stream_id, stream_name, shard_count, creation_date_ms, stream_mode, tags
) VALUES (random() & 0x3fffffffffffffff, ?, ?, ?, ?, ?)
ON CONFLICT (stream_name) DO NOTHING RETURNING stream_id;

-- name: delete_stream
UPDATE streams SET stream_name = NULL WHERE stream_name = ? RETURNING stream_id;

-- name: find_stream
SELECT stream_id, stream_name, shard_count, creation_date_ms, retention_hours,
    stream_mode, tags
FROM streams WHERE stream_name = ?;

-- name: find_stream_by_id
SELECT stream_id, stream_name, shard_count, creation_date_ms, retention_hours,
    stream_mode, tags
FROM streams WHERE stream_id = ? AND stream_name IS NOT NULL;

-- name: update_stream
UPDATE streams SET retention_hours = ?, stream_mode = ?, tags = ? WHERE stream_id = ?;

-- name: measure_streams
SELECT coalesce(sum(shard_count), 0), coalesce(sum(stream_mode = 'ON_DEMAND'), 0),
    max(retention_hours)
FROM streams WHERE stream_name IS NOT NULL;

-- name: list_streams
SELECT stream_id, stream_name, shard_count, creation_date_ms, retention_hours,
    stream_mode, tags
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
    CASE WHEN ?4 IS NULL OR partition_key = ?4 THEN data ELSE x'' END
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

-- name: list_retentions
-- One row for each retention that streams have of their own.
SELECT DISTINCT retention_hours FROM streams
WHERE stream_name IS NOT NULL AND retention_hours IS NOT NULL;

-- name: list_streams_by_retention
SELECT stream_id, shard_count, retention_hours FROM streams
WHERE stream_name IS NOT NULL;

-- name: purge_shard
DELETE FROM stream_records WHERE sequence_number IN (
    SELECT sequence_number FROM stream_records
    WHERE stream_id = ? AND shard = ? AND sequence_number < ?
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

-- name: drop_stream_consumers
DELETE FROM stream_consumers WHERE stream_id = ?;

-- name: create_stream_consumer
INSERT INTO stream_consumers (stream_id, consumer_name, creation_date_ms, tags)
VALUES (?, ?, ?, ?);

-- name: find_stream_consumer
SELECT consumer.stream_id, consumer_name, consumer.creation_date_ms, consumer.tags
FROM stream_consumers AS consumer JOIN streams USING (stream_id)
WHERE consumer.stream_id = ? AND consumer_name = ? AND stream_name IS NOT NULL;

-- name: list_stream_consumers
SELECT stream_id, consumer_name, creation_date_ms, tags FROM stream_consumers
WHERE stream_id = ? AND consumer_name > ? ORDER BY consumer_name LIMIT ?;

-- name: update_stream_consumer
UPDATE stream_consumers SET tags = ? WHERE stream_id = ? AND consumer_name = ?;

-- name: delete_stream_consumer
DELETE FROM stream_consumers WHERE stream_id = ? AND consumer_name = ? RETURNING 1;

-- name: purge_stream_payloads
DELETE FROM stream_payloads WHERE payload_id IN (
    SELECT payload_id FROM stream_payloads WHERE expires_ms <= ?
    ORDER BY expires_ms LIMIT ?
) RETURNING 1;
