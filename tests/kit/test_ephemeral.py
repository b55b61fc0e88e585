"""A server for tests of apps: in memory, with a clock that is moved, and emptied."""

from __future__ import annotations

import base64
import http.client
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from millpond.server.lock import find_holder
from millpond.testing.deadlines import seconds
from millpond.testing.ephemeral import EphemeralServer, Pool, User
from millpond.testing.server import RunningServer


@pytest.fixture(scope="module")
def server() -> Iterator[EphemeralServer]:
    with EphemeralServer({"stream_retention_s": "86400"}) as running:
        yield running


@pytest.fixture
def pool(server: EphemeralServer) -> Pool:
    server.reset()
    return server.create_pool(DeveloperProviderName="login.kit")


class Device:
    """A dataset, as a device of a user calls for it."""

    def __init__(self, user: User) -> None:
        self.client = user.client("cognito-sync")
        self.names = {
            "IdentityPoolId": user.pool.id,
            "IdentityId": user.identity_id,
            "DatasetName": "d",
        }

    def list(self, since: int = 0) -> Any:
        return self.client.list_records(**self.names, LastSyncCount=since)

    def put(self, token: str, op: str = "replace", count: int = 0) -> Any:
        patch = {"Op": op, "Key": "k", "SyncCount": count}
        if op == "replace":
            patch["Value"] = "v"
        return self.client.update_records(
            **self.names, SyncSessionToken=token, RecordPatches=[patch]
        )


@pytest.fixture
def device(pool: Pool) -> Iterator[Device]:
    found = Device(pool.user("alice"))
    with closing(found.client):
        yield found


def code_of(failed: pytest.ExceptionInfo[ClientError]) -> str:
    return str(failed.value.response["Error"]["Code"])


def test_credentials_and_sessions_expire_by_its_clock(
    server: EphemeralServer, pool: Pool, device: Device
) -> None:
    """An hour later neither is good, and with new credentials all is there."""
    stale = device.list()["SyncSessionToken"]
    device.put(stale)
    before = server.clock.now()
    server.clock.advance(hours=1, seconds=1)

    assert 3600 <= (server.clock.now() - before).total_seconds() < 3600 + seconds(60)
    with pytest.raises(ClientError) as failed:
        device.list()
    assert code_of(failed) == "ExpiredTokenException"
    again = Device(pool.user("alice"))
    with closing(again.client):
        assert [each["Key"] for each in again.list()["Records"]] == ["k"]
        server.clock.advance(days=8)  # longer than any setting lets a session be good
        later = Device(pool.user("alice"))
    with closing(later.client), pytest.raises(ClientError) as failed:
        later.put(stale, count=1)
    assert code_of(failed) == "InvalidParameterException"


def test_tombstones_expire_by_its_clock(
    server: EphemeralServer, pool: Pool, device: Device
) -> None:
    """Who was away for longer than they are kept gets all of the dataset anew."""
    count = device.put(device.list()["SyncSessionToken"])["Records"][0]["SyncCount"]
    device.put(device.list()["SyncSessionToken"], "remove", count)
    assert device.list(count)["DatasetDeletedAfterRequestedSyncCount"] is False
    server.clock.advance(days=3660)
    later = Device(pool.user("alice"))

    with closing(later.client):
        answer = later.list(count)

    assert answer["DatasetDeletedAfterRequestedSyncCount"] is True
    assert answer["Records"] == []


def test_a_reset_leaves_nothing_but_the_developers_key(
    server: EphemeralServer, pool: Pool, device: Device
) -> None:
    """Pools, data, streams, hooks, counts, calls, audit and time: all as at first."""
    kinesis = server.client("kinesis")
    sync = server.client("cognito-sync")
    with closing(kinesis), closing(sync):
        kinesis.create_stream(StreamName="pond", ShardCount=1)
        sync.set_identity_pool_configuration(
            IdentityPoolId=pool.id,
            CognitoStreams={
                "StreamName": "pond",
                "RoleArn": "arn:aws:iam::000000000000:role/any",
                "StreamingStatus": "ENABLED",
            },
        )
        device.put(device.list()["SyncSessionToken"])
        sync.bulk_publish(IdentityPoolId=pool.id)
        server.clock.advance(hours=3)
        server.reset()

        assert server.calls.all() == []
        assert server.ask("GET", "clock")["ahead_ms"] == 0
        assert kinesis.list_streams()["StreamNames"] == []
        assert sync.list_identity_pool_usage()["IdentityPoolUsages"] == []
        with pytest.raises(ClientError) as failed:
            sync.describe_identity_pool_usage(IdentityPoolId=pool.id)
        assert code_of(failed) == "ResourceNotFoundException"
        # The same names are free again, and what is put there arrives.
        kinesis.create_stream(StreamName="pond", ShardCount=1)
    new = server.create_pool()
    assert new.user("alice").identity_id != device.names["IdentityId"]


