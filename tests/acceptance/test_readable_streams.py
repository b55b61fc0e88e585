"""
SUCCEEDED means that somebody can read it: streams that acknowledge what they drop.

A real server, a real JetStream, and streams set up as people set them up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

import pytest

from acceptance.kinds import embedded_does
from acceptance.seeding import Seed, fill, identities
from acceptance.sync_client import Dataset, create_pool, new_identity
from acceptance.test_survival import (
    STREAM,
    assert_clean,
    client_of,
    publish,
    status_of,
    use_stream,
    verify,
    wait_for_end,
)
from millpond.testing.ports import free_port
from millpond.testing.server import RunningServer, wait_until
from sinks import nats_servers
from sinks.nats_servers import NatsServer

pytestmark = [
    pytest.mark.skipif(bool(nats_servers.WHY_NOT), reason=nats_servers.WHY_NOT),
    embedded_does("how a JetStream answers, which no store sees"),
]

DATASETS: Final = 40


class Scene:
    """A server with a pool that streams to a JetStream of its own."""

    def __init__(
        self, server: RunningServer, nats: NatsServer, pool: str, streams: str
    ) -> None:
        self.server = server
        self.nats = nats
        self.pool = pool
        self.streams = streams

    def act(
        self, function: Callable[..., Awaitable[Any]], *args: Any, **kw: Any
    ) -> Any:
        """Do something with the JetStream."""
        return asyncio.run(function([self.nats.url], *args, **kw))  # type: ignore[arg-type]

    def messages(self) -> int:
        """Count what the stream holds."""
        found: int = self.act(nats_servers.stream_state, STREAM)["messages"]
        return found

    def run(self) -> dict[str, Any]:
        """Run a bulk publish to its end."""
        publish(self.server, self.pool)
        return wait_for_end(self.server, self.pool)


@pytest.fixture
def scene(start_server, tmp_path) -> Iterator[Callable[..., Scene]]:
    """Make scenes; give the configuration of the stream."""
    with contextlib.ExitStack() as stack:

        def make(settings: dict[str, str] | None = None, **config: Any) -> Scene:
            nats = NatsServer(tmp_path, "nats", free_port())
            nats.start()
            stack.callback(nats.kill)
            asyncio.run(nats.ready())
            asyncio.run(nats_servers.create_stream([nats.url], STREAM, **config))
            streams = json.dumps({STREAM: f"nats://{nats.host}/{STREAM}"})
            server = start_server(settings={**(settings or {}), "streams": streams})
            pool = create_pool(server)
            server.stop()
            fill(server, pool, _seeds(DATASETS))
            server.start()
            use_stream(server, pool)
            return Scene(server, nats, pool, streams)

        yield make


def _seeds(count: int) -> Sequence[Seed]:
    return [Seed(each, "prefs", {"a": "1"}) for each in identities(count)]


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        ({"retention": "interest"}, "no durable consumer"),
        ({"no_ack": True}, "acknowledges nothing"),
        ({"max_age": 2 * 10**9}, "max_age=2s"),
    ],
)
def test_a_stream_that_drops_what_it_takes_fails_the_run_at_once(scene, config, cause):
    """The message names the stream, the cause and what to change; nothing is stored."""
    stage = scene(**config)

    found = stage.run()

    assert found["BulkPublishStatus"] == "FAILED"
    message = found["FailureMessage"]
    assert f"Stream '{STREAM}'" in message
    assert cause in message
    assert f"nats stream edit {STREAM}" in message
    assert f"Delivered before that: 0 of {DATASETS}" in message
    assert stage.messages() == 0


def test_a_change_waits_until_the_stream_is_mended(scene):
    """Live updates go on; streaming stays on, and what waited is sent then."""
    stage = scene(retention="interest")
    identity = new_identity()
    with client_of(stage.server, "cognito-sync") as sync:
        Dataset(sync, stage.pool, identity).put(a="1")

        def waits() -> bool:
            return any(
                '"outbox.failed"' in line and "no durable consumer" in line
                for line in stage.server.log
            )

        wait_until(waits, timeout_s=60)
        configuration = sync.get_identity_pool_configuration(IdentityPoolId=stage.pool)[
            "CognitoStreams"
        ]
        assert configuration["StreamingStatus"] == "ENABLED"
    stage.act(nats_servers.change_stream, STREAM, retention="limits")

    assert stage.run()["BulkPublishStatus"] == "SUCCEEDED"
    assert_clean(stage.server, stage.pool, MILLPOND_STREAMS=stage.streams)


def test_a_stream_that_drops_its_oldest_fails_the_run(scene):
    """A full stream that acknowledges all the same holds only part of the run."""
    stage = scene(max_msgs=10)

    found = stage.run()

    assert found["BulkPublishStatus"] == "FAILED"
    assert "max_msgs=10 with discard=old" in found["FailureMessage"]
    assert stage.messages() == 10
    # Whoever looks for what is missing is told the same.
    found = verify(stage.server, stage.pool, MILLPOND_STREAMS=stage.streams)
    assert found.returncode == 1
    assert "drops its oldest records when full (max_msgs=10" in found.stderr


def test_a_stream_created_again_in_the_middle_fails_the_run(scene):
    """What came before is lost, though each record was acknowledged."""
    stage = scene({"bulk_publish_slices": "256", "bulk_publish_workers": "1"})
    publish(stage.server, stage.pool)
    wait_until(stage.messages, timeout_s=60)
    stage.act(nats_servers.remove_stream, STREAM)
    stage.act(nats_servers.create_stream, STREAM)

    found = wait_for_end(stage.server, stage.pool)

    assert found["BulkPublishStatus"] == "FAILED"
    again = stage.run()
    assert again["BulkPublishStatus"] == "SUCCEEDED"
    assert_clean(stage.server, stage.pool, MILLPOND_STREAMS=stage.streams)


def test_a_purge_between_a_crash_and_its_resumption_leaves_no_hole(scene):
    """The stream calls purged records duplicates; the run fails or they are there."""
    stage = scene({"bulk_publish_slices": "256", "bulk_publish_workers": "1"})
    publish(stage.server, stage.pool)
    wait_until(stage.messages, timeout_s=60)
    stage.server.kill()
    held = stage.messages()

    async def purge(urls: list[str]) -> None:
        async with nats_servers.connected(urls) as client:
            await client.jetstream().purge_stream(STREAM)

    stage.act(purge)
    stage.server.start()
    found = wait_for_end(stage.server, stage.pool)

    if held:
        assert found["BulkPublishStatus"] == "FAILED"
        assert "purge" in found["FailureMessage"]
    assert stage.run()["BulkPublishStatus"] == "SUCCEEDED"
    assert_clean(stage.server, stage.pool, MILLPOND_STREAMS=stage.streams)


def test_a_work_queue_is_told_from_an_incomplete_stream(scene):
    """A run succeeds; what a consumer has taken cannot be read back, and is said."""
    stage = scene(retention="workqueue")

    assert stage.run()["BulkPublishStatus"] == "SUCCEEDED"
    assert stage.messages() == DATASETS
    found = verify(stage.server, stage.pool, MILLPOND_STREAMS=stage.streams)
    assert found.returncode == 1
    assert "work queue" in found.stderr
    assert found.stdout == ""
    assert status_of(stage.server, stage.pool)["BulkPublishStatus"] == "SUCCEEDED"
