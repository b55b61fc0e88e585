"""Streams of any kind: where they are, who uses them, and how far behind they are."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import msgspec

from millpond.sinks.base import is_embedded, sink_url, without_secrets
from millpond.stores.base import OutboxUsage, Store

_AT_ONCE: Final = 100
_NOTHING: Final = OutboxUsage(0, 0, None)


class StreamUser(msgspec.Struct, frozen=True):
    """A pool that is set up with a stream, and what of it has not got there."""

    identity_pool_id: str
    streaming_status: str
    disabled_reason: str | None
    outbox: OutboxUsage
    identity_pool_name: str = ""
    disabled_date_ms: int | None = None  # when the server has switched it off itself


class StreamLook(msgspec.Struct, frozen=True):
    """
    A stream.

    Args:
        place: its URL, without secrets.
        shard_count: of an embedded one, 0 when it does not exist; None of another.
    """

    stream_name: str
    place: str
    shard_count: int | None
    users: tuple[StreamUser, ...]

    @property
    def kind(self) -> str:
        """What is behind it."""
        return self.place.partition(":")[0].lower()

    @property
    def outbox(self) -> OutboxUsage:
        """What waits for it, of all pools."""
        usages = [each.outbox for each in self.users]
        oldest = [e.oldest_ms for e in usages if e.oldest_ms is not None]
        return OutboxUsage(
            sum(each.entries for each in usages),
            sum(each.parked for each in usages),
            min(oldest, default=None),
        )


async def list_streams(
    store: Store, streams: Mapping[str, str], *, count_max: int | None = None
) -> list[StreamLook]:
    """
    List the streams that exist, that the settings name, and that pools are set up with.

    Args:
        streams: the setting `streams`.
        count_max: of each pool, count no further than this; None: to the end.
    """
    shards = await _embedded(store)
    users = await _users(store, count_max)
    return [
        StreamLook(
            stream_name=name,
            place=without_secrets(sink_url(streams, name)),
            shard_count=shards.get(name, 0) if is_embedded(streams, name) else None,
            users=tuple(users[name]),
        )
        for name in sorted({*shards, *streams, *users})
    ]


def how_to_show(stream_name: str, place: str) -> list[str]:
    """
    Give the commands that show what is in a stream: ours, and that of its engine.

    Args:
        place: its URL, without secrets.
    """
    kind, _, rest = place.partition(":")
    name = shlex.quote(rest.rstrip("/").rpartition("/")[2] or stream_name)
    host = shlex.quote(rest.strip("/").partition("/")[0].partition(",")[0])
    known = {
        "embedded": "aws kinesis get-records --shard-iterator ...",
        "kinesis": f"aws kinesis get-shard-iterator --stream-name {name} --shard-id "
        "shardId-000000000000 --shard-iterator-type TRIM_HORIZON",
        "nats": f"nats --server {host} stream view {name}",
        "kafka": f"kafka-console-consumer.sh --bootstrap-server {host} --topic {name} "
        "--from-beginning --property print.key=true",
        "file": f"ls {shlex.quote(rest.removeprefix('//'))}",
    }
    ours = f"millpond stream tail --from-start {shlex.quote(stream_name)}"
    return [ours, known[kind]] if kind in known else [ours]


async def _embedded(store: Store) -> dict[str, int]:
    """Find the embedded streams: how many shards each has."""
    found: dict[str, int] = {}
    after = None
    while page := await store.list_streams(after=after, limit=_AT_ONCE):
        found |= {each.stream_name: each.shard_count for each in page}
        after = page[-1].stream_name
    return found


async def _users(
    store: Store, count_max: int | None
) -> defaultdict[str, list[StreamUser]]:
    """Find the pools that are set up with a stream, by the name of that."""
    found: defaultdict[str, list[StreamUser]] = defaultdict(list)
    waiting = await _waiting(store, count_max)
    after = None
    while page := await store.list_identity_pools(after=after, limit=_AT_ONCE):
        for pool in page:
            stream = pool.stream
            if stream is None or stream.stream_name is None:
                continue
            user = StreamUser(
                pool.identity_pool_id,
                stream.streaming_status or "DISABLED",
                stream.disabled_reason,
                waiting.get(pool.identity_pool_id, _NOTHING),
                pool.identity_pool_name,
                stream.disabled_date_ms,
            )
            found[stream.stream_name].append(user)
        after = page[-1].identity_pool_id
    return found


async def _waiting(store: Store, count_max: int | None) -> dict[str, OutboxUsage]:
    found: dict[str, OutboxUsage] = {}
    after = None
    while page := await store.list_outbox_usage(
        after=after, limit=_AT_ONCE, count_max=count_max
    ):
        found |= {each.identity_pool_id: each.usage for each in page}
        after = page[-1].identity_pool_id
    return found