def test_calls_say_what_an_app_did(
    server: EphemeralServer, pool: Pool, device: Device
) -> None:
    """Operations in order, who signed, with what, and how it ended; no call of ours."""
    token = device.list()["SyncSessionToken"]
    device.put(token)
    with pytest.raises(ClientError):
        device.put(device.list()["SyncSessionToken"], count=7)
    calls = server.calls.all()

    assert [(each.operation, each.error) for each in calls] == [
        ("ListRecords", ""),
        ("UpdateRecords", ""),
        ("ListRecords", ""),
        ("UpdateRecords", "ResourceConflictException"),
    ]
    assert {each.identity_id for each in calls} == {device.names["IdentityId"]}
    assert calls[1].parameters["RecordPatches"] == [
        {"Op": "replace", "Key": "k", "Value": "v", "SyncCount": 0}
    ]
    server.calls.clear()
    device.list()
    assert server.calls.names() == ["ListRecords"]


def raw(endpoint: str, method: str, path: str, key: str = "") -> int:
    """Ask, with a key as Basic authorization; give the status."""
    connection = http.client.HTTPConnection(
        urlsplit(endpoint).netloc, timeout=seconds(30)
    )
    headers = {}
    if key:
        given = base64.b64encode(key.encode()).decode()
        headers["Authorization"] = f"Basic {given}"
    with closing(connection):
        connection.request(method, path, headers=headers)
        return connection.getresponse().status


def test_what_is_asked_wrongly_changes_nothing(
    server: EphemeralServer, pool: Pool
) -> None:
    """No key, a wrong one, a number that is none, a time that is not: refused."""
    good = f"{server.access_key_id}:{server.secret_access_key}"
    for key in ("", "a:b", server.access_key_id, f"{good}x", f"{good[:-1]}", "é:é"):
        for method, path in (
            ("POST", "/testing/reset"),
            ("GET", "/testing/calls"),
            ("POST", "/testing/clock?advance_ms=1"),
        ):
            assert raw(server.endpoint, method, path, key) == 401, (key, path)
    for query in ("", "?advance_ms=", "?advance_ms=-1", "?advance_ms=1.5"):
        assert raw(server.endpoint, "POST", f"/testing/clock{query}", good) == 400
    for number in ("9" * 18, "9" * 400, "%D9%A3"):  # beyond time; too long; an Arabic 3
        path = f"/testing/clock?advance_ms={number}"
        assert raw(server.endpoint, "POST", path, good) == 400, number
    assert raw(server.endpoint, "GET", "/testing/reset", good) == 405
    with pytest.raises(ValueError, match="back"):
        server.clock.advance(seconds=-1)

    assert server.ask("GET", "clock")["ahead_ms"] == 0
    assert server.identity_client.list_identity_pools(MaxResults=9)["IdentityPools"]


def test_no_other_server_lets_itself_be_tampered_with(tmp_path: Path) -> None:
    """On a server that keeps its data these paths are nobody's, whoever asks."""
    with RunningServer(tmp_path / "data") as kept:
        key = f"{kept.access_key_id}:{kept.secret_access_key}"
        for method, path in (("POST", "reset"), ("GET", "clock"), ("GET", "calls")):
            assert raw(kept.endpoint, method, f"/testing/{path}", key) == 404


def folder_of(pid: int) -> Path:
    """Find the folder of a server, among those of whatever else runs here."""
    (found,) = (
        each
        for place in ("/dev/shm", tempfile.gettempdir())
        for each in Path(place).glob("millpond-ephemeral-*")
        if (holder := find_holder(each)) is not None and holder.process == str(pid)
    )
    return found


def test_nothing_is_left_behind() -> None:
    """The folder goes with the server; that of one that was killed, with the next."""
    with EphemeralServer() as one:
        killed = folder_of(one.pid)
        one.kill()
        # It is there until any server starts: that may be one of another test.
        one.start()
        assert not killed.exists()
        last = folder_of(one.pid)
        assert last.exists()
        assert one.stop(signal.SIGTERM) == 0

    assert not last.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "somewhere"], "--data"),
        (["--store", "postgresql://127.0.0.1:9/x"], "database"),
        (["--readers", "2"], "readers"),
    ],
)
def test_what_does_not_go_with_memory_alone(
    tmp_path: Path, words: list[str], said: str
) -> None:
    """A folder, a database or readers: it says so, and does not start."""
    refused = subprocess.run(
        [sys.executable, "-m", "millpond", "serve", "--ephemeral", *words],
        capture_output=True,
        text=True,
        timeout=seconds(30),
        cwd=tmp_path,
        check=False,
    )

    assert refused.returncode == 1
    assert said in refused.stderr
    assert not (tmp_path / "somewhere").exists()
