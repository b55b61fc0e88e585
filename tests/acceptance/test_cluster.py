"""A server on a Citus cluster whose worker goes away, or whose shards are moved."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from acceptance.seeding import identities
from acceptance.streams import read_stream
from acceptance.sync_client import Dataset, create_pool
from acceptance.test_nodes import (
    StartNodes,
    assert_all_there,
    stream_into,
    write_on_all,
)
from acceptance.test_nodes import start_nodes as start_nodes  # a fixture
from cluster import on_a_line, on_last_worker
from millpond.testing.citus import TestCitus
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until

PEOPLE: Final = identities(16)
LIVELY_S: Final = 20.0  # far less than an outage takes
OUTAGE_S: Final = 60.0
BACK_S: Final = 60.0
# `kill9 PORT` and `start PORT` behind it: of a worker of the cluster, at once.
CONTROL: Final = "MILLPOND_TEST_CITUS_CONTROL"
_MOVES: Final = """
    SELECT shardid, source.nodename, source.nodeport, target.nodename, target.nodeport
    FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)
    JOIN pg_dist_node AS source USING (groupid)
    JOIN pg_dist_node AS target ON target.groupid = 2
    WHERE logicalrelid = 'identity_heads'::regclass AND source.groupid = 1
    ORDER BY shardid
"""


def test_a_worker_that_is_away_holds_up_no_other(
    citus: TestCitus, new_spread_database: Callable[[], str], tmp_path: Path
) -> None:
    """
    Requests, events and a bulk publish of the other identities go on; once it is back
    all has arrived, and the stream tells what the store has.
    """
    with on_a_line(citus, new_spread_database(), PEOPLE) as cluster:
        settings = {"store": cluster.url, "secret_key": secrets.token_hex(32)}
        with RunningServer(tmp_path / "data", settings=settings) as server:
            pool = create_pool(server)
            with (
                contextlib.closing(stream_into(server, pool)) as kinesis,
                contextlib.closing(server.client("cognito-sync")) as sync,
            ):
                lively = [each for each in PEOPLE if each not in cluster.behind]
                write_to(sync, pool, PEOPLE, "a", "b")
                cluster.line.cut(frozen=False)
                write_to(sync, pool, lively, "c")
                wait_until(
                    lambda: changed(kinesis, "c") == {*lively}, timeout_s=LIVELY_S
                )
                sync.bulk_publish(IdentityPoolId=pool)
                wait_until(lambda: published(kinesis) == {*lively}, timeout_s=LIVELY_S)
                assert status_of(sync, pool) == "IN_PROGRESS"
                write_to(sync, pool, lively, "d")

                cluster.line.mend()
                wait_until(
                    lambda: status_of(sync, pool) == "SUCCEEDED", timeout_s=LIVELY_S
                )
                assert published(kinesis) == {*PEOPLE}
                write_to(sync, pool, cluster.behind, "c", "d")
                wait_until(
                    lambda: changed(kinesis, "d") == {*PEOPLE}, timeout_s=LIVELY_S
                )
                assert changed(kinesis, "c") == {*PEOPLE}
                wait_until(lambda: is_verified(server, pool), timeout_s=LIVELY_S)


def write_to(sync: Any, pool: str, people: Iterable[str], *keys: str) -> None:
    """Write records of the dataset of each, one after the other."""
    for each in people:
        for key in keys:
            Dataset(sync, pool, each).put(**{key: "v"})


def told(kinesis: Any) -> list[tuple[str, list[str]]]:
    """List what the stream tells: of whom, and the keys."""
    events = [each.event for each in read_stream(kinesis, "changes")]
    return [
        (each["identityId"], [record["key"] for record in each["kinesisSyncRecords"]])
        for each in events
    ]


def changed(kinesis: Any, key: str) -> set[str]:
    """Say of whose change of a record the stream has told."""
    return {who for who, keys in told(kinesis) if keys == [key]}


def published(kinesis: Any) -> set[str]:
    """Say whose whole dataset the stream was given; a change has one record here."""
    return {who for who, keys in told(kinesis) if len(keys) > 1}


def status_of(sync: Any, pool: str) -> str:
    """Say how the bulk publish of a pool is."""
    found = sync.get_bulk_publish_details(IdentityPoolId=pool)
    return str(found["BulkPublishStatus"])


def is_verified(server: RunningServer, pool: str) -> bool:
    """Say whether `millpond stream verify` finds nothing missing."""
    words = ("stream", "verify", "--identity-pool-id", pool)
    return run_beside(server, *words).returncode == 0


def run_beside(
    server: RunningServer, *words: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command on the store of a server."""
    secret = {"MILLPOND_SECRET_KEY": server.secret_key}
    command = [sys.executable, "-m", "millpond", *words, *server.store_words]
    return subprocess.run(command, env=secret, capture_output=True)


