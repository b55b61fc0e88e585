-- How the last `millpond store verify` went.
CREATE TABLE verification (
    verification_number INTEGER PRIMARY KEY, -- 1: there is one
    ended_ms INTEGER NOT NULL,
    faults INTEGER NOT NULL
) STRICT;
