-- Functions that write many rows with one statement: on a cluster each is a round trip.

-- Hold the heads of identities until the end of the transaction, in the order given,
-- which must be the same for everybody. Whoever decided on what was there before
-- decides again. On a cluster one by one is a round trip each, and keeps to one
-- connection with each server; many at once open more, in the order of their shards.
CREATE FUNCTION hold_heads_2(pool text, ids text[], seed bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    id text;
BEGIN
    IF cardinality(ids) <= 8 THEN
        FOREACH id IN ARRAY ids LOOP
            INSERT INTO identity_heads AS head (identity_id, identity_pool_id, version)
            VALUES (id, pool, seed)
            ON CONFLICT (identity_id, identity_pool_id) DO UPDATE
            SET version = head.version + 1, gone = false;
        END LOOP;
        RETURN;
    END IF;
    IF current_setting('citus.multi_shard_modify_mode', true) IS NOT NULL THEN
        PERFORM set_config('citus.multi_shard_modify_mode', 'sequential', true);
    END IF;
    INSERT INTO identity_heads AS head (identity_id, identity_pool_id, version)
    SELECT new.identity_id, pool, seed
    FROM unnest(ids) WITH ORDINALITY AS new (identity_id, nth) ORDER BY new.nth
    ON CONFLICT (identity_id, identity_pool_id) DO UPDATE
    SET version = head.version + 1, gone = false;
END $$;

-- Write what an update of a dataset decided, unless the identity was written to since
-- it was loaded, or the pool has other settings now: then nothing, and false. A
-- statement for each table, however many records there are: on a cluster each statement
-- is a round trip. What is selected from the head goes to its server as it stands.
CREATE FUNCTION save_dataset_2(
    pool text,
    identity text,
    dataset text,
    known_version bigint, -- of the head; NULL: there was none
    seed bigint, -- the first version of a head
    known_streaming boolean,
    known_trigger text,
    -- NULL: not written. Count, live, horizon, dates, records, bytes, forgotten.
    state bigint[],
    modified_by text,
    root text,
    grown bigint, -- bytes
    clear boolean, -- drop all records first
    digests bytea[], -- of the keys
    keys text[],
    record_values text[],
    counts bigint[],
    dates bigint[],
    device_dates bigint[],
    authors text[],
    session bytea, -- NULL: no mark
    session_sha256 bytea,
    session_numbers bigint[], -- count and date
    session_author text,
    session_amended text,
    event bytea, -- NULL: nothing for the outbox
    notice boolean, -- tell subscribed devices ...
    writer text -- ... but not this one
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    written boolean := state IS NOT NULL;
BEGIN
    PERFORM hold_pool_1(pool);
    IF known_version IS NULL THEN
        INSERT INTO identity_heads (
            identity_id, identity_pool_id, version, uncounted_bytes, uncounted_date_ms
        ) VALUES (
            identity, pool, seed, grown, CASE WHEN written THEN state[5] END
        ) ON CONFLICT DO NOTHING;
    ELSE
        UPDATE identity_heads AS head
        SET version = head.version + 1, gone = false,
            uncounted_bytes = head.uncounted_bytes + grown,
            uncounted_date_ms = CASE WHEN written
                THEN greatest(head.uncounted_date_ms, state[5])
                ELSE head.uncounted_date_ms END
        WHERE head.identity_id = identity AND head.identity_pool_id = pool
            AND head.version = known_version;
    END IF;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM 1 FROM identity_pools AS p
    WHERE p.identity_pool_id = pool AND NOT p.deleted
        AND p.streaming = known_streaming
        AND p.sync_trigger IS NOT DISTINCT FROM known_trigger;
    IF NOT FOUND THEN
        RAISE serialization_failure USING MESSAGE = 'the pool has changed';
    END IF;
    IF written THEN
        INSERT INTO datasets AS d (
            identity_id, identity_pool_id, dataset_name, sync_count, live, horizon,
            creation_date_ms, last_modified_date_ms, last_modified_by, num_records,
            data_storage, root_dataset_name, forgotten
        ) VALUES (
            identity, pool, dataset, state[1], state[2] = 1, state[3], state[4],
            state[5], modified_by, state[6], state[7], root, state[8]
        ) ON CONFLICT (identity_id, identity_pool_id, dataset_name) DO UPDATE
        SET sync_count = excluded.sync_count, live = excluded.live,
            horizon = excluded.horizon, creation_date_ms = excluded.creation_date_ms,
            last_modified_date_ms = excluded.last_modified_date_ms,
            last_modified_by = excluded.last_modified_by,
            num_records = excluded.num_records, data_storage = excluded.data_storage,
            root_dataset_name = excluded.root_dataset_name,
            forgotten = excluded.forgotten;
    END IF;
    IF clear THEN
        DELETE FROM records AS r WHERE r.identity_id = identity
            AND r.identity_pool_id = pool AND r.dataset_name = dataset;
    END IF;
    IF cardinality(keys) > 0 THEN
        INSERT INTO records AS r (
            identity_id, identity_pool_id, dataset_name, key_digest, record_key, value,
            sync_count, last_modified_date_ms, device_last_modified_date_ms,
            last_modified_by
        )
        SELECT head.identity_id, head.identity_pool_id, dataset, new.*
        FROM identity_heads AS head
        CROSS JOIN unnest(
            digests, keys, record_values, counts, dates, device_dates, authors
        ) AS new
        WHERE head.identity_id = identity AND head.identity_pool_id = pool
        ON CONFLICT (identity_id, identity_pool_id, dataset_name, key_digest)
        DO UPDATE SET value = excluded.value, sync_count = excluded.sync_count,
            last_modified_date_ms = excluded.last_modified_date_ms,
            last_modified_by = excluded.last_modified_by,
            device_last_modified_date_ms = excluded.device_last_modified_date_ms;
    END IF;
    IF session IS NOT NULL THEN
        INSERT INTO spent_sessions (
            identity_id, session_id, request_sha256, sync_count,
            last_modified_date_ms, last_modified_by, amended
        ) VALUES (
            identity, session, session_sha256, session_numbers[1], session_numbers[2],
            session_author, session_amended
        );
    END IF;
    IF event IS NOT NULL THEN
        INSERT INTO outbox (identity_id, identity_pool_id, data, created_ms)
        VALUES (
            identity, pool, event,
            floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
        );
    END IF;
    IF written AND notice THEN
        INSERT INTO pushes AS p (
            identity_id, device_id, dataset_name, sync_count, due_ms
        )
        SELECT device.identity_id, device.device_id, dataset, state[1], state[5]
        FROM subscriptions AS s
        JOIN devices AS device
            ON device.identity_id = s.identity_id AND device.device_id = s.device_id
        WHERE s.identity_id = identity AND s.identity_pool_id = pool
            AND s.dataset_name = dataset AND NOT device.disabled
            AND device.device_id IS DISTINCT FROM writer
        ON CONFLICT (identity_id, device_id, dataset_name) DO UPDATE
        SET sync_count = excluded.sync_count;
    END IF;
    IF written AND state[2] = 0 THEN
        DELETE FROM subscriptions AS s WHERE s.identity_id = identity
            AND s.identity_pool_id = pool AND s.dataset_name = dataset;
    END IF;
    RETURN true;
END $$;

-- Append records to a shard; give the number of the first one, NULL when the stream is
-- gone. Numbers follow the clock as far as they can, so that they grow over all shards
-- of a stream; within a shard they grow whatever the clock does.
CREATE FUNCTION append_to_shard_2(
    stream bigint, shard text, now_ms bigint, keys text[], payloads bytea[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    first bigint;
    arrival bigint;
    n integer := cardinality(keys);
    clock bigint := floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 64;
BEGIN
    PERFORM 1 FROM streams AS s
    WHERE s.stream_id = stream AND s.stream_name IS NOT NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE stream_shards AS s
    SET last_number = greatest(s.last_number, clock) + n,
        last_arrival_ms = greatest(s.last_arrival_ms, now_ms)
    WHERE s.shard_key = shard
    RETURNING s.last_number - n + 1, s.last_arrival_ms INTO first, arrival;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO stream_records (
        shard_key, sequence_number, arrival_ms, partition_key, data
    )
    SELECT s.shard_key, first + new.nth - 1, arrival, new.partition_key, new.data
    FROM stream_shards AS s
    CROSS JOIN unnest(keys, payloads)
        WITH ORDINALITY AS new (partition_key, data, nth)
    WHERE s.shard_key = shard;
    RETURN first;
END $$;
