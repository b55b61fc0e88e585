"""
How long an embedded stream keeps its records: as the setting says, or as it was told.

What is beyond retention is not shown from that moment on; housekeeping drops it later.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from millpond import limits
from millpond.contract import kinesis as contract
from millpond.errors import InvalidArgumentException
from millpond.service.context import Caller, Context
from millpond.service.kinesis.names import get_stream, stream_not_found
from millpond.settings import Settings
from millpond.stores.base import Stream


def retention_hours(settings: Settings, stream: Stream) -> int:
    """Say how long records are kept, in whole hours: rounded up."""
    if stream.retention_hours is not None:
        return stream.retention_hours
    return -(-settings.stream_retention_s // 3600)


def retention_ms(settings: Settings, stream: Stream) -> int:
    """Say how long records are kept."""
    if stream.retention_hours is not None:
        return stream.retention_hours * 3_600_000
    return settings.stream_retention_s * 1000


async def increase_stream_retention_period(
    context: Context,
    caller: Caller,
    request: contract.IncreaseStreamRetentionPeriodRequest,
) -> None:
    """Keep records for longer, or for as long as now."""
    hours = request.retention_period_hours

    def check(stream: Stream) -> None:
        existing = retention_hours(context.settings, stream)
        if hours < existing:
            # AWS: this text.
            raise InvalidArgumentException(
                f"Requested retention period ({hours} hours) for stream "
                f"{stream.stream_name} can not be shorter than existing retention "
                f"period ({existing} hours). Use DecreaseRetentionPeriod API."
            )

    await _change(context, request, check)


async def decrease_stream_retention_period(
    context: Context,
    caller: Caller,
    request: contract.DecreaseStreamRetentionPeriodRequest,
) -> None:
    """Keep records for a shorter time, or for as long as now."""
    hours = request.retention_period_hours

    def check(stream: Stream) -> None:
        existing = retention_hours(context.settings, stream)
        if hours > existing:
            # AWS: this text.
            raise InvalidArgumentException(
                f"Requested retention period ({hours} hours) for stream "
                f"{stream.stream_name} can not be longer than existing retention "
                f"period ({existing} hours). Use IncreaseRetentionPeriod API."
            )

    await _change(context, request, check)


async def _change(
    context: Context,
    request: contract.IncreaseStreamRetentionPeriodRequest
    | contract.DecreaseStreamRetentionPeriodRequest,
    check: Callable[[Stream], None],
) -> None:
    stream = await get_stream(context, request.stream_name, request.stream_arn)
    hours = request.retention_period_hours
    if hours < limits.RETENTION_HOURS_MIN:
        # AWS: this text.
        raise InvalidArgumentException(
            f"Minimum allowed retention period is {limits.RETENTION_HOURS_MIN} hours. "
            f"Requested retention period ({hours} hours) is too short."
        )
    if hours > limits.RETENTION_HOURS_MAX:
        # AWS: this text.
        raise InvalidArgumentException(
            f"Maximum allowed retention period is {limits.RETENTION_HOURS_MAX} hours. "
            f"Requested retention period ({hours} hours) is too long."
        )

    def change(stream: Stream) -> Stream:
        check(stream)
        return msgspec.structs.replace(stream, retention_hours=hours)

    if await context.store.update_stream(stream.stream_id, change) is None:
        raise stream_not_found(context.settings, stream.stream_name)
