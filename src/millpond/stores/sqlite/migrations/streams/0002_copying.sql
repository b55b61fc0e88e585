-- How far a `millpond store copy` into this file is: the position of the last row that
-- is here, as the source tells it.
CREATE TABLE copy_positions (
    kind TEXT PRIMARY KEY,
    position BLOB NOT NULL
) STRICT, WITHOUT ROWID;
