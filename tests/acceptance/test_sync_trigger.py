"""The sync trigger: what users' updates go through, with real hooks."""

from __future__ import annotations

import contextlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from acceptance.sync_client import Dataset, create_pool, refused, remove, replace
from acceptance.users import client_of, get_credentials
from hooks.hook_server import Answer, HookServer, Received
from millpond.cli.main import main
from millpond.testing.deadlines import Deadline, seconds
from millpond.testing.server import RunningServer, wait_until

ARN = "arn:aws:lambda:us-east-1:123456789012:function:check"
UNKNOWN_POOL = "us-east-1:00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that may call hooks on the loopback."""
    folder = tmp_path_factory.mktemp("server")
    settings = {"hook_private_networks": "true"}
    with RunningServer(folder / "data", settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def cautious(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the default settings."""
    folder = tmp_path_factory.mktemp("default")
    with RunningServer(folder / "data") as running:
        yield running


@pytest.fixture(scope="module")
def sync(server: RunningServer) -> Iterator[Any]:
    """The developer's client of Cognito Sync."""
    with contextlib.closing(server.client("cognito-sync")) as client:
        yield client


@pytest.fixture(scope="module")
def device(server: RunningServer) -> Iterator[Any]:
    """A client of Cognito Identity that signs nothing."""
    config = Config(signature_version=UNSIGNED)
    with contextlib.closing(server.client("cognito-identity", config=config)) as client:
        yield client


@pytest.fixture
def pool(server: RunningServer) -> str:
    """A fresh identity pool."""
    return create_pool(server)


@pytest.fixture
def triggered(sync: Any, pool: str, hook: HookServer) -> str:
    """The pool, with the hook as its sync trigger."""
    set_trigger(sync, pool, hook.url)
    return pool


@pytest.fixture
def user(server: RunningServer, device: Any, pool: str) -> Iterator[Any]:
    """A guest's client of Cognito Sync, and a dataset of theirs."""
    credentials = get_credentials(device, pool)
    with contextlib.closing(client_of(server, credentials)) as client:
        yield Dataset(client, pool, credentials.identity_id)


def set_trigger(sync: Any, pool: str, target: str) -> Any:
    """Set or remove the sync trigger of a pool."""
    return sync.set_cognito_events(IdentityPoolId=pool, Events={"SyncTrigger": target})


def event_of(request: Received) -> Any:
    """Read the event of a request."""
    return json.loads(request.body)


def answering(**entries: Any) -> Callable[[Received], Answer]:
    """Make a hook that sets entries of `datasetRecords`; `...` leaves one out."""

    def answer(request: Received) -> Answer:
        event = event_of(request)
        records = event["datasetRecords"] | entries
        event["datasetRecords"] = {k: v for k, v in records.items() if v is not ...}
        return Answer(json.dumps(event).encode())

    return answer


def to(value: str | None) -> dict[str, Any]:
    """Write the entry of a record that is to get a value."""
    return {"newValue": value, "op": "replace"}


def by_key(answer: Any) -> dict[str, Any]:
    """Give the values and counts of an answer's records."""
    return {r["Key"]: (r.get("Value"), r["SyncCount"]) for r in answer["Records"]}


# --- Setting it -----------------------------------------------------------------------


def test_a_fresh_pool_has_no_events(sync: Any, pool: str) -> None:
    """The answer has an empty map, which clients may read without asking."""
    assert sync.get_cognito_events(IdentityPoolId=pool)["Events"] == {}


@pytest.mark.parametrize("target", [ARN, "https://hooks.example/sync?a=b"])
def test_a_trigger_is_set_and_removed(sync: Any, pool: str, target: str) -> None:
    """A function or a URL; an empty one removes it."""
    set_trigger(sync, pool, target)
    assert sync.get_cognito_events(IdentityPoolId=pool)["Events"] == {
        "SyncTrigger": target
    }

    set_trigger(sync, pool, "")
    assert sync.get_cognito_events(IdentityPoolId=pool)["Events"] == {}


def test_no_key_changes_nothing(sync: Any, pool: str) -> None:
    """Only what the request names changes."""
    set_trigger(sync, pool, ARN)

    sync.set_cognito_events(IdentityPoolId=pool, Events={})

    events = sync.get_cognito_events(IdentityPoolId=pool)["Events"]
    assert events == {"SyncTrigger": ARN}


@pytest.mark.parametrize(
    "events",
    [
        {"SyncTrigger": "check"},
        {"SyncTrigger": "ftp://hooks.example/"},
        {"SyncTrigger": "https://user@hooks.example/"},
        {"SyncTrigger": "https://hooks.example/" + "x" * 3000},
        {"syncTrigger": ARN},
        {"Other": ARN},
        {"Other": ""},
        {"SyncTrigger": ARN, "Other": ARN},
    ],
)
def test_anything_else_is_refused(sync: Any, pool: str, events: Any) -> None:
    """A wrong target or event type changes nothing."""
    with refused(400, "InvalidParameterException"):
        sync.set_cognito_events(IdentityPoolId=pool, Events=events)

    assert sync.get_cognito_events(IdentityPoolId=pool)["Events"] == {}


def test_unknown_pool(sync: Any) -> None:
    """A pool that does not exist has no events."""
    for call in (
        lambda: sync.get_cognito_events(IdentityPoolId=UNKNOWN_POOL),
        lambda: set_trigger(sync, UNKNOWN_POOL, ARN),
    ):
        with refused(404, "ResourceNotFoundException") as refusal:
            call()
        assert f"IdentityPool '{UNKNOWN_POOL}' not found" == refusal.message


def test_events_are_the_developers(user: Dataset) -> None:
    """A user neither sees nor sets them."""
    for call in (
        lambda: user.client.get_cognito_events(IdentityPoolId=user.pool),
        lambda: set_trigger(user.client, user.pool, ""),
    ):
        with refused(403, "NotAuthorizedException"):
            call()


def test_updating_the_pool_keeps_the_trigger(
    server: RunningServer, sync: Any, pool: str
) -> None:
    """Describing a pool anew does not touch its events."""
    set_trigger(sync, pool, ARN)

    with contextlib.closing(server.client("cognito-identity")) as client:
        client.update_identity_pool(
            IdentityPoolId=pool,
            IdentityPoolName="renamed",
            AllowUnauthenticatedIdentities=True,
        )

    events = sync.get_cognito_events(IdentityPoolId=pool)["Events"]
    assert events == {"SyncTrigger": ARN}


def test_the_trigger_survives_a_restart(
    start_server: Callable[..., RunningServer], hook: HookServer
) -> None:
    """It is kept in the store, and works without being set again."""
    settings = {"hook_private_networks": "true"}
    first = start_server(settings=settings)
    pool = create_pool(first)
    with contextlib.closing(first.client("cognito-sync")) as client:
        set_trigger(client, pool, hook.url)
    first.stop()
    again = start_server(settings=settings)

    config = Config(signature_version=UNSIGNED)
    with contextlib.closing(again.client("cognito-identity", config=config)) as device:
        credentials = get_credentials(device, pool)
    with contextlib.closing(client_of(again, credentials)) as client:
        Dataset(client, pool, credentials.identity_id).put(k="v")

    assert len(hook.requests) == 1


# --- When it runs ---------------------------------------------------------------------


def test_the_hook_is_sent_the_whole_dataset(
    triggered: str, hook: HookServer, user: Dataset
) -> None:
    """With the fields that the documentation of Cognito Events has."""
    user.put(same="1", changed="2", gone="3")
    counts = user.counts()
    user.update(replace("changed", "4", counts["changed"]), remove("gone", 1))

    assert event_of(hook.requests[-1]) == {
        "version": 2,
        "eventType": "SyncTrigger",
        "region": "us-east-1",
        "identityPoolId": triggered,
        "identityId": user.identity,
        "datasetName": "prefs",
        "datasetRecords": {
            "same": {"oldValue": "1", "newValue": "1", "op": "replace"},
            "changed": {"oldValue": "2", "newValue": "4", "op": "replace"},
            "gone": {"oldValue": "3", "op": "remove"},
        },
    }


def test_developers_do_not_trigger(
    triggered: str, hook: HookServer, sync: Any, user: Dataset
) -> None:
    """An update with developer credentials is written as it is."""
    Dataset(sync, triggered, user.identity).put(k="v")

    assert hook.requests == []
    assert user.values() == {"k": "v"}


def test_only_updates_trigger(triggered: str, hook: HookServer, user: Dataset) -> None:
    """Listing, an update without patches and deleting a dataset do not."""
    user.put(k="v")
    assert len(hook.requests) == 1

    user.update()
    user.list()
    user.delete()

    assert len(hook.requests) == 1


def test_other_pools_do_not_trigger(
    triggered: str, hook: HookServer, server: RunningServer, device: Any
) -> None:
    """A trigger is that of its pool."""
    other = create_pool(server)
    credentials = get_credentials(device, other)
    with contextlib.closing(client_of(server, credentials)) as client:
        Dataset(client, other, credentials.identity_id).put(k="v")

    assert hook.requests == []


def test_it_works_from_the_moment_that_it_is_set(
    sync: Any, pool: str, hook: HookServer, user: Dataset
) -> None:
    """The next update goes through it, through another, and through none."""
    with HookServer() as other:
        for target in (hook.url, other.url, "", hook.url):
            user.put(before="1")
            set_trigger(sync, pool, target)
            seen = (len(hook.requests), len(other.requests))
            user.put(after="1")

            grown = (len(hook.requests) - seen[0], len(other.requests) - seen[1])
            assert grown == (target == hook.url, target == other.url)


def test_a_request_that_is_refused_anyway_is_not_shown_to_the_hook(
    triggered: str, hook: HookServer, user: Dataset
) -> None:
    """Conflicts, limits and bad tokens come first."""
    with refused(409, "ResourceConflictException"):
        user.update(replace("k", "v", 7))
    with refused(400, "LimitExceededException"):
        user.update(*(replace(f"k{n}", "v") for n in range(1025)))
    with refused(400, "InvalidParameterException"):
        user.update(replace("k", "v"), token="x")
    with refused(400, "InvalidParameterException"):
        user.update(replace("k", "v"), replace("k", "w"))

    assert hook.requests == []


def test_a_dataset_beyond_the_limit_is_not_shown_to_the_hook(
    triggered: str, hook: HookServer, user: Dataset
) -> None:
    """The 21st dataset of an identity is refused before the hook is asked."""
    datasets = [
        Dataset(user.client, user.pool, user.identity, f"d{n}") for n in range(21)
    ]
    for each in datasets[:20]:
        each.put(k="v")

    with refused(400, "LimitExceededException"):
        datasets[20].put(k="v")

    assert len(hook.requests) == 20


# --- What it does ---------------------------------------------------------------------


def test_everything_it_changes_is_answered(
    triggered: str, hook: HookServer, user: Dataset
) -> None:
    """Patched records first, then the others, all at the one new count."""
    user.put(old="1", gone="2")
    hook.answer = answering(k=to("better"), old=to("11"), gone=to(None), bonus=to("9"))

    answer = user.update(replace("k", "v"), replace("plain", "p"))

    assert by_key(answer) == {
        "k": ("better", 2),
        "plain": ("p", 2),
        "old": ("11", 2),
        "gone": (None, 2),
        "bonus": ("9", 2),
    }
    assert [r["Key"] for r in answer["Records"]][:2] == ["k", "plain"]
    assert user.list()["DatasetSyncCount"] == 2
    assert by_key(user.list()) == by_key(answer)
    assert user.describe()["NumRecords"] == 4


def test_the_answer_has_the_dates_and_the_author_of_the_update(
    triggered: str, hook: HookServer, user: Dataset
) -> None:
    """What the hook writes is written in the name of the one who updated."""
    hook.answer = answering(bonus=to("9"), k=to("better"))

    answer = user.update(
        replace("k", "v", DeviceLastModifiedDate=1_700_000_000.5), DeviceId="phone"
    )

    k, bonus = answer["Records"]
    assert k["LastModifiedBy"] == bonus["LastModifiedBy"] == "phone"
    assert k["LastModifiedDate"] == bonus["LastModifiedDate"]
    assert k["DeviceLastModifiedDate"].timestamp() == 1_700_000_000.5
    assert "DeviceLastModifiedDate" not in bonus


def test_a_refused_patch_is_echoed_as_it_is_stored(
    triggered: str, hook: HookServer, user: Dataset
) -> None:
    """With its stored value and count, so that the client stops sending it."""
    user.put(k="1", other="2")
    hook.answer = answering(k=...)

    answer = user.update(replace("k", "v", 1), replace("other", "w", 1))

    assert by_key(answer) == {"k": ("1", 1), "other": ("w", 2)}
    assert by_key(user.list()) == by_key(answer)


def test_everything_refused_writes_nothing(
    triggered: str, hook: HookServer, user: Dataset
) -> None:
    """Every key is echoed; no dataset is created and no count taken."""
    hook.answer = answering(k=..., l=...)

    answer = user.update(replace("k", "v"), replace("l", "w"))

    assert by_key(answer) == {"k": (None, 0), "l": (None, 0)}
    listed = user.list()
    assert (listed["DatasetExists"], listed["DatasetSyncCount"]) == (False, 0)


def test_a_stream_gets_what_was_written(
    server: RunningServer, sync: Any, triggered: str, hook: HookServer, user: Dataset
) -> None:
    """The stream record holds the hook's records too, and no refused ones."""
    with contextlib.closing(server.client("kinesis")) as kinesis:
        kinesis.create_stream(StreamName="triggered", ShardCount=1)
        sync.set_identity_pool_configuration(
            IdentityPoolId=triggered,
            CognitoStreams={"StreamName": "triggered", "StreamingStatus": "ENABLED"},
        )
        hook.answer = answering(k=to("better"), refused=..., bonus=to("9"))
        user.update(replace("k", "v"), replace("refused", "w"))

        iterator = kinesis.get_shard_iterator(
            StreamName="triggered",
            ShardId="shardId-000000000000",
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]
        records: list[Any] = []
        deadline = Deadline(20)
        while not records and not deadline.passed():
            page = kinesis.get_records(ShardIterator=iterator)
            records, iterator = page["Records"], page["NextShardIterator"]

    (record,) = records
    event = json.loads(record["Data"])
    found = {each["key"]: each["value"] for each in event["kinesisSyncRecords"]}
    assert found == {"k": "better", "bonus": "9"}


def test_a_hook_may_fill_a_dataset(
    triggered: str, hook: HookServer, user: Dataset
) -> None:
    """1,024 records are answered; 2,000 are refused and change nothing."""
    hook.answer = answering(**{f"n{n}": to("v") for n in range(1999)})
    with refused(400, "LimitExceededException"):
        user.update(replace("k", "v"))
    assert user.list()["DatasetExists"] is False

    hook.answer = answering(**{f"n{n}": to("v") for n in range(1023)})
    answer = user.update(replace("k", "v"))

    assert len(answer["Records"]) == 1024
    assert by_key(user.list()) == by_key(answer)


def test_a_full_dataset_goes_through_the_hook(
    triggered: str, hook: HookServer, user: Dataset
) -> None:
    """A dataset of a MiB, of which JSON makes several, is sent and answered."""
    value = "\u00e9" * 100_000
    user.put(**{f"k{n}": value for n in range(5)})

    answer = user.update(replace("k0", "v", 1))

    assert by_key(answer) == {"k0": ("v", 2)}
    assert len(event_of(hook.requests[-1])["datasetRecords"]) == 5


# --- Failures -------------------------------------------------------------------------


def assert_fails(
    user: Dataset, status: int, code: str, patch: dict[str, Any] | None = None
) -> str:
    """Expect a failure that writes nothing and leaves the token good."""
    patch = patch or replace("k", "v")
    before, token = user.values(), user.token()
    with refused(status, code) as refusal:
        user.update(patch, token=token)
    assert user.values() == before
    user.list(SyncSessionToken=token)
    return refusal.message


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b""),
        Answer(b"null"),
        Answer(b"not json"),
        Answer(b"{}"),
        Answer(status=500),
        Answer(status=204),
        Answer(status=302, headers={"Location": "http://127.0.0.1/"}),
        Answer(raw=b"no http"),
        Answer(raw=b""),
    ],
)
def test_a_hook_that_fails(
    triggered: str, hook: HookServer, user: Dataset, answer: Answer
) -> None:
    """The update is refused, and the same token is good for the next attempt."""
    hook.answer = lambda request: answer
    token = user.token()
    with refused(400, "InvalidLambdaFunctionOutputException"):
        user.update(replace("k", "v"), token=token)
    assert user.list()["DatasetExists"] is False

    hook.answer = answering()

    assert by_key(user.update(replace("k", "v"), token=token)) == {"k": ("v", 1)}


