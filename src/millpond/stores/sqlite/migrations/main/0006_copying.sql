-- Whose session it was: a store that is spread by identity must know. NULL: it was spent
-- before there was this column.
ALTER TABLE spent_sessions ADD COLUMN identity_id TEXT;

-- Stands in the target of `millpond store copy` until the copy is complete.
CREATE TABLE copy_mark (
    copy_number INTEGER PRIMARY KEY, -- 1: there is one
    source TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    begun_ms INTEGER NOT NULL
) STRICT;

-- How far it is: the position of the last row that is here, as the source tells it.
CREATE TABLE copy_positions (
    kind TEXT PRIMARY KEY,
    position BLOB NOT NULL
) STRICT, WITHOUT ROWID;
