-- name: create_stream
INSERT INTO streams (stream_id, stream_name, shard_count, creation_date_ms)
VALUES ($1, $2, $3, $4) ON CONFLICT (stream_name) DO NOTHING;

-- name: create_shard
INSERT INTO stream_shards (shard_key, stream_id) VALUES ($1, $2);

-- name: delete_stream
UPDATE streams SET stream_name = NULL WHERE stream_name = $1;

-- name: find_stream
SELECT stream_id, stream_name, shard_count, creation_date_ms
FROM streams WHERE stream_name = $1;

-- name: list_streams
SELECT stream_id, stream_name, shard_count, creation_date_ms
FROM streams WHERE stream_name > $1 ORDER BY stream_name LIMIT $2;

-- name: find_live_stream
SELECT 1 FROM streams WHERE stream_id = $1 AND stream_name IS NOT NULL;

-- name: append_to_shard
SELECT append_to_shard_1($1, $2, $3, $4, $5);

-- name: list_stream_records
SELECT sequence_number, partition_key, arrival_ms, data FROM stream_records
WHERE shard_key = $1 AND sequence_number > $2
ORDER BY sequence_number LIMIT $3;

-- name: list_earlier_stream_records
SELECT sequence_number, partition_key, arrival_ms,
    CASE WHEN partition_key = $3 THEN data ELSE ''::bytea END AS data
FROM stream_records
WHERE shard_key = $1 AND sequence_number < $2
ORDER BY sequence_number DESC LIMIT $4;

-- name: find_last_sequence_number
SELECT coalesce(max(sequence_number), 0) FROM stream_records
WHERE shard_key = $1;

-- name: find_last_sequence_number_before
-- Within a shard, arrivals never fall as sequence numbers grow.
SELECT coalesce((
    SELECT sequence_number FROM stream_records
    WHERE shard_key = $1 AND arrival_ms < $2
    ORDER BY arrival_ms DESC, sequence_number DESC LIMIT 1
), 0);

-- name: put_stream_payload
INSERT INTO stream_payloads (payload_id, expires_ms, data) VALUES ($1, $2, $3)
ON CONFLICT (payload_id) DO UPDATE
SET expires_ms = excluded.expires_ms, data = excluded.data;

-- name: find_stream_payload
SELECT data FROM stream_payloads WHERE payload_id = $1 AND expires_ms > $2;

-- name: list_shards
SELECT shard_key FROM stream_shards ORDER BY shard_key;

-- name: purge_stream_records
-- $2: the highest number of those that go.
DELETE FROM stream_records WHERE shard_key = $1 AND sequence_number <= $2;

-- name: find_old_stream_records
SELECT max(sequence_number) FROM (
    SELECT sequence_number FROM stream_records
    WHERE shard_key = $1 AND arrival_ms < $2
    ORDER BY arrival_ms, sequence_number LIMIT $3
) AS oldest;

-- name: find_deleted_stream
SELECT stream_id, shard_count FROM streams WHERE stream_name IS NULL LIMIT 1;

-- name: drop_shard
DELETE FROM stream_shards WHERE shard_key = $1;

-- name: drop_stream
DELETE FROM streams WHERE stream_id = $1;

-- name: list_expired_payloads
SELECT payload_id FROM stream_payloads
WHERE expires_ms <= $1 ORDER BY expires_ms LIMIT $2;

-- name: purge_stream_payloads
DELETE FROM stream_payloads WHERE payload_id = ANY ($1::text[]);
