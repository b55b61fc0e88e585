-- name: create_stream
INSERT INTO streams (
    stream_id, stream_name, shard_count, creation_date_ms, stream_mode, tags
) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (stream_name) DO NOTHING;

-- name: create_shard
INSERT INTO stream_shards (shard_key, stream_id) VALUES ($1, $2);

-- name: delete_stream
UPDATE streams SET stream_name = NULL WHERE stream_name = $1;

-- name: find_stream
SELECT stream_id, stream_name, shard_count, creation_date_ms, retention_hours,
    stream_mode, tags
FROM streams WHERE stream_name = $1;

-- name: find_stream_to_change
SELECT stream_id, stream_name, shard_count, creation_date_ms, retention_hours,
    stream_mode, tags
FROM streams WHERE stream_id = $1 AND stream_name IS NOT NULL FOR UPDATE;

-- name: update_stream
UPDATE streams SET retention_hours = $2, stream_mode = $3, tags = $4
WHERE stream_id = $1;

-- name: measure_streams
SELECT coalesce(sum(shard_count), 0),
    count(*) FILTER (WHERE stream_mode = 'ON_DEMAND'), max(retention_hours)
FROM streams WHERE stream_name IS NOT NULL;

-- name: list_streams
SELECT stream_id, stream_name, shard_count, creation_date_ms, retention_hours,
    stream_mode, tags
FROM streams WHERE stream_name > $1 ORDER BY stream_name LIMIT $2;

-- name: find_live_stream
SELECT 1 FROM streams WHERE stream_id = $1 AND stream_name IS NOT NULL;

-- name: append_to_shard
SELECT append_to_shard_2($1, $2, $3, $4, $5);

-- name: list_stream_records
SELECT sequence_number, partition_key, arrival_ms, data FROM stream_records
WHERE shard_key = $1 AND sequence_number > $2
ORDER BY sequence_number LIMIT $3;

-- name: list_earlier_stream_records
SELECT sequence_number, partition_key, arrival_ms,
    CASE WHEN $3::text IS NULL OR partition_key = $3 THEN data
        ELSE ''::bytea END AS data
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

-- name: list_streams_by_retention
SELECT stream_id, shard_count, retention_hours FROM streams
WHERE stream_name IS NOT NULL ORDER BY stream_id;

-- name: purge_stream_records
-- $2: the highest number of those that go.
DELETE FROM stream_records WHERE shard_key = $1 AND sequence_number <= $2;

-- name: find_old_stream_records
-- Of each shard, up to which number its records are old; of $3 at most.
SELECT shard_key, last FROM unnest($1::text[], $2::bigint[]) AS asked (key, before_ms)
CROSS JOIN LATERAL (
    SELECT shard_key, max(sequence_number) AS last FROM (
        SELECT shard_key, sequence_number FROM stream_records
        WHERE shard_key = asked.key AND arrival_ms < asked.before_ms
        ORDER BY arrival_ms, sequence_number LIMIT $3
    ) AS oldest GROUP BY shard_key
) AS old;

-- name: find_deleted_stream
SELECT stream_id, shard_count FROM streams WHERE stream_name IS NULL LIMIT 1;

-- name: drop_shard
DELETE FROM stream_shards WHERE shard_key = $1;

-- name: drop_stream
DELETE FROM streams WHERE stream_id = $1;

-- name: drop_stream_consumers
DELETE FROM stream_consumers WHERE stream_id = $1;

-- name: create_stream_consumer
INSERT INTO stream_consumers (stream_id, consumer_name, creation_date_ms, tags)
VALUES ($1, $2, $3, $4);

-- name: find_stream_consumer
SELECT consumer.stream_id, consumer_name, consumer.creation_date_ms, consumer.tags
FROM stream_consumers AS consumer JOIN streams USING (stream_id)
WHERE consumer.stream_id = $1 AND consumer_name = $2 AND stream_name IS NOT NULL;

-- name: list_stream_consumers
SELECT stream_id, consumer_name, creation_date_ms, tags FROM stream_consumers
WHERE stream_id = $1 AND consumer_name > $2 ORDER BY consumer_name LIMIT $3;

-- name: update_stream_consumer
UPDATE stream_consumers SET tags = $3 WHERE stream_id = $1 AND consumer_name = $2;

-- name: delete_stream_consumer
DELETE FROM stream_consumers WHERE stream_id = $1 AND consumer_name = $2;

-- name: list_expired_payloads
SELECT payload_id FROM stream_payloads
WHERE expires_ms <= $1 ORDER BY expires_ms LIMIT $2;

-- name: purge_stream_payloads
DELETE FROM stream_payloads WHERE payload_id = ANY ($1::text[]);
