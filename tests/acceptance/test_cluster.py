"""A server on a Citus cluster whose worker goes away, or whose shards are moved."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from acceptance.seeding import identities
from acceptance.streams import read_stream
from acceptance.sync_client import Dataset, create_pool
from acceptance.test_nodes import (
    StartNodes,
    assert_all_there,
    assert_streamed_in_order,
    stream_into,
    write_on_all,
)
from acceptance.test_nodes import start_nodes as start_nodes  # a fixture
from cluster import on_a_line
from millpond.testing.citus import TestCitus
from millpond.testing.server import RunningServer, wait_until

PEOPLE: Final = identities(16)
LIVELY_S: Final = 20.0  # far less than an outage takes
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


def test_shards_that_move_lose_nothing(
    start_nodes: StartNodes, citus: TestCitus, new_spread_database: Callable[[], str]
) -> None:
    """Writers go on while all shards of a worker move; nothing fails but by 503."""
    url = new_spread_database()
    nodes = start_nodes(url)
    pool = create_pool(nodes[0])
    kinesis = stream_into(nodes[0], pool)

    def move() -> None:
        for shard, source, port, target, other in citus.execute(_MOVES, url=url):
            ends = f"'{source}', {port}, '{target}', {other}"
            sql = f"SELECT citus_move_shard_placement({shard}, {ends}, 'auto')"
            citus.execute(sql, url=url)

    written, devices = write_on_all(nodes, pool, meanwhile=move, times=120)

    assert {status for each in devices for status in each.failures} <= {503}
    assert_all_there(nodes, pool, written)
    assert_streamed_in_order(kinesis, written)
    kinesis.close()


def test_nothing_is_called_a_fault_that_goes_on(
    start_nodes: StartNodes, new_spread_database: Callable[[], str]
) -> None:
    """`millpond store verify` beside writers, though no moment is that of all nodes."""
    nodes = start_nodes(new_spread_database())
    pool = create_pool(nodes[0])
    done: list[subprocess.CompletedProcess[bytes]] = []

    def verify() -> None:
        done.extend(run_beside(nodes[0], "store", "verify") for _ in range(2))

    written, _ = write_on_all(nodes, pool, meanwhile=verify, times=60)

    assert [each.returncode for each in done] == [0, 0], done
    assert_all_there(nodes, pool, written)
