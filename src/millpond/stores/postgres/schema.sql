-- As all migrations make it.

-- Dates are epoch milliseconds. Text is compared by
-- code point (COLLATE "C"), as Python compares it and the embedded store does.
--
-- Tables that grow begin their primary key with the identity, by which they are
-- distributed; identity pools are the same on every server, and the others on one alone.
-- `distribution.py` has the list. No foreign keys, no triggers: a sharded PostgreSQL takes few of them.

-- --- Small tables --------------------------------------------------------------------

CREATE TABLE developer_keys (
    access_key_id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    sealed_secret bytea NOT NULL,
    creation_date_ms bigint NOT NULL,
    read_only boolean NOT NULL DEFAULT false,
    identity_pool_id text COLLATE "C", -- of one pool alone; NULL: of all
    expires_ms bigint, -- NULL: never
    last_used_ms bigint -- to some minutes; NULL: never
);

-- A key signs until it is given a date to retire; until that date it is published.
CREATE TABLE token_keys (
    key_id text COLLATE "C" PRIMARY KEY,
    sealed_private_key bytea NOT NULL,
    creation_date_ms bigint NOT NULL,
    retire_date_ms bigint
);

-- What may be used once, or not any more: links to log in, sessions that ended.
CREATE TABLE spent_marks (
    mark text PRIMARY KEY,
    until_ms bigint NOT NULL -- from then on it is over anyway
);

-- Who changed what. An id begins with the time, so ids are in the order of the changes.
-- What is not there is empty.
CREATE TABLE audit (
    entry_id text COLLATE "C" PRIMARY KEY,
    time_ms bigint NOT NULL,
    last_ms bigint NOT NULL, -- of the last change that the entry stands for
    changes bigint NOT NULL, -- for how many it stands
    frequent boolean NOT NULL, -- of an operation whose changes are merged
    origin text NOT NULL,
    access_key_id text COLLATE "C" NOT NULL,
    caller_name text NOT NULL, -- of the key, or of the user of the operating system
    operation text NOT NULL,
    identity_pool_id text COLLATE "C" NOT NULL,
    identity_id text COLLATE "C" NOT NULL,
    dataset_name text NOT NULL,
    target text NOT NULL,
    address text NOT NULL,
    user_agent text NOT NULL,
    request_id text NOT NULL,
    result text NOT NULL
);

CREATE INDEX audit_by_pool ON audit (identity_pool_id, entry_id)
WHERE identity_pool_id <> '';

CREATE INDEX audit_by_key ON audit (access_key_id, entry_id);

CREATE INDEX audit_by_identity ON audit (identity_id, entry_id)
WHERE identity_id <> '';

CREATE INDEX audit_by_frequency ON audit (frequent, entry_id);

-- A deleted pool keeps its row until `purge` has dropped its data.
CREATE TABLE identity_pools (
    identity_pool_id text COLLATE "C" PRIMARY KEY,
    description bytea NOT NULL, -- JSON of core.identity_pools.IdentityPool
    streaming boolean NOT NULL, -- derived from it, for the outbox
    deleted boolean NOT NULL DEFAULT false,
    sync_trigger text -- derived from the description, for updates by users
);

-- What was counted so far; identity_heads has what was not counted yet.
CREATE TABLE identity_pool_usage (
    identity_pool_id text COLLATE "C" PRIMARY KEY,
    sync_sessions_count bigint NOT NULL DEFAULT 0,
    data_storage bigint NOT NULL DEFAULT 0,
    last_modified_date_ms bigint
);

CREATE TABLE bulk_publish_runs (
    identity_pool_id text COLLATE "C" PRIMARY KEY,
    run bytea NOT NULL -- JSON of core.bulk_publish.BulkPublishRun
);

-- The slices of runs in progress and of the last run of each pool.
CREATE TABLE bulk_publish_slices (
    identity_pool_id text COLLATE "C" NOT NULL,
    slice_number integer NOT NULL,
    run_id text NOT NULL,
    first_identity_id text COLLATE "C",
    end_identity_id text COLLATE "C",
    open boolean NOT NULL, -- still to be worked on
    worker text NOT NULL DEFAULT '',
    lease_until_ms bigint NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    position_identity_id text COLLATE "C",
    position_dataset_name text COLLATE "C",
    datasets bigint NOT NULL DEFAULT 0,
    records bigint NOT NULL DEFAULT 0,
    data_bytes bigint NOT NULL DEFAULT 0,
    lowest_hash bigint, -- of the identities of a shard; NULL: of all
    highest_hash bigint,
    PRIMARY KEY (identity_pool_id, slice_number)
);

