"""Records of embedded streams are read as those of Kinesis are."""

from __future__ import annotations

import pytest

from millpond import limits
from millpond.core import shards
from millpond.errors import (
    ExpiredIteratorException,
    InvalidArgumentException,
    ResourceNotFoundException,
)

START_MS = 1_750_000_000_250  # where the clock of `play` stands
DAY_MS = 24 * 3600 * 1000
ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/"


# --- Where an iterator begins -------------------------------------------------------


def test_an_iterator_begins_where_its_type_says(play):
    """All five types begin at the record that Kinesis would begin at."""

    async def scene(server):
        await server.create()
        numbers = []
        for data in (b"1", b"2", b"3"):
            numbers += await server.put(data)
            server.now_ms += 1000

        assert await server.read_data("TRIM_HORIZON") == [b"1", b"2", b"3"]
        assert await server.read_data("LATEST") == []
        for kind, expected in (
            ("AT_SEQUENCE_NUMBER", [b"2", b"3"]),
            ("AFTER_SEQUENCE_NUMBER", [b"3"]),
        ):
            found = await server.read_data(kind, starting_sequence_number=numbers[1])
            assert found == expected
        for offset_ms, expected in (
            (-DAY_MS, [b"1", b"2", b"3"]),
            (0, [b"1", b"2", b"3"]),
            (1, [b"2", b"3"]),
            (1000, [b"2", b"3"]),
            (2000, [b"3"]),
            (2001, []),
        ):
            time = (START_MS + offset_ms) / 1000
            assert await server.read_data("AT_TIMESTAMP", timestamp=time) == expected

    play(scene)


def test_the_first_sequence_number_of_a_shard_stands_before_all_records(play):
    """Both types of sequence number read everything from a shard's first number on."""

    async def scene(server):
        await server.create()
        await server.put(b"1")
        answer = await server.call("list_shards", stream_name="changes")
        first = answer.shards[0].sequence_number_range.starting_sequence_number
        for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
            found = await server.read_data(kind, starting_sequence_number=first)
            assert found == [b"1"]

    play(scene)


def test_the_latest_iterator_reads_what_comes_after_it(play):
    """Records put after GetShardIterator are read from LATEST, and only those."""

    async def scene(server):
        await server.create()
        await server.put(b"before")
        iterator = await server.iterator("LATEST")
        await server.put(b"after")
        answer = await server.read(iterator)

        assert [each.data for each in answer.records] == [b"after"]

    play(scene)


@pytest.mark.parametrize(
    ("kind", "members", "complaint"),
    [
        (
            "AT_SEQUENCE_NUMBER",
            {},
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and "
            "StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no "
            "StartingSequenceNumber. Request specified AT_SEQUENCE_NUMBER and no "
            "StartingSequenceNumber.",
        ),
        (
            "LATEST",
            {"starting_sequence_number": "1"},
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and "
            "StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no "
            "StartingSequenceNumber. Request specified LATEST and also a "
            "StartingSequenceNumber.",
        ),
        (
            "AT_TIMESTAMP",
            {},
            "Must specify timestampInMillis parameter for iterator of type "
            "AT_TIMESTAMP. Current request has no timestamp parameter.",
        ),
        (
            "AT_TIMESTAMP",
            {"timestamp": (START_MS + 1) / 1000},
            "The timestampInMillis parameter cannot be greater than the "
            f"currentTimestampInMillis. timestampInMillis: {START_MS + 1}, "
            f"currentTimestampInMillis: {START_MS}",
        ),
        (
            "AFTER_SEQUENCE_NUMBER",
            {"starting_sequence_number": "17"},
            "StartingSequenceNumber 17 used in GetShardIterator on shard "
            "shardId-000000000000 in stream changes under account 000000000000 is "
            "invalid.",
        ),
    ],
)
def test_an_iterator_that_makes_no_sense_is_refused(play, kind, members, complaint):
    """Each wrong combination is refused in Kinesis's words."""

    async def scene(server):
        await server.create()
        message = await server.refused(
            InvalidArgumentException,
            "get_shard_iterator",
            stream_name="changes",
            shard_id="shardId-000000000000",
            shard_iterator_type=kind,
            **members,
        )

        assert message == complaint

    play(scene)


def test_a_sequence_number_of_another_place_is_refused(play):
    """A number of another shard, or of a stream before this one, skips no record."""

    async def scene(server):
        await server.create(shard_count=2)
        (number,) = await server.put(b"1")
        shard = shards.place("key", 2)
        other = shards.shard_id(1 - shard)
        members = {
            "stream_name": "changes",
            "shard_iterator_type": "AFTER_SEQUENCE_NUMBER",
            "starting_sequence_number": number,
        }
        message = await server.refused(
            InvalidArgumentException, "get_shard_iterator", shard_id=other, **members
        )

        assert message == (
            f"Invalid StartingSequenceNumber. It encodes {shards.shard_id(shard)}, "
            f"while it was used in a call to a shard with {other}"
        )
        await server.call("delete_stream", stream_name="changes")
        await server.create(shard_count=2)
        message = await server.refused(
            InvalidArgumentException,
            "get_shard_iterator",
            shard_id=shards.shard_id(shard),
            **members,
        )

        assert message.endswith("is invalid because it did not come from this stream.")

    play(scene)


@pytest.mark.parametrize("shard_id", ["shardId-000000000001", "1", "x"])
def test_a_shard_that_is_not_there_is_not_found(play, shard_id):
    """Unknown and malformed shard ids are not found, in Kinesis's words."""

    async def scene(server):
        await server.create()
        message = await server.refused(
            ResourceNotFoundException,
            "get_shard_iterator",
            stream_name="changes",
            shard_id=shard_id,
            shard_iterator_type="LATEST",
        )

        assert message == (
            f"Shard {shard_id} in stream changes under account 000000000000 does not "
            "exist"
        )

    play(scene)


