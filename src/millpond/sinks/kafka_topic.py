"""
What a topic tells of itself, and what that means for who writes to it.

The configuration of the topic and the number of its replicas are read into a `Target`
(`core.targets`). A broker tells the configuration only to who may ask; what it does not
tell counts as harmless, and docs/streams.md says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from millpond.core.targets import Property, Target, Words


class TopicInfo(NamedTuple):
    """What is to be known of a topic before it is written or read."""

    partitions: tuple[int, ...]
    message_bytes_max: int  # of a batch of messages, as the broker counts it
    replicas: int = 1
    configuration: Mapping[str, str] = {}  # as far as the broker tells it


class TopicPlaces(NamedTuple):
    """Where a topic stands; empty as far as the broker does not tell it."""

    topic_id: str = ""
    oldest: Mapping[str, int] = {}  # the first offset that is left, by partition
    following: Mapping[str, int] = {}  # the offset of the next record, by partition


def topic_target(
    name: str, topic: TopicInfo, places: TopicPlaces | None = None
) -> Target:
    """Say what kind of target a topic is."""
    places = places or TopicPlaces()
    return Target(
        name=f"Kafka topic '{name}'",
        properties={**_ends(name, topic), **_replicas(name, topic)},
        identity=places.topic_id,
        keeps_ms=_keeps_ms(topic),
        oldest=places.oldest,
        following=places.following,
    )


def _policies(topic: TopicInfo) -> set[str]:
    policy = topic.configuration.get("cleanup.policy", "")
    return {each.strip() for each in policy.split(",")}


def _number(topic: TopicInfo, key: str) -> int | None:
    """Read a number of the configuration; None when it is not told, or no limit."""
    try:
        number = int(topic.configuration[key])
    except (KeyError, TypeError, ValueError):
        return None
    return number if number >= 0 else None


def _keeps_ms(topic: TopicInfo) -> int | None:
    # Brokers may leave out what nobody has set; cleanup.policy is `delete` then.
    if _policies(topic) & {"delete", ""}:
        return _number(topic, "retention.ms")
    return None


def _ends(name: str, topic: TopicInfo) -> Mapping[Property, Words]:
    """Find what drops records that the topic had acknowledged."""
    found = {}
    if "compact" in _policies(topic):
        found[Property.KEEPS_THE_LAST] = Words(
            f"cleanup.policy={topic.configuration['cleanup.policy']}, and the key is "
            "the identity",
            f"Let it keep every record: {_alter(name, 'cleanup.policy=delete')}.",
        )
    age_ms, size = _keeps_ms(topic), _number(topic, "retention.bytes")
    if age_ms is not None:
        found[Property.ENDS_BY_AGE] = Words(
            f"retention.ms={age_ms}",
            f"Let it keep them longer: {_alter(name, 'retention.ms=604800000')}.",
        )
    if size is not None:
        found[Property.ENDS_WHEN_FULL] = Words(
            f"retention.bytes={size}",
            f"Let it keep more: {_alter(name, 'retention.bytes=-1')}.",
        )
    return found


def _replicas(name: str, topic: TopicInfo) -> Mapping[Property, Words]:
    """Find what lets another replica take the lead without what was acknowledged."""
    unclean = topic.configuration.get("unclean.leader.election.enable") == "true"
    least = _number(topic, "min.insync.replicas")
    if topic.replicas < 2 or not unclean or least is None or least > 1:
        return {}
    return {
        Property.FORGETS_LEADERS: Words(
            f"min.insync.replicas={least} and unclean.leader.election.enable=true",
            f"Let two of its {topic.replicas} replicas acknowledge: "
            f"{_alter(name, 'min.insync.replicas=2')}.",
        )
    }


def _alter(name: str, setting: str) -> str:
    return f"`kafka-configs.sh --alter --topic {name} --add-config {setting}`"
