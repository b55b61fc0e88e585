"""
Amazon Kinesis, 2013-12-02: the part of it that reads and writes embedded streams.

Source: names, constraints and error lists are those of the API's model. Left out are
StreamId, which the API itself reserves, and what only resharding, encryption, queues
and consumers need. Members that we cannot honour are taken and refused by the service,
so that nobody believes they worked. The texts are ours.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from millpond import limits
from millpond.contract.shapes import (
    Api,
    Operation,
    Sensitive,
    Shape,
    about,
    text,
)
from millpond.errors import (
    ExpiredIteratorException,
    ExpiredNextTokenException,
    InvalidArgumentException,
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
    ValidationException,
)

_INTEGER_MAX: Final = 2**31 - 1

# --- Strings, numbers and bytes -----------------------------------------------------

StreamName = Annotated[
    str,
    text(
        "StreamName",
        "The name of a stream: 1 to 128 letters, digits, '_', '-' and '.'.",
        length=(1, limits.STREAM_NAME_CHARS_MAX),
        pattern=r"[a-zA-Z0-9_.-]+",
    ),
]
StreamARN = Annotated[
    str,
    text(
        "StreamARN",
        "The ARN of a stream; it may stand in place of the name.",
        length=(1, limits.ARN_CHARS_MAX),
        pattern=r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+",
    ),
]
ShardId = Annotated[
    str,
    text(
        "ShardId",
        "The id of a shard, for example shardId-000000000000.",
        length=(1, 128),  # AWS: model, ShardId
        pattern=r"[a-zA-Z0-9_.-]+",
    ),
]
PartitionKey = Annotated[
    str,
    text(
        "PartitionKey",
        "The text whose MD5 chooses the shard. Records of one key keep their order.",
        length=(1, limits.PARTITION_KEY_CHARS_MAX),
    ),
]
HashKey = Annotated[
    str,
    text(
        "HashKey",
        "A number from 0 to 2^128-1, in decimal digits.",
        pattern=r"^(0|([1-9]\d{0,38}))$",
    ),
]
SequenceNumber = Annotated[
    str,
    text(
        "SequenceNumber",
        "The number of a record: it grows within a stream and is never used again.",
        pattern=r"^(0|([1-9]\d{0,128}))$",
    ),
]
ShardIterator = Annotated[
    str,
    text(
        "ShardIterator",
        "A position in a shard. It is good for five minutes.",
        length=(1, 512),  # AWS: model, ShardIterator
    ),
]
NextToken = Annotated[
    str,
    text(
        "NextToken",
        "Where to go on: the NextToken of the answer before.",
        length=(1, 1_048_576),  # AWS: model, NextToken
    ),
]
TagKey = Annotated[
    str, text("TagKey", "The key of a tag.", length=(1, 128))  # AWS: model
]
TagValue = Annotated[
    str, text("TagValue", "The value of a tag.", length=(0, 256))  # AWS: model
]
ErrorCode = Annotated[str, text("ErrorCode", "Why the record was not stored.")]
ErrorMessage = Annotated[str, text("ErrorMessage", "The same in words.")]
Data = Annotated[
    bytes,
    Meta(
        title="Data",
        description="The bytes of a record; in JSON they are base64.",
        min_length=0,
        # Ours: 1 MiB, a stream's default; the API can raise it stream by stream.
        max_length=limits.STREAM_RECORD_BYTES_MAX,
    ),
    Sensitive,
]
BooleanObject = Annotated[bool, Meta(title="BooleanObject")]
Timestamp = Annotated[
    float,
    Meta(
        title="Timestamp",
        description="Epoch seconds, with milliseconds as the fraction.",
        ge=limits.EPOCH_S_MIN,
        le=limits.EPOCH_S_MAX,
    ),
]
PositiveIntegerObject = Annotated[
    int, Meta(title="PositiveIntegerObject", ge=1, le=_INTEGER_MAX)
]
NaturalIntegerObject = Annotated[
    int, Meta(title="NaturalIntegerObject", ge=0, le=_INTEGER_MAX)
]
FailedRecordCount = Annotated[
    int, Meta(title="FailedRecordCount", ge=0, le=_INTEGER_MAX)
]
ShardCountObject = Annotated[
    int, Meta(title="ShardCountObject", ge=0, le=1_000_000)  # AWS: model
]
MaxRecordSizeInKiB = Annotated[
    int, Meta(title="MaxRecordSizeInKiB", ge=1024, le=10_240)  # AWS: model
]
RetentionPeriodHours = Annotated[
    int, Meta(title="RetentionPeriodHours", ge=-(2**31), le=_INTEGER_MAX)
]
MillisBehindLatest = Annotated[
    int, Meta(title="MillisBehindLatest", ge=0, le=limits.LONG_MAX)
]
ListStreamsInputLimit = Annotated[
    int, Meta(title="ListStreamsInputLimit", ge=1, le=10_000)  # AWS: model
]
DescribeStreamInputLimit = Annotated[
    int, Meta(title="DescribeStreamInputLimit", ge=1, le=10_000)  # AWS: model
]
ListShardsInputLimit = Annotated[
    int, Meta(title="ListShardsInputLimit", ge=1, le=10_000)  # AWS: model
]
GetRecordsInputLimit = Annotated[
    int, Meta(title="GetRecordsInputLimit", ge=1, le=limits.GET_RECORDS_MAX)
]
StreamMode = Annotated[
    Literal["PROVISIONED", "ON_DEMAND"],
    Meta(
        title="StreamMode",
        description="How shards are provided. Embedded streams are PROVISIONED.",
    ),
]
StreamStatus = Annotated[
    Literal["CREATING", "DELETING", "ACTIVE", "UPDATING"],
    Meta(
        title="StreamStatus",
        description="The state of a stream. An embedded stream is ACTIVE at once.",
    ),
]
RecordDistributionStrategy = Annotated[
    Literal["AUTO", "USER_PARTITION_KEY"],
    Meta(
        title="RecordDistributionStrategy",
        description="How records are spread over shards. Embedded streams use "
        "USER_PARTITION_KEY.",
    ),
]
EncryptionType = Annotated[
    Literal["NONE", "KMS"],
    Meta(title="EncryptionType", description="Whether a key of KMS is used: NONE."),
]
MetricsName = Annotated[
    Literal[
        "IncomingBytes",
        "IncomingRecords",
        "OutgoingBytes",
        "OutgoingRecords",
        "WriteProvisionedThroughputExceeded",
        "ReadProvisionedThroughputExceeded",
        "IteratorAgeMilliseconds",
        "ALL",
    ],
    Meta(title="MetricsName", description="The name of a metric of a shard."),
]
ShardFilterType = Annotated[
    Literal[
        "AFTER_SHARD_ID",
        "AT_TRIM_HORIZON",
        "FROM_TRIM_HORIZON",
        "AT_LATEST",
        "AT_TIMESTAMP",
        "FROM_TIMESTAMP",
    ],
    Meta(
        title="ShardFilterType",
        description="Which shards to list. The shards of an embedded stream are open "
        "as long as it exists, so all but AFTER_SHARD_ID list every shard.",
    ),
]
ShardIteratorType = Annotated[
    Literal[
        "AT_SEQUENCE_NUMBER",
        "AFTER_SEQUENCE_NUMBER",
        "TRIM_HORIZON",
        "LATEST",
        "AT_TIMESTAMP",
    ],
    Meta(
        title="ShardIteratorType",
        description="Where to begin: at or after a sequence number, at the oldest "
        "record (TRIM_HORIZON), behind the newest (LATEST), or at a time.",
    ),
]

_dry_run = Annotated[
    BooleanObject, about("Not available: a request that sets it is refused.")
]

# --- Structures ---------------------------------------------------------------------


class StreamModeDetails(Shape, kw_only=True):
    """How the shards of a stream are provided."""

    stream_mode: StreamMode


class StreamSummary(Shape, kw_only=True):
    """A stream in a list."""

    stream_name: StreamName
    stream_arn: StreamARN = msgspec.field(name="StreamARN")
    stream_status: StreamStatus
    stream_mode_details: StreamModeDetails | None = None
    stream_creation_timestamp: (
        Annotated[Timestamp, about("When the stream was created.")] | None
    ) = None


class HashKeyRange(Shape, kw_only=True):
    """The hash keys that belong to a shard, both ends included."""

    starting_hash_key: HashKey
    ending_hash_key: HashKey


class SequenceNumberRange(Shape, kw_only=True):
    """The sequence numbers of a shard. It is open, so there is no end."""

    starting_sequence_number: SequenceNumber
    ending_sequence_number: SequenceNumber | None = None


class Shard(Shape, kw_only=True):
    """A shard of a stream."""

    shard_id: ShardId
    hash_key_range: HashKeyRange
    sequence_number_range: SequenceNumberRange


class EnhancedMetrics(Shape, kw_only=True):
    """The metrics that are kept for every shard: none."""

    shard_level_metrics: Annotated[
        list[MetricsName],
        Meta(title="MetricsNameList", description="Always empty here."),
    ]


ShardList = Annotated[list[Shard], Meta(title="ShardList")]
EnhancedMonitoringList = Annotated[
    list[EnhancedMetrics], Meta(title="EnhancedMonitoringList")
]
StreamNameList = Annotated[list[StreamName], Meta(title="StreamNameList")]
StreamSummaryList = Annotated[list[StreamSummary], Meta(title="StreamSummaryList")]
TagMap = Annotated[
    dict[TagKey, TagValue],
    Meta(
        title="TagMap",
        description="Tags; they are taken and not kept.",
        min_length=1,
        max_length=200,  # AWS: model, TagMap
    ),
]


class StreamDescription(Shape, kw_only=True):
    """A stream and some of its shards."""

    stream_name: StreamName
    stream_arn: StreamARN = msgspec.field(name="StreamARN")
    stream_status: StreamStatus
    stream_mode_details: StreamModeDetails | None = None
    shards: ShardList
    has_more_shards: Annotated[BooleanObject, about("Whether shards are left.")]
    retention_period_hours: Annotated[
        RetentionPeriodHours, about("How long records are kept, in whole hours.")
    ]
    stream_creation_timestamp: Annotated[
        Timestamp, about("When the stream was created.")
    ]
    enhanced_monitoring: EnhancedMonitoringList
    encryption_type: EncryptionType | None = None


class StreamDescriptionSummary(Shape, kw_only=True):
    """A stream, without its shards."""

    stream_name: StreamName
    stream_arn: StreamARN = msgspec.field(name="StreamARN")
    stream_status: StreamStatus
    stream_mode_details: StreamModeDetails | None = None
    retention_period_hours: Annotated[
        RetentionPeriodHours, about("How long records are kept, in whole hours.")
    ]
    stream_creation_timestamp: Annotated[
        Timestamp, about("When the stream was created.")
    ]
    enhanced_monitoring: EnhancedMonitoringList
    encryption_type: EncryptionType | None = None
    open_shard_count: Annotated[ShardCountObject, about("Number of shards.")]
    max_record_size_in_kib: (
        Annotated[MaxRecordSizeInKiB, about("Size of the largest record.")] | None
    ) = msgspec.field(name="MaxRecordSizeInKiB", default=None)
    record_distribution_strategy: RecordDistributionStrategy | None = None


class ShardFilter(Shape, kw_only=True):
    """Which shards to list."""

    type: ShardFilterType
    shard_id: (
        Annotated[ShardId, about("With AFTER_SHARD_ID: list those behind it.")] | None
    ) = None
    timestamp: (
        Annotated[Timestamp, about("With AT_TIMESTAMP and FROM_TIMESTAMP.")] | None
    ) = None


class Record(Shape, kw_only=True):
    """A record of a stream."""

    sequence_number: SequenceNumber
    approximate_arrival_timestamp: (
        Annotated[Timestamp, about("When the record was stored.")] | None
    ) = None
    data: Data
    partition_key: PartitionKey


class PutRecordsRequestEntry(Shape, kw_only=True):
    """A record to store."""

    data: Data
    explicit_hash_key: (
        Annotated[HashKey, about("Chooses the shard in place of the partition key.")]
        | None
    ) = None
    partition_key: PartitionKey


class PutRecordsResultEntry(Shape, kw_only=True):
    """Where a record went, or why it was not stored."""

    sequence_number: SequenceNumber | None = None
    shard_id: ShardId | None = None
    error_code: ErrorCode | None = None
    error_message: ErrorMessage | None = None


RecordList = Annotated[list[Record], Meta(title="RecordList")]
PutRecordsRequestEntryList = Annotated[
    list[PutRecordsRequestEntry],
    Meta(
        title="PutRecordsRequestEntryList",
        description="The records to store, at most 500 and 5 MiB.",
        min_length=1,
        max_length=limits.PUT_RECORDS_MAX,
    ),
]
PutRecordsResultEntryList = Annotated[
    list[PutRecordsResultEntry],
    Meta(
        title="PutRecordsResultEntryList",
        description="One result for every record, in the order of the request.",
        min_length=1,
        max_length=limits.PUT_RECORDS_MAX,
    ),
]

# --- Requests and responses ---------------------------------------------------------


class CreateStreamRequest(Shape, kw_only=True):
    """
    Create an embedded stream with a number of shards.

    The stream can be used at once. A name that the server's settings map to another
    sink is refused: such a stream is created where it lives.
    """

    stream_name: StreamName
    shard_count: (
        Annotated[PositiveIntegerObject, about("Number of shards; needed.")] | None
    ) = None
    stream_mode_details: (
        Annotated[StreamModeDetails, about("PROVISIONED; anything else is refused.")]
        | None
    ) = None
    tags: TagMap | None = None
    warm_throughput_mibps: (
        Annotated[
            NaturalIntegerObject,
            about("Belongs to on-demand streams, which are not available."),
        ]
        | None
    ) = msgspec.field(name="WarmThroughputMiBps", default=None)
    max_record_size_in_kib: (
        Annotated[MaxRecordSizeInKiB, about("1024; anything else is refused.")] | None
    ) = msgspec.field(name="MaxRecordSizeInKiB", default=None)
    record_distribution_strategy: (
        Annotated[
            RecordDistributionStrategy,
            about("USER_PARTITION_KEY; anything else is refused."),
        ]
        | None
    ) = None


class DeleteStreamRequest(Shape, kw_only=True):
    """Delete an embedded stream with all its records."""

    stream_name: StreamName | None = None
    enforce_consumer_deletion: (
        Annotated[BooleanObject, about("Changes nothing: there are no consumers.")]
        | None
    ) = None
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class ListStreamsRequest(Shape, kw_only=True):
    """List the embedded streams, by name."""

    limit: (
        Annotated[ListStreamsInputLimit, about("How many to answer; 100 at most.")]
        | None
    ) = None
    exclusive_start_stream_name: (
        Annotated[StreamName, about("List the streams behind this name.")] | None
    ) = None
    next_token: NextToken | None = None


class ListStreamsResponse(Shape, kw_only=True):
    """A page of streams."""

    stream_names: StreamNameList
    has_more_streams: Annotated[BooleanObject, about("Whether streams are left.")]
    next_token: NextToken | None = None
    stream_summaries: StreamSummaryList | None = None


class DescribeStreamRequest(Shape, kw_only=True):
    """Tell what is known about an embedded stream, with its shards."""

    stream_name: StreamName | None = None
    limit: (
        Annotated[
            DescribeStreamInputLimit, about("How many shards to answer; 100 at most.")
        ]
        | None
    ) = None
    exclusive_start_shard_id: (
        Annotated[ShardId, about("Answer the shards behind this one.")] | None
    ) = None
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class DescribeStreamResponse(Shape, kw_only=True):
    """The stream."""

    stream_description: StreamDescription


class DescribeStreamSummaryRequest(Shape, kw_only=True):
    """Tell what is known about an embedded stream, without its shards."""

    stream_name: StreamName | None = None
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class DescribeStreamSummaryResponse(Shape, kw_only=True):
    """The stream."""

    stream_description_summary: StreamDescriptionSummary


class ListShardsRequest(Shape, kw_only=True):
    """
    List the shards of an embedded stream.

    The first request names the stream; those that go on give the NextToken in its
    place. The token is good for five minutes.
    """

    stream_name: StreamName | None = None
    next_token: NextToken | None = None
    exclusive_start_shard_id: (
        Annotated[ShardId, about("List the shards behind this one.")] | None
    ) = None
    max_results: (
        Annotated[ListShardsInputLimit, about("How many to answer; 1000 at most.")]
        | None
    ) = None
    stream_creation_timestamp: (
        Annotated[
            Timestamp,
            about("When the stream was created, to tell it from one of its name."),
        ]
        | None
    ) = None
    shard_filter: ShardFilter | None = None
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class ListShardsResponse(Shape, kw_only=True):
    """A page of shards."""

    shards: ShardList
    next_token: NextToken | None = None


class GetShardIteratorRequest(Shape, kw_only=True):
    """
    Begin reading a shard: get the iterator of a position in it.

    The iterator is good for five minutes; each GetRecords answers the next one.
    """

    stream_name: StreamName | None = None
    shard_id: ShardId
    shard_iterator_type: ShardIteratorType
    starting_sequence_number: (
        Annotated[
            SequenceNumber,
            about("With AT_SEQUENCE_NUMBER and AFTER_SEQUENCE_NUMBER."),
        ]
        | None
    ) = None
    timestamp: (
        Annotated[
            Timestamp,
            about("With AT_TIMESTAMP: begin at the first record from this time on."),
        ]
        | None
    ) = None
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)
    dry_run: _dry_run | None = None


class GetShardIteratorResponse(Shape, kw_only=True):
    """The iterator."""

    shard_iterator: ShardIterator


class GetRecordsRequest(Shape, kw_only=True):
    """
    Read records of a shard, from an iterator on.

    An answer holds at most 10,000 records and 10 MiB. It may hold none; reading goes on
    with NextShardIterator either way.
    """

    shard_iterator: ShardIterator
    limit: (
        Annotated[GetRecordsInputLimit, about("How many records to answer at most.")]
        | None
    ) = None
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)
    dry_run: _dry_run | None = None


class GetRecordsResponse(Shape, kw_only=True):
    """Records, and where to go on."""

    records: RecordList
    next_shard_iterator: ShardIterator
    millis_behind_latest: Annotated[
        MillisBehindLatest,
        about("The age of the last record of the answer; 0 when none is left."),
    ]


class PutRecordRequest(Shape, kw_only=True):
    """Store a record in an embedded stream; it is on disk when this answers."""

    stream_name: StreamName | None = None
    data: Data
    partition_key: PartitionKey
    explicit_hash_key: (
        Annotated[HashKey, about("Chooses the shard in place of the partition key.")]
        | None
    ) = None
    sequence_number_for_ordering: (
        Annotated[
            SequenceNumber,
            about("The record gets a higher number than this; here it always does."),
        ]
        | None
    ) = None
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)
    dry_run: _dry_run | None = None


class PutRecordResponse(Shape, kw_only=True):
    """Where the record went."""

    shard_id: ShardId
    sequence_number: SequenceNumber


class PutRecordsRequest(Shape, kw_only=True):
    """
    Store records in an embedded stream, in the order given.

    They are all on disk when this answers, or none of them is.
    """

    records: PutRecordsRequestEntryList
    stream_name: StreamName | None = None
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)
    dry_run: _dry_run | None = None


class PutRecordsResponse(Shape, kw_only=True):
    """Where the records went."""

    failed_record_count: Annotated[
        FailedRecordCount, about("Number of records that were not stored.")
    ]
    records: PutRecordsResultEntryList


# --- The table ----------------------------------------------------------------------

_NAMED: Final = (ResourceNotFoundException, InvalidArgumentException)

API: Final = Api(
    name="kinesis",
    title="Amazon Kinesis",
    version="2013-12-02",
    protocol="json",
    cbor=True,  # AWS: which its SDKs for Java prefer
    target_prefix="Kinesis_20131202",
    constraint_error=ValidationException,
    request_bytes_max=limits.PUT_RECORDS_REQUEST_BYTES_MAX,
    operations=(
        Operation(
            "CreateStream",
            CreateStreamRequest,
            None,
            errors=(
                ResourceInUseException,
                LimitExceededException,
                InvalidArgumentException,
                ValidationException,
            ),
        ),
        Operation("DeleteStream", DeleteStreamRequest, None, errors=_NAMED),
        Operation(
            "DescribeStream",
            DescribeStreamRequest,
            DescribeStreamResponse,
            errors=_NAMED,
        ),
        Operation(
            "DescribeStreamSummary",
            DescribeStreamSummaryRequest,
            DescribeStreamSummaryResponse,
            errors=_NAMED,
        ),
        Operation(
            "GetRecords",
            GetRecordsRequest,
            GetRecordsResponse,
            errors=(*_NAMED, ExpiredIteratorException),
        ),
        Operation(
            "GetShardIterator",
            GetShardIteratorRequest,
            GetShardIteratorResponse,
            errors=_NAMED,
        ),
        Operation(
            "ListShards",
            ListShardsRequest,
            ListShardsResponse,
            errors=(*_NAMED, ExpiredNextTokenException),
        ),
        Operation(
            "ListStreams",
            ListStreamsRequest,
            ListStreamsResponse,
            errors=(InvalidArgumentException,),
        ),
        Operation("PutRecord", PutRecordRequest, PutRecordResponse, errors=_NAMED),
        Operation("PutRecords", PutRecordsRequest, PutRecordsResponse, errors=_NAMED),
    ),
)
