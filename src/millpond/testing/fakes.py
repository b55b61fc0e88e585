"""Stand-ins for what a test wants to steer: a sink that misbehaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from millpond import limits
from millpond.core.streaming import StreamRecord
from millpond.sinks import SinkFactory
from millpond.sinks.base import FailedRecord, PutResult, Sink, hold_back_followers

Trouble = Exception | Sequence[FailedRecord] | None


class ScriptedSink:
    """
    A sink that keeps what it takes, and fails as its script says.

    Each put consumes one entry of the script: an exception is raised before anything is
    taken; failed records are reported; None takes all. After the script it takes all.
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
        self.puts = 0
        self.records_max = records_max
        self.bytes_max = bytes_max
        self.before_put: Callable[[], None] | None = None

    async def open(self) -> None:
        """Nothing to open."""

    async def put(self, records: Sequence[StreamRecord]) -> PutResult:
        """Take the records, or do what the script says."""
        assert len(records) <= self.records_max
        self.puts += 1
        if self.before_put is not None:
            self.before_put()
        trouble = self.script.pop(0) if self.script else None
        if isinstance(trouble, Exception):
            raise trouble
        result = hold_back_followers(records, trouble or ())
        failed = {each.index for each in result.failed}
        self.taken += [r for i, r in enumerate(records) if i not in failed]
        return result

    async def aclose(self) -> None:
        """Nothing to close."""


def scripted_factories(sink: Sink) -> dict[str, SinkFactory]:
    """Make the scheme `scripted:` stand for a sink; streams map to it by settings."""
    return {"scripted": lambda url, role_arn: sink}