-- What one node at a time does, and which nodes there are. Time is the database's.
CREATE TABLE leases (
    lease_name text COLLATE "C" PRIMARY KEY,
    holder text NOT NULL,
    held_from timestamp with time zone NOT NULL,
    expires timestamp with time zone NOT NULL
);

-- A deleted stream keeps its row (name NULL) until `purge` has dropped its records.
CREATE TABLE streams (
    stream_id bigint PRIMARY KEY, -- random: a position in a lost stream fits no other
    stream_name text COLLATE "C" UNIQUE,
    shard_count integer NOT NULL,
    creation_date_ms bigint NOT NULL,
    retention_hours integer, -- NULL: as the setting says
    stream_mode text NOT NULL DEFAULT 'PROVISIONED',
    tags text -- a JSON object; NULL: none
);

CREATE TABLE stream_consumers (
    stream_id bigint NOT NULL,
    consumer_name text COLLATE "C" NOT NULL,
    creation_date_ms bigint NOT NULL,
    tags text, -- a JSON object; NULL: none
    PRIMARY KEY (stream_id, consumer_name)
);

-- --- Identities ----------------------------------------------------------------------

-- One for each identity that was written to. Every write of an identity changes it
-- first, whatever else it changes: that puts them in order, and tells one that decided
-- on what is not there any more. What the writes did to the usage of the pool waits
-- here until it is counted, so that the pool has no row that all of them change.
CREATE TABLE identity_heads (
    identity_id text COLLATE "C" NOT NULL,
    identity_pool_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL, -- grows with each write, from a random number
    uncounted_bytes bigint NOT NULL DEFAULT 0,
    uncounted_date_ms bigint, -- the last change; NULL when nothing waits
    gone boolean NOT NULL DEFAULT false, -- the identity was deleted
    PRIMARY KEY (identity_id, identity_pool_id)
);

CREATE INDEX uncounted_usage ON identity_heads (identity_pool_id)
WHERE uncounted_date_ms IS NOT NULL;

CREATE TABLE identities (
    identity_id text COLLATE "C" PRIMARY KEY,
    identity_pool_id text COLLATE "C" NOT NULL,
    creation_date_ms bigint NOT NULL,
    last_modified_date_ms bigint NOT NULL,
    guest boolean NOT NULL, -- it never had a login
    merged_into text COLLATE "C", -- who took its place; with one it is disabled
    logins bytea NOT NULL, -- JSON array of provider and subject, in order
    used_ms bigint, -- when a guest was last given credentials; NULL: not kept then
    origin bytea -- JSON of core.claims.Origin; NULL: no source told of its user
);

CREATE INDEX identities_by_pool ON identities (identity_pool_id, identity_id);

-- Guests, users and merged identities are listed apart (`core.identities.IdentityKind`).
CREATE INDEX identities_by_kind ON identities (
    identity_pool_id,
    (CASE WHEN merged_into IS NULL THEN guest::integer ELSE 2 END),
    identity_id
);

-- Who signs in takes along what was written to identities that were merged into theirs.
CREATE INDEX identities_by_survivor ON identities (merged_into, last_modified_date_ms)
WHERE merged_into IS NOT NULL;

-- From a login to its identity; the identity has the list. Looked up without knowing
-- the identity, and so distributed by itself.
CREATE TABLE logins (
    login_digest bytea PRIMARY KEY, -- SHA-256 of pool, provider and subject
    identity_pool_id text COLLATE "C" NOT NULL,
    identity_id text COLLATE "C" NOT NULL
);

CREATE INDEX logins_by_pool ON logins (identity_pool_id);

-- --- Datasets ------------------------------------------------------------------------

