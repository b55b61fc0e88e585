"""What is told of a pool's stream, and what the published API does not show of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from millpond.contract import cognito_sync
from millpond.contract.streaming import (
    GetStreamDetailsRequest,
    GetStreamDetailsResponse,
)
from millpond.core.identity_pools import IdentityPool, StreamConfiguration
from millpond.errors import ResourceNotFoundException
from millpond.service import configuration
from millpond.service.context import Caller
from millpond.service.stream_details import get_stream_details
from millpond.settings import Settings
from millpond.stores.base import OutboxUsage
from millpond.stores.sqlite import SqliteStore
from millpond.testing.store_contract.bench import (
    NOW_MS,
    POOL,
    PREFS,
    UNKNOWN_POOL,
    a_pool,
    put,
)
from service.stage import make_context

DEVELOPER = Caller("AKIAEXAMPLE", "000000000000")
GONE = {"disabled_reason": "The stream is gone.", "disabled_date_ms": NOW_MS - 5000}
STREAMS = {
    "changes": "Kinesis://key:secret@host.invalid/stream?option=1",
    "odd": "nats:",
}


class Server:
    """The operations over a store of its own, at a fixed time."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        settings = Settings(streams=STREAMS)
        self.context = make_context(store, settings, lambda: NOW_MS)

    async def details(self, pool: str = POOL) -> GetStreamDetailsResponse:
        """Ask for what is known of the stream."""
        request = GetStreamDetailsRequest(identity_pool_id=pool)
        return await get_stream_details(self.context, DEVELOPER, request)

    async def switch_off(self, **members: Any) -> None:
        """Do as the relay does with a stream that is gone."""

        def change(pool: IdentityPool) -> IdentityPool:
            assert pool.stream is not None
            stream = msgspec.structs.replace(
                pool.stream, streaming_status="DISABLED", **{**GONE, **members}
            )
            return msgspec.structs.replace(pool, stream=stream)

        await self.store.update_identity_pool(POOL, change)

    async def configure(self, **members: Any) -> cognito_sync.CognitoStreams:
        """Set up the stream as a developer does, and give what is answered."""
        request = cognito_sync.SetIdentityPoolConfigurationRequest(
            identity_pool_id=POOL,
            cognito_streams=cognito_sync.CognitoStreams(**members),
        )
        answer = await configuration.set_identity_pool_configuration(
            self.context, DEVELOPER, request
        )
        assert answer.cognito_streams is not None
        return answer.cognito_streams


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Run a scene against a fresh server."""

    def run(scene: Any, pool: IdentityPool | None = None) -> None:
        async def on_stage() -> None:
            store = SqliteStore(tmp_path)
            await store.open()
            try:
                await store.create_identity_pool(pool or a_pool(), pools_max=9)
                await scene(Server(store))
            finally:
                await store.aclose()

        asyncio.run(on_stage())

    return run


def test_an_unknown_pool_is_refused(play):
    """In Cognito Sync's words."""

    async def scene(server):
        with pytest.raises(ResourceNotFoundException) as caught:
            await server.details(UNKNOWN_POOL)
        assert caught.value.message == f"IdentityPool '{UNKNOWN_POOL}' not found"

    play(scene)


def test_a_pool_without_a_stream(play):
    """There is nothing to tell but an empty outbox."""
    pool = msgspec.structs.replace(a_pool(), stream=None)

    async def scene(server):
        assert await server.details() == GetStreamDetailsResponse(
            identity_pool_id=POOL, outbox_entry_count=0, parked_entry_count=0
        )

    play(scene, pool)


def test_changes_that_wait_are_counted(play):
    """The outbox of the pool, and the kind of its sink without a word of its URL."""

    async def scene(server):
        for _ in range(3):
            await put(server.store, PREFS, {"k": "v"}, event=b"x")
        found = await server.details()

        assert (found.stream_name, found.streaming_status) == ("changes", "ENABLED")
        assert found.sink_scheme == "kinesis"
        assert (found.outbox_entry_count, found.parked_entry_count) == (3, 0)
        assert b"secret" not in msgspec.json.encode(found)
        assert b"host" not in msgspec.json.encode(found)

    play(scene)