@pytest.mark.parametrize(
    "change",
    [
        {"identityId": "us-east-1:other"},
        {"identityPoolId": UNKNOWN_POOL},
        {"datasetName": "other"},
        {"version": 1},
        {"datasetRecords": None},
        {"datasetRecords": {"k": {"newValue": 1, "op": "replace"}}},
        {"datasetRecords": {"": {"newValue": "v", "op": "replace"}}},
        {"datasetRecords": {"a\0": {"newValue": "v", "op": "replace"}}},
    ],
)
def test_an_answer_that_is_not_one(
    triggered: str, hook: HookServer, user: Dataset, change: Any
) -> None:
    """Another pool, identity or dataset, and records that are none, are refused."""
    hook.answer = lambda request: Answer(
        json.dumps({**event_of(request), **change}).encode()
    )

    message = assert_fails(user, 400, "InvalidLambdaFunctionOutputException")

    assert "sync trigger" in message


def test_a_hook_that_is_slow(triggered: str, hook: HookServer, user: Dataset) -> None:
    """After 5 seconds the update fails, as with a Lambda function that is slow."""
    hook.answer = lambda request: Answer(until=threading.Event())
    started = time.monotonic()

    message = assert_fails(user, 400, "LambdaSocketTimeoutException")

    assert 4.5 < time.monotonic() - started < seconds(20)
    assert "Socket timeout while invoking Lambda function." in message


