"""Running a server: health, keys, stopping, crashes, full disks, clear refusals."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.request import urlopen

import pytest
from botocore.exceptions import BotoCoreError, SSLError

from acceptance.kinds import embedded_does, embedded_only
from acceptance.raw_http import RawClient, Request, Scope, read_answer
from acceptance.streams import read_stream
from acceptance.sync_client import (
    Dataset,
    create_pool,
    new_identity,
    refused,
    replace,
)
from certificates import make_certificate
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until

# What a change of keys may take: a second, and another one for a busy machine.
KEYS_TIMEOUT_S = 2.0


def millpond(*words, **environment):
    """Run a command of our own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-m", "millpond", *map(str, words)],
        capture_output=True,
        text=True,
        env={**kept, "MILLPOND_LOG_FORMAT": "json", **environment},
        timeout=seconds(60),
        check=False,
    )


def assert_one_line(result, *parts):
    """Check that a command failed with one line that names these things."""
    assert result.returncode not in (0, None)
    (line,) = result.stderr.splitlines()
    assert line.startswith("millpond serve: ")
    assert all(part in line for part in parts), line


def successor(server, **options):
    """Give a server for the data of another one, with the same key."""
    again = RunningServer(server.data, settings={"store": server.store_url}, **options)
    again.access_key_id = server.access_key_id
    again.secret_access_key = server.secret_access_key
    return again


def databases_of(server):
    """Find the databases of a server that is stopped."""
    found = [
        each
        for each in server.data.iterdir()
        if each.read_bytes().startswith(b"SQLite format 3")
    ]
    assert found
    return found


@contextlib.contextmanager
def dataset_on(server, pool=None):
    """A fresh dataset on a server of one's own."""
    with contextlib.closing(server.client("cognito-sync")) as client:
        yield Dataset(client, pool or create_pool(server), new_identity())


@embedded_does("pages for operators, which no store sees")
class TestPages:
    """What operators look at."""

    @pytest.mark.parametrize("path", ["/healthz", "/readyz"])
    def test_health(self, server, path):
        """A running server is healthy and ready, without a signature."""
        with urlopen(server.endpoint + path) as response:
            assert (response.status, response.read()) == (200, b"ok\n")

    @pytest.mark.parametrize("path", ["/healthz/", "/readyz/", "/metrics/"])
    def test_nobody_is_sent_to_where_a_request_says(self, server, path):
        """A path that is almost right is not found; Host leads nobody elsewhere."""
        answer = RawClient(server).send(
            Request(target=path.encode(), headers=(("Host", "elsewhere.example"),))
        )

        assert answer.status == 404
        assert "location" not in answer.headers

    def test_metrics(self, server, dataset):
        """The metrics count what was asked, in the form that Prometheus reads."""
        dataset.list()

        with urlopen(f"{server.endpoint}/metrics") as response:
            text = response.read().decode()
            assert response.headers["content-type"].startswith("text/plain")

        counted = [
            line
            for line in text.splitlines()
            if not line.startswith("#") and "ListRecords" in line
        ]
        assert counted
        assert all(line.startswith("millpond_") for line in counted)


@embedded_does("connections, which no store sees")
class TestStopping:
    """SIGTERM: nothing new is begun, and what was begun is finished."""

    def begin_update(self, raw, dataset, key):
        """Send the head of an update, and return once the server reads its body."""
        body = json.dumps(
            {
                "SyncSessionToken": dataset.token(),
                "RecordPatches": [replace(key, "in flight")],
            }
        ).encode()
        request = raw.signed(
            Request(method="POST", target=dataset.path.encode(), body=body)
        )
        headers = (
            *request.headers,
            ("content-length", str(len(body))),
            ("expect", "100-continue"),
        )
        head = [f"POST {dataset.path} HTTP/1.1"]
        head += [f"{name}: {value}" for name, value in headers]
        connection = raw.connect()
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        return connection, body

    def refuses_connections(self, raw):
        """Say whether the server has stopped listening."""
        try:
            raw.connect().close()
        except ConnectionError:
            return True
        return False

    def test_requests_under_way_are_answered(self, start_server):
        """After SIGTERM those under way are done and answered, and then it ends."""
        server = start_server()
        raw = RawClient(server)
        with dataset_on(server) as dataset:
            dataset.update(replace("before", "acknowledged"))
            under_way = [self.begin_update(raw, dataset, f"k{n}") for n in range(6)]

            os.kill(server.pid, signal.SIGTERM)
            wait_until(lambda: self.refuses_connections(raw))
            statuses = []
            for connection, body in under_way:
                with connection:
                    connection.sendall(body)
                    statuses.append(read_answer(connection).status)
            assert server.stop() == 0

        assert statuses == [200] * 6
        server.start()
        with contextlib.closing(server.client("cognito-sync")) as client:
            dataset.client = client
            expected = {"before": "acknowledged"}
            expected |= {f"k{n}": "in flight" for n in range(6)}
            assert expected == dataset.values()
            assert dataset.list()["DatasetSyncCount"] == 7

    def test_request_that_never_ends_does_not_hold_it_up(self, start_server):
        """A request that is not finished within `drain_s` is dropped."""
        server = start_server(settings={"drain_s": "1"})
        raw = RawClient(server)
        with dataset_on(server) as dataset:
            connection, _ = self.begin_update(raw, dataset, "k")
            started = time.monotonic()

            server.stop()

            assert time.monotonic() - started < seconds(10)
            connection.close()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_idle_server_ends_at_once(self, start_server, number):
        """Without anything under way it ends, with status 0, and says so."""
        server = start_server()
        with dataset_on(server) as dataset:
            dataset.put(a="1")  # keeps its connection open

            assert server.stop(number) == 0

        assert '"server.stopped"' in server.log[-1]