@pytest.mark.parametrize(
    ("oldest_ms", "age_s"),
    [
        (None, None),
        (NOW_MS - 61_999, 61),
        (NOW_MS, 0),
        (NOW_MS + 5000, 0),  # the clock was set back
    ],
)
def test_the_age_of_the_oldest_change(play, monkeypatch, oldest_ms, age_s):
    """In whole seconds, and never below 0."""

    async def measure(identity_pool_id: str) -> OutboxUsage:
        return OutboxUsage(entries=4, parked=2, oldest_ms=oldest_ms)

    async def scene(server):
        monkeypatch.setattr(server.store, "measure_outbox", measure)
        found = await server.details()

        assert (found.outbox_entry_count, found.parked_entry_count) == (4, 2)
        assert age_s == found.oldest_entry_age_seconds

    play(scene)


@pytest.mark.parametrize(
    ("stream_name", "scheme"),
    [("else", "embedded"), ("odd", "nats"), ("kinesis:x", "embedded")],
)
def test_the_kind_of_a_sink(play, stream_name, scheme):
    """The scheme of the setting; a name that is not in it is an embedded stream."""

    async def scene(server):
        await server.configure(stream_name=stream_name)

        assert scheme == (await server.details()).sink_scheme

    play(scene)


def test_a_stream_that_is_gone_is_told_here_alone(play):
    """Why and when streaming was switched off; the published API has no such thing."""

    async def scene(server):
        await server.switch_off()
        found = await server.details()
        request = cognito_sync.GetIdentityPoolConfigurationRequest(
            identity_pool_id=POOL
        )
        shown = await configuration.get_identity_pool_configuration(
            server.context, DEVELOPER, request
        )

        assert found.streaming_status == "DISABLED"
        assert found.disabled_reason == GONE["disabled_reason"]
        assert found.disabled_date == NOW_MS / 1000 - 5
        assert shown.cognito_streams == cognito_sync.CognitoStreams(
            stream_name="changes", streaming_status="DISABLED"
        )

    play(scene)


@pytest.mark.parametrize(
    "members",
    [
        {"streaming_status": "ENABLED"},
        {"streaming_status": "DISABLED"},
        {"stream_name": "another"},
    ],
)
def test_a_stream_that_is_set_up_anew_has_no_past(play, members):
    """Whoever configures the stream has seen what was wrong."""

    async def scene(server):
        await server.switch_off()
        await server.configure(**members)
        found = await server.details()

        assert (found.disabled_reason, found.disabled_date) == (None, None)

    play(scene)


def test_configuring_push_leaves_the_stream_alone(play):
    """The reason stays while nobody touches the stream."""

    async def scene(server):
        await server.switch_off()
        request = cognito_sync.SetIdentityPoolConfigurationRequest(
            identity_pool_id=POOL, push_sync=cognito_sync.PushSync()
        )
        await configuration.set_identity_pool_configuration(
            server.context, DEVELOPER, request
        )

        assert (await server.details()).disabled_reason == GONE["disabled_reason"]

    play(scene)


def test_a_pool_of_an_older_version_is_read():
    """What was stored before there were reasons has none."""
    stored = {
        "identity_pool_id": POOL,
        "identity_pool_name": "old",
        "allow_unauthenticated_identities": True,
        "stream": {
            "stream_name": "s",
            "role_arn": None,
            "streaming_status": "DISABLED",
        },
    }

    pool = msgspec.json.decode(msgspec.json.encode(stored), type=IdentityPool)

    assert pool.stream == StreamConfiguration(
        stream_name="s", streaming_status="DISABLED"
    )
    assert pool.stream.disabled_reason is None
