"""Shapes of the Kinesis API: how a stream is kept, and the account as a whole."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from millpond.contract.kinesis.streams import StreamModeDetails
from millpond.contract.kinesis.values import (
    MaxRecordSizeInKiB,
    NaturalIntegerObject,
    OnDemandStreamCountLimitObject,
    OnDemandStreamCountObject,
    RecordDistributionStrategy,
    RetentionPeriodHours,
    ShardCountObject,
    StreamARN,
    StreamName,
)
from millpond.contract.shapes import Shape, about


class IncreaseStreamRetentionPeriodRequest(Shape, kw_only=True):
    """
    Keep the records of an embedded stream for longer: up to 8760 hours.

    What a stream is given here stands in place of the setting `stream_retention_s`.
    """

    stream_name: StreamName | None = None
    retention_period_hours: Annotated[
        RetentionPeriodHours, about("24 to 8760, and not less than it is now.")
    ]
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class DecreaseStreamRetentionPeriodRequest(Shape, kw_only=True):
    """
    Keep the records of an embedded stream for a shorter time, of 24 hours or more.

    Older records cannot be read any more as soon as this answers.
    """

    stream_name: StreamName | None = None
    retention_period_hours: Annotated[
        RetentionPeriodHours, about("24 to 8760, and not more than it is now.")
    ]
    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)


class UpdateStreamModeRequest(Shape, kw_only=True):
    """
    Change the mode of an embedded stream.

    The mode is kept and told; the stream and its shards stay as they are.
    """

    stream_arn: StreamARN = msgspec.field(name="StreamARN")
    stream_mode_details: StreamModeDetails
    warm_throughput_mibps: (
        Annotated[
            NaturalIntegerObject,
            about("Not available: a request that sets it is refused."),
        ]
        | None
    ) = msgspec.field(name="WarmThroughputMiBps", default=None)


class UpdateMaxRecordSizeRequest(Shape, kw_only=True):
    """Not available: 1024 is answered as done, anything else is refused."""

    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)
    max_record_size_in_kib: Annotated[
        MaxRecordSizeInKiB, about("1024; anything else is refused.")
    ] = msgspec.field(name="MaxRecordSizeInKiB")


class UpdateStreamRecordDistributionStrategyRequest(Shape, kw_only=True):
    """Not available: what a stream has is answered as done, the other is refused."""

    stream_arn: StreamARN = msgspec.field(name="StreamARN")
    record_distribution_strategy: Annotated[
        RecordDistributionStrategy,
        about("USER_PARTITION_KEY; anything else is refused."),
    ]


class UpdateStreamWarmThroughputRequest(Shape, kw_only=True):
    """Not available: it is refused. An embedded stream is as fast as its store."""

    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)
    stream_name: StreamName | None = None
    warm_throughput_mibps: NaturalIntegerObject = msgspec.field(
        name="WarmThroughputMiBps"
    )


class WarmThroughputObject(Shape, kw_only=True):
    """How much is kept ready."""

    target_mibps: NaturalIntegerObject | None = msgspec.field(
        name="TargetMiBps", default=None
    )
    current_mibps: NaturalIntegerObject | None = msgspec.field(
        name="CurrentMiBps", default=None
    )


class UpdateStreamWarmThroughputResponse(Shape, kw_only=True):
    """The stream."""

    stream_arn: StreamARN | None = msgspec.field(name="StreamARN", default=None)
    stream_name: StreamName | None = None
    warm_throughput: WarmThroughputObject | None = None


class DescribeLimitsRequest(Shape):
    """Tell how many shards there are, and may be, in all streams together."""


class DescribeLimitsResponse(Shape, kw_only=True):
    """Numbers of shards and streams."""

    shard_limit: Annotated[
        ShardCountObject, about("1,000,000: only a stream has a limit, of 500 shards.")
    ]
    open_shard_count: Annotated[ShardCountObject, about("Shards of all streams.")]
    on_demand_stream_count: Annotated[
        OnDemandStreamCountObject, about("Streams in the mode ON_DEMAND.")
    ]
    on_demand_stream_count_limit: Annotated[
        OnDemandStreamCountLimitObject, about("1,000,000: there is no limit.")
    ]


class DescribeAccountSettingsRequest(Shape):
    """Tell the settings of the account: nothing is billed, so all is DISABLED."""


MinimumThroughputBillingCommitmentOutputStatus = Annotated[
    Literal["ENABLED", "DISABLED", "ENABLED_UNTIL_EARLIEST_ALLOWED_END"],
    Meta(
        title="MinimumThroughputBillingCommitmentOutputStatus",
        description="Whether there is a commitment.",
    ),
]
MinimumThroughputBillingCommitmentInputStatus = Annotated[
    Literal["ENABLED", "DISABLED"],
    Meta(
        title="MinimumThroughputBillingCommitmentInputStatus",
        description="DISABLED; anything else is refused.",
    ),
]


class MinimumThroughputBillingCommitmentOutput(Shape, kw_only=True):
    """A commitment to pay for throughput, which there is none here."""

    status: MinimumThroughputBillingCommitmentOutputStatus


class MinimumThroughputBillingCommitmentInput(Shape, kw_only=True):
    """A commitment to pay for throughput."""

    status: MinimumThroughputBillingCommitmentInputStatus


class DescribeAccountSettingsResponse(Shape, kw_only=True):
    """The settings."""

    minimum_throughput_billing_commitment: MinimumThroughputBillingCommitmentOutput


class UpdateAccountSettingsRequest(Shape, kw_only=True):
    """Not available: DISABLED is answered as done, anything else is refused."""

    minimum_throughput_billing_commitment: MinimumThroughputBillingCommitmentInput


class UpdateAccountSettingsResponse(Shape, kw_only=True):
    """The settings."""

    minimum_throughput_billing_commitment: MinimumThroughputBillingCommitmentOutput
