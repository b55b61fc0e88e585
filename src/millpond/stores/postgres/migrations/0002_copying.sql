-- Stands in the target of `millpond store copy` until the copy is complete.
CREATE TABLE copy_mark (
    copy_number integer PRIMARY KEY, -- 1: there is one
    source text NOT NULL,
    fingerprint text NOT NULL,
    begun_ms bigint NOT NULL
);

-- How far it is: the position of the last row that is here, as the source tells it.
CREATE TABLE copy_positions (
    kind text COLLATE "C" PRIMARY KEY,
    position bytea NOT NULL
);
