"""
A put into a NATS stream, on its way.

Order
-----
The server removes repeats by message id, and so keeps a record where it arrived first.
If all records of a put were on their way at once and one was lost, those behind it
would be stored before it; sent again, they would be dropped as repeats, and the lost
one would stay at its wrong place for good. So within a put, a record is sent only after
the record before it of the same partition key was acknowledged: a chain for each key,
all chains at once. A record that fails ends its chain.

What is not acknowledged is sent again, on a new connection when the old one fell
silent, for `patience_s` seconds: a cluster elects a new leader in a few. A repeat has
the same message id, and there is one record of a key on its way, so repeats do no harm.

A repeat that is no repeat
--------------------------
The server remembers ids for as long as its window of duplicates, also those of messages
that were purged, expired or dropped since. It acknowledges such a record as one that it
has, and the stream would keep a hole. So what is called a duplicate is believed only
while the message that is meant is still there; otherwise the record is sent again under
an id of its own, and so is what follows it in its chain, to stand behind it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Sequence
from typing import Final, Protocol
from urllib.parse import quote

import msgspec
import nats.errors
from nats.aio.msg import Msg

from millpond.core.shards import record_bytes
from millpond.core.streaming import StreamRecord
from millpond.errors import SinkError, SinkUnavailableError
from millpond.sinks.base import FailedRecord
from millpond.sinks.nats_connection import (
    CONNECT_S,
    NatsAddress,
    NatsConnection,
    reason_of,
)
from millpond.sinks.nats_reader import PARTITION_KEY
from millpond.sinks.nats_stream import ApiError

SILENCE_S: Final = 4.0
"""How long the connection may be silent while answers are due; then it is replaced."""
TICK_S: Final = 0.25
"""How long to wait before asking again, and how often to look at the clock."""

EXCEEDS_MAXIMUM: Final = 10054  # NATS: larger than max_msg_size
HEADER_TOO_LARGE: Final = 10097
SEALED: Final = 10109
OTHER_STREAM: Final = 10060  # the subject belongs to another stream
FULL: Final = {10002, 10023, 10028, 10047, 10077}
"""Of stream, account or disk: not a matter of seconds."""
WORTH_A_REPEAT: Final = {408, 429, 503}
DUPLICATE_IN_PROCESS: Final = 10158  # the same message id is being stored just now


class Connected(Protocol):
    """What a put needs of its sink."""

    address: NatsAddress

    @property
    def is_open(self) -> bool: ...

    @property
    def record_bytes_max(self) -> int: ...

    @property
    def message_bytes_max(self) -> int: ...

    @property
    def current(self) -> tuple[NatsConnection, str] | None: ...

    async def connected(self) -> tuple[NatsConnection, str]: ...


class NatsPut:
    """One put on its way: a chain for each partition key."""

    def __init__(
        self,
        sink: Connected,
        subject: str,
        number: str,
        records: Sequence[StreamRecord],
    ) -> None:
        self.failed: dict[int, FailedRecord] = {}
        self.acknowledged = 0
        self._sink = sink
        self._subject = subject
        self._number = number
        self._records = records
        self._next: dict[int, int] = {}  # the record behind one in its chain
        self._ready: list[int] = []  # to be sent
        self._sent: set[int] = set()  # to be acknowledged
        self._again: list[int] = []  # to be sent again after a pause
        self._doubtful: dict[int, int] = {}  # duplicates, and of which message
        self._renewed: set[int] = set()  # these need a message id of their own
        self._renewal = secrets.token_hex(4)
        self._room = _HEADER_NAMES_BYTES + len(sink.address.stream_name.encode())
        self._in_doubt = False  # whether the stream still exists
        self._reason = "no acknowledgement in time"
        self._heard_at = 0.0
        self._wakes = asyncio.Event()
        self.wake = self._wakes.set
        self._link()

    def _link(self) -> None:
        """Put the records in their chains; one that is too large ends its own."""
        last: dict[str, int] = {}
        for index, record in enumerate(self._records):
            key = record.partition_key
            before = last.get(key)
            if before in self.failed:
                continue
            last[key] = index
            if not self._check_size(index, record):
                continue
            if before is None:
                self._ready.append(index)
            else:
                self._next[before] = index

    def _check_size(self, index: int, record: StreamRecord) -> bool:
        limit = self._sink.record_bytes_max
        size = record_bytes(record.partition_key, record.data)
        if size <= limit:
            # A long key or message id may still be too much.
            limit = self._sink.message_bytes_max
            if self._fits_surely(record, limit):
                return True
            size = len(record.data) + _header_bytes(self._headers(record))
            size += 1 + len(self._renewal) if record.message_id else 0
        if size <= limit:
            return True
        self._fail(index, f"It has {size} bytes; the limit is {limit}.", False)
        return False

    def _fits_surely(self, record: StreamRecord, limit: int) -> bool:
        # A character of a header is quoted with twelve at most.
        names = len(record.partition_key) + len(record.message_id)
        return len(record.data) + 12 * names + self._room <= limit

    def _headers(self, record: StreamRecord, index: int = -1) -> dict[str, str]:
        headers = {
            "Nats-Expected-Stream": self._sink.address.stream_name,
            PARTITION_KEY: _quoted(record.partition_key, safe=":"),
        }
        if record.message_id:
            message_id = _quoted(record.message_id, safe=":/")
            if index in self._renewed:
                message_id = f"{message_id}~{self._renewal}"
            headers["Nats-Msg-Id"] = message_id
        return headers

    async def run(self, deadline: float) -> None:
        """
        Send the records, and again what is not acknowledged.

        Args:
            deadline: of the monotonic clock; what is not acknowledged by then failed.
        Raises:
            StreamGoneError, SinkError, SinkUnavailableError: as `Sink.put` does.
        """
        used: NatsConnection | None = None
        while self._ready or self._sent or self._again or self._doubtful:
            if not self._sink.is_open:
                raise SinkUnavailableError(
                    f"NATS stream '{self._sink.address.stream_name}' was closed in the "
                    "middle of a put."
                )
            if time.monotonic() >= deadline:
                self._give_up()
                return
            try:
                connection, inbox = await self._connected(deadline)
                if connection is not used:
                    used = connection
                    self._send_again(self._sent)
                if self._again:
                    await self._look_around(connection)
                if self._doubtful:
                    await self._look_for_duplicates(connection)
                await self._send(connection, inbox)
            except SinkUnavailableError as error:
                self._reason = str(error).rstrip(".")
                await asyncio.sleep(TICK_S)
                continue
            await self._wait(connection)

    async def _connected(self, deadline: float) -> tuple[NatsConnection, str]:
        """Give the connection; wait for a new one not much longer than allowed."""
        current = self._sink.current
        if current is not None:
            return current
        wait_s = max(deadline - time.monotonic(), 0) + CONNECT_S
        try:
            async with asyncio.timeout(wait_s):
                return await self._sink.connected()
        except TimeoutError as error:
            raise SinkUnavailableError("No NATS server answered in time.") from error

    async def _send(self, connection: NatsConnection, inbox: str) -> None:
        publish = connection.client.publish
        ready, self._ready = self._ready, []
        if ready and not self._sent:
            self._heard_at = time.monotonic()
        for position, index in enumerate(ready):
            record = self._records[index]
            try:
                if not connection.usable:
                    raise nats.errors.ConnectionClosedError
                self._sent.add(index)
                await publish(
                    self._subject,
                    record.data,
                    f"{inbox}{self._number}-{index}",
                    self._headers(record, index),
                )
            except (nats.errors.Error, OSError) as error:
                self._sent.discard(index)
                self._ready += ready[position:]
                raise SinkUnavailableError(
                    f"The connection to NATS was lost: {reason_of(error)}."
                ) from error

    async def _wait(self, connection: NatsConnection) -> None:
        """Wait until there is something to do, or to look at the clock."""
        idle = not (self._ready or self._again or self._doubtful)
        if idle and self._sent:
            timer = asyncio.get_running_loop().call_later(TICK_S, self.wake)
            try:
                await self._wakes.wait()
            finally:
                timer.cancel()
        self._wakes.clear()
        if connection.refusal:
            raise SinkError(
                f"NATS stream '{self._sink.address.stream_name}': {connection.refusal}"
            )
        silent_s = time.monotonic() - self._heard_at
        if self._sent and silent_s > SILENCE_S and connection.usable:
            connection.give_up()

    async def _look_around(self, connection: NatsConnection) -> None:
        """See whether the stream is still there, and pause before the next try."""
        if self._in_doubt:
            self._in_doubt = False
            await connection.find_stream()
        await asyncio.sleep(TICK_S)
        self._send_again(self._again)

    async def _look_for_duplicates(self, connection: NatsConnection) -> None:
        """See whether the messages that records are called duplicates of are there."""
        stream = await connection.find_stream()
        doubtful, self._doubtful = self._doubtful, {}
        for index, sequence in doubtful.items():
            # One between others may be gone, too. A repeat too many does no harm.
            if sequence < stream.first_sequence or stream.has_gaps:
                self._renewed.add(index)
                self._ready.append(index)
            else:
                self._take_acknowledgement(index)

    def _send_again(self, indexes: set[int] | list[int]) -> None:
        self._ready += sorted(indexes)
        indexes.clear()

    def _give_up(self) -> None:
        for index in (*self._ready, *self._sent, *self._again, *self._doubtful):
            self._fail(index, f"{self._reason}.", True)

    def _fail(self, index: int, reason: str, retryable: bool) -> None:
        self.failed[index] = FailedRecord(index, reason, retryable=retryable)

    def take_answer(self, index: int, message: Msg) -> None:
        """Take what the stream says to one record."""
        if index not in self._sent:
            return  # an answer to a record that was sent twice
        self._sent.discard(index)
        self._heard_at = time.monotonic()
        answer = _read_answer(message)
        if answer.error is not None:
            self._take_error(index, answer.error)
        elif answer.duplicate:
            self._doubtful[index] = answer.seq
        else:
            self._take_acknowledgement(index)
        self.wake()

    def _take_acknowledgement(self, index: int) -> None:
        self.acknowledged += 1
        following = self._next.get(index)
        if following is not None:
            if index in self._renewed:
                self._renewed.add(following)
            self._ready.append(following)

    def _take_error(self, index: int, error: ApiError) -> None:
        reason = error.description
        if error.err_code in (EXCEEDS_MAXIMUM, HEADER_TOO_LARGE):
            self._fail(index, f"It is too large for the stream: {reason}.", False)
        elif error.err_code not in FULL and (
            error.code in WORTH_A_REPEAT
            or error.err_code in (OTHER_STREAM, SEALED, DUPLICATE_IN_PROCESS)
        ):
            # That the stream is gone or sealed is seen when it is looked up.
            self._reason = reason
            self._in_doubt |= error.err_code != DUPLICATE_IN_PROCESS
            self._again.append(index)
        else:
            self._fail(index, f"{reason}.", True)


_is_plain = re.compile(r"[A-Za-z0-9_.~:-]*").fullmatch
_HEADER_NAMES_BYTES: Final = (
    256  # what headers have besides values; more than they have
)


class _Answer(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: ApiError | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_NO_RESPONDERS = ApiError(503, 0, "no stream takes records for this subject just now")
_NOT_UNDERSTOOD = ApiError(503, 0, "the answer is not one of JetStream")


def _read_answer(message: Msg) -> _Answer:
    """Read an answer; without an error it says that the record is in the stream."""
    if not message.data:
        return _Answer(error=_NO_RESPONDERS)
    try:
        answer = _decode_answer(message.data)
    except msgspec.MsgspecError:
        return _Answer(error=_NOT_UNDERSTOOD)
    if answer.error is None and not answer.stream:
        return _Answer(error=_NOT_UNDERSTOOD)
    return answer


def _quoted(text: str, *, safe: str) -> str:
    """Quote as in a URL; most names have nothing to quote, which is seen at once."""
    return text if _is_plain(text) else quote(text, safe=safe)


def _header_bytes(headers: dict[str, str]) -> int:
    """Measure headers as the server does: `NATS/1.0`, lines, an empty line."""
    return 12 + sum(len(name) + len(value) + 4 for name, value in headers.items())
