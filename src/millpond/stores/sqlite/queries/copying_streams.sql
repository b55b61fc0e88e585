-- The file of the streams. Exports: first the position, then the columns of the row.

-- name: find_streams_copy_position
SELECT position FROM copy_positions WHERE kind = ?;

-- name: put_streams_copy_position
INSERT INTO copy_positions (kind, position) VALUES (?, ?)
ON CONFLICT DO UPDATE SET position = excluded.position;

-- name: drop_streams_copy_positions
DELETE FROM copy_positions;

-- name: read_stream_counter
SELECT seq FROM sqlite_sequence WHERE name = 'stream_records';

-- name: raise_stream_counter
UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'stream_records'
RETURNING seq;

-- name: begin_stream_counter
INSERT INTO sqlite_sequence (name, seq) VALUES ('stream_records', ?);

-- name: export_streams
SELECT stream_id, stream_id, stream_name, shard_count, creation_date_ms,
    retention_hours, stream_mode, tags
FROM streams WHERE stream_id > ? AND stream_name IS NOT NULL
ORDER BY stream_id LIMIT ?;

-- name: import_streams
INSERT INTO streams (
    stream_id, stream_name, shard_count, creation_date_ms, retention_hours, stream_mode,
    tags
) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: export_stream_consumers
SELECT consumer.stream_id, consumer_name, consumer.stream_id, consumer_name,
    consumer.creation_date_ms, consumer.tags
FROM stream_consumers AS consumer JOIN streams USING (stream_id)
WHERE (consumer.stream_id, consumer_name) > (?, ?) AND stream_name IS NOT NULL
ORDER BY consumer.stream_id, consumer_name LIMIT ?;

-- name: import_stream_consumers
INSERT INTO stream_consumers (stream_id, consumer_name, creation_date_ms, tags)
VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: export_stream_records
SELECT record.stream_id, shard, sequence_number, record.stream_id, shard,
    sequence_number, arrival_ms, partition_key, data
FROM stream_records AS record CROSS JOIN streams AS stream
WHERE (record.stream_id, shard, sequence_number) > (?, ?, ?)
    AND stream.stream_id = record.stream_id AND stream_name IS NOT NULL
ORDER BY record.stream_id, shard, sequence_number LIMIT ?;

-- name: import_stream_record
INSERT INTO stream_records (
    stream_id, shard, sequence_number, arrival_ms, partition_key, data
) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1;

-- name: find_last_number_of_shard
SELECT coalesce(max(sequence_number), 0) FROM stream_records
WHERE stream_id = ? AND shard = ?;

-- name: export_stream_payloads
SELECT payload_id, payload_id, expires_ms, data
FROM stream_payloads WHERE payload_id > ? ORDER BY payload_id LIMIT ?;

-- name: import_stream_payloads
INSERT INTO stream_payloads (payload_id, expires_ms, data) VALUES (?, ?, ?)
ON CONFLICT DO NOTHING;
