"""
The values of the Kinesis API: names, numbers, times, and the words that it knows.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from millpond import limits
from millpond.contract.shapes import Sensitive, about, text

_INTEGER_MAX: Final = 2**31 - 1

# --- Strings and bytes ----------------------------------------------------------------

StreamName = Annotated[
    str,
    text(
        "StreamName",
        "The name of a stream: 1 to 128 letters, digits, '_', '-' and '.'.",
        length=(1, limits.STREAM_NAME_CHARS_MAX),
        pattern=r"[a-zA-Z0-9_.-]+",
        example="changes",
    ),
]
StreamARN = Annotated[
    str,
    text(
        "StreamARN",
        "The ARN of a stream; it may stand in place of the name.",
        length=(1, limits.ARN_CHARS_MAX),
        pattern=r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+",
        example="arn:aws:kinesis:us-east-1:123456789012:stream/changes",
    ),
]
ConsumerName = Annotated[
    str,
    text(
        "ConsumerName",
        "The name of a consumer: 1 to 128 letters, digits, '_', '-' and '.'.",
        length=(1, 128),  # AWS: model, ConsumerName
        pattern=r"[a-zA-Z0-9_.-]+",
    ),
]
ConsumerARN = Annotated[
    str,
    text(
        "ConsumerARN",
        "The ARN of a consumer, as RegisterStreamConsumer answers it.",
        length=(1, limits.ARN_CHARS_MAX),
        pattern=r"^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/"
        r"[a-zA-Z0-9_.-]+:[0-9]+",
    ),
]
ResourceARN = Annotated[
    str,
    text(
        "ResourceARN",
        "The ARN of a stream or of a consumer.",
        length=(1, limits.ARN_CHARS_MAX),
        pattern=r"arn:aws.*:kinesis:.*:\d{12}:.*(stream|channel|queue)/\S+",
    ),
]
ShardId = Annotated[
    str,
    text(
        "ShardId",
        "The id of a shard, for example shardId-000000000000; shardId-0 and 0 are "
        "short for it.",
        length=(1, 128),  # AWS: model, ShardId
        pattern=r"[a-zA-Z0-9_.-]+",
        example="shardId-000000000000",
    ),
]
ShardIdList = Annotated[list[ShardId], Meta(title="ShardIdList")]
PartitionKey = Annotated[
    str,
    text(
        "PartitionKey",
        "The text whose MD5 chooses the shard. Records of one key keep their order.",
        example="us-east-1:1f0a9c3e-5b7d-4c2a-8e6f-0d1c2b3a4f5e",
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
KeyId = Annotated[
    str,
    text("KeyId", "The key of KMS.", length=(1, 2048)),  # AWS: model, KeyId
]
Policy = Annotated[str, text("Policy", "A policy of IAM, as JSON.")]
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

# --- Numbers, times and words ---------------------------------------------------------

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
ConsumerCountObject = Annotated[
    int, Meta(title="ConsumerCountObject", ge=0, le=1_000_000)  # AWS: model
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
ListStreamConsumersInputLimit = Annotated[
    int, Meta(title="ListStreamConsumersInputLimit", ge=1, le=10_000)  # AWS: model
]
ListTagsForStreamInputLimit = Annotated[
    int, Meta(title="ListTagsForStreamInputLimit", ge=1, le=50)  # AWS: model
]
OnDemandStreamCountObject = Annotated[
    int, Meta(title="OnDemandStreamCountObject", ge=0, le=1_000_000)  # AWS: model
]
OnDemandStreamCountLimitObject = Annotated[
    int, Meta(title="OnDemandStreamCountLimitObject", ge=0, le=1_000_000)  # AWS: model
]
GetRecordsInputLimit = Annotated[
    int, Meta(title="GetRecordsInputLimit", ge=1, le=limits.GET_RECORDS_MAX)
]
StreamMode = Annotated[
    Literal["PROVISIONED", "ON_DEMAND"],
    Meta(
        title="StreamMode",
        description="How shards are provided. It is kept and told; an embedded stream "
        "works the same in both modes.",
    ),
]
StreamStatus = Annotated[
    Literal["CREATING", "DELETING", "ACTIVE", "UPDATING"],
    Meta(
        title="StreamStatus",
        description="The state of a stream. An embedded stream is ACTIVE at once.",
    ),
]
ConsumerStatus = Annotated[
    Literal["CREATING", "DELETING", "ACTIVE"],
    Meta(
        title="ConsumerStatus",
        description="The state of a consumer. It is ACTIVE at once.",
    ),
]
ScalingType = Annotated[
    Literal["UNIFORM_SCALING"],
    Meta(title="ScalingType", description="How shards are parted: evenly."),
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

MetricsNameList = Annotated[
    list[MetricsName],
    Meta(
        title="MetricsNameList",
        description="Names of metrics.",
        min_length=1,
        max_length=7,  # AWS: model, MetricsNameList
    ),
]
TagMap = Annotated[
    dict[TagKey, TagValue],
    Meta(
        title="TagMap",
        description="Tags: values by key.",
        min_length=1,
        max_length=200,  # AWS: model, TagMap
    ),
]
TagKeyList = Annotated[
    list[TagKey],
    Meta(
        title="TagKeyList",
        description="Keys of tags.",
        min_length=1,
        max_length=50,  # AWS: model, TagKeyList
    ),
]
DryRun = Annotated[
    BooleanObject, about("Not available: a request that sets it is refused.")
]
