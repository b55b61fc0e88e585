"""Embedded streams are created, deleted and described as Kinesis streams are."""

from __future__ import annotations

from typing import Any

import pytest

from millpond import limits
from millpond.contract import kinesis as contract
from millpond.core import shards
from millpond.errors import (
    ExpiredNextTokenException,
    InvalidArgumentException,
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
)

START_MS = 1_750_000_000_250  # where the clock of `play` stands
ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/"

# --- Creating and deleting ----------------------------------------------------------


def test_a_new_stream_is_active_and_described(play):
    """CreateStream makes a stream that both descriptions show, ACTIVE at once."""

    async def scene(server):
        await server.create(shard_count=3)
        answer = await server.call("describe_stream_summary", stream_name="changes")
        summary = answer.stream_description_summary
        answer = await server.call("describe_stream", stream_arn=f"{ARN}changes")
        description = answer.stream_description

        for shown in (summary, description):
            assert shown.stream_name == "changes"
            assert shown.stream_arn == f"{ARN}changes"
            assert shown.stream_status == "ACTIVE"
            assert shown.stream_mode_details.stream_mode == "PROVISIONED"
            assert shown.retention_period_hours == 24
            assert shown.stream_creation_timestamp == START_MS / 1000
            assert shown.encryption_type == "NONE"
        assert summary.open_shard_count == 3
        assert not description.has_more_shards
        assert [each.shard_id for each in description.shards] == [
            "shardId-000000000000",
            "shardId-000000000001",
            "shardId-000000000002",
        ]
        last = description.shards[-1].hash_key_range
        assert last.ending_hash_key == str(2**128 - 1)

    play(scene)


def test_a_name_is_taken_once(play):
    """A second stream of the name is refused in Kinesis's words."""

    async def scene(server):
        await server.create()
        message = await server.refused(
            ResourceInUseException,
            "create_stream",
            stream_name="changes",
            shard_count=1,
        )

        assert message == "Stream changes under account 000000000000 already exists."

    play(scene)


@pytest.mark.parametrize(
    ("error", "members", "complaint"),
    [
        (
            InvalidArgumentException,
            {
                "shard_count": 1,
                "stream_mode_details": contract.StreamModeDetails(
                    stream_mode="ON_DEMAND"
                ),
            },
            "ShardCount cannot be given together with StreamMode ON_DEMAND",
        ),
        (
            InvalidArgumentException,
            {"shard_count": 1, "warm_throughput_mibps": 5},
            "WarmThroughputMiBps is not available",
        ),
        (
            InvalidArgumentException,
            {"shard_count": 1, "max_record_size_in_kib": 2048},
            "MaxRecordSizeInKiB is always 1024",
        ),
        (
            InvalidArgumentException,
            {"shard_count": 1, "record_distribution_strategy": "AUTO"},
            "RecordDistributionStrategy is always USER_PARTITION_KEY",
        ),
        (InvalidArgumentException, {}, "ShardCount is needed"),
        (
            LimitExceededException,
            {"shard_count": 501},
            "Stream changes would have 501 shards; the limit is 500.",
        ),
    ],
)
def test_what_a_stream_cannot_be_is_refused(play, error, members, complaint):
    """A member that cannot be honoured is refused by name, and nothing is created."""

    async def scene(server):
        message = await server.refused(
            error, "create_stream", stream_name="changes", **members
        )
        assert message.startswith(complaint)
        assert (await server.call("list_streams")).stream_names == []

    play(scene)


def test_members_that_change_nothing_are_taken(play):
    """What says in other words what holds anyway, or only labels, is accepted."""

    async def scene(server):
        await server.call(
            "create_stream",
            stream_name="changes",
            shard_count=limits.SHARDS_PER_STREAM_MAX,
            stream_mode_details=contract.StreamModeDetails(stream_mode="PROVISIONED"),
            max_record_size_in_kib=1024,
            record_distribution_strategy="USER_PARTITION_KEY",
            tags={"team": "sync"},
        )
        await server.call(
            "delete_stream", stream_name="changes", enforce_consumer_deletion=True
        )

    play(scene)


def test_a_stream_that_lives_elsewhere_is_not_created_here(play):
    """A name mapped to another sink is refused; one mapped to itself is not."""

    async def scene(server):
        message = await server.refused(
            InvalidArgumentException, "create_stream", stream_name="far", shard_count=1
        )
        await server.create("own")

        assert message == (
            "Stream far is mapped to another sink by the setting 'streams'; create it "
            "there."
        )

    play(scene, streams={"far": "nats://user:secret@host/far", "own": "embedded:own"})


