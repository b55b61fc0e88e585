-- name: has_look
SELECT to_regprocedure('look_here_1(text,bigint[],text[],text,text[])') IS NOT NULL;

-- name: create_look
-- Answer a question about shards that are on this server. Citus sends the call to where
-- the shard of the text `near` is. The question reads tables by their names, and finds
-- the rows of these shards alone. Shards are named by the lowest and the highest hash.
CREATE OR REPLACE FUNCTION look_here_1(
    near text, lowest bigint[], tables text[], question text, args text[]
) RETURNS SETOF record LANGUAGE plpgsql STABLE AS $$
DECLARE
    here integer := (SELECT groupid FROM pg_dist_local_group);
    n integer := cardinality(lowest) / 2;
    known text;
BEGIN
    IF (
        SELECT count(*) FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)
        JOIN unnest(lowest[:n], lowest[n + 1:]) AS asked (low, high)
            ON shardminvalue::bigint = low AND shardmaxvalue::bigint = high
        WHERE logicalrelid = tables[1]::regclass AND groupid = here
    ) < n THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = 'a shard was moved';
    END IF;
    SELECT string_agg(format('%I AS NOT MATERIALIZED (%s)', name, parts), ', ')
    INTO known FROM (
        SELECT name, string_agg(
            format('SELECT * FROM %I', name || '_' || shardid), ' UNION ALL '
        ) AS parts
        FROM unnest(tables) AS name
        JOIN pg_dist_shard ON logicalrelid = name::regclass
        JOIN pg_dist_placement USING (shardid)
        WHERE groupid = here AND (
            shardminvalue IS NULL OR shardminvalue::bigint = ANY (lowest[:n])
        )
        GROUP BY name
    ) AS each;
    RETURN QUERY EXECUTE 'WITH ' || known || ' ' || question USING args;
END $$;

-- name: spread_look
SELECT create_distributed_function(
    'look_here_1(text,bigint[],text[],text,text[])', 'near',
    colocate_with := 'identity_heads', force_delegation := true
);

-- name: list_shards
-- With each one a text that is in it; of so many tries none is without.
SELECT shardid AS number, shardminvalue::bigint AS lowest,
    shardmaxvalue::bigint AS highest, nodename || ':' || nodeport AS node, near
FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)
JOIN pg_dist_node USING (groupid)
JOIN (
    SELECT get_shard_id_for_distribution_column('identity_heads', n::text) AS shardid,
        min(n::text) AS near
    FROM generate_series(1, 40 * (
        SELECT count(*) FROM pg_dist_shard
        WHERE logicalrelid = 'identity_heads'::regclass
    )) AS n GROUP BY 1
) AS tried USING (shardid)
WHERE logicalrelid = 'identity_heads'::regclass AND noderole = 'primary'
ORDER BY lowest;

-- name: list_shards_of
-- Asks nobody: the coordinator knows.
SELECT get_shard_id_for_distribution_column('identity_heads', id) AS number, id
FROM unnest($1::text[]) AS id;

-- name: look
SELECT * FROM look_here_1($1, $2, $3, $4, $5)

-- name: measure_bytes_of_worker
-- A coordinator that has shards as well is counted already.
SELECT CASE groupid WHEN 0 THEN 0 ELSE pg_database_size(current_database()) END
FROM pg_dist_local_group;

-- name: estimate_rows_here
-- Of the shards of a table that are on one server.
SELECT coalesce(sum(reltuples), 0)::bigint
FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)
JOIN pg_class ON oid = to_regclass(format('%I', $1::text || '_' || shardid))
WHERE logicalrelid = $1::text::regclass
    AND groupid = (SELECT groupid FROM pg_dist_local_group)