-- A deleted dataset keeps its row: its counter must go on.
CREATE TABLE datasets (
    identity_id text COLLATE "C" NOT NULL,
    identity_pool_id text COLLATE "C" NOT NULL,
    dataset_name text COLLATE "C" NOT NULL,
    sync_count bigint NOT NULL,
    live boolean NOT NULL,
    horizon bigint NOT NULL,
    creation_date_ms bigint NOT NULL,
    last_modified_date_ms bigint NOT NULL,
    last_modified_by text NOT NULL,
    num_records bigint NOT NULL,
    data_storage bigint NOT NULL,
    root_dataset_name text COLLATE "C", -- of what a merge moved beside one of that name
    forgotten bigint NOT NULL DEFAULT 0, -- up to it, counts of which nothing is left
    PRIMARY KEY (identity_id, identity_pool_id, dataset_name)
);

CREATE INDEX datasets_by_pool
ON datasets (identity_pool_id, identity_id, dataset_name);

-- A removed record keeps its row (value NULL): others must learn of it.
CREATE TABLE records (
    identity_id text COLLATE "C" NOT NULL,
    identity_pool_id text COLLATE "C" NOT NULL,
    dataset_name text COLLATE "C" NOT NULL,
    key_digest bytea NOT NULL, -- of the key, which may be longer than an index takes
    record_key text COLLATE "C" NOT NULL,
    sync_count bigint NOT NULL,
    last_modified_date_ms bigint NOT NULL,
    last_modified_by text NOT NULL,
    device_last_modified_date_ms bigint,
    value text,
    PRIMARY KEY (identity_id, identity_pool_id, dataset_name, key_digest)
);

CREATE INDEX records_by_sync_count
ON records (identity_id, identity_pool_id, dataset_name, sync_count);

-- Tombstones are counted by dataset, and expire by date.
CREATE INDEX tombstones
ON records (identity_id, identity_pool_id, dataset_name, sync_count)
WHERE value IS NULL;

CREATE INDEX tombstones_by_date ON records (last_modified_date_ms)
WHERE value IS NULL;

-- The id begins with the expiry, so the expired ones are a range at the beginning.
CREATE TABLE spent_sessions (
    identity_id text COLLATE "C" NOT NULL,
    session_id bytea NOT NULL,
    request_sha256 bytea NOT NULL,
    sync_count bigint NOT NULL,
    last_modified_date_ms bigint NOT NULL,
    last_modified_by text NOT NULL,
    amended text, -- JSON array of core.sync.StoredRecord; mostly there are none
    PRIMARY KEY (identity_id, session_id)
);

CREATE INDEX spent_sessions_by_expiry ON spent_sessions (session_id);

CREATE TABLE outbox (
    identity_id text COLLATE "C" NOT NULL,
    outbox_id bigserial NOT NULL, -- drawn while the head of the identity is held
    identity_pool_id text COLLATE "C" NOT NULL,
    data bytea NOT NULL,
    created_ms bigint NOT NULL,
    PRIMARY KEY (identity_id, outbox_id)
);

CREATE INDEX outbox_by_pool ON outbox (identity_pool_id, outbox_id);

-- Entries that their stream refused for good.
CREATE TABLE parked_outbox (
    identity_id text COLLATE "C" NOT NULL,
    outbox_id bigint NOT NULL, -- as it was in the outbox
    identity_pool_id text COLLATE "C" NOT NULL,
    data bytea NOT NULL,
    created_ms bigint NOT NULL,
    parked_ms bigint NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (identity_id, outbox_id)
);

CREATE INDEX parked_outbox_by_pool ON parked_outbox (identity_pool_id, outbox_id);

-- --- Devices -------------------------------------------------------------------------

CREATE TABLE devices (
    identity_id text COLLATE "C" NOT NULL,
    device_id text COLLATE "C" NOT NULL,
    identity_pool_id text COLLATE "C" NOT NULL,
    platform text COLLATE "C" NOT NULL,
    token text NOT NULL,
    token_digest bytea NOT NULL, -- a token may be longer than an index takes
    registration_date_ms bigint NOT NULL,
    endpoint_arn text, -- known after the first push that follows a registration
    disabled boolean NOT NULL DEFAULT false,
    last_push_ms bigint, -- NULL: there was none since this is kept
    last_push_error text, -- NULL: the push service took it
    PRIMARY KEY (identity_id, device_id),
    UNIQUE (identity_id, identity_pool_id, platform, token_digest)
);

CREATE INDEX devices_by_pool ON devices (identity_pool_id, identity_id, device_id);

