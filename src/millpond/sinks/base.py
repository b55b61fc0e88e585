"""
The sink port: where stream records go, and what every sink promises.

Promises
--------
1. At least once. A record that `put` does not report as failed has reached the stream
   for good. After an error any part of the records may have reached it; the caller
   sends them again, and consumers remove repeats.
2. Order per partition key. Records of one key arrive in the order in which they were
   put, by one caller at a time. A record that fails is not overtaken: `put` reports
   those of its key behind it in the same call as failed too, so that the caller, who
   sends the failed ones again, restores the order.
3. Bytes arrive as they were put. A sink looks into no record. Where the engine removes
   repeats by itself, it is given the message id of a record; a stream then may hold a
   record once that was put twice.
4. A sink's own failures are `SinkError`s; driver errors do not leave it. With
   `SinkUnavailableError` it pays to try again, with `StreamGoneError` it does not.
5. An acknowledgement means that somebody can read the record. A sink reads what kind of
   stream it opens, and refuses one that would not keep what it acknowledges
   (`core.targets`) with `StreamUnfitError`.

The suite in `millpond.testing.sink_contract` checks these for any sink.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, Protocol
from urllib.parse import urlsplit

import msgspec

from millpond.core import targets
from millpond.core.shards import record_bytes
from millpond.core.streaming import StreamRecord
from millpond.core.targets import Target
from millpond.errors import StreamUnfitError

EMBEDDED: Final = "embedded"

UTF8_BYTES_MAX: Final = 4  # of a character
_DATA: Final = attrgetter("data")
_PARTITION_KEY: Final = attrgetter("partition_key")


class FailedRecord(msgspec.Struct, frozen=True):
    """A record that did not reach the stream."""

    index: int  # in the sequence that was put
    reason: str  # one sentence for people
    retryable: bool  # whether the same record may succeed later


class PutResult(msgspec.Struct, frozen=True):
    """How a put went, record by record."""

    failed: tuple[FailedRecord, ...] = ()  # by index


class Sink(Protocol):
    """One stream."""

    @property
    def records_max(self) -> int:
        """How many records one put takes; the caller keeps to it."""
        ...

    @property
    def bytes_max(self) -> int:
        """How many bytes one put takes, partition keys included; the caller too."""
        ...

    @property
    def record_bytes_max(self) -> int:
        """How many bytes one record may have; a larger one is reported as failed."""
        ...

    async def open(self) -> None:
        """
        Reach the stream. Idempotent.

        Raises:
            StreamGoneError: it does not exist; a sink creates no streams.
            StreamUnfitError: it would not keep what it acknowledges.
            SinkUnavailableError: it cannot be reached for now.
        """
        ...

    async def look(self) -> Target:
        """
        Ask what the open stream is like now, and where it stands.

        Raises:
            StreamGoneError, SinkUnavailableError, SinkError: as `open` does; what kind
                of stream it is raises nothing here.
        """
        ...

    async def put(self, records: Sequence[StreamRecord]) -> PutResult:
        """
        Put records into the open stream and wait until they are there. A sink that
        somebody else has closed is out of reach, or opens again.

        Raises:
            StreamGoneError: the stream does not exist any more.
            SinkUnavailableError: it cannot be reached for now.
        """
        ...

    async def aclose(self) -> None:
        """Let go of the stream. Idempotent; raises nothing."""
        ...


class SinkReader(Protocol):
    """One stream, read back as a consumer reads it: everything, in order per key."""

    async def open(self) -> None:
        """
        Reach the stream. Idempotent.

        Raises:
            StreamGoneError, SinkUnavailableError: as `Sink.open` does.
        """
        ...

    async def look(self) -> Target:
        """Ask what the open stream is like; raises as `Sink.look` does."""
        ...

    async def read(self, *, wait_s: float) -> Sequence[StreamRecord]:
        """
        Read on; nothing when the end was reached and nothing came within `wait_s`.

        Raises:
            StreamGoneError, SinkUnavailableError: as `Sink.open` does.
        """
        ...

    async def aclose(self) -> None:
        """Let go of the stream. Idempotent; raises nothing."""
        ...


class PayloadStore(Protocol):
    """Where the records of a stream record go that is too large for its stream."""

    async def put(self, data: bytes, *, name: str, lifetime_s: int) -> str:
        """
        Keep a payload.

        Args:
            data: a JSON array, UTF-8.
            name: 32 hex digits that nobody can guess. A payload of that name is
                replaced, so that a record that is sent again leaves one behind.
            lifetime_s: for at least how long its link is to work.
        Returns:
            A URL from which anyone who holds it can GET the payload, and nothing else.
        Raises:
            SinkUnavailableError: it cannot be kept for now.
            SinkError: it cannot be kept.
            StoreError: it is kept in the store, and the store fails.
        """
        ...

    async def aclose(self) -> None:
        """Let go of the store. Idempotent; raises nothing."""
        ...


def too_large(
    records: Sequence[StreamRecord], record_bytes_max: int
) -> list[FailedRecord]:
    """Find the records that are larger than a stream takes."""
    if _fit_surely(records, record_bytes_max):
        return []
    found = []
    for index, record in enumerate(records):
        size = record_bytes(record.partition_key, record.data)
        if size > record_bytes_max:
            reason = f"It has {size} bytes; the limit is {record_bytes_max}."
            found.append(FailedRecord(index, reason, retryable=False))
    return found


def bytes_at_most(records: Sequence[StreamRecord]) -> int:
    """Measure records together, as if all keys were of the longest characters."""
    keys = sum(map(len, map(_PARTITION_KEY, records)))
    return sum(map(len, map(_DATA, records))) + UTF8_BYTES_MAX * keys


def _fit_surely(records: Sequence[StreamRecord], record_bytes_max: int) -> bool:
    # All at once, and with a bound that nearly always is enough to know.
    longest = max(map(len, map(_DATA, records)), default=0)
    longest_key = max(map(len, map(_PARTITION_KEY, records)), default=0)
    return longest + UTF8_BYTES_MAX * longest_key <= record_bytes_max


def hold_back_followers(
    records: Sequence[StreamRecord], failed: Iterable[FailedRecord]
) -> PutResult:
    """Report with each failed record those of its partition key behind it."""
    given = {each.index: each for each in failed}
    if not given:
        return PutResult()
    first: dict[str, int] = {}  # the first failed record of a partition key
    held: list[FailedRecord] = []
    for index, record in enumerate(records):
        if index in given:
            first.setdefault(record.partition_key, index)
            held.append(given[index])
        elif record.partition_key in first:
            reason = f"It stands behind record {first[record.partition_key]}."
            held.append(FailedRecord(index, reason, retryable=True))
    return PutResult(tuple(held))


def without_failed(
    records: Sequence[StreamRecord], result: PutResult
) -> Sequence[StreamRecord]:
    """Leave out the records that are reported as failed."""
    if not result.failed:
        return records
    failed = {each.index for each in result.failed}
    return [each for index, each in enumerate(records) if index not in failed]


def demand(target: Target) -> None:
    """
    Make sure that a stream keeps what it acknowledges.

    Raises:
        StreamUnfitError: it does not.
    """
    fault = targets.flaw(target)
    if fault is not None:
        raise StreamUnfitError(fault.cause, hint=fault.change)


def sink_url(streams: Mapping[str, str], stream_name: str) -> str:
    """Give the URL of the sink behind a stream; without an entry it is embedded."""
    return streams.get(stream_name, f"{EMBEDDED}:{stream_name}")


def embedded_name(url: str) -> str | None:
    """Give the name of the embedded stream behind a URL; None: it is elsewhere."""
    scheme, _, stream_name = url.partition(":")
    return stream_name if scheme.lower() == EMBEDDED else None


def is_embedded(streams: Mapping[str, str], stream_name: str) -> bool:
    """Say whether a name stands for the embedded stream of that name."""
    return embedded_name(sink_url(streams, stream_name)) == stream_name


def without_secrets(url: str) -> str:
    """
    Show the URL of a sink to people: without user, password and options.

    Of one that looks as if a password with # / or ? in it had cut it short, which
    nobody need have checked before, only the scheme is shown.
    """
    scheme = urlsplit(url.partition(":")[0] + ":").scheme + ":"
    try:
        parts = urlsplit(url)
        hosts = parts.netloc.rpartition("@")[2]
        for host in hosts.split(","):
            _ = urlsplit(f"//{host}").port  # raises when it is no number
    except ValueError:
        return scheme
    if not parts.scheme or parts.fragment or "@" in parts.path + parts.query:
        return scheme  # without scheme it is no URL: `host=... password=...`
    slashes = "//" if url[len(parts.scheme) + 1 :].startswith("//") else ""
    return f"{parts.scheme}:{slashes}{hosts}{parts.path}"
