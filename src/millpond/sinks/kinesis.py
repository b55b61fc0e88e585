"""
The Kinesis sink: a stream in Amazon Kinesis, or behind anything that speaks its API.

Theory of operation
-------------------
`PutRecords` takes some records and refuses others, and goes on behind a refused one. So
what is refused is sent again together with everything of its partition key behind it,
taken or not: the stream then ends with the records of the key in their order. The same
goes for records that Kinesis has taken out of order, which it reserves the right to do.

A call whose answer is lost is repeated, too, so a stream may hold records twice. The
repeats of one put are bounded in number and time, well below the time for which a
worker holds what it publishes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any, Final

from millpond import limits
from millpond.core.shards import record_bytes
from millpond.core.streaming import StreamRecord
from millpond.core.targets import Target
from millpond.errors import AwsError, SinkUnavailableError
from millpond.sinks.base import FailedRecord, PutResult, demand, hold_back_followers
from millpond.sinks.kinesis_api import (
    SCHEME,
    KinesisApi,
    StreamAddress,
    read_address,
    unreadable,
)
from millpond.sinks.kinesis_reader import KinesisReader

ATTEMPTS_MAX: Final = 8
FIRST_PAUSE_S: Final = 0.1
PAUSE_S_MAX: Final = 4.0
ATTEMPTS_S: Final = 20.0  # no attempt begins later than this
PUT_S_MAX: Final = 35.0  # no put takes longer; a worker's lease is 60 s


class KinesisSink:
    """A Kinesis stream as a sink."""

    records_max: Final = limits.PUT_RECORDS_MAX
    bytes_max: Final = limits.PUT_RECORDS_BYTES_MAX
    record_bytes_max: Final = limits.STREAM_RECORD_BYTES_MAX

    def __init__(self, address: StreamAddress) -> None:
        self._address = address
        self._api: KinesisApi | None = None

    def __repr__(self) -> str:
        state = "closed" if self._api is None else "open"
        return f"<KinesisSink {SCHEME}://{self._address.name}, {state}>"

    async def open(self) -> None:
        if self._api is not None:
            return
        api = KinesisApi(self._address)
        try:
            demand(await api.look())
        except BaseException:
            await api.aclose()
            raise
        self._api = api

    async def look(self) -> Target:
        if self._api is None:
            raise self._not_open()
        return await self._api.look()

    async def put(self, records: Sequence[StreamRecord]) -> PutResult:
        if self._api is None:
            raise self._not_open()
        refused = self._refused(records)
        result = hold_back_followers(records, refused)
        held_back = {each.index for each in result.failed}
        pending = [i for i in range(len(records)) if i not in held_back]
        try:
            async with asyncio.timeout(PUT_S_MAX):
                failed = await self._put_all(self._api, records, pending)
        except TimeoutError as error:
            raise SinkUnavailableError(
                f"Stream '{self._address.name}' did not take records in {PUT_S_MAX} s."
            ) from error
        return hold_back_followers(records, [*refused, *failed])

    async def aclose(self) -> None:
        api, self._api = self._api, None
        if api is not None:
            await api.aclose()

    def _not_open(self) -> SinkUnavailableError:
        return SinkUnavailableError(f"Stream '{self._address.name}' is not open.")

    def _refused(self, records: Sequence[StreamRecord]) -> list[FailedRecord]:
        """Find the records that Kinesis would refuse, and all others with them."""
        found = []
        for index, record in enumerate(records):
            size = record_bytes(record.partition_key, record.data)
            if size > self.record_bytes_max:
                reason = f"It has {size} bytes; the limit is {self.record_bytes_max}."
            elif not record.partition_key:
                reason = "Its partition key is empty."
            elif len(record.partition_key) > limits.PARTITION_KEY_CHARS_MAX:
                reason = (
                    f"Its partition key has {len(record.partition_key)} characters; "
                    f"the limit is {limits.PARTITION_KEY_CHARS_MAX}."
                )
            else:
                continue
            found.append(FailedRecord(index, reason, retryable=False))
        return found

    async def _put_all(
        self, api: KinesisApi, records: Sequence[StreamRecord], pending: list[int]
    ) -> Sequence[FailedRecord]:
        """
        Put the records of some indexes, again and again; give those that stay out.

        Raises:
            SinkError: the last attempt failed as a whole.
        """
        loop = asyncio.get_running_loop()
        last_start_s = loop.time() + ATTEMPTS_S
        attempt = 0
        failed: Sequence[FailedRecord] = ()
        while pending:
            attempt += 1
            pause_s = _pause_s(attempt)
            is_last = attempt == ATTEMPTS_MAX or loop.time() + pause_s > last_start_s
            try:
                failed = await self._put_once(api, records, pending)
            except AwsError as error:
                is_closed = self._api is not api  # by somebody else, meanwhile
                if is_last or is_closed or not error.retryable:
                    raise api.translated(error) from error
            else:
                pending = [each.index for each in failed]
                if is_last or not pending:
                    break
            await asyncio.sleep(pause_s)
        return failed

    async def _put_once(
        self, api: KinesisApi, records: Sequence[StreamRecord], pending: Sequence[int]
    ) -> Sequence[FailedRecord]:
        """Put records once; give those that must be put again, followers included."""
        answer = await api.call(
            "put_records",
            gives="Records",
            StreamName=api.name,
            Records=[
                {"PartitionKey": records[i].partition_key, "Data": records[i].data}
                for i in pending
            ],
        )
        entries = answer["Records"]
        if len(entries) != len(pending):
            raise unreadable()
        failed = _failed(records, pending, entries)
        # Followers that never were in this call are held back already, for good.
        sent = set(pending)
        every = hold_back_followers(records, failed).failed
        return [each for each in every if each.index in sent]


def _failed(
    records: Sequence[StreamRecord], pending: Sequence[int], entries: Sequence[Any]
) -> list[FailedRecord]:
    """Find what was refused, or taken behind what follows it in its partition key."""
    failed = []
    newest: dict[str, tuple[int, str]] = {}  # sequence numbers, by partition key
    for index, entry in zip(pending, entries, strict=True):
        key = records[index].partition_key
        code = entry.get("ErrorCode")
        number = entry.get("SequenceNumber") or ""
        rank = (len(number), number)  # as numbers: they have no leading zeros
        if code or not number:
            reason = f"Kinesis answers {code}: {entry.get('ErrorMessage')}"
        elif rank < newest.get(key, (0, "")):
            reason = "Kinesis has put it before earlier records of its partition key."
        else:
            newest[key] = rank
            continue
        failed.append(FailedRecord(index, reason, retryable=True))
    return failed


def _pause_s(attempt: int) -> float:
    """Say how long to wait after so many attempts: doubling, with jitter."""
    whole: float = min(FIRST_PAUSE_S * 2 ** (attempt - 1), PAUSE_S_MAX)
    return whole * random.uniform(0.5, 1.0)


def make_sink(url: str, role_arn: str | None) -> KinesisSink:
    """
    Make the sink of a Kinesis URL.

    Args:
        role_arn: to assume when the URL names no role.
    Raises:
        SettingsError: the URL says too little or too much.
    """
    return KinesisSink(read_address(url, role_arn))


def make_reader(url: str, *, from_end: bool) -> KinesisReader:
    """
    Make a reader of the stream behind a Kinesis URL.

    Args:
        from_end: begin with what arrives after opening, not with the oldest record.
    Raises:
        SettingsError: the URL says too little or too much.
    """
    return KinesisReader(read_address(url), from_end=from_end)
