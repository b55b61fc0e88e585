"""
Every limit: its value, its unit (last word of the name) and where it comes from.

Nothing else spells these numbers. Limits that an operator may change are the defaults
of settings (see `millpond.settings`); the others are the API's own.
"""

from __future__ import annotations

from typing import Final

# --- Cognito Sync -------------------------------------------------------------------

DATASETS_PER_IDENTITY_MAX: Final = 20  # AWS: developer guide, limits page
RECORDS_PER_DATASET_MAX: Final = 1024  # AWS: developer guide, limits page
DATASET_BYTES_MAX: Final = 1_048_576  # AWS: "1 MB"; the iOS client reads it as MiB
RECORD_KEY_CHARS_MAX: Final = 1024  # AWS: model, RecordKey
RECORD_VALUE_CHARS_MAX: Final = 1_048_575  # AWS: model, RecordValue
RECORD_PATCHES_MAX: Final = 8192  # Ours: eight times the records that a dataset has
TOMBSTONES_PER_DATASET_MAX: Final = 4096  # Ours: AWS keeps all of them, it seems
TOMBSTONE_LIFETIME_S: Final = 90 * 86_400  # Ours: as above
DATASET_NAME_CHARS_MAX: Final = 128  # AWS: model, DatasetName
ID_CHARS_MAX: Final = 55  # AWS: model, IdentityId and IdentityPoolId
DEVICE_ID_CHARS_MAX: Final = 256  # AWS: model, DeviceId
STREAM_NAME_CHARS_MAX: Final = 128  # AWS: model, StreamName
ARN_CHARS_MIN: Final = 20  # AWS: model, AssumeRoleArn
ARN_CHARS_MAX: Final = 2048  # AWS: model, AssumeRoleArn
PUSH_TOKEN_CHARS_MAX: Final = 4096  # Ours: FCM, which has the longest, promises that
PUSH_ERROR_CHARS_MAX: Final = 500  # Ours: what is kept of the last push of a device
DEVICES_PER_IDENTITY_MAX: Final = 100  # Ours: reinstalled apps come with new tokens
COGNITO_EVENTS_MAX: Final = 1  # AWS: model, Events
SYNC_TRIGGER_CHARS_MAX: Final = 2048  # Ours: the model gives LambdaFunctionArn none
SYNC_TRIGGER_S_MAX: Final = 5.0  # AWS: developer guide, Cognito Events
SYNC_TRIGGER_ANSWER_BYTES_MAX: Final = 16 * 1_048_576  # two full datasets, as \uXXXX
PAGE_RECORDS_MAX: Final = 1024  # AWS: clients ask for 1024; larger values are clamped
SYNC_SESSION_TOKEN_CHARS_MAX: Final = 512  # Ours: it travels in a query string
LONG_MIN: Final = -(2**63)  # the API's Long
LONG_MAX: Final = 2**63 - 1
EPOCH_S_MIN: Final = -62_135_596_800  # 0001-01-01; beyond it a date has no meaning
EPOCH_S_MAX: Final = 253_402_300_799  # 9999-12-31T23:59:59Z
BULK_PUBLISH_INTERVAL_S: Final = 24 * 3600  # AWS: model, AlreadyStreamedException
SYNC_SESSION_LIFETIME_S: Final = 3600  # Ours: AWS publishes none

# --- Cognito Identity ---------------------------------------------------------------

POOL_NAME_CHARS_MAX: Final = 128  # AWS: model, IdentityPoolName
POOLS_MAX: Final = 1000  # AWS: developer guide, limits page
PAGE_POOLS_MAX: Final = 60  # AWS: model, QueryLimit
LOGIN_PROVIDERS_MAX: Final = 10  # AWS: model, IdentityProviders
PROVIDER_NAME_CHARS_MAX: Final = 128  # AWS: model, IdentityProviderName
TAGS_MAX: Final = 50  # AWS: model, IdentityPoolTagsType
TAG_VALUE_CHARS_MAX: Final = 256  # AWS: model, TagValueType, PrincipalTagValue
LOGINS_MAX: Final = 10  # AWS: model, LoginsMap
LOGIN_TOKEN_CHARS_MAX: Final = 50_000  # AWS: model, IdentityProviderToken
LOGINS_PER_IDENTITY_MAX: Final = 20  # AWS: model, MergeDeveloperIdentities
DEVELOPER_USER_CHARS_MAX: Final = 1024  # AWS: model, DeveloperUserIdentifier
DELETE_IDENTITIES_MAX: Final = 60  # AWS: model, IdentityIdList
ROLE_MAPPINGS_MAX: Final = 10  # AWS: model, RoleMappingMap
ROLE_RULES_MAX: Final = 400  # AWS: model, MappingRulesList
LOGIN_CLOCK_SKEW_S: Final = 300  # AWS: open-id.md, five minutes of grace

# --- Tokens and credentials of identities -------------------------------------------