def test_a_hook_over_its_rate(triggered: str, hook: HookServer, user: Dataset) -> None:
    """The client may try again."""
    hook.answer = lambda request: Answer(status=429)

    assert_fails(user, 429, "LambdaThrottledException")


def test_an_answer_that_is_too_large(
    triggered: str, hook: HookServer, user: Dataset
) -> None:
    """A hook that never ends is cut off."""
    hook.answer = lambda request: Answer(
        pieces=lambda: (b"x" * 1_000_000 for _ in range(1000))
    )

    assert_fails(user, 400, "InvalidLambdaFunctionOutputException")


def test_an_error_does_not_tell_users_where_the_hook_is(
    triggered: str, hook: HookServer, user: Dataset, server: RunningServer
) -> None:
    """It is in the log, for the operator."""
    hook.answer = lambda request: Answer(status=503)

    message = assert_fails(user, 400, "InvalidLambdaFunctionOutputException")

    assert "503" not in message
    assert "127.0.0.1" not in message
    failed = '"sync_trigger.failed"'
    wait_until(
        lambda: [line for line in [*server.log] if failed in line and "503" in line]
    )


@pytest.mark.parametrize("value", ["geheim\0", "geheim" * 200_000])
def test_the_log_does_not_name_the_record_that_a_hook_spoils(
    triggered: str, hook: HookServer, user: Dataset, server: RunningServer, value: str
) -> None:
    """Its key is for the caller; the log has neither keys nor values of records."""
    key = f"diary-{len(value)}"

    hook.answer = answering(**{key: to(value)})
    with pytest.raises(ClientError, match=key):
        user.update(replace(key, "x"))

    pool = f'"{triggered}"'
    (line,) = wait_until(
        lambda: [
            line
            for line in [*server.log]
            if '"sync_trigger.failed"' in line and pool in line
        ]
    )
    assert "record" in line
    assert f"millpond doctor --identity-pool-id {triggered} " in line
    assert key not in line
    assert "geheim" not in line