-- Only live datasets have any.
CREATE TABLE subscriptions (
    identity_id text COLLATE "C" NOT NULL,
    identity_pool_id text COLLATE "C" NOT NULL,
    dataset_name text COLLATE "C" NOT NULL,
    device_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (identity_id, identity_pool_id, dataset_name, device_id)
);

-- One for each device and dataset: a newer change takes the place of one that waits.
CREATE TABLE pushes (
    identity_id text COLLATE "C" NOT NULL,
    device_id text COLLATE "C" NOT NULL,
    dataset_name text COLLATE "C" NOT NULL,
    sync_count bigint NOT NULL,
    due_ms bigint NOT NULL,
    failures bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (identity_id, device_id, dataset_name)
);

CREATE INDEX pushes_by_due ON pushes (due_ms);

-- --- Embedded streams ----------------------------------------------------------------

-- Numbers are drawn from the row of the shard, which a put holds until it commits: so
-- they become visible in their order.
CREATE TABLE stream_shards (
    shard_key text COLLATE "C" PRIMARY KEY, -- `<stream id>:<shard>`
    stream_id bigint NOT NULL,
    last_number bigint NOT NULL DEFAULT 0,
    last_arrival_ms bigint NOT NULL DEFAULT 0
);

CREATE TABLE stream_records (
    shard_key text COLLATE "C" NOT NULL,
    sequence_number bigint NOT NULL,
    arrival_ms bigint NOT NULL, -- never less than that of the record before
    partition_key text NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (shard_key, sequence_number)
);

CREATE INDEX stream_records_by_arrival
ON stream_records (shard_key, arrival_ms, sequence_number);

CREATE TABLE stream_payloads (
    payload_id text COLLATE "C" PRIMARY KEY,
    expires_ms bigint NOT NULL,
    data bytea NOT NULL
);

CREATE INDEX stream_payloads_by_expiry ON stream_payloads (expires_ms);

-- --- Copying -------------------------------------------------------------------------

-- Stands in the target of `millpond store copy` until the copy is complete.
CREATE TABLE copy_mark (
    copy_number integer PRIMARY KEY, -- 1: there is one
    source text NOT NULL,
    fingerprint text NOT NULL,
    begun_ms bigint NOT NULL
);

-- How far it is: the position of the last row that is here, as the source tells it.
CREATE TABLE copy_positions (
    kind text COLLATE "C" PRIMARY KEY,
    position bytea NOT NULL
);

-- --- Looking over --------------------------------------------------------------------

-- How the last `millpond store verify` went.
CREATE TABLE verification (
    verification_number integer PRIMARY KEY, -- 1: there is one
    ended_ms bigint NOT NULL,
    faults bigint NOT NULL
);

-- Since when the use of guests is kept; without a row it is not.
CREATE TABLE guest_expiry (
    expiry_number integer PRIMARY KEY, -- 1: there is one
    since_ms bigint NOT NULL
);

-- --- Importing -----------------------------------------------------------------------

-- How the imports of pools stand: JSON of stores.importing.ImportState.
CREATE TABLE imports (
    identity_pool_id text COLLATE "C" PRIMARY KEY,
    state bytea NOT NULL
);

-- Up to where a source was read, as it tells it.
CREATE TABLE import_positions (
    identity_pool_id text COLLATE "C" NOT NULL,
    position_name text COLLATE "C" NOT NULL,
    position bytea NOT NULL,
    PRIMARY KEY (identity_pool_id, position_name)
);

-- What came of an identity. It stays when the identity is deleted, or it would come
-- again.
CREATE TABLE imported_identities (
    identity_id text COLLATE "C" NOT NULL,
    identity_pool_id text COLLATE "C" NOT NULL,
    pass_number integer NOT NULL, -- in which it was done last; 0: in none
    enabled_pass integer NOT NULL DEFAULT 0, -- in which it was listed as not disabled
    merged_into text COLLATE "C", -- in whose datasets it was seen
    datasets bigint NOT NULL DEFAULT 0, -- that came
    aside bigint NOT NULL DEFAULT 0, -- that did not
    mark bytea NOT NULL, -- JSON of stores.importing.ImportedIdentity
    PRIMARY KEY (identity_id, identity_pool_id)
);