@pytest.mark.timeout(seconds(240.0))  # a minute of them is the outage
def test_a_worker_killed_for_a_minute(
    start_nodes: StartNodes,
    citus: TestCitus,
    new_spread_database: Callable[[], str],
) -> None:
    """
    Three servers go on with what the other workers have, as if nothing were amiss; then
    all arrives. A server that is killed after that takes nothing with it.
    """
    control = os.environ.get(CONTROL)
    if not control:
        pytest.skip(f"nobody may kill a worker; name a program for it with {CONTROL}")
    url = new_spread_database()
    port, behind = on_last_worker(citus, url, PEOPLE)
    nodes = start_nodes(url)
    pool = create_pool(nodes[0])
    kinesis = stream_into(nodes[0], pool)
    sync = nodes[0].client("cognito-sync")
    write_to(sync, pool, PEOPLE, "a", "b")
    lively = [each for each in PEOPLE if each not in behind]

    subprocess.run([*shlex.split(control), "kill9", str(port)], check=True)
    try:
        with Traffic(nodes, pool, lively) as traffic:
            began = time.monotonic()
            with pytest.raises(ClientError, match="ServiceUnavailable"):
                Dataset(sync, pool, next(iter(behind))).put(c="v")
            write_to(sync, pool, lively, "c")
            wait_until(lambda: changed(kinesis, "c") == {*lively}, timeout_s=LIVELY_S)
            sync.bulk_publish(IdentityPoolId=pool)
            wait_until(lambda: published(kinesis) == {*lively}, timeout_s=LIVELY_S)
            assert status_of(sync, pool) == "IN_PROGRESS"
            while time.monotonic() < began + OUTAGE_S:
                time.sleep(0.5)
            assert traffic.written > len(lively)
    finally:
        subprocess.run([*shlex.split(control), "start", str(port)], check=True)
    wait_until(lambda: status_of(sync, pool) == "SUCCEEDED", timeout_s=BACK_S)
    assert published(kinesis) == {*PEOPLE}
    assert traffic.failures == []
    write_to(sync, pool, behind, "c")
    wait_until(lambda: changed(kinesis, "c") == {*PEOPLE}, timeout_s=LIVELY_S)
    wait_until(lambda: is_verified(nodes[0], pool), timeout_s=LIVELY_S)
    assert not [line for node in nodes for line in node.log if '"node.died"' in line]

    with Traffic([nodes[0], nodes[2]], pool, PEOPLE) as traffic:
        nodes[1].kill()
        wait_until(
            lambda: any('"node.died"' in line for line in nodes[0].log + nodes[2].log),
            timeout_s=BACK_S,
        )
        before = traffic.written
        wait_until(lambda: traffic.written > before + len(PEOPLE), timeout_s=LIVELY_S)
    assert traffic.failures == []
    wait_until(lambda: is_verified(nodes[0], pool), timeout_s=BACK_S)
    sync.close()
    kinesis.close()


class Traffic:
    """Writers, one to each server, that note what fails and never repeat."""

    def __init__(
        self, nodes: Sequence[RunningServer], pool: str, people: Sequence[str]
    ) -> None:
        self.written = 0
        self.failures: list[Exception] = []
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._write, args=(node, pool, people[n :: len(nodes)])
            )
            for n, node in enumerate(nodes)
        ]

    def __enter__(self) -> Traffic:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for each in self._threads:
            each.join()

    def _write(self, node: RunningServer, pool: str, people: Sequence[str]) -> None:
        with contextlib.closing(node.client("cognito-sync")) as sync:
            for number, person in enumerate(itertools.cycle(people)):
                if self._ended.is_set():
                    return
                try:
                    Dataset(sync, pool, person, "traffic").put(n=str(number))
                except Exception as error:
                    self.failures.append(error)
                self.written += 1


@pytest.mark.timeout(seconds(240.0))
def test_shards_that_move_lose_nothing(
    start_nodes: StartNodes, citus: TestCitus, new_spread_database: Callable[[], str]
) -> None:
    """
    Writers go on while all shards of a worker move, and while Citus shares them out
    again; nothing fails but by 503, and the stream tells what the store has.
    """
    url = new_spread_database()
    nodes = start_nodes(url)
    pool = create_pool(nodes[0])
    kinesis = stream_into(nodes[0], pool)

    def move(_: object) -> None:
        for shard, source, port, target, other in citus.execute(_MOVES, url=url):
            ends = f"'{source}', {port}, '{target}', {other}"
            sql = f"SELECT citus_move_shard_placement({shard}, {ends}, 'auto')"
            citus.execute(sql, url=url)
        citus.execute("SELECT citus_rebalance_start()", url=url)
        citus.execute("SELECT citus_rebalance_wait()", url=url)

    with Traffic(nodes, pool, PEOPLE) as traffic:
        written, devices = write_on_all(nodes, pool, meanwhile=move, times=120)

    assert citus.execute(_MOVES, url=url), "they are shared out"
    failures = {status for each in devices for status in each.failures}
    assert failures | {*map(status_of_failure, traffic.failures)} <= {503}
    assert_all_there(nodes, pool, written)
    wait_until(lambda: is_verified(nodes[0], pool), timeout_s=BACK_S)
    assert_in_order(kinesis, written)
    kinesis.close()


def status_of_failure(error: Exception) -> int:
    """Give the status of an answer; what is none is raised."""
    if not isinstance(error, ClientError):
        raise error
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def assert_in_order(kinesis: Any, written: dict[str, int]) -> None:
    """Check that the stream told of each update of some, in order, repeats aside."""
    counts: dict[str, list[int]] = {who: [] for who in written}
    for each in read_stream(kinesis, "changes"):
        told = each.event
        if told["identityId"] in counts:
            counts[told["identityId"]].append(told["syncCount"])
    for who, number in written.items():
        assert list(dict.fromkeys(counts[who])) == [*range(1, number + 1)]


def test_nothing_is_called_a_fault_that_goes_on(
    start_nodes: StartNodes, new_spread_database: Callable[[], str]
) -> None:
    """`millpond store verify` beside writers, though no moment is that of all nodes."""
    nodes = start_nodes(new_spread_database())
    pool = create_pool(nodes[0])
    done: list[subprocess.CompletedProcess[bytes]] = []

    def verify(_: object) -> None:
        done.extend(run_beside(nodes[0], "store", "verify") for _ in range(2))

    written, _ = write_on_all(nodes, pool, meanwhile=verify, times=60)

    assert [each.returncode for each in done] == [0, 0], done
    assert_all_there(nodes, pool, written)