@pytest.fixture
def closed_again(
    start_server: Callable[..., RunningServer], hook: HookServer
) -> tuple[RunningServer, str]:
    """A server that may not call hooks here, with a pool that has one from before."""
    before = start_server(settings={"hook_private_networks": "true"})
    pool = create_pool(before)
    with contextlib.closing(before.client("cognito-sync")) as developer:
        set_trigger(developer, pool, hook.url)
    before.stop()
    server = start_server()
    server.access_key_id = before.access_key_id
    server.secret_access_key = before.secret_access_key
    return server, pool


def test_private_networks_are_closed_unless_a_setting_opens_them(
    closed_again: tuple[RunningServer, str], hook: HookServer
) -> None:
    """With the default settings a hook on this machine is not called; the log tells."""
    server, pool = closed_again
    config = Config(signature_version=UNSIGNED)
    with contextlib.closing(server.client("cognito-identity", config=config)) as device:
        credentials = get_credentials(device, pool)
    with contextlib.closing(client_of(server, credentials)) as client:
        user = Dataset(client, pool, credentials.identity_id)
        assert_fails(user, 400, "InvalidLambdaFunctionOutputException")

    assert hook.requests == []
    (line,) = server.wait_for_events("sync_trigger.failed")
    assert "hook_private_networks" in line["hint"]
    assert "127.0.0.1" in line["error"]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.0.9", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255"),
        *("[::1]", "[::]", "[::ffff:10.0.0.1]", "[fe80::1]", "[fd00::1]"),
        *("[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
        *("2130706433", "0177.0.0.1", "0x7f000001", "127.1", "0x7f.1", "017700000001"),
        *("localhost", "LOCALHOST", "localhost.", "app.localhost", "localhost:8080"),
    ],
)
def test_a_trigger_at_a_private_address_is_refused_at_once(
    cautious: RunningServer, host: str
) -> None:
    """The reason and the setting are named, and the pool keeps what it had."""
    pool = create_pool(cautious)
    with contextlib.closing(cautious.client("cognito-sync")) as developer:
        set_trigger(developer, pool, ARN)
        for scheme in ("http", "https"):
            with refused(400, "InvalidParameterException") as refusal:
                set_trigger(developer, pool, f"{scheme}://{host}/sync?token=secret")
            assert "private address" in refusal.message
            assert "hook_private_networks" in refusal.message
            assert "secret" not in refusal.message
        events = developer.get_cognito_events(IdentityPoolId=pool)["Events"]

    assert events == {"SyncTrigger": ARN}


