"""
SubscribeToShard: the events of one subscription, until it ends.

The reader is sent an event at once, so that it knows that it listens, then the records
as they come, and an event without any whenever there were none for a while: SDKs take
a connection that is silent for dead.
"""

from __future__ import annotations

from typing import Final

from millpond import limits
from millpond.contract import kinesis as contract
from millpond.core import shards
from millpond.errors import ResourceInUseException
from millpond.service.context import Caller, Context
from millpond.service.kinesis.names import (
    consumer_not_found,
    get_consumer,
    stream_not_found,
)
from millpond.service.kinesis.positions import (
    Read,
    Start,
    find_position,
    find_shard,
    read_behind,
    refuse_dry_run,
)
from millpond.service.subscriptions import Place, Seat
from millpond.stores.base import Stream, StreamConsumer

SILENCE_MS_MAX: Final = 5000  # KCL warns after 35 s, boto3 gives up after 60 s
CHECK_MS: Final = 2500  # how often it is looked whether stream and consumer are there
POLL_S: Final = 0.5  # for what another server has put


class Subscription:
    """The events of a consumer at a shard. `close` it in any case."""

    def __init__(
        self,
        context: Context,
        stream: Stream,
        consumer: StreamConsumer,
        shard: int,
        after: int,
        seat: Seat,
    ) -> None:
        """
        Args:
            after: the position to begin behind.
        """
        self._context = context
        self._stream = stream
        self._consumer = consumer
        self._shard = shard
        self._after = after
        self._seat = seat
        now_ms = context.now_ms()
        self._expires_ms = now_ms + limits.SUBSCRIPTION_S * 1000
        self._told_ms: int | None = None  # when the last event went; None: none did
        self._checked_ms = now_ms

    async def next_event(self) -> contract.SubscribeToShardEvent | None:
        """
        Wait for the next event; None: it has ended.

        Raises:
            ResourceInUseException: another subscription took over.
            ResourceNotFoundException: the stream or the consumer is gone.
        """
        while not self._has_ended():
            await self._check()
            self._seat.expect()
            read = await read_behind(
                self._context,
                self._stream,
                self._shard,
                self._after,
                limit=limits.EVENT_RECORDS_MAX,
                bytes_max=limits.EVENT_BYTES_MAX,
            )
            if self._has_ended():  # what was read meanwhile is for another one to read
                break
            now_ms = self._context.now_ms()
            told_ms = self._told_ms
            if read.records or told_ms is None or now_ms - told_ms >= SILENCE_MS_MAX:
                self._told_ms = now_ms
                return self._event(read)
            left_ms = min(told_ms + SILENCE_MS_MAX, self._expires_ms) - now_ms
            await self._seat.wait(min(POLL_S, max(left_ms, 0) / 1000))
        if self._seat.taken_over:
            raise ResourceInUseException(
                f"Another subscription of consumer {self._consumer.consumer_name} to "
                f"shard {shards.shard_id(self._shard)} took over."
            )
        return None

    @property
    def seconds_left(self) -> float:
        """For how long the reader may take for an event."""
        return max(self._expires_ms - self._context.now_ms(), 0) / 1000

    async def wait_for_end(self) -> None:
        """Wait until it was ended, by the reader, another one or the server."""
        await self._seat.wait_for_end()

    def end(self) -> None:
        """End it: the reader is gone."""
        self._seat.end()

    def close(self) -> None:
        """Give the place free."""
        self._seat.leave()

    def _has_ended(self) -> bool:
        return self._seat.ended or self._context.now_ms() >= self._expires_ms

    async def _check(self) -> None:
        """Look now and then whether the stream and the consumer are still there."""
        now_ms = self._context.now_ms()
        if 0 <= now_ms - self._checked_ms < CHECK_MS:
            return
        self._checked_ms = now_ms
        store, stream = self._context.store, self._stream
        found = await store.find_stream(stream.stream_name)
        if found is None or found.stream_id != stream.stream_id:
            raise stream_not_found(self._context.settings, stream.stream_name)
        self._stream = found  # its retention may be another one now
        name = self._consumer.consumer_name
        consumer = await store.find_stream_consumer(stream.stream_id, name)
        if (
            consumer is None
            or consumer.creation_date_ms != self._consumer.creation_date_ms
        ):
            raise consumer_not_found(self._context, name)

    def _event(self, read: Read) -> contract.SubscribeToShardEvent:
        self._after = read.after
        return contract.SubscribeToShardEvent(
            records=read.records,
            continuation_sequence_number=shards.sequence_number(
                self._stream.stream_id, read.after, self._shard
            ),
            millis_behind_latest=read.millis_behind_latest,
        )


async def subscribe_to_shard(
    context: Context, caller: Caller, request: contract.SubscribeToShardRequest
) -> Subscription:
    """Begin to read a shard; whoever gets the answer has to close it."""
    refuse_dry_run(request.dry_run)
    stream, consumer = await get_consumer(context, consumer_arn=request.consumer_arn)
    shard = find_shard(context, stream, request.shard_id)
    position = request.starting_position
    start = Start(
        "SubscribeToShard",
        request.shard_id,
        position.type,
        position.sequence_number,
        position.timestamp,
    )
    now_ms = context.now_ms()
    after = await find_position(context, stream, shard, start, now_ms)
    place = Place(
        stream.stream_id, consumer.consumer_name, consumer.creation_date_ms, shard
    )
    seat = context.subscriptions.take(place, now_ms=now_ms)
    return Subscription(context, stream, consumer, shard, after, seat)
