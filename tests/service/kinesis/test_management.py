"""Modes and limits of embedded streams, and what they have not."""

from __future__ import annotations

from typing import Any

import pytest

from millpond.contract import kinesis as contract
from millpond.errors import InvalidArgumentException, ResourceNotFoundException

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/changes"
ELSEWHERE = "arn:aws:kinesis:us-east-1:111111111111:stream/changes"
SHARD = "shardId-000000000000"
ON_DEMAND = contract.StreamModeDetails(stream_mode="ON_DEMAND")
KMS = {"encryption_type": "KMS", "key_id": "alias/aws/kinesis"}
METRICS = {"shard_level_metrics": ["ALL"]}

REFUSED: dict[str, dict[str, Any]] = {
    "split_shard": {"shard_to_split": SHARD, "new_starting_hash_key": "5"},
    "merge_shards": {"shard_to_merge": SHARD, "adjacent_shard_to_merge": "1"},
    "update_shard_count": {
        "target_shard_count": 4,
        "scaling_type": "UNIFORM_SCALING",
    },
    "start_stream_encryption": KMS,
    "enable_enhanced_monitoring": METRICS,
    "update_stream_warm_throughput": {"warm_throughput_mibps": 10},
    "update_max_record_size": {"max_record_size_in_kib": 2048},
    "update_stream_record_distribution_strategy": {
        "record_distribution_strategy": "AUTO"
    },
    "update_stream_mode": {
        "stream_mode_details": ON_DEMAND,
        "warm_throughput_mibps": 10,
    },
}
DONE: dict[str, dict[str, Any]] = {
    "update_shard_count": REFUSED["update_shard_count"] | {"target_shard_count": 2},
    "stop_stream_encryption": KMS,
    "disable_enhanced_monitoring": METRICS,
    "update_max_record_size": {"max_record_size_in_kib": 1024},
    "update_stream_record_distribution_strategy": {
        "record_distribution_strategy": "USER_PARTITION_KEY"
    },
    "update_stream_mode": {"stream_mode_details": ON_DEMAND},
}


@pytest.mark.parametrize("operation", REFUSED)
def test_what_a_stream_has_not_is_refused_in_so_many_words(play, operation):
    """The refusal says what is not available; the stream stays as it is."""

    async def scene(server):
        await server.create(shard_count=2)
        before = await server.call("describe_stream", stream_arn=ARN)
        message = await server.refused(
            InvalidArgumentException, operation, stream_arn=ARN, **REFUSED[operation]
        )

        assert " is not available" in message or " is always " in message
        assert before == await server.call("describe_stream", stream_arn=ARN)

    play(scene)


@pytest.mark.parametrize("operation", DONE)
def test_what_holds_anyway_is_answered_as_done(play, operation):
    """Tools that make sure of a state can go on."""

    async def scene(server):
        await server.create(shard_count=2)
        await server.call(operation, stream_arn=ARN, **DONE[operation])

    play(scene)


@pytest.mark.parametrize("operation", sorted(REFUSED | DONE))
def test_the_stream_must_be_here(play, operation):
    """What is not found is told first."""

    async def scene(server):
        await server.create()
        members = (REFUSED | DONE)[operation]
        await server.refused(
            ResourceNotFoundException, operation, stream_arn=ELSEWHERE, **members
        )

    play(scene)


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("split_shard", {"shard_to_split": "shardId-000000000002"}),
        ("merge_shards", {"adjacent_shard_to_merge": "shardId-000000000002"}),
        ("merge_shards", {"shard_to_merge": "x"}),
    ],
)
def test_shards_must_be_there(play, operation, members):
    """A shard that the stream does not have is not found."""

    async def scene(server):
        await server.create(shard_count=2)
        await server.refused(
            ResourceNotFoundException,
            operation,
            stream_arn=ARN,
            **(REFUSED[operation] | members),
        )

    play(scene)


def test_the_mode_is_kept_and_told(play):
    """Everywhere that a mode is told; the shards stay."""

    async def modes(server):
        named = {"stream_name": "changes"}
        full = await server.call("describe_stream", **named)
        short = await server.call("describe_stream_summary", **named)
        listed = await server.call("list_streams")
        found = (
            full.stream_description,
            short.stream_description_summary,
            *listed.stream_summaries,
        )
        return {each.stream_mode_details.stream_mode for each in found}

    async def scene(server):
        await server.create(shard_count=3)
        assert await modes(server) == {"PROVISIONED"}
        for mode in ("ON_DEMAND", "ON_DEMAND", "PROVISIONED"):
            details = contract.StreamModeDetails(stream_mode=mode)
            await server.call(
                "update_stream_mode", stream_arn=ARN, stream_mode_details=details
            )
            assert await modes(server) == {mode}
        shards = await server.call("list_shards", stream_name="changes")
        assert len(shards.shards) == 3

    play(scene)


def test_an_on_demand_stream_begins_with_four_shards(play):
    """As it does at Kinesis, where no number may be given."""

    async def scene(server):
        await server.call(
            "create_stream", stream_name="changes", stream_mode_details=ON_DEMAND
        )
        shards = await server.call("list_shards", stream_name="changes")
        limits = await server.call("describe_limits")

        assert len(shards.shards) == 4
        assert limits.on_demand_stream_count == 1

    play(scene)


def test_limits_count_all_streams(play):
    """Open shards of every stream that is there; there is room for more."""

    async def scene(server):
        for name, shards in (("one", 3), ("two", 40), ("gone", 5)):
            await server.create(name, shard_count=shards)
        await server.call("delete_stream", stream_name="gone")
        limits = await server.call("describe_limits")

        assert (limits.open_shard_count, limits.on_demand_stream_count) == (43, 0)
        assert limits.shard_limit >= 43 + 500

    play(scene)


def test_nothing_is_billed(play):
    """The account has no commitment, and takes none."""
    wanted = {
        status: contract.MinimumThroughputBillingCommitmentInput(status=status)
        for status in ("DISABLED", "ENABLED")
    }

    async def scene(server):
        described = await server.call("describe_account_settings")
        updated = await server.call(
            "update_account_settings",
            minimum_throughput_billing_commitment=wanted["DISABLED"],
        )
        for each in (described, updated):
            assert each.minimum_throughput_billing_commitment.status == "DISABLED"
        await server.refused(
            InvalidArgumentException,
            "update_account_settings",
            minimum_throughput_billing_commitment=wanted["ENABLED"],
        )

    play(scene)


def test_nothing_has_a_policy(play):
    """Neither a stream nor a consumer; to put one is refused."""

    async def scene(server):
        await server.create()
        answer = await server.call(
            "register_stream_consumer", stream_arn=ARN, consumer_name="app"
        )
        for arn in (ARN, answer.consumer.consumer_arn):
            found = await server.call("get_resource_policy", resource_arn=arn)
            assert found.policy == "{}"
            message = await server.refused(
                InvalidArgumentException,
                "put_resource_policy",
                resource_arn=arn,
                policy="{}",
            )
            assert "PutResourcePolicy is not available" in message
            await server.refused(
                ResourceNotFoundException, "delete_resource_policy", resource_arn=arn
            )
        await server.refused(
            ResourceNotFoundException, "get_resource_policy", resource_arn=ELSEWHERE
        )

    play(scene)
