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


def read_stream(kinesis: Any, name: str) -> list[Delivered]:
    """Read all records of a stream, shard by shard in order."""
    found = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=name,
            ShardId=shard["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]
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
