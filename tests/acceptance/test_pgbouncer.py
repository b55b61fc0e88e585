"""Servers over one database behind a real PgBouncer are one service."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acceptance.live_reader import LiveReader, live_path
from acceptance.raw_http import RawClient, Request
from acceptance.streams import read_stream
from acceptance.sync_client import Dataset, create_pool, new_identity
from acceptance.test_nodes import (
    assert_all_there,
    assert_streamed_in_order,
    stream_into,
    write_on_all,
)
from millpond.testing.server import RunningServer, wait_until
from stores.pgbouncer import MISSING, find_program, run_pgbouncer

pytestmark = pytest.mark.skipif(find_program() is None, reason=MISSING)


@pytest.fixture(
    params=[
        pytest.param(
            "session",
            marks=pytest.mark.shown_elsewhere("test_nodes.py: one connection for each"),
        ),
        "transaction",
        "transaction, before a cluster",
    ]
)
def servers(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[list[RunningServer]]:
    """Two servers; in transaction mode with a second URL for what listens."""
    mode, _, kind = request.param.partition(", ")
    fixture = "new_spread_database" if kind else "new_database"
    new: Callable[[], str] = request.getfixturevalue(fixture)
    direct = new()
    with run_pgbouncer(direct, pool_mode=mode, pool_size=34) as pooled:
        settings = {"store": pooled, "secret_key": secrets.token_hex(32)}
        if mode == "transaction":
            settings["listen_store"] = direct
        first = RunningServer(tmp_path / "one", settings=settings)
        second = RunningServer(tmp_path / "two", settings=settings)
        with first, second:
            second.access_key_id = first.access_key_id
            second.secret_access_key = first.secret_access_key
            yield [first, second]


def test_devices_write_and_streams_are_told(servers: list[RunningServer]) -> None:
    """Each update counts once, all servers say so, and the stream has them in order."""
    pool = create_pool(servers[0])
    kinesis = stream_into(servers[0], pool)

    written, devices = write_on_all(servers, pool, times=10)

    assert all(each.failures == [] for each in devices)
    assert_all_there(servers, pool, written)
    assert_streamed_in_order(kinesis, written)
    kinesis.close()


def test_a_bulk_publish_ends(servers: list[RunningServer]) -> None:
    """Slices are leased, scanned and checkpointed, whoever has the connections."""
    pool = create_pool(servers[0])
    kinesis = stream_into(servers[0], pool)
    with contextlib.closing(servers[1].client("cognito-sync")) as sync:
        for number in range(30):
            Dataset(sync, pool, new_identity()).put(n=str(number))
        sync.bulk_publish(IdentityPoolId=pool)

        def status() -> str:
            details = sync.get_bulk_publish_details(IdentityPoolId=pool)
            return str(details["BulkPublishStatus"])

        wait_until(lambda: status() != "IN_PROGRESS", timeout_s=30)
        assert status() == "SUCCEEDED"
    bulk = [
        each.event
        for each in read_stream(kinesis, "changes")
        if each.event["operation"] == "replace"
    ]
    assert len({each["identityId"] for each in bulk}) == 30
    kinesis.close()


def test_listeners_hear_of_what_another_server_did(
    servers: list[RunningServer],
) -> None:
    """The one connection that listens is not handed on."""
    pool, identity = create_pool(servers[0]), new_identity()
    with contextlib.closing(servers[1].client("cognito-sync")) as sync:
        raw = RawClient(servers[0])
        request = raw.signed(Request(target=live_path(pool, identity)))
        with LiveReader(raw, request) as reader:
            for count in range(1, 5):
                Dataset(sync, pool, identity, "prefs").put(a=str(count))
                assert reader.event().change == ("prefs", count)
