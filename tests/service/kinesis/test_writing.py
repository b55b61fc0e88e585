"""Records are stored in embedded streams as in those of Kinesis."""

from __future__ import annotations

from typing import Any

import pytest

from millpond import limits
from millpond.contract import kinesis as contract
from millpond.core import shards
from millpond.errors import (
    InvalidArgumentException,
    ValidationException,
)

START_MS = 1_750_000_000_250  # where the clock of `play` stands
DAY_MS = 24 * 3600 * 1000
ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/"


def test_a_record_is_read_as_it_was_put(play):
    """Data, key, sequence number and time of arrival come back."""

    async def scene(server):
        await server.create(shard_count=4)
        put = await server.call(
            "put_record",
            stream_arn=f"{ARN}changes",
            data=b"\x00\xff{}",
            partition_key="k\u00e4se",
        )
        shard = shards.place("k\u00e4se", 4)
        answer = await server.read(await server.iterator(shard=shard))
        (record,) = answer.records

        assert put.shard_id == shards.shard_id(shard)
        assert record.sequence_number == put.sequence_number
        assert record.data == b"\x00\xff{}"
        assert record.partition_key == "k\u00e4se"
        assert record.approximate_arrival_timestamp == START_MS / 1000

    play(scene)


def test_many_records_are_stored_in_order_with_a_result_each(play):
    """PutRecords answers shard and growing sequence number for each record."""

    async def scene(server):
        await server.create(shard_count=3)
        entries = [
            contract.PutRecordsRequestEntry(
                data=str(n).encode(), partition_key=f"key-{n}"
            )
            for n in range(limits.PUT_RECORDS_MAX)
        ]
        answer = await server.call(
            "put_records", stream_name="changes", records=entries
        )

        assert answer.failed_record_count == 0
        assert [each.shard_id for each in answer.records] == [
            shards.shard_id(shards.place(each.partition_key, 3)) for each in entries
        ]
        numbers = [each.sequence_number for each in answer.records]
        assert numbers == sorted(set(numbers))
        for shard in range(3):
            expected = [
                each.data
                for each in entries
                if shards.place(each.partition_key, 3) == shard
            ]
            assert expected == await server.read_data(shard=shard)

    play(scene)


def test_an_explicit_hash_key_chooses_the_shard(play):
    """ExplicitHashKey wins over the partition key, which is kept all the same."""

    async def scene(server):
        await server.create(shard_count=2)
        for hash_key, shard in ((0, 0), (2**127 - 1, 0), (2**127, 1), (2**128 - 1, 1)):
            answer = await server.call(
                "put_record",
                stream_name="changes",
                data=b"x",
                partition_key="key",
                explicit_hash_key=str(hash_key),
            )

            assert answer.shard_id == shards.shard_id(shard)
        message = await server.refused(
            InvalidArgumentException,
            "put_record",
            stream_name="changes",
            data=b"x",
            partition_key="key",
            explicit_hash_key=str(2**128),
        )

        assert message == (
            "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: "
            f"[0, 2^128-1]. Specified value was {2**128}"
        )

    play(scene)


def test_the_partition_key_counts_towards_the_size_of_a_record(play):
    """A record of 1 MiB with its key is stored; one byte more is refused."""

    async def scene(server):
        await server.create()
        most = limits.STREAM_RECORD_BYTES_MAX - len("key")
        await server.put(b"x" * most)
        message = await server.refused(
            ValidationException,
            "put_record",
            stream_name="changes",
            data=b"x" * (most + 1),
            partition_key="key",
        )

        assert message == (
            "The record has 1048577 bytes, its partition key included; the limit is "
            "1048576."
        )
        with pytest.raises(ValidationException, match=r"^Record 2 has 1048577 bytes"):
            await server.put(b"x", b"x" * (most + 1))

        assert len(await server.read_data()) == 1

    play(scene)


def test_a_put_of_more_than_five_mebibytes_is_refused_whole(play):
    """The limit of 5 MiB holds for all records and keys together."""

    async def scene(server):
        await server.create()
        mebibyte = b"x" * (limits.STREAM_RECORD_BYTES_MAX - len("key"))
        await server.put(*[mebibyte] * 5)
        with pytest.raises(InvalidArgumentException) as caught:
            await server.put(*[mebibyte] * 5, b"")

        assert caught.value.message == "Records size exceeds 5 MB limit"
        assert len(await server.read_data()) == 5

    play(scene)


def test_a_sequence_number_for_ordering_must_be_of_the_stream(play):
    """The number of an earlier record is taken, that of another stream refused."""

    async def scene(server):
        await server.create()
        (number,) = await server.put(b"1")
        members = {"stream_name": "changes", "data": b"2", "partition_key": "key"}
        answer = await server.call(
            "put_record", sequence_number_for_ordering=number, **members
        )

        assert answer.sequence_number > number
        for wrong in ("0", shards.sequence_number(99, 1, 0)):
            message = await server.refused(
                InvalidArgumentException,
                "put_record",
                sequence_number_for_ordering=wrong,
                **members,
            )

            assert message == (
                f"ExclusiveMinimumSequenceNumber {wrong} used in PutRecord on stream "
                "changes under account 000000000000 is invalid."
            )

    play(scene)


def test_a_dry_run_is_refused(play):
    """No operation does the real thing when a dry run is asked for."""

    async def scene(server):
        await server.create()
        iterator = await server.iterator()
        entry = contract.PutRecordsRequestEntry(data=b"x", partition_key="key")
        calls: dict[str, dict[str, Any]] = {
            "put_record": {"data": b"x", "partition_key": "key"},
            "put_records": {"records": [entry]},
            "get_shard_iterator": {
                "shard_id": "shardId-000000000000",
                "shard_iterator_type": "LATEST",
            },
        }
        for operation, members in calls.items():
            await server.refused(
                InvalidArgumentException,
                operation,
                stream_name="changes",
                dry_run=True,
                **members,
            )
        await server.refused(
            InvalidArgumentException,
            "get_records",
            shard_iterator=iterator,
            dry_run=True,
        )

        assert await server.read_data() == []

    play(scene)
