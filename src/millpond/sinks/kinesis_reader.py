"""
The reader of a Kinesis stream: all shards, in order for each partition key.

A shard that was split or merged ends, and its children go on with its partition keys.
So a child is read when its parents have been read to their end; parents that retention
has taken away count as read.

A reader can tell how far it is, and another one go on from there. A place that the
stream does not know any more is the beginning of its shard: better twice than never.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from millpond.core.streaming import StreamRecord
from millpond.core.targets import Target
from millpond.errors import AwsError, SinkUnavailableError
from millpond.sinks.kinesis_api import SCHEME, KinesisApi, StreamAddress

PAUSE_S: Final = 0.25  # AWS: a shard may be read five times per second
THROTTLED_PAUSE_S: Final = 1.0  # AWS: GetRecords, what to do when it is throttled
THROTTLED_S_MAX: Final = 60.0
READ: Final = "read"  # the place behind a shard that has ended


@dataclass
class _Shard:
    """How far a shard has been read."""

    shard_id: str
    parents: tuple[str, ...]
    latest: bool = False  # read from its end, not from its beginning
    opened: datetime = field(default_factory=lambda: datetime.now(UTC))
    iterator: str | None = None
    sequence_number: str = ""  # of the last record read; empty: none yet
    is_done: bool = False
    is_behind: bool = True  # there may be more to read at once
    behind_ms: int = 0  # how old what is not read may be
    is_resumed: bool = False  # the sequence number comes from another reader


class KinesisReader:
    """A Kinesis stream, read back."""

    def __init__(self, address: StreamAddress, *, from_end: bool) -> None:
        self._address = address
        self._from_end = from_end
        self._api: KinesisApi | None = None
        self._shards: dict[str, _Shard] = {}
        self._places: Mapping[str, str] = {}
        self.lost_places = 0
        """Of shards in which what follows the place of another reader is gone."""
        self._turns: deque[str] = deque()  # shard ids; the first is read next

    def __repr__(self) -> str:
        state = "closed" if self._api is None else "open"
        return f"<KinesisReader {SCHEME}://{self._address.name}, {state}>"

    def resume(self, places: Mapping[str, str]) -> None:
        """Go on, once it is opened, where another reader of the stream was."""
        self._places = dict(places)

    @property
    def places(self) -> dict[str, str]:
        """How far it is, by shard: behind this sequence number, or `READ`."""
        return {
            each.shard_id: READ if each.is_done else each.sequence_number
            for each in self._shards.values()
            if each.is_done or each.sequence_number
        }

    @property
    def behind_ms(self) -> int:
        """How old the oldest record may be that was not read; 0: none is known of."""
        return max((each.behind_ms for each in self._shards.values()), default=0)

    async def open(self) -> None:
        if self._api is not None:
            return
        api = KinesisApi(self._address)
        self._shards.clear()
        self._turns.clear()
        try:
            await api.look()
            try:
                await self._list(api, latest=self._from_end)
                if self._from_end:  # from now on, not from the first read on
                    for shard in self._readable():
                        await self._find_iterator(api, shard)
            except AwsError as error:
                raise api.translated(error) from error
        except BaseException:
            await api.aclose()
            raise
        self._api = api

    async def look(self) -> Target:
        if self._api is None:
            raise self._not_open()
        return await self._api.look()

    async def read(self, *, wait_s: float) -> Sequence[StreamRecord]:
        if self._api is None:
            raise self._not_open()
        api = self._api
        loop = asyncio.get_running_loop()
        wait_until_s = loop.time() + wait_s
        patient_until_s = loop.time() + max(wait_s, THROTTLED_S_MAX)
        while True:
            throttled: AwsError | None = None
            for shard in list(self._readable()):
                self._turns.remove(shard.shard_id)
                self._turns.append(shard.shard_id)
                try:
                    records = await self._read_shard(api, shard)
                except AwsError as error:
                    if not (error.retryable and error.op):
                        raise api.translated(error) from error
                    throttled = error
                    continue
                if records:
                    return records
            now_s = loop.time()
            if throttled is not None:
                if now_s >= patient_until_s:
                    raise api.translated(throttled) from throttled
                await asyncio.sleep(THROTTLED_PAUSE_S)
            elif any(shard.is_behind for shard in self._readable()):
                await asyncio.sleep(PAUSE_S)
            elif now_s >= wait_until_s:
                return []
            else:
                await asyncio.sleep(min(PAUSE_S, wait_until_s - now_s))

    def _not_open(self) -> SinkUnavailableError:
        return SinkUnavailableError(f"Stream '{self._address.name}' is not open.")

    async def aclose(self) -> None:
        api, self._api = self._api, None
        if api is not None:
            await api.aclose()

    def _readable(self) -> Iterator[_Shard]:
        """List the shards that are not read yet and whose parents are, in turn."""
        for shard_id in self._turns:
            shard = self._shards[shard_id]
            parents = (self._shards.get(each) for each in shard.parents)
            if not shard.is_done and all(p is None or p.is_done for p in parents):
                yield shard

    async def _read_shard(
        self, api: KinesisApi, shard: _Shard
    ) -> Sequence[StreamRecord]:
        """Read one page of a shard; a shard that ended makes way for its children."""
        if shard.iterator is None and not await self._find_iterator(api, shard):
            return []
        try:
            answer = await api.call(
                "get_records", gives="Records", ShardIterator=shard.iterator
            )
        except AwsError as error:
            if error.code != "ExpiredIterator":
                raise
            shard.iterator, shard.is_behind = None, True
            return []
        records = answer["Records"]
        if records:
            shard.sequence_number = records[-1]["SequenceNumber"]
        shard.iterator = answer.get("NextShardIterator")
        shard.behind_ms = answer.get("MillisBehindLatest") or 0
        shard.is_behind = bool(records or shard.behind_ms)
        shard.is_resumed = False
        if shard.iterator is None:
            await self._list(api)
            shard.is_done = True
        return [StreamRecord(each["PartitionKey"], each["Data"]) for each in records]

    async def _find_iterator(self, api: KinesisApi, shard: _Shard) -> bool:
        """Find where to go on in a shard; say whether there still is such a shard."""
        start: dict[str, Any]
        if shard.sequence_number:
            start = {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": shard.sequence_number,
            }
        elif not shard.latest:
            start = {"ShardIteratorType": "TRIM_HORIZON"}
        elif self._api is None:  # while opening
            start = {"ShardIteratorType": "LATEST"}
        else:  # the first iterator has expired; LATEST would pass over records
            start = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": shard.opened}
        try:
            answer = await api.call(
                "get_shard_iterator",
                gives="ShardIterator",
                StreamName=api.name,
                ShardId=shard.shard_id,
                **start,
            )
        except AwsError as error:
            if error.code == "InvalidArgument" and shard.is_resumed:
                # A stream of that name was made anew, or has forgotten the place.
                shard.sequence_number, shard.is_resumed = "", False
                self.lost_places += 1
                return await self._find_iterator(api, shard)
            if error.code != "ResourceNotFound":
                raise
            # Retention takes closed shards away; only a stream that is gone is amiss.
            listed = await self._list(api)
            if shard.shard_id in listed:
                raise
            shard.is_done = True
            return False
        shard.iterator = answer["ShardIterator"]
        return True

    async def _list(self, api: KinesisApi, *, latest: bool = False) -> set[str]:
        """
        List the shards, and take up those that are new.

        Args:
            latest: begin at their end; those that are closed hold nothing then.
        Returns:
            The ids of all shards that there are.
        """
        listed = set()
        request: dict[str, str] | None = {"StreamName": api.name}
        while request is not None:
            answer = await api.call("list_shards", gives="Shards", **request)
            for each in answer["Shards"]:
                listed.add(each["ShardId"])
                if each["ShardId"] not in self._shards:
                    self._take_up(each, latest=latest)
            token = answer.get("NextToken")
            request = {"NextToken": token} if token else None
        return listed

    def _take_up(self, listed: dict[str, Any], *, latest: bool) -> None:
        names = ("ParentShardId", "AdjacentParentShardId")
        shard = _Shard(
            listed["ShardId"],
            tuple(listed[name] for name in names if listed.get(name)),
            latest=latest,
        )
        is_closed = "EndingSequenceNumber" in listed["SequenceNumberRange"]
        shard.is_done = latest and is_closed
        place = self._places.get(shard.shard_id, "")
        if place == READ:
            shard.is_done = True
        elif place:
            shard.sequence_number, shard.is_resumed = place, True
        self._shards[shard.shard_id] = shard
        self._turns.append(shard.shard_id)
