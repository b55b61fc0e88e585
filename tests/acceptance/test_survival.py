"""
SUCCEEDED is a promise: what a bulk publish and the outbox survive.

Every test ends as a consumer would: the stream is read, repeats are removed, and what
is left is compared with the pool (`millpond stream verify`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from acceptance.kinds import embedded_does, embedded_only, postgres_does
from acceptance.seeding import Seed, fill, identities
from acceptance.sync_client import Dataset, create_pool, new_identity, replace
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until
from sinks import nats_servers

KILLS: Final = 20
STREAM: Final = "changes"
# Many small slices, one after the other: a run has a middle to be disturbed in.
SLOWLY: Final = {"bulk_publish_slices": "256", "bulk_publish_workers": "1"}


def verify(
    server: RunningServer, pool: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Compare a pool with its stream, as an operator would."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "millpond", "stream", "verify"),
            *("--identity-pool-id", pool, "--data", str(server.data)),
            *("--wait", "60", "--store", server.store_url),
        ],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=seconds(110),
        check=False,
    )


def assert_clean(server: RunningServer, pool: str, **settings: str) -> None:
    """Check that a pool and its stream are the same."""
    found = verify(server, pool, **settings)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "clean" in found.stdout


@contextlib.contextmanager
def client_of(server: RunningServer, service: str) -> Iterator[Any]:
    """A client that is closed in the end."""
    with contextlib.closing(server.client(service)) as client:
        yield client


def use_stream(server: RunningServer, pool: str, status: str = "ENABLED") -> None:
    """Switch the stream of a pool on or off."""
    with client_of(server, "cognito-sync") as sync:
        sync.set_identity_pool_configuration(
            IdentityPoolId=pool,
            CognitoStreams={"StreamName": STREAM, "StreamingStatus": status},
        )


def create_stream(server: RunningServer) -> None:
    """Create the embedded stream."""
    with client_of(server, "kinesis") as kinesis:
        kinesis.create_stream(StreamName=STREAM, ShardCount=2)


def status_of(server: RunningServer, pool: str) -> dict[str, Any]:
    """Ask how the last run of a pool went."""
    with client_of(server, "cognito-sync") as sync:
        found: dict[str, Any] = sync.get_bulk_publish_details(IdentityPoolId=pool)
        return found


def wait_for_end(server: RunningServer, pool: str) -> dict[str, Any]:
    """Wait until no run of a pool is in progress, and give its details."""

    def ended() -> dict[str, Any] | None:
        found = status_of(server, pool)
        return found if found["BulkPublishStatus"] != "IN_PROGRESS" else None

    found: dict[str, Any] = wait_until(ended, timeout_s=60)
    return found


def publish(server: RunningServer, pool: str) -> None:
    """Start a bulk publish."""
    with client_of(server, "cognito-sync") as sync:
        sync.bulk_publish(IdentityPoolId=pool)


@embedded_does("test_bulk_publish kills servers of every store, too")
def test_killed_twenty_times(start_server):
    """kill -9 at random moments, again and again; then the run completes, whole."""
    seed = random.randrange(2**32)
    moments = random.Random(seed)
    server = start_server(settings=SLOWLY)
    create_stream(server)
    # When one pool is through, the next one is published: each kill hits a run.
    pools = [create_pool(server) for _ in range(6)]
    for pool in pools:
        use_stream(server, pool, "DISABLED")
    server.stop()
    people = identities(1500)
    for pool in pools:
        fill(server, pool, (Seed(i, "a", {"k": i}) for i in people))
    server.start()
    started: list[str] = []

    for kill in range(KILLS):
        if not started or status_of(server, started[-1])["BulkPublishStatus"] != (
            "IN_PROGRESS"
        ):
            started.append(pools[len(started)])
            use_stream(server, started[-1])
            publish(server, started[-1])
        time.sleep(moments.uniform(0, 0.15))
        server.kill()
        server.start()
        assert status_of(server, started[-1])["BulkPublishStatus"] in (
            "IN_PROGRESS",
            "SUCCEEDED",
        ), f"after kill {kill}, seed {seed}"

    for pool in started:
        assert wait_for_end(server, pool)["BulkPublishStatus"] == "SUCCEEDED", seed
        assert_clean(server, pool)


@embedded_does("test_bulk_publish kills servers of every store, too")
def test_killed_while_apps_write(start_server):
    """Writes during a run and a kill: what was acknowledged is in pool and stream."""
    server = start_server(settings=SLOWLY)
    create_stream(server)
    pool, people = _fill_stopped(server, 1500)
    publish(server, pool)
    writers = [_Writer(pool, each) for each in (*people[:3], new_identity())]
    threads = [threading.Thread(target=each.write, args=(server,)) for each in writers]
    for each in threads:
        each.start()
    wait_until(lambda: all(each.acknowledged > 2 for each in writers))

    server.kill()
    for each in threads:
        each.join()
    server.start()

    assert wait_for_end(server, pool)["BulkPublishStatus"] == "SUCCEEDED"
    with client_of(server, "cognito-sync") as sync:
        for writer in writers:
            dataset = Dataset(sync, pool, writer.identity, "written")
            # The last one may have been written without an answer.
            assert int(dataset.values()["n"] or 0) >= writer.acknowledged
    assert_clean(server, pool)


class _Writer:
    """An app that counts in a dataset until its server is gone, or it is stopped."""

    def __init__(self, pool: str, identity: str) -> None:
        self.identity = identity
        self.acknowledged = 0
        self._pool = pool
        self._stopped = False

    def stop(self) -> None:
        """Write no more after the write that is under way."""
        self._stopped = True

    def write(self, server: RunningServer) -> None:
        """Write until a write fails."""
        with client_of(server, "cognito-sync") as sync:
            dataset = Dataset(sync, self._pool, self.identity, "written")
            with contextlib.suppress(Exception):
                while not self._stopped:
                    number = self.acknowledged + 1
                    dataset.update(replace("n", str(number), self.acknowledged))
                    self.acknowledged = number


@embedded_only
@pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="prlimit is a call of Linux"
)
@embedded_does("the disk of the server, which a database does not fill")
def test_the_disk_is_full_in_the_middle_of_a_run(start_server):
    """The run fails and says so; with room again, the next one delivers everything."""
    server = start_server(settings={**SLOWLY, "bulk_publish_retries_max": "1"})
    create_stream(server)
    pool, _ = _fill_stopped(server, 300, repeat=200)
    # A limit on the size of files looks like a full disk to the store.
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    room = (1_500_000, resource.RLIM_INFINITY)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, room)
    publish(server, pool)

    def failed() -> dict[str, Any] | None:
        # When not even the failure can be written, it is told once there is room.
        found = status_of(server, pool)
        if found["BulkPublishStatus"] == "IN_PROGRESS" and _stuck(server):
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited)
        return found if found["BulkPublishStatus"] != "IN_PROGRESS" else None

    found = wait_until(failed, timeout_s=60)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited)

    assert found["BulkPublishStatus"] == "FAILED"
    assert STREAM in found["FailureMessage"]
    assert "disk" in found["FailureMessage"]
    publish(server, pool)
    assert wait_for_end(server, pool)["BulkPublishStatus"] == "SUCCEEDED"
    assert_clean(server, pool)


def _stuck(server: RunningServer) -> bool:
    return any('"worker.failed"' in line for line in server.log)


@pytest.mark.skipif(bool(nats_servers.WHY_NOT), reason=nats_servers.WHY_NOT)
@embedded_does("how a JetStream answers, which no store sees")
def test_the_leader_of_a_jetstream_is_killed(start_server, tmp_path):
    """A cluster that loses a node while a run and changes flow loses nothing."""

    async def play() -> None:
        async with nats_servers.running_cluster(tmp_path / "nats") as cluster:
            await nats_servers.create_stream(
                cluster.urls, STREAM, num_replicas=nats_servers.NODES
            )
            hosts = ",".join(each.host for each in cluster.servers)
            streams = json.dumps({STREAM: f"nats://{hosts}/{STREAM}"})
            server = await asyncio.to_thread(
                start_server, settings={**SLOWLY, "streams": streams}
            )
            pool, people = await asyncio.to_thread(_fill_stopped, server, 2000)
            writer = _Writer(pool, new_identity())
            thread = threading.Thread(target=writer.write, args=(server,))
            thread.start()
            publish(server, pool)
            await asyncio.to_thread(wait_until, lambda: writer.acknowledged > 5)
            leader = await cluster.leader_of(STREAM)
            leader.kill()
            seen = writer.acknowledged
            await asyncio.to_thread(wait_until, lambda: writer.acknowledged > seen + 5)
            ended = await asyncio.to_thread(wait_for_end, server, pool)
            writer.stop()
            thread.join()

            assert ended["BulkPublishStatus"] == "SUCCEEDED", ended
            await asyncio.to_thread(
                assert_clean, server, pool, MILLPOND_STREAMS=streams
            )
            state = await nats_servers.stream_state(cluster.urls, STREAM)
            assert state["messages"] >= len(people) + writer.acknowledged

    asyncio.run(play())


@embedded_does("files of a sink, which no store sees")
def test_a_run_into_files_survives_a_kill(start_server, tmp_path):
    """After kill -9 the files hold whole lines, and all that the pool holds."""
    folder = tmp_path / "files"
    folder.mkdir()
    streams = json.dumps({STREAM: f"file://{folder}?rotate_bytes=100000&volatile=true"})
    server = start_server(settings={**SLOWLY, "streams": streams})
    pool, _ = _fill_stopped(server, 1500)
    publish(server, pool)
    wait_until(lambda: len(list(folder.iterdir())) > 1)

    server.kill()
    server.start()

    assert wait_for_end(server, pool)["BulkPublishStatus"] == "SUCCEEDED"
    assert_clean(server, pool, MILLPOND_STREAMS=streams)
    server.stop()
    lines = [
        line
        for file in folder.iterdir()
        for line in file.read_text("utf-8").splitlines()
    ]
    assert {each.suffix for each in folder.iterdir()} == {".jsonl"}
    assert all(json.loads(line)["data"]["identityPoolId"] == pool for line in lines)


def _fill_stopped(
    server: RunningServer, count: int, *, repeat: int = 1
) -> tuple[str, Sequence[str]]:
    """Restart a server with a streaming pool of so many datasets, none sent yet."""
    pool = create_pool(server)
    use_stream(server, pool, "DISABLED")
    server.stop()
    people = identities(count)
    fill(server, pool, (Seed(i, "a", {"k": i * repeat}) for i in people))
    server.start()
    use_stream(server, pool)
    return pool, people


@postgres_does("deletions are in the contract of stores")
def test_deleted_datasets_stay_deleted(start_server):
    """Datasets that go, change hands and come back during a run are as in the pool."""
    server = start_server(settings=SLOWLY)
    create_stream(server)
    pool, people = _fill_stopped(server, 1200)
    publish(server, pool)

    def disturb(numbered: tuple[int, str]) -> None:
        number, identity = numbered
        dataset = Dataset(sync, pool, identity, "a")
        if number % 3 == 0:
            dataset.delete()
        elif number % 3 == 1:
            dataset.delete()
            dataset.put(k="again")
        else:
            dataset.put(k="changed", more="new")

    with client_of(server, "cognito-sync") as sync, ThreadPoolExecutor(4) as threads:
        list(threads.map(disturb, enumerate(people[::10])))

    assert wait_for_end(server, pool)["BulkPublishStatus"] == "SUCCEEDED"
    assert_clean(server, pool)


@postgres_does("merges are in the contract of stores")
def test_a_merge_onto_a_deleted_dataset_is_seen(start_server):
    """Devices and consumers that know of the deletion get what a merge puts there."""
    server = start_server()
    create_stream(server)
    with (
        client_of(server, "cognito-identity") as identities,
        client_of(server, "cognito-sync") as sync,
    ):
        pool = identities.create_identity_pool(
            IdentityPoolName="test",
            AllowUnauthenticatedIdentities=False,
            DeveloperProviderName="login.test",
        )["IdentityPoolId"]
        use_stream(server, pool)
        datasets = {}
        for user in ("survivor", "loser"):
            identity = identities.get_open_id_token_for_developer_identity(
                IdentityPoolId=pool, Logins={"login.test": user}
            )["IdentityId"]
            datasets[user] = Dataset(sync, pool, identity, "prefs")
        for number in range(5):
            datasets["survivor"].update(replace("k", "old", number))
        datasets["survivor"].delete()
        datasets["loser"].put(k="kept")
        merged = identities.merge_developer_identities(
            SourceUserIdentifier="loser",
            DestinationUserIdentifier="survivor",
            DeveloperProviderName="login.test",
            IdentityPoolId=pool,
        )
        survivor = datasets["survivor"]
        assert merged["IdentityId"] == survivor.identity
        seen = survivor.list(6)  # the count of the deletion

    assert [each["Value"] for each in seen["Records"]] == ["kept"]
    assert_clean(server, pool)
    publish(server, pool)
    assert wait_for_end(server, pool)["BulkPublishStatus"] == "SUCCEEDED"
    assert_clean(server, pool)
