-- How the last `millpond store verify` went.
CREATE TABLE verification (
    verification_number integer PRIMARY KEY, -- 1: there is one
    ended_ms bigint NOT NULL,
    faults bigint NOT NULL
);
