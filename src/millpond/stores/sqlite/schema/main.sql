-- As all migrations make it.

-- Everything but the embedded streams. Dates are epoch milliseconds, booleans 0 or 1.

CREATE TABLE developer_keys (
    access_key_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    sealed_secret BLOB NOT NULL,
    creation_date_ms INTEGER NOT NULL,
    read_only INTEGER NOT NULL DEFAULT 0,
    identity_pool_id TEXT, -- of one pool alone; NULL: of all
    expires_ms INTEGER, -- NULL: never
    last_used_ms INTEGER -- to some minutes; NULL: never
) STRICT, WITHOUT ROWID;

-- A deleted pool keeps its row until `purge` has dropped its data.
CREATE TABLE identity_pools (
    identity_pool_id TEXT PRIMARY KEY,
    description BLOB NOT NULL, -- JSON of core.identity_pools.IdentityPool
    streaming INTEGER NOT NULL, -- derived from it, for the outbox
    deleted INTEGER NOT NULL DEFAULT 0,
    sync_trigger TEXT -- derived from the description, for updates by users
) STRICT, WITHOUT ROWID;

CREATE TABLE identities (
    identity_id TEXT PRIMARY KEY,
    identity_pool_id TEXT NOT NULL,
    creation_date_ms INTEGER NOT NULL,
    last_modified_date_ms INTEGER NOT NULL,
    guest INTEGER NOT NULL, -- it never had a login
    merged_into TEXT, -- the identity that took its place; with one it is disabled
    used_ms INTEGER, -- when a guest was last given credentials; NULL: not kept then
    origin BLOB -- JSON of core.claims.Origin; NULL: no source told of its user
) STRICT, WITHOUT ROWID;

CREATE INDEX identities_by_pool ON identities (identity_pool_id, identity_id);

-- Guests, users and merged identities are listed apart (`core.identities.IdentityKind`).
CREATE INDEX identities_by_kind ON identities (
    identity_pool_id, (CASE WHEN merged_into IS NULL THEN guest ELSE 2 END), identity_id
);

-- Who signs in takes along what was written to identities that were merged into theirs.
CREATE INDEX identities_by_survivor ON identities (merged_into, last_modified_date_ms)
WHERE merged_into IS NOT NULL;

