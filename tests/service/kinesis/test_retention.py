"""How long an embedded stream keeps its records."""

from __future__ import annotations

import pytest

from millpond.errors import InvalidArgumentException, ResourceNotFoundException

HOUR_MS = 3_600_000
INCREASE = "increase_stream_retention_period"
DECREASE = "decrease_stream_retention_period"


async def retention_of(server):
    """Ask both descriptions for the retention, which must agree."""
    named = {"stream_name": "changes"}
    full = await server.call("describe_stream", **named)
    summary = await server.call("describe_stream_summary", **named)
    hours = full.stream_description.retention_period_hours
    assert hours == summary.stream_description_summary.retention_period_hours
    return hours


async def change(server, operation, hours):
    """Change the retention of the stream `changes`."""
    await server.call(operation, stream_name="changes", retention_period_hours=hours)


def test_the_retention_of_a_stream_changes(play):
    """Up and down within its bounds; what it is already is taken as well."""

    async def scene(server):
        await server.create()
        await server.create("other")
        assert await retention_of(server) == 24
        for operation, hours in (
            (INCREASE, 24),
            (INCREASE, 8760),
            (DECREASE, 8760),
            (DECREASE, 48),
        ):
            await change(server, operation, hours)
            assert await retention_of(server) == hours
        other = await server.call("describe_stream", stream_name="other")
        assert other.stream_description.retention_period_hours == 24

    play(scene)


@pytest.mark.parametrize(
    ("operation", "hours", "message"),
    [
        (
            INCREASE,
            23,
            "Minimum allowed retention period is 24 hours. Requested retention period "
            "(23 hours) is too short.",
        ),
        (
            DECREASE,
            -5,
            "Minimum allowed retention period is 24 hours. Requested retention period "
            "(-5 hours) is too short.",
        ),
        (
            INCREASE,
            8761,
            "Maximum allowed retention period is 8760 hours. Requested retention "
            "period (8761 hours) is too long.",
        ),
        (
            INCREASE,
            47,
            "Requested retention period (47 hours) for stream changes can not be "
            "shorter than existing retention period (48 hours). Use "
            "DecreaseRetentionPeriod API.",
        ),
        (
            DECREASE,
            49,
            "Requested retention period (49 hours) for stream changes can not be "
            "longer than existing retention period (48 hours). Use "
            "IncreaseRetentionPeriod API.",
        ),
    ],
)
def test_other_retentions_are_refused(play, operation, hours, message):
    """In Kinesis's words, and nothing changes."""

    async def scene(server):
        await server.create()
        await change(server, INCREASE, 48)
        told = await server.refused(
            InvalidArgumentException,
            operation,
            stream_name="changes",
            retention_period_hours=hours,
        )

        assert told == message
        assert await retention_of(server) == 48

    play(scene)


def test_the_setting_is_where_a_stream_begins(play):
    """A stream of its own retention does not follow the setting any more."""

    async def scene(server):
        await server.create()
        assert await retention_of(server) == 168
        await change(server, DECREASE, 24)
        assert await retention_of(server) == 24

    play(scene, stream_retention_s=7 * 86_400)


def test_a_stream_must_be_here(play):
    """An unknown stream, and one of another account, are not found."""

    async def scene(server):
        arn = "arn:aws:kinesis:us-east-1:111111111111:stream/changes"
        await server.create()
        for operation in (INCREASE, DECREASE):
            for named in ({"stream_name": "other"}, {"stream_arn": arn}):
                await server.refused(
                    ResourceNotFoundException,
                    operation,
                    retention_period_hours=24,
                    **named,
                )
            await server.refused(
                InvalidArgumentException, operation, retention_period_hours=24
            )

    play(scene)


def test_records_are_read_for_as_long_as_the_stream_says(play):
    """Longer than the setting, and not a moment longer than it is told."""

    async def scene(server):
        await server.create()
        await change(server, INCREASE, 48)
        await server.put(b"old")
        server.now_ms += 47 * HOUR_MS
        await server.put(b"young")
        await purge(server)

        assert await server.read_data() == [b"old", b"young"]
        await change(server, DECREASE, 24)
        assert await server.read_data() == [b"young"]
        await purge(server)
        await change(server, INCREASE, 48)
        assert await server.read_data() == [b"young"]

    play(scene)


async def purge(server):
    """Drop what nobody can reach, as housekeeping does."""
    while await server.store.purge(
        now_ms=server.now_ms, stream_retention_ms=24 * HOUR_MS, limit=1000
    ):
        pass
