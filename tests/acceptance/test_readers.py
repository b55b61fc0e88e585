"""Readers before one writer: to its clients and its operator, one server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from acceptance.kinds import embedded_does
from acceptance.live_reader import LiveReader, live_path, metric
from acceptance.moving import Move, at, shown
from acceptance.raw_http import Answer, RawClient, Request
from acceptance.raw_http2 import Http2Connection
from acceptance.sync_client import Dataset, create_pool, new_identity, replace
from certificates import make_certificate
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until
from processes import is_there

READERS = {"readers": "2", "log_requests": "true"}
WRITER = "writer"
SERVICES = ("cognito-sync", "cognito-identity")
ONE = embedded_does("processes pass on alike, whatever the store is")


@pytest.fixture
def server(start_server: Callable[..., RunningServer]) -> RunningServer:
    """A server with two readers."""
    return start_server(settings=READERS)


Connect = Callable[..., Any]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make clients, each with a connection of its own, and so of either reader."""
    with contextlib.ExitStack() as stack:

        def make(server: RunningServer, **options: Any) -> Any:
            client = server.client("cognito-sync", **options)
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def dataset(server: RunningServer, connect: Connect) -> Dataset:
    """A dataset of a fresh pool."""
    return Dataset(connect(server), create_pool(server), new_identity())


@pytest.fixture
def raw(server: RunningServer) -> RawClient:
    return RawClient(server)


def events(server: RunningServer, event: str) -> list[dict[str, Any]]:
    """Give the lines of an event that the log has by now."""
    lines = [json.loads(each) for each in [*server.log] if each.startswith("{")]
    return [each for each in lines if each["event"] == event]


def pid_of(server: RunningServer, name: str) -> int:
    """Give the process of a name that was started last."""
    started = events(server, "process.started")
    return [int(each["pid"]) for each in started if each["started"] == name][-1]


def get(server: RunningServer, path: str) -> tuple[int, str]:
    """Get a page."""
    try:
        with urlopen(server.endpoint + path, timeout=seconds(30)) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@contextlib.contextmanager
def no_writer(server: RunningServer) -> Iterator[None]:
    """Kill the writer, and have nobody start it again for the time being."""
    pid = pid_of(server, WRITER)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: get(server, "/readyz")[0] == 503)
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)
    wait_until(lambda: get(server, "/readyz")[0] == 200)


def test_what_is_counted_is_counted_once(server, dataset, connect):
    """Calls, sessions and who called are told as one server would."""
    for n in range(10):  # each on a connection of its own, so on either reader
        fresh = Dataset(connect(server), dataset.pool, dataset.identity, "counted")
        fresh.update(replace("n", str(n), n))
        assert str(n) == fresh.values()["n"]

    usage = dataset.client.describe_identity_pool_usage(IdentityPoolId=dataset.pool)
    _, text = get(server, "/metrics")

    listed = metric(
        text, 'millpond_requests_total{operation="ListRecords",status="200"}'
    )
    updated = metric(
        text, 'millpond_requests_total{operation="UpdateRecords",status="200"}'
    )
    assert (listed, updated) == (20, 10)
    assert usage["IdentityPoolUsage"]["SyncSessionsCount"] == 20
    assert metric(text, "millpond_readers") == 2
    wait_until(lambda: len(events(server, "request.answered")) >= 30)
    lines = events(server, "request.answered")
    assert {"127.0.0.1"} == {each["client_address"].split(":")[0] for each in lines}
    by_name: dict[str, set[str]] = {}
    for each in lines:
        by_name.setdefault(each["operation"], set()).add(each["process"])
    assert {WRITER} == by_name["UpdateRecords"]
    assert by_name["ListRecords"] <= {"reader-1", "reader-2"}


class _Register:
    """A counter in a dataset: one writes, others read and compare."""

    def __init__(self, dataset: Dataset, connect: Connect) -> None:
        self.dataset = dataset
        self.connect = connect
        self.acknowledged = 0
        self.begun = 0
        self.faults: list[str] = []
        self.reads = 0
        self.stopped = threading.Event()

    def write(self, server: RunningServer) -> None:
        """Write 1, 2, 3 ..., each until it is acknowledged."""
        mine = Dataset(self.connect(server), self.dataset.pool, self.dataset.identity)
        while not self.stopped.is_set():
            self.begun = self.acknowledged + 1
            with contextlib.suppress(ClientError, BotoCoreError):
                listed = mine.list()
                if listed["DatasetSyncCount"] < self.begun:
                    mine.update(
                        replace("n", str(self.begun), self.begun - 1),
                        token=listed["SyncSessionToken"],
                    )
                self.acknowledged = self.begun

    def read(self, server: RunningServer) -> None:
        """Read; never less than was acknowledged, or read, before; nothing invented."""
        mine = Dataset(self.connect(server), self.dataset.pool, self.dataset.identity)
        last = 0
        while not self.stopped.is_set():
            least = max(last, self.acknowledged)
            try:
                listed = mine.list()
            except (ClientError, BotoCoreError):
                continue  # the reader of this connection is gone
            count, most = listed["DatasetSyncCount"], self.begun
            values = [int(each["Value"]) for each in listed["Records"]]
            if not least <= count <= most or values != ([count] if count else []):
                self.faults.append(f"{least} <= {count} <= {most}, {values}")
            last = count
            self.reads += 1