# --- Reading ------------------------------------------------------------------------


def test_reading_goes_on_with_the_next_iterator(play):
    """Limit cuts pages; the last iterator waits for what comes, repeats nothing."""

    async def scene(server):
        await server.create()
        await server.put(*[str(n).encode() for n in range(5)])
        iterator = await server.iterator()
        pages = []
        for _ in range(4):
            answer = await server.read(iterator, limit=2)
            pages.append([each.data for each in answer.records])
            iterator = answer.next_shard_iterator
        await server.put(b"5")
        answer = await server.read(iterator, stream_arn=f"{ARN}changes")

        assert pages == [[b"0", b"1"], [b"2", b"3"], [b"4"], []]
        assert [each.data for each in answer.records] == [b"5"]

    play(scene)


def test_an_answer_holds_ten_mebibytes_at_most(play):
    """What does not fit comes with the next iterator; nothing is lost."""

    async def scene(server):
        await server.create()
        for batch in range(3):
            size = limits.STREAM_RECORD_BYTES_MAX - len("key")
            await server.put(*[bytes([batch * 4 + n]) * size for n in range(4)])
        iterator = await server.iterator()
        pages = []
        for _ in range(2):
            answer = await server.read(iterator)
            pages.append([each.data[0] for each in answer.records])
            size = sum(len(each.data) for each in answer.records)
            assert size <= limits.GET_RECORDS_BYTES_MAX
            iterator = answer.next_shard_iterator

        assert pages == [list(range(10)), [10, 11]]

    play(scene)


def test_millis_behind_latest_is_zero_at_the_tip_alone(play):
    """Short of the newest record it is the age of the last record read."""

    async def scene(server):
        await server.create()
        iterator = await server.iterator()

        assert (await server.read(iterator)).millis_behind_latest == 0
        for data in (b"1", b"2"):
            await server.put(data)
            server.now_ms += 700
        answer = await server.read(iterator, limit=1)

        assert answer.millis_behind_latest == 1400
        assert (await server.read(iterator)).millis_behind_latest == 0
        answer = await server.read(answer.next_shard_iterator)

        assert answer.millis_behind_latest == 0
        # Both arrived this very moment, and still one is left.
        latest = await server.iterator("LATEST")
        await server.put(b"3", b"4")

        assert (await server.read(latest, limit=1)).millis_behind_latest == 1

    play(scene)


def test_records_beyond_retention_are_not_shown(play):
    """They are hidden from their last millisecond on, purged or not."""

    async def scene(server):
        await server.create()
        numbers = await server.put(b"old")
        server.now_ms += 1000
        numbers += await server.put(b"young")
        server.now_ms = START_MS + DAY_MS

        assert await server.read_data() == [b"old", b"young"]
        early = await server.iterator()
        server.now_ms += 1
        answer = await server.read(early)

        assert [each.data for each in answer.records] == [b"young"]
        for kind, members in (
            ("TRIM_HORIZON", {}),
            ("AT_TIMESTAMP", {"timestamp": START_MS / 1000}),
            ("AT_SEQUENCE_NUMBER", {"starting_sequence_number": numbers[0]}),
        ):
            assert await server.read_data(kind, **members) == [b"young"]

    play(scene)


def test_a_position_survives_the_purge_of_its_record(play):
    """Who knows the number of a purged record goes on behind it without a gap."""

    async def scene(server):
        await server.create()
        (number,) = await server.put(b"old")
        server.now_ms += 2 * DAY_MS
        iterator = await server.iterator("LATEST")
        await server.store.purge(
            now_ms=server.now_ms, stream_retention_ms=DAY_MS, limit=100
        )
        empty = await server.iterator("LATEST")
        await server.put(b"new")

        assert [r.data for r in (await server.read(iterator)).records] == [b"new"]
        assert [r.data for r in (await server.read(empty)).records] == [b"new"]
        assert await server.read_data(
            "AFTER_SEQUENCE_NUMBER", starting_sequence_number=number
        ) == [b"new"]

    play(scene)


def test_an_iterator_ends(play):
    """It lasts five minutes, and not longer than its stream."""

    async def scene(server):
        await server.create()
        iterator = await server.iterator()
        server.now_ms += 300_000
        await server.read(iterator)
        server.now_ms += 1
        await server.refused(
            ExpiredIteratorException, "get_records", shard_iterator=iterator
        )
        iterator = await server.iterator()
        await server.call("delete_stream", stream_name="changes")
        await server.refused(
            ResourceNotFoundException, "get_records", shard_iterator=iterator
        )
        await server.create()  # of the same name, and still not the same stream
        message = await server.refused(
            ResourceNotFoundException, "get_records", shard_iterator=iterator
        )

        assert message == "Stream changes under account 000000000000 not found."

    play(scene)


def test_an_iterator_is_of_one_stream_and_of_ours(play):
    """What is no iterator, or of another stream than the ARN names, is refused."""

    async def scene(server):
        await server.create()
        await server.create("other")
        message = await server.refused(
            InvalidArgumentException, "get_records", shard_iterator="nonsense"
        )

        assert message == "Invalid ShardIterator."
        await server.refused(
            InvalidArgumentException,
            "get_records",
            shard_iterator=await server.iterator(),
            stream_arn=f"{ARN}other",
        )

    play(scene)
