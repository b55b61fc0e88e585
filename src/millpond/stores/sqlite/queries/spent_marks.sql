-- name: spend_mark
INSERT INTO spent_marks (mark, until_ms) VALUES (?, ?)
ON CONFLICT (mark) DO NOTHING
RETURNING mark;

-- name: find_mark
SELECT 1 FROM spent_marks WHERE mark = ?;

-- name: purge_spent_marks
DELETE FROM spent_marks WHERE mark IN (
    SELECT mark FROM spent_marks WHERE until_ms <= ? LIMIT ?
)
RETURNING mark;
