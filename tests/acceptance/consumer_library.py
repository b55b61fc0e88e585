"""
A worker as the Kinesis Client Library has it: leases in DynamoDB, checkpoints, theft.

Each shard has a lease, a row of a table. Its holder counts it up with every round; one
whose counter stands still for a while has lost its holder, and another worker takes it
and goes on behind its checkpoint. Every change of a lease is conditional on its
counter, so of two that want it one gets it.

Source: the library's developer guide, lease table.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from acceptance.streams import subscribe_when_free

LEASE_S = 1.5  # after which a counter that stands still says that nobody holds it
RECORDS_MAX = 7  # of a page, so that there are many checkpoints
TRIM_HORIZON = "TRIM_HORIZON"


def create_table(dynamodb: Any) -> str:
    """Create the table of the leases."""
    name = "leases"
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "leaseKey", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "leaseKey", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


class Worker:
    """One worker of an application; `work` is one round of it."""

    def __init__(
        self, name: str, stream: str, kinesis: Any, dynamodb: Any, consumer: str | None
    ) -> None:
        """
        Args:
            consumer: ARN of a registered consumer; None: it polls.
        """
        self.processed: list[tuple[str, str, bytes]] = []  # shard, number, data
        self._name = name
        self._stream = stream
        self._kinesis = kinesis
        self._dynamodb = dynamodb
        self._consumer = consumer
        self._held: dict[str, int] = {}  # counters, by shard
        self._seen: dict[str, tuple[int, float]] = {}  # counters, and since when

    def work(self, leases_max: int) -> None:
        """Take leases, up to so many, and process a page of each shard held."""
        for shard in self._kinesis.list_shards(StreamName=self._stream)["Shards"]:
            self._create_lease(shard["ShardId"])
        rows = self._dynamodb.scan(TableName="leases", ConsistentRead=True)["Items"]
        for row in rows:
            self._consider(row, leases_max)
        for shard in list(self._held):
            self._process(shard)

    def _create_lease(self, shard: str) -> None:
        row = {
            "leaseKey": {"S": shard},
            "leaseCounter": {"N": "0"},
            "checkpoint": {"S": TRIM_HORIZON},
        }
        self._change(
            lambda: self._dynamodb.put_item(
                TableName="leases",
                Item=row,
                ConditionExpression="attribute_not_exists(leaseKey)",
            )
        )

    def _consider(self, row: dict[str, Any], leases_max: int) -> None:
        shard, counter = row["leaseKey"]["S"], int(row["leaseCounter"]["N"])
        if self._held.get(shard) == counter:
            return
        self._held.pop(shard, None)  # somebody else has it by now
        if self._seen.get(shard, (None, 0))[0] != counter:
            self._seen[shard] = (counter, time.monotonic())
        free = "leaseOwner" not in row
        expired = time.monotonic() - self._seen[shard][1] > LEASE_S
        if (free or expired) and len(self._held) < leases_max:
            self._renew(shard, counter, row["checkpoint"]["S"])

    def _process(self, shard: str) -> None:
        row = self._dynamodb.get_item(
            TableName="leases", Key={"leaseKey": {"S": shard}}, ConsistentRead=True
        )["Item"]
        checkpoint = row["checkpoint"]["S"]
        records = next(self._read(shard, checkpoint))
        self.processed += [
            (shard, each["SequenceNumber"], each["Data"]) for each in records
        ]
        if records:
            checkpoint = records[-1]["SequenceNumber"]
        self._renew(shard, self._held[shard], checkpoint)

    def _read(self, shard: str, checkpoint: str) -> Iterator[list[dict[str, Any]]]:
        after = checkpoint != TRIM_HORIZON
        kind = "AFTER_SEQUENCE_NUMBER" if after else TRIM_HORIZON
        if self._consumer is None:
            number = {"StartingSequenceNumber": checkpoint} if after else {}
            iterator = self._kinesis.get_shard_iterator(
                StreamName=self._stream,
                ShardId=shard,
                ShardIteratorType=kind,
                **number,
            )["ShardIterator"]
            page = self._kinesis.get_records(ShardIterator=iterator, Limit=RECORDS_MAX)
            yield page["Records"]
            return
        position = {"Type": kind, **({"SequenceNumber": checkpoint} if after else {})}
        events = subscribe_when_free(self._kinesis, self._consumer, shard, **position)
        try:
            for event in events:
                yield event["SubscribeToShardEvent"]["Records"]
        finally:
            events.close()

    def _renew(self, shard: str, counter: int, checkpoint: str) -> None:
        values = {
            ":old": {"N": str(counter)},
            ":new": {"N": str(counter + 1)},
            ":me": {"S": self._name},
            ":at": {"S": checkpoint},
        }
        if self._change(
            lambda: self._dynamodb.update_item(
                TableName="leases",
                Key={"leaseKey": {"S": shard}},
                UpdateExpression="SET leaseCounter = :new, leaseOwner = :me, "
                "checkpoint = :at",
                ConditionExpression="leaseCounter = :old",
                ExpressionAttributeValues=values,
            )
        ):
            self._held[shard] = counter + 1
        else:
            self._held.pop(shard, None)

    def _change(self, change: Any) -> bool:
        try:
            change()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            assert code == "ConditionalCheckFailedException"
            return False
        return True