def test_reads_see_what_was_acknowledged_whoever_is_killed(server, dataset, connect):
    """A history of one writer and three readers is linearizable, with kills in it."""
    register = _Register(dataset, connect)
    threads = [threading.Thread(target=register.write, args=(server,))]
    threads += [threading.Thread(target=register.read, args=(server,)) for _ in "123"]
    for each in threads:
        each.start()
    try:
        for name in (WRITER, "reader-1", WRITER, "reader-2"):
            before, read = register.acknowledged, register.reads
            wait_until(lambda b=before: register.acknowledged > b + 20)
            wait_until(lambda r=read: register.reads > r + 20)
            os.kill(pid_of(server, name), signal.SIGKILL)
        before = register.acknowledged
        wait_until(lambda: register.acknowledged > before + 20)
    finally:
        register.stopped.set()
        for each in threads:
            each.join()

    assert register.faults == []
    assert len(events(server, "process.ended")) == 4


def test_without_the_writer_reads_go_on(server, dataset, raw):
    """Writes are told to come again, reads are answered, and all is well afterwards."""
    dataset.put(k="v")
    with no_writer(server):
        assert dataset.values() == {"k": "v"}
        with pytest.raises(ClientError) as refused:
            dataset.put(k="w")
        response = refused.value.response
        assert response["Error"]["Code"] == "ServiceUnavailableException"
        metadata = response["ResponseMetadata"]
        assert metadata["HTTPStatusCode"] == 503
        assert metadata["HTTPHeaders"]["retry-after"] == "1"
        assert metadata["RequestId"]
        assert get(server, "/healthz") == (200, "ok\n")
        assert get(server, "/readyz")[0] == 503
        assert get(server, "/metrics")[0] == 503

    dataset.update(replace("k", "w", 1))
    assert dataset.values() == {"k": "w"}


@ONE
def test_live_updates_come_through_a_reader(server, dataset, raw):
    """Events come at once, a reader that hangs up is forgotten, and a stop ends all."""
    request = raw.signed(Request(target=live_path(dataset.pool, dataset.identity)))
    with LiveReader(raw, request) as listener:
        dataset.put(k="v")
        assert listener.changes(1) == [("prefs", 1)]
    wait_until(
        lambda: metric(get(server, "/metrics")[1], "millpond_live_listeners") == 0
    )

    with LiveReader(raw, request) as listener:
        dataset.update(replace("k", "w", 1))
        listener.changes(1)
        assert server.stop() == 0
        listener.read_to_the_end()


@ONE
def test_bodies_of_any_form_are_passed_on(server, dataset, raw):
    """Large, in chunks, announced and refused: what the writer says comes back."""
    value = "x" * 900_000
    dataset.put(k=value)
    assert {"k": value} == dataset.values()

    body = json.dumps({"IdentityPoolName": "chunked", "x": 1}).encode()
    target = b"x-amz-target: AWSCognitoIdentityService.CreateIdentityPool\r\n"
    head = b"POST / HTTP/1.1\r\nhost: a\r\n" + target
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    answers: list[Answer] = [
        raw.send_bytes(head + b"transfer-encoding: chunked\r\n\r\n" + chunks),
        raw.send_bytes(head + b"content-length: 99999999\r\n\r\n" + body),
        raw.send_bytes(b"GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n"),
    ]
    assert [(each.status, each.error) for each in answers] == [
        (400, "MissingAuthenticationTokenException"),
        (400, "MissingAuthenticationTokenException"),
        (404, "UnknownOperationException"),
    ]
    assert get(server, "/.well-known/jwks_uri")[0] == 200


@ONE
def test_all_of_them_end_with_the_first(server, dataset, connect):
    """Nobody outlives the process that was started, and the folder is free at once."""
    names = (WRITER, "reader-1", "reader-2")
    pids = [pid_of(server, name) for name in names]
    dataset.put(k="v")

    server.kill()
    wait_until(lambda: not any(is_there(pid) for pid in pids))

    server.start()
    dataset.client = connect(server)
    assert dataset.values() == {"k": "v"}


