"""What `millpond doctor` has the server look at: its needs, and what a pool calls."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from acceptance.raw_http import RawClient
from acceptance.sync_client import Dataset, create_pool, replace
from acceptance.users import client_of, get_credentials
from cli.conftest import POOL
from cli.relay import Relay
from hooks.hook_server import Answer, HookServer
from login_providers.provider import Provider
from millpond import __version__
from millpond.testing.postgres import PostgresMissingError, TestPostgres
from millpond.testing.server import RunningServer, wait_until
from processes import Programs, Terminal, finished
from push.sns import CREDENTIALS
from sinks.moto_server import Moto

NOWHERE = ("--endpoint-url", "http://127.0.0.1:1")
LISTING = ("cognito-sync", "list-identity-pool-usage")
Checks = dict[str, dict[str, str]]
Doctor = Callable[..., Checks]


@pytest.fixture
def start(tmp_path: Path, home, monkeypatch) -> Iterator[Callable[..., RunningServer]]:
    """Start a server, and point this environment at it."""
    with contextlib.ExitStack() as running:

        def run_server(
            folder: str = "data", prefix: tuple[str, ...] = (), **settings: str
        ) -> RunningServer:
            server = running.enter_context(
                RunningServer(
                    tmp_path / folder, settings=settings, command_prefix=prefix
                )
            )
            for name, value in server.environment().items():
                monkeypatch.setenv(name, value)
            return server

        yield run_server


@pytest.fixture
def moto() -> Iterator[Moto]:
    """An S3 without a bucket."""
    with contextlib.closing(Moto()) as running:
        yield running


@pytest.fixture
def doctor(run) -> Doctor:
    """Run `millpond doctor`; give the checks by name, each with how to mend it."""

    def examine(*words: str) -> Checks:
        result = run("doctor", "--output", "json", *words)
        assert result.err == ""
        found = json.loads(result.out)
        failed = [each for each in found["Checks"] if each["Status"] == "fail"]
        assert (result.code, found["Healthy"]) == (1 if failed else 0, not failed)
        assert all(e["Mend"] for e in found["Checks"] if e["Status"] != "ok")
        by_name = {each["Name"]: each for each in found["Checks"]}
        assert len(by_name) == len(found["Checks"])
        return by_name

    return examine


def set_trigger(server: RunningServer, target: str) -> str:
    """Make a pool with a sync trigger."""
    pool = create_pool(server)
    with contextlib.closing(server.client("cognito-sync")) as sync:
        sync.set_cognito_events(IdentityPoolId=pool, Events={"SyncTrigger": target})
    return pool


def configure(server: RunningServer, pool: str, **parts: Any) -> None:
    with contextlib.closing(server.client("cognito-sync")) as sync:
        sync.set_identity_pool_configuration(IdentityPoolId=pool, **parts)


def details(server: RunningServer, pool: str) -> Any:
    """Ask for the details of a pool, as any signed client can."""
    answer = RawClient(server).call("GET", f"/identitypools/{pool}/details")
    assert answer.status == 200
    return json.loads(answer.body)


def update_as_user(server: RunningServer, pool: str) -> None:
    """Let a guest of a pool change a record, whatever comes of it."""
    with contextlib.closing(server.client("cognito-identity")) as identities:
        credentials = get_credentials(identities, pool)
    with (
        contextlib.closing(client_of(server, credentials)) as client,
        contextlib.suppress(client.exceptions.ClientError),
    ):
        Dataset(client, pool, credentials.identity_id).update(replace("k", "v"))


class TestServer:
    """What all pools share."""

    def test_versions_disk_database(self, start, doctor, tmp_path):
        """They are told, and that all is well."""
        start()

        checks = doctor()

        assert __version__ in checks["versions"]["Text"]
        assert "MiB" in checks["disk"]["Text"]
        for name in ("versions", "database", "disk", "regions"):
            assert checks[name]["Status"] == "ok"

    def test_streams_that_cannot_be_opened(self, start, doctor, tmp_path):
        """Each stream of the settings is opened, and told of in its own words."""
        good, lost = tmp_path / "there", tmp_path / "not-there"
        good.mkdir()
        lost.mkdir()
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
            start(
                streams=json.dumps(
                    {
                        "files": f"file://{good}?volatile=true",
                        "lost": f"file://{lost}",
                        "jet": f"nats://user:hidden@127.0.0.1:{port}/stream",
                    }
                )
            )
            lost.rmdir()
            checks = doctor()

        assert checks["stream files"]["Status"] == "ok"
        assert checks["stream lost"]["Status"] == "fail"
        assert checks["stream jet"]["Status"] == "fail"
        assert "not-there" in checks["stream lost"]["Text"]
        assert str(port) in checks["stream jet"]["Text"]
        assert "streams" in checks["stream jet"]["Mend"]
        assert "hidden" not in json.dumps(checks)

    def test_a_stream_that_is_another_embedded_one(self, start, doctor):
        """The Kinesis API has none of its name; the server knows what it stands for."""
        server = start(streams=json.dumps({"changes": "EMBEDDED:other"}))
        pool = create_pool(server)
        with contextlib.closing(server.client("kinesis")) as kinesis:
            kinesis.create_stream(StreamName="other", ShardCount=1)
        configure(
            server,
            pool,
            CognitoStreams={"StreamName": "changes", "StreamingStatus": "ENABLED"},
        )

        checks = doctor("--identity-pool-id", pool)

        assert checks["stream"]["Status"] == checks["stream changes"]["Status"] == "ok"
        assert "by the server's settings" in checks["stream"]["Text"]

    def test_a_bucket_that_takes_no_large_records(self, start, doctor, moto):
        """Something is put there, as a large record would be."""
        prefix = ("env", *(f"{name}={value}" for name, value in CREDENTIALS.items()))
        url = f"s3://large-ones/?region=us-east-1&endpoint={moto.url}"
        start(prefix=prefix, stream_payload_store=url)

        lost = doctor()["stream payloads"]
        with contextlib.closing(moto.client("s3")) as client:
            client.create_bucket(Bucket="large-ones")
            found = doctor()["stream payloads"]
            doctor()
            left = client.list_objects_v2(Bucket="large-ones")["KeyCount"]

        assert lost["Status"] == "fail"
        assert "large-ones" in lost["Text"]
        assert "stream_payload_store" in lost["Mend"]
        assert (found["Status"], left) == ("ok", 1)

    def test_a_pool_that_moves_in(self, start, doctor):
        """Its source is asked as for who is not here yet."""
        source = start(folder="source")
        pool = create_pool(source)
        keys = source.environment()
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        start(
            folder="target",
            prefix=("env", *(f"{name}={keys[name]}" for name in names)),
            imports=json.dumps(
                {pool: {"read_through": True, "endpoint_url": source.endpoint}}
            ),
        )

        found = doctor()[f"import {pool}"]
        source.stop()
        lost = doctor()[f"import {pool}"]

        assert found["Status"] == "ok"
        assert lost["Status"] == "fail"
        assert "gets 503" in lost["Text"] + lost["Mend"]
        assert "read_through" in lost["Mend"]

    def test_login_providers(self, start, doctor, tmp_path):
        """Their keys are fetched, and it is told when they last were."""
        provider = Provider()
        keys = {provider.name: {"keys": f"{provider.url}/keys"}}
        keys_file = tmp_path / "keys.json"
        keys_file.write_bytes(provider.answers["/keys"].body)
        file = {"file.example": {"keys": str(keys_file)}}
        try:
            start(login_providers=json.dumps({**keys, **file}))
            keys_file.unlink()
            found = doctor()[f"login provider {provider.name}"]
            asked = sum(provider.requests.values())
        finally:
            provider.close()
        checks = doctor()

        assert (found["Status"], asked) == ("ok", 1)
        assert "1 key, last read 0 s ago" in found["Text"]
        broken = checks["login provider file.example"]
        assert broken["Status"] == "fail"
        assert "login_providers" in broken["Mend"]

    def test_pools_of_another_region(self, start, doctor):
        """Their apps sign for that region; the setting that lets them is named."""
        start(folder="data", region="eu-west-1").stop()
        # One that was made while the server had another region.
        before = start(folder="other", region="eu-west-1")
        pool = create_pool_in(before, "eu-west-1")
        before.stop()
        after = start(folder="other", region="us-east-1")
        after.access_key_id = before.access_key_id
        after.secret_access_key = before.secret_access_key
        environment = after.environment()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            checks = doctor()

        assert checks["regions"]["Status"] == "warn"
        assert pool in checks["regions"]["Text"]
        assert 'accepted_regions = ["eu-west-1"]' in checks["regions"]["Mend"]

    def test_a_database_that_takes_no_writes(self, run, start, postgres):
        """It answers, and calls that write fail; what needs reads alone goes on."""
        url = postgres.create_database()
        name = url.rpartition("/")[2]
        server = start(store=url)
        postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only=on")
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{name}'"
        )

        def told() -> str:
            result = run("doctor")
            return result.out if "takes no writes" in result.out else ""

        out = wait_until(told)
        (line,) = (e for e in out.splitlines() if e.startswith("fail  database "))
        assert "To mend: Point 'store' at the primary server" in line
        assert "ok    regions" in out
        assert urlopen(f"{server.endpoint}/readyz").status == 200

    @pytest.mark.parametrize("frozen", [False, True])
    def test_only_the_database_is_told_when_it_is_down(self, run, start, frozen):
        """Nothing else is worth a word then; what it says, and where it is, is."""
        with contextlib.ExitStack() as stack:
            try:
                postgres = stack.enter_context(TestPostgres.start_own())
            except PostgresMissingError as error:
                pytest.skip(str(error))
            url = postgres.create_database()
            relay = stack.enter_context(Relay(url))
            server = start(store=relay.url)
            healthy = run("doctor")
            relay.cut(frozen=frozen)
            down = run("doctor")
            lost = run("doctor", "--region", "eu-west-1")
            metrics = urlopen(f"{server.endpoint}/metrics").read().decode()
            relay.mend()

            assert healthy.code == 0
            assert "ok    database" in healthy.out
            for each in (down, lost):
                assert each.code == 1
                (line,) = each.out.splitlines()
                assert line.startswith("fail  database ")
                assert "To mend: " in line
            assert f"127.0.0.1:{relay.port}" in down.out
            assert "millpond_store_up 0.0" in metrics
            assert "millpond_outbox_entries NaN" in metrics
            tells = Path("/proc/self/stat").exists()  # of processes, this system
            assert ("process_open_fds" in metrics) == tells
            wait_until(lambda: run("doctor").code == 0)


def create_pool_in(server: RunningServer, region: str) -> str:
    """Create a pool at a server of a region."""
    client = server.client("cognito-identity", region_name=region)
    with contextlib.closing(client):
        pool: str = client.create_identity_pool(
            IdentityPoolName="elsewhere", AllowUnauthenticatedIdentities=True
        )["IdentityPoolId"]
    return pool


class TestSyncTrigger:
    """The sync trigger of a pool."""

    def test_it_is_called_with_an_event_that_says_it_is_a_test(
        self, start, doctor, hook
    ):
        """It is signed, of a pool's form, and nothing of it is written."""
        server = start(hook_private_networks="true")
        pool = set_trigger(server, hook.url)

        check = doctor("--identity-pool-id", pool)["sync trigger"]

        assert check["Status"] == "ok"
        assert "test event" in check["Text"]
        (request,) = hook.requests
        assert "x-millpond-signature" in request.headers
        event = json.loads(request.body)
        assert (event["version"], event["eventType"]) == (2, "SyncTrigger")
        assert event["identityPoolId"] == pool
        assert event["datasetName"] == "millpond-test-event"
        assert event["identityId"].endswith("00000000-0000-0000-0000-000000000000")
        with contextlib.closing(server.client("cognito-sync")) as sync:
            usage = sync.describe_identity_pool_usage(IdentityPoolId=pool)
        assert usage["IdentityPoolUsage"]["DataStorage"] == 0
        assert details(server, pool)["SyncTrigger"]["CallCount"] == 0

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            (Answer(status=503), "answers 503"),
            (Answer(status=403), "answers 403"),
            (Answer(status=429), "answers 429"),
            (Answer(b"nonsense"), "cannot be read"),
            (Answer(b"{}"), "cannot be read"),
            (Answer(raw=b"SSH-2.0-hello\r\n"), "does not speak HTTP"),
        ],
    )
    def test_it_fails(self, start, doctor, hook, answer, told):
        """Why is told, and what to do."""
        pool = set_trigger(start(hook_private_networks="true"), hook.url)
        hook.answer = lambda request: answer

        check = doctor("--identity-pool-id", pool)["sync trigger"]

        assert check["Status"] == "fail"
        assert told in check["Text"]
        if answer.status == 403:
            assert "millpond hook-secret" in check["Mend"]

    def test_it_is_not_there_and_its_developer_is_told(self, start, doctor):
        """By doctor, by the details of the pool, by a metric, and by the log."""
        hook = HookServer()
        server = start(hook_private_networks="true")
        pool = set_trigger(server, hook.url)
        update_as_user(server, pool)
        before = details(server, pool)["SyncTrigger"]
        hook.close()
        update_as_user(server, pool)
        after = details(server, pool)["SyncTrigger"]

        assert (before["CallCount"], before["FailureCount"]) == (1, 0)
        assert "LastFailure" not in before
        assert (after["CallCount"], after["FailureCount"]) == (2, 1)
        assert after["Target"] == hook.url
        assert "cannot be reached" in after["LastFailure"]
        assert after["LastFailureDate"] >= after["LastSuccessDate"]
        assert after["Mend"]
        check = doctor("--identity-pool-id", pool)["sync trigger"]
        assert check["Status"] == "fail"
        assert "cannot be reached" in check["Text"]
        (line,) = server.wait_for_events("sync_trigger.failed")
        assert line["identity_pool_id"] == pool
        assert line["hint"]
        metrics = urlopen(f"{server.endpoint}/metrics").read().decode()
        for outcome in ("answered", "unreachable"):
            counted = f'millpond_sync_trigger_calls_total{{outcome="{outcome}"}} 1.0'
            assert counted in metrics

    def test_it_works_again(self, start, doctor, hook):
        """What failed before is told as long as no update got through."""
        server = start(hook_private_networks="true")
        pool = set_trigger(server, hook.url)
        hook.answer = lambda request: Answer(status=500)
        update_as_user(server, pool)
        hook.answer = lambda request: Answer(request.body)
        first = doctor("--identity-pool-id", pool)["sync trigger"]
        update_as_user(server, pool)
        second = doctor("--identity-pool-id", pool)["sync trigger"]

        assert (first["Status"], second["Status"]) == ("warn", "ok")
        assert "answers 500" in first["Text"]

    def test_one_at_a_private_address(self, start, doctor, hook):
        """The setting is named: it was stored when that was allowed."""
        before = start(hook_private_networks="true")
        pool = set_trigger(before, hook.url)
        before.stop()
        after = start()
        after.access_key_id = before.access_key_id
        after.secret_access_key = before.secret_access_key
        with pytest.MonkeyPatch.context() as patch:
            for name, value in after.environment().items():
                patch.setenv(name, value)
            check = doctor("--identity-pool-id", pool)["sync trigger"]

        assert check["Status"] == "fail"
        assert "private address" in check["Text"]
        assert "hook_private_networks" in check["Mend"]
        assert hook.requests == []

    def test_where_it_fails_is_told_to_who_names_no_pool(self, start, doctor, hook):
        """Whoever asks of the server is led to the pool whose updates fail."""
        server = start(hook_private_networks="true")
        pool = set_trigger(server, hook.url)
        assert "sync triggers" not in doctor()
        hook.answer = lambda request: Answer(status=500)
        update_as_user(server, pool)

        check = doctor()["sync triggers"]

        assert check["Status"] == "warn"
        assert "answers 500" in check["Text"]
        assert f"`millpond doctor --identity-pool-id {pool}`" in check["Mend"]

    def test_details_of_a_pool_without_one(self, start):
        """There is nothing to tell."""
        server = start()
        pool = create_pool(server)

        assert details(server, pool) == {"IdentityPoolId": pool}