OPEN_ID_TOKEN_LIFETIME_S: Final = 600  # AWS: measured in tokens of GetOpenIdToken
DEVELOPER_TOKEN_LIFETIME_S: Final = 900  # AWS: model, TokenDuration
DEVELOPER_TOKEN_LIFETIME_S_MAX: Final = 86_400  # AWS: model, TokenDuration
USER_CREDENTIALS_LIFETIME_S: Final = 3600  # AWS: one hour
USER_CREDENTIALS_LIFETIME_S_MIN: Final = 900  # AWS: STS model, DurationSeconds
USER_CREDENTIALS_LIFETIME_S_MAX: Final = 43_200  # AWS: STS model, DurationSeconds
SESSION_TOKEN_CHARS_MAX: Final = 12_288  # Ours: 276, or with the longest role ARN more
UNSIGNED_BODY_BYTES_MAX: Final = 1_048_576  # Ours: ten tokens of 50,000 characters fit
ORIGIN_BYTES_MAX: Final = 300  # Ours: a host name has at most 253

UNUSED_GUEST_LIFETIME_S_MIN: Final = 86_400  # Ours: longer than any credentials last

# --- Kinesis ------------------------------------------------------------------------

STREAM_RECORD_BYTES_MAX: Final = 1_048_576  # AWS: PutRecord, data and partition key
PUT_RECORDS_MAX: Final = 500  # AWS: PutRecords
PUT_RECORDS_BYTES_MAX: Final = 5 * 1_048_576  # AWS: PutRecords
PUT_RECORDS_REQUEST_BYTES_MAX: Final = 8 * 1_048_576  # the same in base64, and names
GET_RECORDS_MAX: Final = 10_000  # AWS: GetRecords
GET_RECORDS_BYTES_MAX: Final = 10 * 1_048_576  # AWS: GetRecords
PARTITION_KEY_CHARS_MAX: Final = 256  # AWS: model, PartitionKey
SHARDS_PER_STREAM_MAX: Final = 500  # AWS: service quotas, shards per account
ON_DEMAND_SHARDS: Final = 4  # AWS: what a stream in that mode begins with
RETENTION_HOURS_MIN: Final = 24  # AWS: IncreaseStreamRetentionPeriod
RETENTION_HOURS_MAX: Final = 8760  # AWS: IncreaseStreamRetentionPeriod, 365 days
STREAM_CONSUMERS_MAX: Final = 20  # AWS: RegisterStreamConsumer, per stream
SUBSCRIPTION_S: Final = 300  # AWS: SubscribeToShard, five minutes
SUBSCRIPTION_HOLD_S: Final = 5  # AWS: SubscribeToShard, before another takes over
SUBSCRIPTIONS_MAX: Final = 2500  # Ours: of a server, at a time
EVENT_RECORDS_MAX: Final = 2000  # Ours: SubscribeToShardEvent
EVENT_BYTES_MAX: Final = 1_048_576  # Ours: clients keep a few events in memory
SHARD_ITERATOR_LIFETIME_S: Final = 300  # AWS: GetShardIterator, five minutes
STREAM_RETENTION_S: Final = 24 * 3600  # AWS: default retention of a stream
STREAM_PAYLOAD_LIFETIME_S: Final = 24 * 3600  # Ours: as long as the stream's default

# --- Live updates -------------------------------------------------------------------

EVENT_ID_CHARS_MAX: Final = 8192  # Ours: 256 cells of at most 28 characters
LIVE_DEVELOPER_LIFETIME_S: Final = 3600  # Ours: then the key is looked at again

# --- Rates, in calls a second -------------------------------------------------------
# What one device sends, at the most it is known to. Old mobile SDKs take a 429 for the
# end of a synchronization, so no limit may be set below 20 times that (ruling 26).
#
# GetId: once, when the app starts first; a page that keeps nothing asks at each load.
# Credentials: an hour; a page as above, and the older flow takes two calls for them.
# Reads and writes: an app that synchronizes after every change, once a second, lists
# and updates; two pages a listing, and twice when another device was faster.
# Buckets hold a minute, at these floors 2,400 reads and as many writes: twenty devices
# whose 20 datasets each take all of the 5 passes that the clients try.

RATE_OF_DEVICES: Final = 20
DEVICE_NEW_IDENTITIES_RATE: Final = 0.1
DEVICE_CREDENTIALS_RATE: Final = 0.2
DEVICE_READS_RATE: Final = 2
DEVICE_WRITES_RATE: Final = 2
NEW_IDENTITIES_RATE_MIN: Final = int(RATE_OF_DEVICES * DEVICE_NEW_IDENTITIES_RATE)
CREDENTIALS_RATE_MIN: Final = int(RATE_OF_DEVICES * DEVICE_CREDENTIALS_RATE)
READS_RATE_MIN: Final = RATE_OF_DEVICES * DEVICE_READS_RATE
WRITES_RATE_MIN: Final = RATE_OF_DEVICES * DEVICE_WRITES_RATE

# --- HTTP and signatures ------------------------------------------------------------

REQUEST_BODY_BYTES_MAX: Final = 6 * 1_048_576  # a full dataset, escaped as JSON
ITEMS_MAX: Final = 1000  # Ours: of a list or map to which the API gives no maximum
CBOR_ITEMS_MAX: Final = 65_536  # Ours: the largest request, 500 records, has 4,000
CBOR_DEPTH_MAX: Final = 32  # Ours: the deepest request has 4
SIGNATURE_WINDOW_S: Final = 300  # AWS: Cognito Sync prints "5 min."
PRESIGN_EXPIRES_S_MAX: Final = 604_800  # AWS: SigV4, X-Amz-Expires, seven days
AUTHORIZATION_CHARS_MAX: Final = 8192  # Ours: a header of ours has about 300
NEXT_TOKEN_CHARS_MAX: Final = 16_384  # Ours: a key of 1024 characters, encoded