class TestCrash:
    """kill -9: what was acknowledged is there."""

    def test_acknowledged_updates_survive(self, start_server):
        """After a crash under load every acknowledged update is there, none in half."""
        server = start_server()
        pool = create_pool(server)
        names = [new_identity() for _ in range(8)]
        acknowledged = dict.fromkeys(names, 0)
        stopped = threading.Event()

        def write(identity):
            with contextlib.closing(server.client("cognito-sync")) as client:
                dataset = Dataset(client, pool, identity)
                while not stopped.is_set():
                    count = acknowledged[identity]
                    text = str(count + 1)
                    try:
                        dataset.update(*(replace(k, text, count) for k in "abc"))
                    except (BotoCoreError, OSError):
                        return
                    acknowledged[identity] = count + 1

        with ThreadPoolExecutor(len(names)) as threads:
            writers = [threads.submit(write, identity) for identity in names]
            try:
                wait_until(lambda: sum(acknowledged.values()) > 300)
                server.kill()
            finally:
                stopped.set()
            for each in writers:
                each.result()

        server.start()
        with contextlib.closing(server.client("cognito-sync")) as client:
            for identity, count in acknowledged.items():
                dataset = Dataset(client, pool, identity)
                listed = dataset.list()
                found = listed["DatasetSyncCount"]
                # The one that was under way may be there too, but whole.
                assert found in (count, count + 1)
                assert {(k, str(found), found) for k in "abc"} == {
                    (r["Key"], r["Value"], r["SyncCount"]) for r in listed["Records"]
                }
                dataset.update(replace("a", "after", found))

    def test_deletions_survive(self, start_server):
        """Deletions of datasets and pools that were acknowledged are not undone."""
        server = start_server()
        with dataset_on(server) as dataset:
            dataset.put(a="1")
            other_pool = create_pool(server)
            dataset.delete()
            with contextlib.closing(server.client("cognito-identity")) as pools:
                pools.delete_identity_pool(IdentityPoolId=other_pool)
            server.kill()

        server.start()
        with contextlib.closing(server.client("cognito-sync")) as client:
            dataset.client = client
            assert dataset.list(1)["DatasetDeletedAfterRequestedSyncCount"]
            with refused(404, "ResourceNotFoundException"):
                client.describe_identity_pool_usage(IdentityPoolId=other_pool)