def test_login_providers_that_can_never_work(start, doctor):
    """SAML is not supported, and an ARN of something else names no provider."""
    server = start()
    saml = "arn:aws:iam::123456789012:saml-provider/corp"
    other = "arn:aws:iam::123456789012:role/not-a-provider"
    with contextlib.closing(server.client("cognito-identity")) as identities:
        pool = identities.create_identity_pool(
            IdentityPoolName="logins",
            AllowUnauthenticatedIdentities=True,
            SamlProviderARNs=[saml],
            OpenIdConnectProviderARNs=[other],
        )["IdentityPoolId"]

    checks = doctor("--identity-pool-id", pool)

    assert "SAML" in checks[f"login provider {saml}"]["Text"]
    assert "oidc-provider" in checks[f"login provider {other}"]["Text"]


class TestPush:
    """The push applications of a pool."""

    @pytest.fixture
    def at_sns(self, start, sns) -> RunningServer:
        """A server that pushes through it, with credentials."""
        variables = [f"{name}={value}" for name, value in CREDENTIALS.items()]
        prefix = ("env", *variables)
        server: RunningServer = start(prefix=prefix, sns_endpoint=sns.url)
        return server

    def test_applications(self, at_sns, doctor, sns):
        """One that is there is ok; one that is not, and a second of its kind, not."""
        pool = create_pool(at_sns)
        there, second = (sns.create_application("GCM") for _ in range(2))
        gone = there.replace("GCM", "APNS").rpartition("/")[0] + "/gone"
        configure(at_sns, pool, PushSync={"ApplicationArns": [there, second, gone]})

        checks = doctor("--identity-pool-id", pool)

        name = there.rpartition(":app/")[2]
        assert checks[f"push {name}"]["Status"] == "ok"
        unused = checks[f"push {second.rpartition(':app/')[2]}"]
        assert unused["Status"] == "warn"
        assert "never used" in unused["Text"]
        assert checks["push APNS/gone"]["Status"] == "fail"
        assert "set-identity-pool-configuration" in checks["push APNS/gone"]["Mend"]

    def test_without_credentials(self, start, doctor, sns):
        """The server has none, and is told how to get some."""
        prefix = ("env", "AWS_EC2_METADATA_DISABLED=true", "HOME=/nonexistent")
        server = start(prefix=prefix, sns_endpoint=sns.url)
        pool = create_pool(server)
        arn = sns.create_application("GCM")
        configure(server, pool, PushSync={"ApplicationArns": [arn]})

        check = doctor("--identity-pool-id", pool)[f"push {arn.rpartition('app/')[2]}"]

        assert check["Status"] == "fail"
        assert "credentials" in check["Text"]
        assert "AWS credentials" in check["Mend"]


