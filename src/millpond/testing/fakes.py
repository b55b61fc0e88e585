"""Stand-ins for what a test wants to steer: a sink that misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from millpond import limits
from millpond.core.streaming import StreamRecord
from millpond.core.targets import Target
from millpond.errors import SinkUnavailableError
from millpond.sinks import SinkFactory
from millpond.sinks.base import (
    FailedRecord,
    PutResult,
    Sink,
    demand,
    hold_back_followers,
)
from millpond.testing.deadlines import seconds

Trouble = Exception | Sequence[FailedRecord] | Callable[[], Awaitable[object]] | None


class ScriptedSink:
    """
    A sink that keeps what it takes, and fails as its script says.

    Each put consumes one entry of the script: an exception is raised before anything is
    taken; failed records are reported; a function is waited for, then all is taken;
    None takes all. After the script it takes all.
    """

    record_bytes_max = limits.STREAM_RECORD_BYTES_MAX

    def __init__(
        self,
        script: Sequence[Trouble] = (),
        *,
        records_max: int = limits.PUT_RECORDS_MAX,
        bytes_max: int = limits.PUT_RECORDS_BYTES_MAX,
    ) -> None:
        self.script = list(script)
        self.taken: list[StreamRecord] = []
        self.seen: list[Sequence[StreamRecord]] = []
        """What each put was given."""
        self.loses_answers = 0
        """How many of the next puts take everything and fail all the same."""
        self.closed = 0
        self.records_max = records_max
        self.bytes_max = bytes_max
        self.before_put: Callable[[], None] | None = None
        self.target = Target(name="The scripted stream")
        """What the sink says of its stream."""
        self.looks = 0
        """How often it was asked."""
        self._arrival = asyncio.Event()

    @property
    def puts(self) -> int:
        """How many puts there were."""
        return len(self.seen)

    async def open(self) -> None:
        """Refuse what would not keep what it acknowledges."""
        demand(self.target)

    async def look(self) -> Target:
        """Say what the stream is like now."""
        self.looks += 1
        return self.target

    async def put(self, records: Sequence[StreamRecord]) -> PutResult:
        """Take the records, or do what the script says."""
        assert len(records) <= self.records_max
        self.seen.append(records)
        if self.before_put is not None:
            self.before_put()
        trouble = self.script.pop(0) if self.script else None
        if isinstance(trouble, Exception):
            raise trouble
        if callable(trouble):
            await trouble()
            trouble = None
        result = hold_back_followers(records, trouble or ())
        failed = {each.index for each in result.failed}
        self.taken += [r for i, r in enumerate(records) if i not in failed]
        self._arrival.set()
        if self.loses_answers:
            self.loses_answers -= 1
            raise SinkUnavailableError("The connection broke.")
        return result

    async def wait_for(self, count: int, *, timeout_s: float = 10.0) -> None:
        """Wait until so many records have been taken."""
        async with asyncio.timeout(seconds(timeout_s)):
            while len(self.taken) < count:
                self._arrival.clear()
                await self._arrival.wait()

    async def aclose(self) -> None:
        """Count it."""
        self.closed += 1


def scripted_factories(
    roles: list[str | None], **sinks: Sink
) -> dict[str, SinkFactory]:
    """
    Make schemes stand for sinks; streams map to them by settings.

    Args:
        roles: gets the role each time a sink is asked for.
    """

    def factory(sink: Sink) -> SinkFactory:
        def make(url: str, role_arn: str | None) -> Sink:
            roles.append(role_arn)
            return sink

        return make

    return {scheme: factory(sink) for scheme, sink in sinks.items()}
