-- What may be used once, or not any more: links to log in, sessions that ended.
CREATE TABLE spent_marks (
    mark TEXT PRIMARY KEY,
    until_ms INTEGER NOT NULL -- from then on it is over anyway
) STRICT, WITHOUT ROWID;
