"""Shapes of the Kinesis API: records, written and read."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from millpond import limits
from millpond.contract.kinesis.values import (
    Data,
    DryRun,
    ErrorCode,
    ErrorMessage,
    FailedRecordCount,
    GetRecordsInputLimit,
    HashKey,
    MillisBehindLatest,
    PartitionKey,
    SequenceNumber,
    ShardId,
    ShardIterator,
    ShardIteratorType,
    StreamARN,
    StreamName,
    Timestamp,
)
from millpond.contract.shapes import Shape, about


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
    dry_run: DryRun | None = None


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
    dry_run: DryRun | None = None


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
    dry_run: DryRun | None = None


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
    dry_run: DryRun | None = None


class PutRecordsResponse(Shape, kw_only=True):
    """Where the records went."""

    failed_record_count: Annotated[
        FailedRecordCount, about("Number of records that were not stored.")
    ]
    records: PutRecordsResultEntryList
