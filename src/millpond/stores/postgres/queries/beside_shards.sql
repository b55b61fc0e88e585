-- name: has_function
SELECT to_regproc($1) IS NOT NULL;

-- name: list_tables_of_shards
-- With each shard of a table that of the heads beside it; none for what is everywhere.
SELECT shard.logicalrelid::text AS table_name, head.shardid AS beside, shard.shardid
FROM pg_dist_shard AS shard
JOIN pg_dist_partition AS part ON part.logicalrelid = shard.logicalrelid
LEFT JOIN pg_dist_shard AS head ON head.logicalrelid = 'identity_heads'::regclass
    AND head.shardminvalue = shard.shardminvalue
WHERE part.colocationid = (
    SELECT colocationid FROM pg_dist_partition
    WHERE logicalrelid = 'identity_heads'::regclass
) OR part.partmethod = 'n' AND part.repmodel = 't'
ORDER BY head.shardid;

-- name: find_function
SELECT prosrc, proargnames,
    (SELECT array_agg(format_type(each, NULL) ORDER BY nth)
        FROM unnest(proargtypes) WITH ORDINALITY AS kind (each, nth)),
    pg_get_serial_sequence('outbox', 'outbox_id'), format_type(prorettype, NULL)
FROM pg_proc WHERE oid = to_regproc($1);

-- name: find_pools_here
-- The copy of the pools on the coordinator, if it has one: no need to ask Citus.
SELECT 'identity_pools_' || shardid FROM pg_dist_shard
JOIN pg_dist_placement USING (shardid) JOIN pg_dist_local_group USING (groupid)
WHERE logicalrelid = 'identity_pools'::regclass;

-- name: function
-- The plans are worth keeping from the first time on; there are many branches.
CREATE OR REPLACE FUNCTION {name}({arguments}) RETURNS {outcome} LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan AS $function$
#variable_conflict use_column
BEGIN
CASE get_shard_id_for_distribution_column('identity_heads', $2)
{branches}
ELSE
RAISE object_not_in_prerequisite_state USING MESSAGE = 'a shard was split';
END CASE;
END $function$;

-- name: spread_function
SELECT create_distributed_function(
    $1, '$2', colocate_with := 'identity_heads', force_delegation := true
);

-- name: refuse
IF NOT EXISTS (
    SELECT FROM pg_dist_placement JOIN pg_dist_local_group USING (groupid)
    WHERE shardid = {shard}
) THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = 'a shard was moved';
END IF;

-- name: hold_shard
-- 5 is ShareLock. What was looked up before may have changed while we waited.
PERFORM lock_shard_metadata(5, ARRAY[{shard}]::bigint[]);

-- name: save
-- As save_dataset_2 does, with a part of it elsewhere.
CREATE OR REPLACE FUNCTION {name}({arguments}) RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    {number} bigint;
    saved boolean;
BEGIN
    PERFORM hold_pool_1(pool);
    PERFORM 1 FROM {pools} AS p
    WHERE p.identity_pool_id = pool AND NOT p.deleted
        AND p.streaming = known_streaming
        AND p.sync_trigger IS NOT DISTINCT FROM known_trigger;
    IF NOT FOUND THEN
        RAISE serialization_failure USING MESSAGE = 'the pool has changed';
    END IF;
    IF event IS NOT NULL THEN
        {number} := nextval('{sequence}');
    END IF;
    -- From it, as of a table: what is an expression to PL/pgSQL, Citus runs here.
    SELECT * FROM {saving}({names}, {number}) INTO saved;
    RETURN saved;
END $$