CREATE INDEX imported_identities_by_pool
ON imported_identities (identity_pool_id, identity_id);

CREATE INDEX imported_identities_aside
ON imported_identities (identity_pool_id, identity_id) WHERE aside > 0;

-- --- Functions -----------------------------------------------------------------------
--
-- Each writes in one round trip what belongs together, to rows of one identity or one
-- shard. They decide nothing. Their names end in a number: a later version gets another
-- one, so that nodes of both versions can run side by side.

-- Let a pool stay as it is until the end of the transaction: who changes it waits. In
-- memory and not on its row, which all updates of the pool would have to write to.
-- Taken before any head, or two could wait for each other.
CREATE FUNCTION hold_pool_1(pool text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock_shared(hashtextextended(pool, 1296846916));
$$;

CREATE FUNCTION hold_pool_to_change_1(pool text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended(pool, 1296846916));
$$;

-- Hold the heads of identities until the end of the transaction, in the order given,
-- which must be the same for everybody. Whoever decided on what was there before
-- decides again.
CREATE FUNCTION hold_heads_1(pool text, ids text[], seed bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    id text;
BEGIN
    FOREACH id IN ARRAY ids LOOP
        INSERT INTO identity_heads AS head (identity_id, identity_pool_id, version)
        VALUES (id, pool, seed)
        ON CONFLICT (identity_id, identity_pool_id) DO UPDATE
        SET version = head.version + 1, gone = false;
    END LOOP;
END $$;

-- Write what an update of a dataset decided, unless the identity was written to since
-- it was loaded, or the pool has other settings now: then nothing, and false.
CREATE FUNCTION save_dataset_1(
    pool text,
    identity text,
    dataset text,
    known_version bigint, -- of the head; NULL: there was none
    seed bigint, -- the first version of a head
    known_streaming boolean,
    known_trigger text,
    state bigint[], -- NULL: not written. count, live, horizon, dates, records, bytes
    modified_by text,
    root text,
    grown bigint, -- bytes
    clear boolean, -- drop all records first
    digests bytea[], -- of the keys
    keys text[],
    record_values text[],
    numbers bigint[], -- of each record: count, date, date of the device or NULL
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
    n integer := coalesce(cardinality(keys), 0);
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
            data_storage, root_dataset_name
        ) VALUES (
            identity, pool, dataset, state[1], state[2] = 1, state[3], state[4],
            state[5], modified_by, state[6], state[7], root
        ) ON CONFLICT (identity_id, identity_pool_id, dataset_name) DO UPDATE
        SET sync_count = excluded.sync_count, live = excluded.live,
            horizon = excluded.horizon, creation_date_ms = excluded.creation_date_ms,
            last_modified_date_ms = excluded.last_modified_date_ms,
            last_modified_by = excluded.last_modified_by,
            num_records = excluded.num_records, data_storage = excluded.data_storage,
            root_dataset_name = excluded.root_dataset_name;
    END IF;
    IF clear THEN
        DELETE FROM records AS r WHERE r.identity_id = identity
            AND r.identity_pool_id = pool AND r.dataset_name = dataset;
    END IF;
    FOR i IN 1 .. n LOOP
        INSERT INTO records AS r (
            identity_id, identity_pool_id, dataset_name, key_digest, record_key, value,
            sync_count, last_modified_date_ms, device_last_modified_date_ms,
            last_modified_by
        ) VALUES (
            identity, pool, dataset, digests[i], keys[i], record_values[i],
            numbers[3 * i - 2], numbers[3 * i - 1], numbers[3 * i], authors[i]
        ) ON CONFLICT (identity_id, identity_pool_id, dataset_name, key_digest)
        DO UPDATE SET value = excluded.value, sync_count = excluded.sync_count,
            last_modified_date_ms = excluded.last_modified_date_ms,
            last_modified_by = excluded.last_modified_by,
            device_last_modified_date_ms = excluded.device_last_modified_date_ms;
    END LOOP;
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
CREATE FUNCTION append_to_shard_1(
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
    FOR i IN 1 .. n LOOP
        INSERT INTO stream_records (
            shard_key, sequence_number, arrival_ms, partition_key, data
        ) VALUES (shard, first + i - 1, arrival, keys[i], payloads[i]);
    END LOOP;
    RETURN first;
END $$;

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