@embedded_does("files, ports and settings, which no database has")
class TestStarting:
    """What keeps a server from starting is told in one line."""

    @embedded_only
    def test_data_folder_in_use(self, server):
        """A second server on the same folder is refused, and the first goes on."""
        result = millpond("serve", "--data", server.data, "--port", 0)

        assert_one_line(result, str(server.data), str(server.pid))
        with urlopen(f"{server.endpoint}/readyz") as response:
            assert response.status == 200

    def test_port_taken(self, tmp_path):
        """A port that somebody else listens on is named."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]

            result = millpond("serve", "--data", tmp_path, "--port", port)

        assert_one_line(result, str(port))

    def test_port_of_another_server(self, server, tmp_path):
        """Two servers do not share a port, each answering some of the requests."""
        port = server.endpoint.rpartition(":")[2]

        assert_one_line(millpond("serve", "--data", tmp_path, "--port", port), port)

    @embedded_only
    def test_newer_schema(self, start_server):
        """Data of a newer version is refused and left as it is."""
        server = start_server()
        server.stop()
        for file in databases_of(server):
            with contextlib.closing(sqlite3.connect(file)) as database:
                (version,) = database.execute("PRAGMA user_version").fetchone()
                database.execute("PRAGMA user_version = 4711")
            newer = file.read_bytes()

            result = millpond("serve", "--data", server.data, "--port", 0)

            assert_one_line(result, "4711", "newer")
            assert newer == file.read_bytes()
            with contextlib.closing(sqlite3.connect(file)) as database:
                database.execute(f"PRAGMA user_version = {version}")

    def test_wrong_secret_key(self, start_server):
        """With another secret the stored keys cannot be opened, and it says why."""
        server = start_server()
        server.stop()
        (server.data / "secret.key").write_text("00" * 32)

        result = millpond("serve", *server.store_words, "--port", 0)

        assert_one_line(result, "secret")

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("PORT", "eighty"),
            ("SYNC_SESSION_LIFETIME_S", "59"),
            ("LOG_LEVEL", "loud"),
            ("SECRET_KEY", "abc"),
            ("ACCEPTED_REGIONS", "us-east-1"),
        ],
    )
    def test_wrong_setting(self, tmp_path, setting, value):
        """A setting that makes no sense is named."""
        result = millpond("serve", "--data", tmp_path, **{f"MILLPOND_{setting}": value})

        assert_one_line(result)
        assert setting in result.stderr.upper()

    @embedded_only
    def test_data_that_is_no_database(self, start_server):
        """Data that is damaged is told in one line and left as it is."""
        server = start_server()
        server.stop()
        for file in databases_of(server):
            before = file.read_bytes()
            file.write_bytes(b"no database" * 1000)

            result = millpond("serve", "--data", server.data, "--port", 0)

            assert_one_line(result, "database")
            assert file.read_bytes() == b"no database" * 1000
            file.write_bytes(before)

    @pytest.mark.parametrize("content", [None, "no certificate"])
    def test_certificate_that_cannot_be_read(self, tmp_path, content):
        """A TLS certificate that is missing or is none is told in one line."""
        file = tmp_path / "chain.pem"
        if content is not None:
            file.write_text(content)

        result = millpond(
            *("serve", "--data", tmp_path / "data", "--port", 0),
            MILLPOND_TLS_CERTIFICATE=str(file),
            MILLPOND_TLS_KEY=str(file),
        )

        assert_one_line(result, str(file))

    def test_unknown_setting_in_the_file(self, tmp_path):
        """A setting that there is not is named, rather than passed over."""
        file = tmp_path / "settings.toml"
        file.write_text("prot = 8014\n")

        result = millpond("serve", "--settings", file, "--data", tmp_path)

        assert_one_line(result, "prot")

    def test_folder_that_cannot_be_made(self, tmp_path):
        """A data folder below a file is refused by name."""
        (tmp_path / "file").write_text("")

        result = millpond("serve", "--data", tmp_path / "file" / "data")

        assert_one_line(result, str(tmp_path / "file" / "data"))


@embedded_does("how bytes come and go, which no store sees")
def test_tls(start_server, tmp_path):
    """With a certificate the server speaks HTTPS, and clients that trust it get in."""
    chain, key_file = make_certificate(tmp_path)
    server = start_server(
        settings={"tls_certificate": str(chain), "tls_key": str(key_file)}
    )

    assert server.endpoint.startswith("https://")
    with contextlib.closing(server.client("cognito-sync", verify=str(chain))) as client:
        assert client.list_identity_pool_usage()["IdentityPoolUsages"] == []
    with (
        contextlib.closing(server.client("cognito-sync")) as client,
        pytest.raises(SSLError),
    ):
        client.list_identity_pool_usage()


class TestKeys:
    """Developer keys come and go without a restart."""

    def works(self, server, key):
        """Say whether the server knows a key."""
        raw = RawClient(server)
        raw.scope = Scope(
            access_key_id=key["AccessKeyId"], secret=key["SecretAccessKey"]
        )
        answer = raw.call("GET", "/identitypools")
        if answer.status == 200:
            return True
        assert (answer.status, answer.error) == (403, "UnrecognizedClientException")
        return False

    def create(self, place, *words):
        """Make a key in a store, which some options name."""
        result = millpond("key", "create", *place, "--output", "json", *words)
        assert (result.returncode, result.stderr) == (0, "")
        return json.loads(result.stdout)

    def test_a_new_key_works_at_once(self, server):
        """From the moment that it is printed a key is honoured, each time."""
        for _ in range(3):
            assert self.works(server, self.create(server.store_words))

    def test_a_new_key_works_at_once_beside_strangers(self, server):
        """Keys that nobody made do not keep the server from learning of a new one."""
        nobody = {"AccessKeyId": "AKIANOSUCHKEY", "SecretAccessKey": "secret"}
        with ThreadPoolExecutor(4) as strangers:
            asking = [strangers.submit(self.works, server, nobody) for _ in range(40)]
            key = self.create(server.store_words)

            assert self.works(server, key)
            assert not any(each.result() for each in asking)

    def test_key_of_a_running_server(self, server):
        """A deleted key ends within a second."""
        key = self.create(server.store_words)
        assert self.works(server, key)

        result = millpond("key", "delete", *server.store_words, key["AccessKeyId"])

        assert result.returncode == 0
        wait_until(lambda: not self.works(server, key), timeout_s=KEYS_TIMEOUT_S)

    def test_key_of_a_stopped_server(self, start_server):
        """Keys can be made and deleted while no server runs."""
        server = start_server()
        server.stop()
        kept = self.create(server.store_words, "--name", "kept")
        deleted = self.create(server.store_words)
        millpond("key", "delete", *server.store_words, deleted["AccessKeyId"])

        server.start()

        assert self.works(server, kept)
        assert not self.works(server, deleted)

    def test_first_key_comes_from_the_command(self, tmp_path):
        """A key made before the first start takes the place of the first key."""
        place = ["--data", tmp_path / "data"]
        assert millpond("store", "create", *place).returncode == 0
        key = self.create(place)

        with RunningServer(tmp_path / "data") as server:
            assert server.access_key_id == ""
            assert self.works(server, key)

    def test_list_shows_no_secret(self, server):
        """Keys are listed by id and name, without their secrets."""
        key = self.create(server.store_words, "--name", "to be listed")

        for form in ("json", "text"):
            result = millpond("key", "list", *server.store_words, "--output", form)

            assert key["AccessKeyId"] in result.stdout
            assert "to be listed" in result.stdout
            assert key["SecretAccessKey"] not in result.stdout + result.stderr

    def test_unknown_key_is_not_deleted(self, server):
        """Deleting a key that there is not fails and names it."""
        result = millpond("key", "delete", *server.store_words, "AKIANOSUCHKEY")

        assert result.returncode == 1
        assert "AKIANOSUCHKEY" in result.stderr


@embedded_does("secrets are sealed before a store has them")
class TestSecrets:
    """Secrets and data stay where they belong."""

    def test_files_are_for_the_owner_alone(self, server):
        """The secret's file and the data folder are closed to other users."""
        mode = stat.S_IMODE((server.data / "secret.key").stat().st_mode)
        folder = stat.S_IMODE(server.data.stat().st_mode)

        assert (mode, folder) == (0o600, 0o700)

    def test_no_file_holds_a_secret_in_clear(self, start_server):
        """Secrets of developer keys are sealed, running or stopped."""
        server = start_server()
        secrets = [server.secret_access_key.encode()]
        secrets.append(base64.b64decode(secrets[0]))
        secrets += [each.hex().encode() for each in secrets]

        def holders():
            return [
                file.name
                for file in server.data.rglob("*")
                if any(secret in file.read_bytes() for secret in secrets)
            ]

        assert holders() == []
        server.stop()
        assert holders() == []

    def test_logs_hold_neither_secrets_nor_data(self, start_server):
        """Even the most talkative log has no secret, no token and no value."""
        server = start_server(settings={"log_requests": "true", "log_level": "debug"})
        value = "value-that-nobody-may-see"
        raw = RawClient(server)
        with dataset_on(server) as dataset:
            token = dataset.token()
            dataset.update(replace("a", value), token=token)
            with refused(409, "ResourceConflictException"):
                dataset.update(replace("a", value, 7))
            with refused(400, "InvalidParameterException"):
                dataset.update(replace("a", value, 1), replace("a", value, 1))
            with refused(400, "LimitExceededException"):
                dataset.update(replace("b", value * 41_943))
            dataset.list(SyncSessionToken=dataset.token())
            for body in (
                f'{{"RecordPatches": "{value}"}}'.encode(),
                f'{{"{value}'.encode(),
                f'{{"Token": "{value}", "Platform": "GCM"}}'.encode(),
            ):
                raw.call("POST", dataset.path, body)
                path = f"/identitypools/{dataset.pool}/identity/{dataset.identity}"
                raw.call("POST", f"{path}/device", body)
        signed = raw.signed(Request(target=b"/identitypools"))
        authorization = dict(signed.headers)["Authorization"]
        raw.send(signed)
        raw.send(signed.but(target=b"/identitypools?maxResults=2"))
        server.stop()

        logged = "".join(line for line in server.log if not line.startswith("  export"))
        assert "request.answered" in logged
        signature = authorization.rpartition("=")[2]
        for forbidden in (value, token, signature, server.secret_access_key):
            assert forbidden not in logged