-- The subject is the provider's name for a user; for the developer provider of the pool
-- it is the developer user identifier.
CREATE TABLE logins (
    identity_pool_id TEXT NOT NULL,
    provider_name TEXT NOT NULL,
    subject TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    PRIMARY KEY (identity_pool_id, provider_name, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX logins_by_identity ON logins (identity_id);

-- A key signs until it is given a date to retire; until that date it is published.
CREATE TABLE token_keys (
    key_id TEXT PRIMARY KEY,
    sealed_private_key BLOB NOT NULL,
    creation_date_ms INTEGER NOT NULL,
    retire_date_ms INTEGER
) STRICT, WITHOUT ROWID;

-- What may be used once, or not any more: links to log in, sessions that ended.
CREATE TABLE spent_marks (
    mark TEXT PRIMARY KEY,
    until_ms INTEGER NOT NULL -- from then on it is over anyway
) STRICT, WITHOUT ROWID;

-- Kept apart from the description because every update writes it.
CREATE TABLE identity_pool_usage (
    identity_pool_id TEXT PRIMARY KEY,
    sync_sessions_count INTEGER NOT NULL DEFAULT 0,
    data_storage INTEGER NOT NULL DEFAULT 0,
    last_modified_date_ms INTEGER
) STRICT, WITHOUT ROWID;

-- A deleted dataset keeps its row (live = 0): its counter must go on.
CREATE TABLE datasets (
    dataset_number INTEGER PRIMARY KEY, -- short stand-in for the three names
    identity_pool_id TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    dataset_name TEXT NOT NULL,
    sync_count INTEGER NOT NULL,
    live INTEGER NOT NULL,
    horizon INTEGER NOT NULL,
    creation_date_ms INTEGER NOT NULL,
    last_modified_date_ms INTEGER NOT NULL,
    last_modified_by TEXT NOT NULL,
    num_records INTEGER NOT NULL,
    data_storage INTEGER NOT NULL,
    root_dataset_name TEXT, -- of what a merge moved beside a dataset of that name
    forgotten INTEGER NOT NULL DEFAULT 0, -- up to it, counts of which nothing is left
    UNIQUE (identity_pool_id, identity_id, dataset_name)
) STRICT;

CREATE INDEX merged_datasets
ON datasets (identity_pool_id, identity_id, root_dataset_name)
WHERE root_dataset_name IS NOT NULL;

-- A removed record keeps its row (value NULL): others must learn of it.
CREATE TABLE records (
    dataset_number INTEGER NOT NULL,
    record_key TEXT NOT NULL,
    sync_count INTEGER NOT NULL,
    last_modified_date_ms INTEGER NOT NULL,
    last_modified_by TEXT NOT NULL,
    device_last_modified_date_ms INTEGER,
    value TEXT, -- last: it may be long, and what stands before it is read without it
    PRIMARY KEY (dataset_number, record_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX records_by_sync_count ON records (dataset_number, sync_count);

-- Tombstones are counted by dataset, and expire by date.
CREATE INDEX tombstones ON records (dataset_number, sync_count) WHERE value IS NULL;

CREATE INDEX tombstones_by_date ON records (last_modified_date_ms)
WHERE value IS NULL;

-- The id begins with the expiry, so the expired ones are a range at the beginning.
CREATE TABLE spent_sessions (
    session_id BLOB PRIMARY KEY,
    request_sha256 BLOB NOT NULL,
    sync_count INTEGER NOT NULL,
    last_modified_date_ms INTEGER NOT NULL,
    last_modified_by TEXT NOT NULL,
    amended BLOB, -- JSON array of core.sync.StoredRecord; mostly there are none
    identity_id TEXT -- whose it was; NULL: before there was this column
) STRICT, WITHOUT ROWID;

CREATE TABLE devices (
    device_id TEXT PRIMARY KEY,
    identity_pool_id TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    platform TEXT NOT NULL,
    token TEXT NOT NULL,
    registration_date_ms INTEGER NOT NULL,
    endpoint_arn TEXT, -- known after the first push that follows a registration
    disabled INTEGER NOT NULL DEFAULT 0,
    last_push_ms INTEGER, -- NULL: there was none since this is kept
    last_push_error TEXT, -- NULL: the push service took it
    UNIQUE (identity_pool_id, identity_id, platform, token)
) STRICT, WITHOUT ROWID;

-- Only live datasets have any.
CREATE TABLE subscriptions (
    dataset_number INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    PRIMARY KEY (dataset_number, device_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX subscriptions_by_device ON subscriptions (device_id);

-- One for each device and dataset: a newer change takes the place of one that waits.
CREATE TABLE pushes (
    device_id TEXT NOT NULL,
    dataset_name TEXT NOT NULL,
    sync_count INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device_id, dataset_name)
) STRICT, WITHOUT ROWID;

CREATE INDEX pushes_by_due ON pushes (due_ms);

CREATE TABLE outbox (
    outbox_id INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of the commits
    identity_pool_id TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    data BLOB NOT NULL,
    created_ms INTEGER NOT NULL DEFAULT 0 -- 0: before there was this column
) STRICT;

CREATE INDEX outbox_by_pool ON outbox (identity_pool_id, outbox_id);

-- Entries that their stream refused for good.
CREATE TABLE parked_outbox (
    outbox_id INTEGER PRIMARY KEY, -- as it was in the outbox
    identity_pool_id TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    data BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    parked_ms INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;

CREATE INDEX parked_outbox_by_pool ON parked_outbox (identity_pool_id, outbox_id);

CREATE TABLE bulk_publish_runs (
    identity_pool_id TEXT PRIMARY KEY,
    run BLOB NOT NULL -- JSON of core.bulk_publish.BulkPublishRun
) STRICT, WITHOUT ROWID;

-- The slices of runs in progress and of the last run of each pool.
CREATE TABLE bulk_publish_slices (
    identity_pool_id TEXT NOT NULL,
    slice_number INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    first_identity_id TEXT,
    end_identity_id TEXT,
    open INTEGER NOT NULL, -- still to be worked on
    worker TEXT NOT NULL DEFAULT '',
    lease_until_ms INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,
    position_identity_id TEXT,
    position_dataset_name TEXT,
    datasets INTEGER NOT NULL DEFAULT 0,
    records INTEGER NOT NULL DEFAULT 0,
    data_bytes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (identity_pool_id, slice_number)
) STRICT, WITHOUT ROWID;

CREATE INDEX open_bulk_publish_slices ON bulk_publish_slices (lease_until_ms)
WHERE open = 1;

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

-- How the imports of pools stand: JSON of stores.importing.ImportState.
CREATE TABLE imports (
    identity_pool_id TEXT PRIMARY KEY,
    state BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Up to where a source was read, as it tells it.
CREATE TABLE import_positions (
    identity_pool_id TEXT NOT NULL,
    position_name TEXT NOT NULL,
    position BLOB NOT NULL,
    PRIMARY KEY (identity_pool_id, position_name)
) STRICT, WITHOUT ROWID;

-- What came of an identity. It stays when the identity is deleted, or it would come
-- again.
CREATE TABLE imported_identities (
    identity_pool_id TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    pass_number INTEGER NOT NULL, -- in which it was done last; 0: in none
    enabled_pass INTEGER NOT NULL DEFAULT 0, -- in which it was listed as not disabled
    merged_into TEXT, -- in whose datasets it was seen
    datasets INTEGER NOT NULL DEFAULT 0, -- that came
    aside INTEGER NOT NULL DEFAULT 0, -- that did not
    mark BLOB NOT NULL, -- JSON of stores.importing.ImportedIdentity
    PRIMARY KEY (identity_pool_id, identity_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX imported_identities_aside
ON imported_identities (identity_pool_id, identity_id) WHERE aside > 0;

-- How the last `millpond store verify` went.
CREATE TABLE verification (
    verification_number INTEGER PRIMARY KEY, -- 1: there is one
    ended_ms INTEGER NOT NULL,
    faults INTEGER NOT NULL
) STRICT;

-- Since when the use of guests is kept; without a row it is not.
CREATE TABLE guest_expiry (
    expiry_number INTEGER PRIMARY KEY, -- 1: there is one
    since_ms INTEGER NOT NULL
) STRICT;

-- Who changed what. An id begins with the time, so ids are in the order of the changes.
-- What is not there is empty.
CREATE TABLE audit (
    entry_id TEXT PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL, -- of the last change that the entry stands for
    changes INTEGER NOT NULL, -- for how many it stands
    frequent INTEGER NOT NULL, -- of an operation whose changes are merged
    origin TEXT NOT NULL,
    access_key_id TEXT NOT NULL,
    caller_name TEXT NOT NULL, -- of the key, or of the user of the operating system
    operation TEXT NOT NULL,
    identity_pool_id TEXT NOT NULL,
    identity_id TEXT NOT NULL,
    dataset_name TEXT NOT NULL,
    target TEXT NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    request_id TEXT NOT NULL,
    result TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_by_pool ON audit (identity_pool_id, entry_id)
WHERE identity_pool_id <> '';

CREATE INDEX audit_by_key ON audit (access_key_id, entry_id);

CREATE INDEX audit_by_identity ON audit (identity_id, entry_id)
WHERE identity_id <> '';

CREATE INDEX audit_by_frequency ON audit (frequent, entry_id);