@ONE
def test_a_deleted_key_ends_on_all(server, connect):
    """Keys that are made or deleted beside the server count on every reader."""
    program = [sys.executable, "-m", "millpond", "key"]
    place = server.store_words
    made = subprocess.run(
        [*program, "create", *place, "--output", "json"],
        capture_output=True,
        check=True,
    )
    key = json.loads(made.stdout)
    clients = [
        connect(
            server,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )
        for _ in range(8)
    ]
    for client in clients:
        client.list_identity_pool_usage()

    subprocess.run(
        [*program, "delete", *place, key["AccessKeyId"]],
        capture_output=True,
        check=True,
    )

    def is_refused(client: Any) -> bool:
        with contextlib.suppress(ClientError):
            client.list_identity_pool_usage()
            return False
        return True

    for client in clients:
        wait_until(lambda c=client: is_refused(c))


@ONE
def test_rates_are_those_of_one_server(start_server, connect):
    """A limit holds over all readers together."""
    server = start_server(settings={**READERS, "rate_developer_max": "1"})
    pool = create_pool(server)
    began_s = time.monotonic()

    def status(client: Any) -> int:
        try:
            client.list_datasets(IdentityPoolId=pool, IdentityId=new_identity())
        except ClientError as error:
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
        return 200

    statuses = [status(connect(server))]  # each client is on either reader
    while statuses[-1] == 200:
        statuses.append(status(connect(server)))
    assert statuses.pop() == 429
    # A bucket of a minute, and one more for each second that all this took.
    assert 50 <= len(statuses) <= 61 + time.monotonic() - began_s


@ONE
def test_a_deleted_pool_is_gone_on_all(server, dataset, connect):
    """Whoever deletes it, no reader answers from what it remembers of the pool."""
    dataset.put(k="v")
    clients = [connect(server) for _ in range(8)]
    ids = {"IdentityPoolId": dataset.pool, "IdentityId": dataset.identity}

    def listed(client: Any) -> str:
        try:
            return str(client.list_records(**ids, DatasetName="prefs")["Records"])
        except ClientError as error:
            return error.response["Error"]["Code"]

    assert all("'v'" in listed(each) for each in clients)
    with contextlib.closing(server.client("cognito-identity")) as pools:
        pools.delete_identity_pool(IdentityPoolId=dataset.pool)

    assert {listed(each) for each in clients} == {"ResourceNotFoundException"}


@ONE
def test_over_tls_and_http2(start_server, tmp_path):
    """TLS ends at a reader, which passes on what comes over either HTTP."""
    certificate, key = make_certificate(tmp_path)
    tls = {"tls_certificate": str(certificate), "tls_key": str(key)}
    server = start_server(settings={**READERS, **tls})
    made = [server.client(each, verify=str(certificate)) for each in SERVICES]
    with contextlib.ExitStack() as stack:
        sync, pools = (stack.enter_context(contextlib.closing(c)) for c in made)
        pool = pools.create_identity_pool(
            IdentityPoolName="tls", AllowUnauthenticatedIdentities=True
        )["IdentityPoolId"]
        dataset = Dataset(sync, pool, new_identity())
        dataset.put(k="v")
        assert dataset.values() == {"k": "v"}

        path = f"/identitypools/{pool}/identities/{dataset.identity}/datasets/prefs"
        for _ in range(4):  # connections, and so either reader
            with Http2Connection(server, certificate=certificate) as http2:
                listing = Request(target=f"{path}/records".encode())
                answer = http2.call(http2.sign(listing, "cognito-sync"))
                assert (answer.status, b'"v"' in answer.body) == (200, True)
                deleting = Request(method="DELETE", target=f"{path}x".encode())
                answer = http2.call(http2.sign(deleting, "cognito-sync"))
                assert answer.error == "ResourceNotFoundException"


@ONE
def test_a_temporary_folder_that_has_too_long_a_path_is_named(start_server, tmp_path):
    """Paths of sockets are short: it says whose is not, and what to set."""
    long = tmp_path / ("long" * 25)
    long.mkdir()
    prefix = ["env", f"TMPDIR={long}"]

    with pytest.raises(RuntimeError, match=r"'.*/longlong.*TMPDIR.*such as /tmp") as no:
        start_server(settings=READERS, command_prefix=prefix)
    assert "Traceback" not in str(no.value)


@ONE
def test_reading_through(start_server):
    """What a pool's source alone knows is fetched, whichever reader was asked first."""
    move = Move(start_server, start_server("source"))
    guests = [move.guest() for _ in range(4)]
    target = move.start_target(settings=READERS)

    for there in guests:
        here = at(target, there)
        assert shown(here) == shown(there)
        here.put(here="1")
        assert here.values()["here"] == "1"
        here.client.close()