def test_a_key_of_one_pool(run, start, doctor, monkeypatch):
    """It may look at that pool; that the server is not for it is no failure."""
    server = start()
    pool = create_pool(server)
    words = ("key", "create", "--output", "json", "--data", str(server.data))
    made = json.loads(run(*words, "--identity-pool-id", pool).out)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", made["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", made["SecretAccessKey"])

    checks = doctor("--identity-pool-id", pool)

    assert checks["examination"]["Status"] == "warn"
    assert "of one identity pool" in checks["examination"]["Text"]
    assert checks["identity pool"]["Status"] == "ok"
    assert "fail" not in {each["Status"] for each in checks.values()}


def test_what_mends_works_as_it_is_told(run, start, doctor, sns, tmp_path):
    """The commands are pasted as they stand, and nothing is left to complain of."""
    folder = tmp_path / "it's there"
    folder.mkdir()
    urls = {
        "own": "embedded:own",
        "files": f"file://{quote(str(folder))}?volatile=true",
    }
    prefix = ("env", "AWS_EC2_METADATA_DISABLED=true", "HOME=/nonexistent")
    server = start(
        prefix=prefix,
        sns_endpoint=sns.url,
        hook_private_networks="true",
        streams=json.dumps(urls),
    )
    folder.rmdir()
    pool = set_trigger(server, "http://127.0.0.1:1/")
    application = sns.create_application("GCM")
    configure(server, pool, PushSync={"ApplicationArns": [application]})

    def examine() -> list[dict[str, str]]:
        checks = doctor("--identity-pool-id", pool).values()
        return [each for each in checks if each["Status"] != "ok"]

    found = examine()
    assert {each["Name"].partition(" ")[0] for each in found} == {
        *("stream", "sync", "push")
    }
    for each in found:
        told = re.findall("`((?:mkdir|millpond [ck])[^`]+)`", each["Mend"])
        commands = [one for one in told if not one.endswith(" help")]
        assert commands, each
        for program, *words in map(shlex.split, commands):
            if program == "mkdir":
                subprocess.run([program, *words], check=True)
            else:
                assert run(*words).code == 0, words
    assert examine() == []