def test_a_deleted_stream_is_gone(play):
    """After DeleteStream every operation on the name says that it is not found."""

    async def scene(server):
        await server.create()
        await server.call("delete_stream", stream_name="changes")
        calls: dict[str, dict[str, Any]] = {
            "delete_stream": {},
            "describe_stream": {},
            "describe_stream_summary": {},
            "list_shards": {},
            "get_shard_iterator": {
                "shard_id": "shardId-000000000000",
                "shard_iterator_type": "LATEST",
            },
            "put_record": {"data": b"x", "partition_key": "key"},
            "put_records": {
                "records": [
                    contract.PutRecordsRequestEntry(data=b"x", partition_key="key")
                ]
            },
        }
        for operation, members in calls.items():
            message = await server.refused(
                ResourceNotFoundException, operation, stream_name="changes", **members
            )

            assert message == "Stream changes under account 000000000000 not found."

    play(scene)


# --- Naming a stream ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "account_id"),
    [
        ({"stream_name": "none"}, "000000000000"),
        ({"stream_arn": f"{ARN}none"}, "000000000000"),
        (
            {"stream_arn": "arn:aws:kinesis:us-east-1:123456789012:stream/changes"},
            "123456789012",
        ),
        (
            {"stream_arn": "arn:aws:kinesis:eu-west-1:000000000000:stream/changes"},
            "000000000000",
        ),
        (
            {"stream_arn": "arn:aws-cn:kinesis:us-east-1:000000000000:stream/changes"},
            "000000000000",
        ),
        ({"stream_arn": f"{ARN}changes/consumer/a:1"}, "000000000000"),
    ],
)
def test_a_stream_that_is_not_here_is_not_found(play, members, account_id):
    """Unknown names and ARNs of other accounts and regions are not found."""

    async def scene(server):
        await server.create()
        message = await server.refused(
            ResourceNotFoundException, "describe_stream", **members
        )

        assert message.startswith("Stream ")
        assert message.endswith(f" under account {account_id} not found.")

    play(scene)


@pytest.mark.parametrize(
    "members", [{}, {"stream_name": "changes", "stream_arn": f"{ARN}other"}]
)
def test_a_request_must_name_one_stream(play, members):
    """Neither name nor ARN, or two that disagree, are invalid."""

    async def scene(server):
        await server.create()
        await server.create("other")
        await server.refused(InvalidArgumentException, "describe_stream", **members)
        await server.call(
            "describe_stream", stream_name="changes", stream_arn=f"{ARN}changes"
        )

    play(scene)


# --- Listing ------------------------------------------------------------------------


def test_streams_are_listed_by_name_in_pages(play):
    """Pages follow each other by NextToken or by the last name, without repeats."""

    async def scene(server):
        for name in ("b", "d", "a", "c", "e"):
            await server.create(name)
        first = await server.call("list_streams", limit=2)
        second = await server.call("list_streams", limit=2, next_token=first.next_token)
        third = await server.call(
            "list_streams", limit=2, exclusive_start_stream_name="d"
        )

        assert (first.stream_names, first.has_more_streams) == (["a", "b"], True)
        assert (second.stream_names, second.has_more_streams) == (["c", "d"], True)
        assert (third.stream_names, third.has_more_streams) == (["e"], False)
        assert third.next_token is None
        assert [each.stream_arn for each in third.stream_summaries] == [f"{ARN}e"]

    play(scene)


def test_shards_are_described_in_pages(play):
    """DescribeStream goes on behind ExclusiveStartShardId; a page has 100 at most."""

    async def scene(server):
        await server.create(shard_count=102)
        found: list[str] = []
        behind = None
        for limit in (None, 1, 10_000):
            answer = await server.call(
                "describe_stream",
                stream_name="changes",
                limit=limit,
                exclusive_start_shard_id=behind,
            )
            page = answer.stream_description
            found += [each.shard_id for each in page.shards]
            behind = found[-1]
            assert page.has_more_shards is (len(found) < 102)

        assert found == [shards.shard_id(n) for n in range(102)]

    play(scene)


