"""Reading a stream to its end, the way a Kinesis consumer does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from millpond.testing.server import wait_until


@dataclass(frozen=True)
class Delivered:
    """One stream record."""

    shard_id: str
    sequence_number: str
    partition_key: str
    data: bytes

    @property
    def event(self) -> Any:
        """The record's JSON; its members keep their order."""
        return json.loads(self.data)

    @property
    def dataset(self) -> tuple[str, str]:
        """Whose dataset it is about: identity id and name."""
        event = self.event
        return event["identityId"], event["dataSetName"]


def read_shard(kinesis: Any, iterator: str) -> list[Any]:
    """Read a shard from an iterator to its end, as boto3 gives the records."""
    found: list[Any] = []
    while True:
        page = kinesis.get_records(ShardIterator=iterator)
        found += page["Records"]
        if not page["MillisBehindLatest"]:
            return found
        iterator = page["NextShardIterator"]


def from_the_start(kinesis: Any, name: str, shard_id: str) -> str:
    """Get an iterator that begins with a shard's first record."""
    iterator: str = kinesis.get_shard_iterator(
        StreamName=name, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    return iterator


def read_stream(kinesis: Any, name: str) -> list[Delivered]:
    """Read all records of a stream, shard by shard in order."""
    found = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        iterator = from_the_start(kinesis, name, shard["ShardId"])
        found += [
            Delivered(
                shard["ShardId"], r["SequenceNumber"], r["PartitionKey"], r["Data"]
            )
            for r in read_shard(kinesis, iterator)
        ]
    return found


def subscribe_when_free(
    kinesis: Any, consumer: str, shard_id: str, **position: str
) -> Any:
    """Subscribe as consumer libraries do: again, until the place is not held."""

    def attempt() -> Any:
        try:
            return kinesis.subscribe_to_shard(
                ConsumerARN=consumer, ShardId=shard_id, StartingPosition=position
            )["EventStream"]
        except kinesis.exceptions.ResourceInUseException:
            return None

    return wait_until(attempt, pause_s=0.2)
