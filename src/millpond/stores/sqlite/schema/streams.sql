-- As all migrations make it.

-- The embedded streams, in a file of their own. Dates are epoch milliseconds.

-- A deleted stream keeps its row (name NULL) until `purge` has dropped its records.
CREATE TABLE streams (
    stream_id INTEGER PRIMARY KEY, -- random: a position in a lost stream fits no other
    stream_name TEXT UNIQUE,
    shard_count INTEGER NOT NULL,
    creation_date_ms INTEGER NOT NULL,
    retention_hours INTEGER, -- NULL: as the setting says
    stream_mode TEXT NOT NULL DEFAULT 'PROVISIONED',
    tags TEXT -- a JSON object; NULL: none
) STRICT;

CREATE TABLE stream_consumers (
    stream_id INTEGER NOT NULL,
    consumer_name TEXT NOT NULL,
    creation_date_ms INTEGER NOT NULL,
    tags TEXT, -- a JSON object; NULL: none
    PRIMARY KEY (stream_id, consumer_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE stream_records (
    sequence_number INTEGER PRIMARY KEY AUTOINCREMENT,
    stream_id INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    arrival_ms INTEGER NOT NULL, -- never less than that of the record before
    partition_key TEXT NOT NULL,
    data BLOB NOT NULL
) STRICT;

CREATE INDEX stream_records_by_shard
ON stream_records (stream_id, shard, sequence_number);

CREATE TABLE stream_payloads (
    payload_id TEXT PRIMARY KEY,
    expires_ms INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;

CREATE INDEX stream_payloads_by_expiry ON stream_payloads (expires_ms);

-- How far a `millpond store copy` into this file is: the position of the last row that
-- is here, as the source tells it.
CREATE TABLE copy_positions (
    kind TEXT PRIMARY KEY,
    position BLOB NOT NULL
) STRICT, WITHOUT ROWID;