def test_shards_are_listed_in_pages(play):
    """ListShards goes on with NextToken, which names the stream too."""

    async def scene(server):
        await server.create(shard_count=5)
        answer = await server.call("list_shards", stream_name="changes", max_results=2)
        found = answer.shards
        while answer.next_token is not None:
            answer = await server.call(
                "list_shards", next_token=answer.next_token, max_results=2
            )
            found += answer.shards

        assert [each.shard_id for each in found] == [
            shards.shard_id(n) for n in range(5)
        ]

    play(scene)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"exclusive_start_shard_id": "shardId-000000000001"}, 1),
        ({"exclusive_start_shard_id": "shardId-000000000009"}, 0),
        ({"exclusive_start_shard_id": "a"}, 3),
        (
            {
                "shard_filter": contract.ShardFilter(
                    type="AFTER_SHARD_ID", shard_id="shardId-000000000000"
                )
            },
            2,
        ),
        ({"shard_filter": contract.ShardFilter(type="AT_LATEST")}, 3),
        ({"shard_filter": contract.ShardFilter(type="FROM_TRIM_HORIZON")}, 3),
        (
            {"shard_filter": contract.ShardFilter(type="AT_TIMESTAMP", timestamp=1.0)},
            3,
        ),
        ({"stream_creation_timestamp": START_MS / 1000}, 3),
        ({"stream_creation_timestamp": START_MS // 1000}, 3),
    ],
)
def test_shards_can_be_filtered(play, members, expected):
    """Shards behind an id are a part; every other filter shows all open shards."""

    async def scene(server):
        await server.create(shard_count=3)
        # "a" stands before "shardId-..." and so nothing is left out.
        answer = await server.call("list_shards", stream_name="changes", **members)

        assert len(answer.shards) == expected

    play(scene)


@pytest.mark.parametrize(
    ("error", "members", "complaint"),
    [
        (
            InvalidArgumentException,
            {},
            "Either NextToken or StreamName should be provided.",
        ),
        (
            InvalidArgumentException,
            {"stream_name": "changes", "next_token": "x"},
            "NextToken and StreamName cannot be provided together.",
        ),
        (
            InvalidArgumentException,
            {"next_token": "x", "exclusive_start_shard_id": "a"},
            "NextToken and ExclusiveStartShardId cannot be provided together.",
        ),
        (InvalidArgumentException, {"next_token": "x"}, "Invalid NextToken."),
        (
            InvalidArgumentException,
            {
                "stream_name": "changes",
                "shard_filter": contract.ShardFilter(type="AFTER_SHARD_ID"),
            },
            "ShardFilter AFTER_SHARD_ID needs a ShardId.",
        ),
        (
            InvalidArgumentException,
            {
                "stream_name": "changes",
                "shard_filter": contract.ShardFilter(type="FROM_TIMESTAMP"),
            },
            "ShardFilter FROM_TIMESTAMP needs a Timestamp.",
        ),
        (
            ResourceNotFoundException,
            {"stream_name": "changes", "stream_creation_timestamp": 1.0},
            "Stream changes under account 000000000000 not found.",
        ),
    ],
)
def test_a_listing_of_shards_that_makes_no_sense_is_refused(
    play, error, members, complaint
):
    """Each wrong combination of members is refused in words that name it."""

    async def scene(server):
        await server.create()

        assert complaint == await server.refused(error, "list_shards", **members)

    play(scene)


def test_the_next_token_of_a_listing_of_shards_ends(play):
    """It lasts five minutes, and not longer than its stream."""

    async def scene(server):
        await server.create(shard_count=2)
        answer = await server.call("list_shards", stream_name="changes", max_results=1)
        token = answer.next_token
        server.now_ms += 300_000
        await server.call("list_shards", next_token=token)
        server.now_ms += 1
        await server.refused(ExpiredNextTokenException, "list_shards", next_token=token)
        server.now_ms -= 300_001
        await server.call("delete_stream", stream_name="changes")
        await server.create(shard_count=2)
        await server.refused(ResourceNotFoundException, "list_shards", next_token=token)

    play(scene)


def test_a_token_of_one_listing_does_not_serve_another(play):
    """The NextToken of ListShards is invalid for ListStreams."""

    async def scene(server):
        await server.create(shard_count=2)
        answer = await server.call("list_shards", stream_name="changes", max_results=1)
        message = await server.refused(
            InvalidArgumentException, "list_streams", next_token=answer.next_token
        )

        assert message == "Invalid NextToken."

    play(scene)


@pytest.mark.parametrize(
    ("retention_s", "hours"), [(60, 1), (3600, 1), (3601, 2), (7 * 86_400, 168)]
)
def test_retention_is_shown_in_whole_hours(play, retention_s, hours):
    """A retention that is no whole number of hours is shown rounded up."""

    async def scene(server):
        await server.create()
        answer = await server.call("describe_stream_summary", stream_name="changes")

        assert answer.stream_description_summary.retention_period_hours == hours

    play(scene, stream_retention_s=retention_s)
