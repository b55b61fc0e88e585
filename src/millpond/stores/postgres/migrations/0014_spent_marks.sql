-- What may be used once, or not any more: links to log in, sessions that ended.
CREATE TABLE spent_marks (
    mark text PRIMARY KEY,
    until_ms bigint NOT NULL -- from then on it is over anyway
);
