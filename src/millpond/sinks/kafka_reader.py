"""
The reader of a Kafka topic: all partitions, each in its order.

It chooses its partitions and offsets itself and commits nothing, so it needs no
consumer group and disturbs none. Partitions that are added later are not seen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from millpond.core.streaming import StreamRecord
from millpond.core.targets import Target
from millpond.errors import SinkError
from millpond.sinks.kafka_connection import (
    GONE,
    LOOKUP_S,
    KafkaAddress,
    Troubles,
    driver_settings,
    find_topic,
    read_address,
    reason_of,
    unavailable,
)
from millpond.sinks.kafka_topic import topic_target

MESSAGE_ID: Final = "Millpond-Message-Id"
BATCH: Final = 500
GROUP: Final = "millpond-reader"  # the driver asks for one; nothing is committed

T = TypeVar("T")


class KafkaReader:
    """A topic of Kafka, read back."""

    def __init__(self, address: KafkaAddress, *, from_end: bool) -> None:
        self._address = address
        self._from_end = from_end
        self._troubles = Troubles(address)
        self._consumer: Consumer | None = None
        # One thread, so that the consumer is not closed while it reads.
        self._thread: ThreadPoolExecutor | None = None

    def __repr__(self) -> str:
        state = "closed" if self._consumer is None else "open"
        return f"<KafkaReader {self._address}, {state}>"

    async def open(self) -> None:
        if self._consumer is not None:
            return
        consumer = self._make_consumer()
        self._thread = ThreadPoolExecutor(1, "millpond-kafka-reader")
        self._consumer = consumer
        try:
            topic = await find_topic(self._address, self._troubles, consumer)
            await self._run(self._assign, consumer, topic.partitions)
        except KafkaException as error:
            await self.aclose()
            raise unavailable(self._address, self._troubles, error.args[0]) from error
        except BaseException:
            await self.aclose()
            raise

    async def look(self) -> Target:
        if self._consumer is None:
            await self.open()
        assert self._consumer is not None
        topic = await find_topic(self._address, self._troubles, self._consumer)
        return topic_target(self._address.topic, topic)

    async def read(self, *, wait_s: float) -> Sequence[StreamRecord]:
        if self._consumer is None:
            await self.open()
        assert self._consumer is not None
        self._troubles.last = None
        try:
            messages = await self._run(self._consume, self._consumer, wait_s)
        except KafkaException as error:
            if error.args[0].code() in GONE:
                # It says more surely whether the topic is gone, by raising.
                await find_topic(self._address, self._troubles, self._consumer)
            raise unavailable(self._address, self._troubles, error.args[0]) from error
        return [_record_of(each) for each in messages]

    async def aclose(self) -> None:
        consumer, self._consumer = self._consumer, None
        thread, self._thread = self._thread, None
        if consumer is not None and thread is not None:
            closing = asyncio.get_running_loop().run_in_executor(thread, consumer.close)
            await asyncio.wait({closing}, timeout=LOOKUP_S)
            thread.shutdown(wait=False)

    async def _run(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, function, *arguments)

    def _make_consumer(self) -> Consumer:
        settings = driver_settings(self._address, self._troubles) | {
            "group.id": GROUP,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
        try:
            return Consumer(settings)
        except KafkaException as error:
            raise SinkError(
                f"The driver for Kafka cannot be set up: {reason_of(error.args[0])}."
            ) from error

    def _assign(self, consumer: Consumer, partitions: tuple[int, ...]) -> None:
        """Choose the partitions, from the start or from their ends of this moment."""
        places = []
        for number in partitions:
            place = TopicPartition(self._address.topic, number, OFFSET_BEGINNING)
            if self._from_end:
                place.offset = consumer.get_watermark_offsets(place, LOOKUP_S)[1]
            places.append(place)
        consumer.assign(places)

    def _consume(self, consumer: Consumer, wait_s: float) -> list[Message]:
        """Give what there is; wait for the first message. Blocks, at most `wait_s`."""
        deadline = time.monotonic() + wait_s
        while True:
            remaining_s = max(deadline - time.monotonic(), 0)
            first = consumer.poll(remaining_s)
            found = [] if first is None else [first, *consumer.consume(BATCH - 1, 0)]
            messages = [each for each in found if _is_data(each)]
            if messages:
                return messages
            if remaining_s == 0:
                trouble = self._troubles.last
                if trouble is not None and trouble.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(trouble)
                return []


def make_reader(url: str, *, from_end: bool) -> KafkaReader:
    """
    Make the reader of a URL, not yet open.

    Raises:
        SettingsError: the URL is not one of a Kafka topic.
    """
    return KafkaReader(read_address(url), from_end=from_end)


def _is_data(message: Message) -> bool:
    """Tell a message from the end of a partition; raise what else is wrong."""
    error = message.error()
    if error is None:
        return True
    if error.code() != KafkaError._PARTITION_EOF and not error.retriable():
        raise KafkaException(error)
    return False


def _record_of(message: Message) -> StreamRecord:
    headers: dict[str, Any] = dict(message.headers() or [])
    return StreamRecord(
        partition_key=_text(message.key()),
        data=message.value() or b"",
        message_id=_text(headers.get(MESSAGE_ID)),
    )


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""
