"""
The Kafka sink: a topic, keyed by the partition key of its records.

Order
-----
All records of a put are handed to librdkafka at once. Its idempotent producer repeats
what was not acknowledged, without doubles and in order within a partition; a key always
goes to the same one. At the first record that it gives up, what is still in its hands
is thrown away (`purge`), the producer with it, and the next put begins with a new one.
So nothing is delivered behind the caller's back, and the records of a key behind a
failed one are reported as failed too. One of those may have slipped through in that
moment; it is reported as failed all the same, and sent again in its place.

The callbacks of the driver come in a thread of the sink's own, which waits in `poll`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from millpond.core.streaming import StreamRecord
from millpond.core.targets import Target
from millpond.errors import SinkError, SinkUnavailableError
from millpond.sinks.base import FailedRecord, PutResult, demand, hold_back_followers
from millpond.sinks.kafka_connection import (
    LOOKUP_S,
    MESSAGE_BYTES_MAX,
    KafkaAddress,
    Troubles,
    driver_settings,
    find_places,
    find_topic,
    read_address,
    reason_of,
    unavailable,
)
from millpond.sinks.kafka_reader import MESSAGE_ID, make_reader
from millpond.sinks.kafka_topic import TopicInfo, topic_target

__all__ = ["KafkaSink", "make_reader", "make_sink"]

PATIENCE_S: Final = 20.0
POLL_S: Final = 0.25
LOOK_S: Final = 1.0
CLOSE_S: Final = 2.0
LINGER_MS: Final = 5
BYTES_MAX: Final = 8 * 1024 * 1024
BATCH_BYTES: Final = 1_000_000
OVERHEAD_BYTES: Final = 512
"""What a record may need besides its key and data: the frame of a batch, the header
with the message id."""

_TOO_LARGE: Final = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}
_REFUSED_FOR_GOOD: Final = {KafkaError.INVALID_RECORD}
_FELL_WITH_OTHERS: Final = {
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
}


class KafkaSink:
    """A topic of Kafka as a sink."""

    records_max: Final = 1000

    def __init__(
        self, address: KafkaAddress, *, patience_s: float = PATIENCE_S
    ) -> None:
        """
        Args:
            patience_s: how long a record is tried before it counts as failed.
        """
        self.address = address
        self._patience_s = patience_s
        self._topic: TopicInfo | None = None
        self._producer: _Producer | None = None
        self._starting = asyncio.Lock()
        self._is_closed = True  # what is under way then starts no producer any more
        # Set when the broker found a batch too large: then each record goes alone, so
        # that it is seen which one it is.
        self._one_by_one = False

    def __repr__(self) -> str:
        state = "closed" if self._topic is None else "open"
        return f"<KafkaSink {self.address}, {state}>"

    @property
    def bytes_max(self) -> int:
        return max(BYTES_MAX, self.record_bytes_max)

    @property
    def record_bytes_max(self) -> int:
        topic = self._topic
        limit = MESSAGE_BYTES_MAX if topic is None else topic.message_bytes_max
        return max(0, limit - OVERHEAD_BYTES)

    async def open(self) -> None:
        self._is_closed = False
        if self._topic is None:
            await self._start()

    async def look(self) -> Target:
        if self._topic is None:
            raise self._not_open()
        producer = self._usable_producer() or await self._start()
        wait_s = min(LOOKUP_S, self._patience_s)
        topic = await find_topic(
            self.address, producer.troubles, producer.driver, wait_s=wait_s
        )
        places = await find_places(self.address, topic, wait_s=wait_s)
        return topic_target(self.address.topic, topic, places)

    async def put(self, records: Sequence[StreamRecord]) -> PutResult:
        if self._topic is None:
            raise self._not_open()
        if not records:
            return PutResult()
        producer = self._usable_producer() or await self._start()
        put = _Put(records, self.record_bytes_max, on_failure=producer.end)
        put.hand_over(producer.driver, self.address.topic)
        # The driver answers for each record within its patience; the deadline and the
        # look at its thread are for the case that it does not.
        deadline = time.monotonic() + self._patience_s + LOOKUP_S
        while not put.answered.is_set() and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await put.answered.wait()
            if producer.gone:
                break
        cause = put.cause()
        if cause is not None:
            await self._drop(producer)
            await self._look_into(cause, put, producer)
        return hold_back_followers(records, put.failed(alone=producer.one_by_one))

    async def aclose(self) -> None:
        self._is_closed = True
        self._topic = None
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.aclose()

    async def _start(self) -> _Producer:
        """
        Make a producer and find the topic.

        Raises:
            SinkUnavailableError: also when the sink is closed meanwhile.
        """
        async with self._starting:
            usable = self._usable_producer()
            if usable is not None:
                return usable
            if self._is_closed:
                raise self._not_open()
            producer = self._make_producer()
            try:
                topic = await find_topic(
                    self.address,
                    producer.troubles,
                    producer.driver,
                    wait_s=min(LOOKUP_S, self._patience_s),
                )
                demand(topic_target(self.address.topic, topic))
                known = self._topic
                if known is None or known.message_bytes_max != topic.message_bytes_max:
                    await producer.aclose()
                if self._is_closed:
                    raise self._not_open()
            except BaseException:
                await producer.aclose()
                raise
            self._topic = topic
            self._producer = self._make_producer() if producer.ended else producer
            return self._producer

    def _not_open(self) -> SinkUnavailableError:
        # Somebody else who shares the sink may have closed it after a failure.
        return SinkUnavailableError(f"Kafka topic '{self.address.topic}' is not open.")

    def _usable_producer(self) -> _Producer | None:
        producer = self._producer
        return None if producer is None or producer.ended else producer

    def _make_producer(self) -> _Producer:
        troubles = Troubles(self.address)
        return _Producer(
            self._settings(troubles), troubles, one_by_one=self._one_by_one
        )

    def _settings(self, troubles: Troubles) -> dict[str, Any]:
        topic = self._topic
        limit = MESSAGE_BYTES_MAX if topic is None else topic.message_bytes_max
        return driver_settings(self.address, troubles) | {
            "acks": "all",
            "enable.idempotence": True,
            "delivery.timeout.ms": int(self._patience_s * 1000),
            "topic.metadata.propagation.max.ms": int(self._patience_s * 500),
            "linger.ms": LINGER_MS,
            "message.max.bytes": max(limit, 1000),  # librdkafka: 1000 at least
            "batch.size": max(1, min(BATCH_BYTES, limit)),
            "batch.num.messages": 1 if self._one_by_one else 10_000,
            "compression.type": self.address.compression,
            # Keys go where Java's producers put them.
            "partitioner": "murmur2_random",
        }

    async def _drop(self, producer: _Producer) -> None:
        if self._producer is producer:
            self._producer = None
        await producer.aclose()

    async def _look_into(
        self, cause: KafkaError, put: _Put, producer: _Producer
    ) -> None:
        """
        Find out what a failure means; return when the put has a result all the same.

        Raises:
            StreamGoneError, SinkError, SinkUnavailableError: as `Sink.put` does.
        """
        if cause.code() in _TOO_LARGE:
            self._one_by_one = True
            if producer.one_by_one:
                return
        elif cause.code() not in _REFUSED_FOR_GOOD:
            try:
                await self._start()
            except SinkUnavailableError:
                if not put.delivered:
                    raise
        else:
            return
        if not put.delivered:
            raise unavailable(self.address, producer.troubles, cause)


class _Producer:
    """A producer of the driver's, and the thread that takes its callbacks."""

    def __init__(
        self, settings: dict[str, Any], troubles: Troubles, *, one_by_one: bool
    ) -> None:
        self.troubles = troubles
        self.one_by_one = one_by_one
        try:
            self.driver = Producer(settings)
        except KafkaException as error:
            raise SinkError(
                f"The driver for Kafka cannot be set up: {reason_of(error.args[0])}."
            ) from error
        self._ends = threading.Event()
        self._thread = threading.Thread(
            target=self._poll, name="millpond-kafka", daemon=True
        )
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether it takes no more records."""
        return self._ends.is_set() or self.troubles.fatal

    @property
    def gone(self) -> bool:
        """Whether nobody takes its callbacks any more."""
        return not self._thread.is_alive()

    def end(self) -> None:
        """Throw away what is not delivered; called from any thread."""
        self._ends.set()

    def _poll(self) -> None:
        while not self.ended:
            self.driver.poll(POLL_S)
        # Whoever still waits for a record is told that it was thrown away.
        self.driver.purge(in_queue=True, in_flight=True)
        deadline = time.monotonic() + CLOSE_S / 2
        while len(self.driver) and time.monotonic() < deadline:
            self.driver.poll(0.05)
        # Its end takes a moment, and so had better not come in the event loop.
        del self.driver

    async def aclose(self) -> None:
        self.end()
        await asyncio.to_thread(self._thread.join, CLOSE_S)


class _Put:
    """One put on its way. The callbacks come in another thread."""

    def __init__(
        self,
        records: Sequence[StreamRecord],
        bytes_max: int,
        *,
        on_failure: Callable[[], None],
    ) -> None:
        self.answered = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._records = records
        self._bytes_max = bytes_max
        self._on_failure = on_failure
        self._refused: list[FailedRecord] = []  # for good, before they were sent
        self._given: list[int] = []  # to the driver
        self._errors: dict[int, KafkaError | None] = {}  # its answers
        self._lock = threading.Lock()
        self._due = 1  # answers, and the end of handing over

    def hand_over(self, driver: Producer, topic: str) -> None:
        """Give the driver the records, but those that stand behind a refused one."""
        ended: set[str] = set()
        for index, record in enumerate(self._records):
            key = record.partition_key
            if key not in ended and not self._give(driver, topic, index, record):
                ended.add(key)
        self._count(-1)

    def _give(
        self, driver: Producer, topic: str, index: int, record: StreamRecord
    ) -> bool:
        key = record.partition_key.encode()
        size = len(key) + len(record.data)
        if size > self._bytes_max:
            reason = f"It has {size} bytes; the limit is {self._bytes_max}."
            self._refused.append(FailedRecord(index, reason, retryable=False))
            return False
        self._given.append(index)
        self._count(1)
        try:
            driver.produce(
                topic,
                value=record.data,
                key=key,
                headers=_headers(record),
                on_delivery=functools.partial(self._answer, index),
            )
        except KafkaException as error:
            self._answer(index, error.args[0])
        except BufferError:
            self._answer(index, KafkaError(KafkaError._QUEUE_FULL))
        return index not in self._errors or self._errors[index] is None

    def _answer(
        self, index: int, error: KafkaError | None, message: Message | None = None
    ) -> None:
        self._errors[index] = error
        if error is not None:
            self._on_failure()
        self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self._due += change
            done = self._due == 0
        if done:
            # The loop may be closed by now, when nobody waits any more.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.answered.set)

    @property
    def delivered(self) -> int:
        """How many records are in the topic."""
        return sum(error is None for error in list(self._errors.values()))

    def cause(self) -> KafkaError | None:
        """Give the error that says most; None: all that was given is delivered."""
        errors = [each for _, each in sorted(self._errors.items()) if each is not None]
        told = [each for each in errors if each.code() not in _FELL_WITH_OTHERS]
        if not errors and len(self._errors) < len(self._given):
            return KafkaError(KafkaError._TIMED_OUT)
        return next(iter(told + errors), None)

    def failed(self, *, alone: bool) -> list[FailedRecord]:
        """
        List what failed.

        Args:
            alone: whether each record went alone, so that a batch that is too large
                is a record that is too large.
        """
        found = list(self._refused)
        for index in self._given:
            error = self._errors.get(index, KafkaError(KafkaError._TIMED_OUT))
            if error is None:
                continue
            code = error.code()
            for_good = code in _REFUSED_FOR_GOOD or (alone and code in _TOO_LARGE)
            reason = f"{reason_of(error)}."
            found.append(FailedRecord(index, reason, retryable=not for_good))
        return found


def _headers(record: StreamRecord) -> list[tuple[str, str | bytes | None]]:
    return [(MESSAGE_ID, record.message_id.encode())] if record.message_id else []


def make_sink(url: str, role_arn: str | None) -> KafkaSink:
    """
    Make the sink of a URL, not yet open; a role means nothing to Kafka.

    Raises:
        SettingsError: the URL is not one of a Kafka topic.
    """
    return KafkaSink(read_address(url))
