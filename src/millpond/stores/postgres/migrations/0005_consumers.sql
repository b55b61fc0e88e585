-- What the Kinesis API lets be said of a stream, and who is registered with it.
ALTER TABLE streams ADD COLUMN retention_hours integer; -- NULL: as the setting says

ALTER TABLE streams ADD COLUMN stream_mode text NOT NULL DEFAULT 'PROVISIONED';

ALTER TABLE streams ADD COLUMN tags text; -- a JSON object; NULL: none

CREATE TABLE stream_consumers (
    stream_id bigint NOT NULL,
    consumer_name text COLLATE "C" NOT NULL,
    creation_date_ms bigint NOT NULL,
    tags text, -- a JSON object; NULL: none
    PRIMARY KEY (stream_id, consumer_name)
);
