-- name: spend_mark
INSERT INTO spent_marks (mark, until_ms) VALUES ($1, $2)
ON CONFLICT (mark) DO NOTHING;

-- name: find_mark
SELECT 1 FROM spent_marks WHERE mark = $1;

-- name: purge_spent_marks
DELETE FROM spent_marks WHERE until_ms <= $1;
