-- What the Kinesis API lets be said of a stream, and who is registered with it.
ALTER TABLE streams ADD COLUMN retention_hours INTEGER; -- NULL: as the setting says

ALTER TABLE streams ADD COLUMN stream_mode TEXT NOT NULL DEFAULT 'PROVISIONED';

ALTER TABLE streams ADD COLUMN tags TEXT; -- a JSON object; NULL: none

CREATE TABLE stream_consumers (
    stream_id INTEGER NOT NULL,
    consumer_name TEXT NOT NULL,
    creation_date_ms INTEGER NOT NULL,
    tags TEXT, -- a JSON object; NULL: none
    PRIMARY KEY (stream_id, consumer_name)
) STRICT, WITHOUT ROWID;