def test_looks_do_not_wait_for_each_other_for_ever(start, doctor, hook):
    """A stream that hangs is told as such, in time, and so is all else."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"nats://127.0.0.1:{port}/stream"
        server = start(hook_private_networks="true", streams=json.dumps({"slow": url}))
        pool = set_trigger(server, hook.url)
        configure(
            server,
            pool,
            CognitoStreams={"StreamName": "slow", "StreamingStatus": "ENABLED"},
        )

        checks = doctor("--identity-pool-id", pool)

    assert checks["stream slow"]["Status"] == "fail"
    assert "millpond settings show streams" in checks["stream slow"]["Mend"]
    assert checks["sync trigger"]["Status"] == "ok"
    assert checks["disk"]["Status"] == "ok"


class TestPointers:
    """Errors of calls point at the doctor."""

    def run_at_a_terminal(self, programs: Programs, *words: str) -> str:
        """Run a command whose errors a person reads; give what it tells."""
        terminal = Terminal()
        with terminal.handed_over() as theirs:
            process = programs.millpond(*words, stderr=theirs, stdin=theirs)
        finished(process)
        terminal.close()
        return terminal.text

    def test_of_people(self, home, stub, programs):
        """Where nobody answers, and where the server refuses who asks."""
        stub.will_answer({"__type": "UnrecognizedClientException"}, status=403)
        for where in (NOWHERE, ("--endpoint-url", stub.url)):
            told = self.run_at_a_terminal(programs, *LISTING, *where)
            assert told.splitlines()[-1].endswith("millpond doctor")

    def test_of_other_errors(self, home, stub, programs):
        """What is wrong with the request itself is none of the doctor's business."""
        stub.will_answer({"__type": "InvalidParameterException"}, status=400)

        where = ("--endpoint-url", stub.url)
        told = self.run_at_a_terminal(programs, *LISTING, *where)

        assert "InvalidParameterException" in told
        assert "doctor" not in told

    def test_of_programs(self, run):
        """They get what the AWS CLI tells, and nothing else; of our commands, all."""
        api = run(*LISTING, *NOWHERE)
        own = run("bulk-publish", "--identity-pool-id", POOL, *NOWHERE)

        assert "doctor" not in api.err
        assert own.err.endswith("millpond doctor\n")
