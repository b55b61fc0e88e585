"""Embedded streams: their mode, and what is told of all of them together."""

from __future__ import annotations

from typing import Final

import msgspec

from millpond import limits
from millpond.contract import kinesis as contract
from millpond.errors import InvalidArgumentException
from millpond.service.context import Caller, Context
from millpond.service.kinesis.names import get_stream, stream_not_found
from millpond.stores.base import Stream

_NO_LIMIT: Final = 1_000_000  # the greatest number that the API can say
_RECORD_KIB_MAX: Final = limits.STREAM_RECORD_BYTES_MAX // 1024
_NOT_COMMITTED: Final = contract.MinimumThroughputBillingCommitmentOutput(
    status="DISABLED"
)


async def update_stream_mode(
    context: Context, caller: Caller, request: contract.UpdateStreamModeRequest
) -> None:
    """Note the mode of a stream; nothing else depends on it."""
    if request.warm_throughput_mibps is not None:
        raise InvalidArgumentException("WarmThroughputMiBps is not available.")
    stream = await get_stream(context, None, request.stream_arn)

    def change(stream: Stream) -> Stream:
        mode = request.stream_mode_details.stream_mode
        return msgspec.structs.replace(stream, stream_mode=mode)

    if await context.store.update_stream(stream.stream_id, change) is None:
        raise stream_not_found(context.settings, stream.stream_name)


async def update_max_record_size(
    context: Context, caller: Caller, request: contract.UpdateMaxRecordSizeRequest
) -> None:
    """Take the size that there is, and refuse any other."""
    await get_stream(context, None, request.stream_arn)
    if request.max_record_size_in_kib != _RECORD_KIB_MAX:
        raise InvalidArgumentException(
            f"MaxRecordSizeInKiB is always {_RECORD_KIB_MAX}."
        )


async def update_stream_record_distribution_strategy(
    context: Context,
    caller: Caller,
    request: contract.UpdateStreamRecordDistributionStrategyRequest,
) -> None:
    """Take the strategy that there is, and refuse the other."""
    await get_stream(context, None, request.stream_arn)
    if request.record_distribution_strategy != "USER_PARTITION_KEY":
        raise InvalidArgumentException(
            "RecordDistributionStrategy is always USER_PARTITION_KEY."
        )


async def update_stream_warm_throughput(
    context: Context,
    caller: Caller,
    request: contract.UpdateStreamWarmThroughputRequest,
) -> contract.UpdateStreamWarmThroughputResponse:
    """Refuse it: an embedded stream is as fast as its store."""
    await get_stream(context, request.stream_name, request.stream_arn)
    raise InvalidArgumentException("WarmThroughputMiBps is not available.")


async def describe_limits(
    context: Context, caller: Caller, request: contract.DescribeLimitsRequest
) -> contract.DescribeLimitsResponse:
    """Tell how many shards and streams there are; only a single stream has a limit."""
    usage = await context.store.measure_streams()
    return contract.DescribeLimitsResponse(
        shard_limit=_NO_LIMIT,
        open_shard_count=min(usage.shards, _NO_LIMIT),
        on_demand_stream_count=min(usage.on_demand_streams, _NO_LIMIT),
        on_demand_stream_count_limit=_NO_LIMIT,
    )


async def describe_account_settings(
    context: Context, caller: Caller, request: contract.DescribeAccountSettingsRequest
) -> contract.DescribeAccountSettingsResponse:
    """Tell that nothing is billed."""
    return contract.DescribeAccountSettingsResponse(
        minimum_throughput_billing_commitment=_NOT_COMMITTED
    )


async def update_account_settings(
    context: Context, caller: Caller, request: contract.UpdateAccountSettingsRequest
) -> contract.UpdateAccountSettingsResponse:
    """Take what is so, and refuse a commitment to pay."""
    if request.minimum_throughput_billing_commitment.status != "DISABLED":
        raise InvalidArgumentException(
            "MinimumThroughputBillingCommitment is always DISABLED: nothing is billed."
        )
    return contract.UpdateAccountSettingsResponse(
        minimum_throughput_billing_commitment=_NOT_COMMITTED
    )