@embedded_only
class TestFullDisk:
    """When nothing more can be written, the server says so and loses nothing."""

    def test_full_disk(self, start_server):
        """Updates are refused with 503, reads go on, and all is there afterwards."""
        # A limit on the size of files looks like a full disk to the store.
        server = start_server(
            command_prefix=["bash", "-c", 'ulimit -f 3072; exec "$@"', "--"]
        )
        pool = create_pool(server)
        with dataset_on(server, pool) as dataset:
            expected = {}
            refusal = None
            for number in range(40):
                one = Dataset(
                    dataset.client, pool, dataset.identity, f"set{number % 20}"
                )
                one.identity = dataset.identity if number < 20 else new_identity()
                token = one.token()
                try:
                    one.update(
                        *(replace(k, str(number) * 30_000) for k in "abc"), token=token
                    )
                except dataset.client.exceptions.ClientError as error:
                    refusal = error.response
                    break
                expected[one.identity, one.name] = str(number) * 30_000
            assert refusal is not None
            assert refusal["ResponseMetadata"]["HTTPStatusCode"] == 503
            assert refusal["Error"]["Code"] == "ServiceUnavailableException"
            assert expected
            assert not one.list()["DatasetExists"]
            self.assert_has(dataset.client, pool, expected)
        server.stop()

        with successor(server) as again, dataset_on(again, pool) as dataset:
            self.assert_has(dataset.client, pool, expected)
            lost = Dataset(dataset.client, pool, one.identity, one.name)
            assert not lost.list()["DatasetExists"]
            lost.update(*(replace(k, "now") for k in "abc"))
            assert lost.values() == {"a": "now", "b": "now", "c": "now"}

    def assert_has(self, client, pool, expected):
        """Check that the datasets hold what they were given."""
        for (identity, name), value in expected.items():
            dataset = Dataset(client, pool, identity, name)
            assert {"a": value, "b": value, "c": value} == dataset.values()

    @pytest.mark.skipif(
        not hasattr(resource, "prlimit"), reason="prlimit is a call of Linux"
    )
    def test_space_is_freed(self, start_server):
        """When there is room again the server goes on by itself, streams included."""
        server = start_server(
            command_prefix=["bash", "-c", 'ulimit -S -f 3072; exec "$@"', "--"]
        )
        pool = create_pool(server)
        with (
            dataset_on(server, pool) as dataset,
            contextlib.closing(server.client("kinesis")) as kinesis,
        ):
            kinesis.create_stream(StreamName="changes", ShardCount=1)
            dataset.client.set_identity_pool_configuration(
                IdentityPoolId=pool,
                CognitoStreams={"StreamName": "changes", "StreamingStatus": "ENABLED"},
            )
            acknowledged = 0

            def update():
                nonlocal acknowledged
                value = f"{acknowledged + 1}".ljust(50_000)
                try:
                    dataset.update(replace("n", value, acknowledged))
                except dataset.client.exceptions.ClientError as error:
                    answer = error.response["ResponseMetadata"]
                    assert answer["HTTPStatusCode"] == 503
                    return False
                acknowledged += 1
                return True

            wait_until(lambda: not update())
            assert acknowledged
            resource.prlimit(
                server.pid,
                resource.RLIMIT_FSIZE,
                (resource.RLIM_INFINITY, resource.RLIM_INFINITY),
            )
            wait_until(update)

            def all_arrived():
                found = read_stream(kinesis, "changes")
                counts = {each.event["syncCount"] for each in found}
                return counts == set(range(1, acknowledged + 1))

            wait_until(all_arrived, timeout_s=60)
            assert dataset.counts() == {"n": acknowledged}
            with urlopen(f"{server.endpoint}/readyz") as response:
                assert response.status == 200