@pytest.mark.parametrize(
    "target",
    ["http://8.8.8.8/", "https://[2001:4860:4860::8888]/", "http://134744072/", ARN],
)
def test_other_triggers_are_stored(cautious: RunningServer, target: str) -> None:
    """A public address, in any spelling, and a name that may come to be known."""
    pool = create_pool(cautious)
    with contextlib.closing(cautious.client("cognito-sync")) as developer:
        for each in (target, "https://hook.not-known-yet.example/"):
            set_trigger(developer, pool, each)
            events = developer.get_cognito_events(IdentityPoolId=pool)["Events"]
            assert events == {"SyncTrigger": each}


def test_a_function_is_called_with_the_lambda_api(
    start_server: Callable[..., RunningServer],
    hook: HookServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    """A function's ARN goes to the endpoint of the settings, signed."""
    # A profile, because servers of tests are started without AWS variables.
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    hook.answer = answering(k=to("better"))
    server = start_server(settings={"lambda_endpoint": hook.url})
    pool = create_pool(server)
    config = Config(signature_version=UNSIGNED)
    with (
        contextlib.closing(server.client("cognito-sync")) as developer,
        contextlib.closing(server.client("cognito-identity", config=config)) as device,
    ):
        set_trigger(developer, pool, ARN)
        credentials = get_credentials(device, pool)
    with contextlib.closing(client_of(server, credentials)) as client:
        user = Dataset(client, pool, credentials.identity_id)
        assert by_key(user.update(replace("k", "v"))) == {"k": ("better", 1)}

        hook.answer = lambda request: Answer(
            b"{}", headers={"X-Amz-Function-Error": "Unhandled"}
        )
        assert_fails(user, 400, "InvalidLambdaFunctionOutputException", remove("k", 1))

    assert "AKIAEXAMPLE" in hook.requests[0].headers["authorization"]


# --- Meanwhile ------------------------------------------------------------------------


def changing_meanwhile(
    hook: HookServer, change: Callable[[int], None], times: int
) -> None:
    """Have the hook do something before it answers, the first so many times."""
    plain = hook.answer

    def answer(request: Received) -> Answer:
        if len(hook.requests) <= times:
            change(len(hook.requests))
        return plain(request)

    hook.answer = answer


def test_a_dataset_that_changes_meanwhile_is_shown_again(
    triggered: str, hook: HookServer, user: Dataset, sync: Any
) -> None:
    """The verdict that counts is about what is stored."""
    developer = Dataset(sync, triggered, user.identity)
    changing_meanwhile(hook, lambda n: developer.put(other=str(n)), times=2)

    answer = user.update(replace("k", "v"))

    assert by_key(answer) == {"k": ("v", 3)}
    told = [event_of(request)["datasetRecords"] for request in hook.requests]
    assert [each.get("other", {}).get("oldValue") for each in told] == [None, "1", "2"]


def test_a_dataset_that_always_changes_is_a_conflict(
    triggered: str, hook: HookServer, user: Dataset, sync: Any
) -> None:
    """After three attempts the client is told to try again, and may."""
    developer = Dataset(sync, triggered, user.identity)
    changing_meanwhile(hook, lambda n: developer.put(other=str(n)), times=3)
    token = user.token()

    with refused(409, "ResourceConflictException"):
        user.update(replace("k", "v"), token=token)
    assert len(hook.requests) == 3
    assert user.values() == {"other": "3"}

    assert by_key(user.update(replace("k", "v"), token=token)) == {"k": ("v", 4)}


def test_a_record_that_changes_meanwhile_is_a_conflict(
    triggered: str, hook: HookServer, user: Dataset, sync: Any
) -> None:
    """The patch is checked against what is stored in the end."""
    developer = Dataset(sync, triggered, user.identity)
    changing_meanwhile(hook, lambda n: developer.put(k="theirs"), times=1)

    with refused(409, "ResourceConflictException") as refusal:
        user.update(replace("k", "v"))

    assert refusal.message == "Current SyncCount for: k is: 1 not: 0"
    assert len(hook.requests) == 1
    assert user.values() == {"k": "theirs"}


def test_a_trigger_that_is_removed_meanwhile(
    triggered: str, hook: HookServer, user: Dataset, sync: Any
) -> None:
    """What it says does not count any more."""
    hook.answer = answering(k=to("better"))
    changing_meanwhile(hook, lambda n: set_trigger(sync, triggered, ""), times=1)

    assert by_key(user.update(replace("k", "v"))) == {"k": ("v", 1)}


def test_a_trigger_that_is_replaced_meanwhile(
    triggered: str, hook: HookServer, user: Dataset, sync: Any
) -> None:
    """The new one is asked, and what it says counts."""
    hook.answer = answering(k=to("old"))
    with HookServer(answering(k=to("new"))) as other:
        changing_meanwhile(
            hook, lambda n: set_trigger(sync, triggered, other.url), times=1
        )

        assert by_key(user.update(replace("k", "v"))) == {"k": ("new", 1)}
        assert (len(hook.requests), len(other.requests)) == (1, 1)


def test_updates_of_many_users_go_through_at_once(
    triggered: str, hook: HookServer, server: RunningServer, device: Any
) -> None:
    """A hook is not asked one by one: all wait in it together."""
    users = 8
    everybody = threading.Barrier(users)

    def answer(request: Received) -> Answer:
        everybody.wait(seconds(20))
        return Answer(request.body)

    hook.answer = answer
    with contextlib.ExitStack() as stack:
        datasets = []
        for _ in range(users):
            credentials = get_credentials(device, triggered)
            client = stack.enter_context(
                contextlib.closing(client_of(server, credentials))
            )
            datasets.append(Dataset(client, triggered, credentials.identity_id))
        with ThreadPoolExecutor(users) as threads:
            answers = list(threads.map(lambda each: each.put(k="v"), datasets))

    assert [by_key(each) for each in answers] == [{"k": ("v", 1)}] * users


# --- Lost answers ---------------------------------------------------------------------


def test_a_repeated_request_is_answered_as_the_first_time(
    triggered: str, hook: HookServer, user: Dataset, sync: Any
) -> None:
    """All that the hook changed is in it, and the hook is not asked again."""
    user.put(stays="1", gone="2")
    hook.answer = answering(
        k=to("better"), stays=..., gone=to(None), bonus=to("9"), plain=to("p")
    )
    patches = (replace("k", "v"), replace("stays", "x", 1), replace("plain", "p"))
    token = user.token()
    first = user.update(*patches, token=token)
    asked = len(hook.requests)

    again = user.update(*patches, token=token)

    assert again["Records"] == first["Records"]
    assert len(hook.requests) == asked
    # What others wrote since, and a trigger that is gone, make no difference.
    Dataset(sync, triggered, user.identity).put(k="theirs", bonus="theirs")
    set_trigger(sync, triggered, "")
    assert user.update(*patches, token=token)["Records"] == first["Records"]
    assert user.values()["k"] == "theirs"


def test_a_repeated_request_that_was_refused_whole(
    triggered: str, hook: HookServer, user: Dataset
) -> None:
    """A refusal of everything by the hook is an outcome too."""
    hook.answer = answering(k=...)
    token = user.token()
    first = user.update(replace("k", "v"), token=token)
    hook.answer = answering()

    again = user.update(replace("k", "v"), token=token)

    assert again["Records"] == first["Records"]
    assert len(hook.requests) == 1


def test_another_request_with_a_used_token_is_refused(
    triggered: str, hook: HookServer, user: Dataset
) -> None:
    """As without a trigger, and the hook does not hear of it."""
    token = user.token()
    user.update(replace("k", "v"), token=token)

    with refused(400, "InvalidParameterException"):
        user.update(replace("k", "w", 1), token=token)

    assert len(hook.requests) == 1


def test_two_of_the_same_at_once(
    triggered: str, hook: HookServer, user: Dataset
) -> None:
    """A request that is repeated while the hook thinks has one outcome."""
    both = threading.Barrier(2)

    def answer(request: Received) -> Answer:
        both.wait(seconds(20))
        return answering(bonus=to(str(len(hook.requests))))(request)

    hook.answer = answer
    token = user.token()
    with ThreadPoolExecutor(2) as threads:
        answers = list(
            threads.map(lambda _: user.update(replace("k", "v"), token=token), range(2))
        )

    assert answers[0]["Records"] == answers[1]["Records"]
    assert user.list()["DatasetSyncCount"] == 1


# --- The secret -----------------------------------------------------------------------


def test_the_secret_that_is_printed_is_the_one_that_signs(
    triggered: str,
    hook: HookServer,
    user: Dataset,
    server: RunningServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`millpond hook-secret` prints what a hook has to know."""
    user.put(k="v")

    assert main(["hook-secret", "--data", str(server.data)]) == 0

    secret = capsys.readouterr().out.strip()
    headers, body = hook.requests[0].headers, hook.requests[0].body
    signed = headers["x-millpond-timestamp"].encode() + b"." + body
    mac = hmac.new(secret.encode(), signed, "sha256").hexdigest()
    assert headers["x-millpond-signature"] == f"v1={mac}"
