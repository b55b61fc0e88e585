"""`millpond data`: datasets of a user in a file, offline first."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from acceptance.oidc_provider import OidcProvider
from acceptance.sync_client import Dataset, create_pool, new_identity, replace
from acceptance.users import Backend
from certificates import make_certificate
from millpond.testing.server import RunningServer
from processes import finished

EMPTY = "prefs\t0\t0\t0\t-\t-\n"
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def data(run, tmp_path, monkeypatch) -> Callable[..., Any]:
    """Run a command over a file of its own, with no server unless one is named."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    def run_data(*words: str, file: str = "data.db") -> Any:
        return run("data", *words, "--file", str(tmp_path / file))

    return run_data


@pytest.fixture
def pool(server) -> str:
    """A pool that lets guests in."""
    return Backend(server.client("cognito-identity")).pool


@pytest.fixture
def there(server, pool) -> Dataset:
    """The dataset `prefs` of an identity, as another device (boto3) has it."""
    return Dataset(server.client("cognito-sync"), pool, new_identity())


@pytest.fixture
def as_developer(server, there, monkeypatch) -> list[str]:
    """What makes a command call for that identity."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_access_key)
    return [
        *("--identity-pool-id", there.pool, "--identity-id", there.identity),
        *("--endpoint-url", server.endpoint),
    ]


# --- Without a server -----------------------------------------------------------------


def test_a_tilde_behind_an_equals_sign_is_the_home(run, home, pool):
    """Shells leave a ~ there alone; the file is made in the home."""
    given = ("--file=~/ours.db", "--identity-pool-id", pool)
    done = run("data", "set", "prefs", "colour", "teal", *given)

    assert (done.code, done.err) == (0, "")
    assert (home / "ours.db").exists()
    assert not (home / "~").exists()


def test_what_is_set_can_be_got_without_a_server(data, pool):
    """The pool has to be said once; the file knows it then."""
    assert data("set", "prefs", "colour", "teal", "--identity-pool-id", pool).code == 0
    assert data("set", "prefs", "empty", "").code == 0
    got = data("get", "prefs", "colour")
    empty = data("get", "prefs", "empty", "--output", "json")

    assert (got.code, got.out, got.err) == (0, "teal\n", "")
    assert json.loads(empty.out) == {
        "DatasetName": "prefs",
        "Key": "empty",
        "Value": "",
    }


def test_what_is_here_is_listed(data, pool):
    """Datasets with how they stand, and the records of one."""
    data("set", "prefs", "colour", "teal", "--identity-pool-id", pool)
    data("set", "prefs", "size", "7")
    datasets = data("list")
    records = data("list", "prefs")
    document = json.loads(data("list", "prefs", "--output", "json").out)

    assert datasets.out == "prefs\t2\t2\t0\t-\t-\n"
    assert records.out == "colour\tteal\tunsent\nsize\t7\tunsent\n"
    assert document["Records"][1] == {
        "Key": "size",
        "Value": "7",
        "Unsent": True,
        "SetAside": None,
    }


def test_what_is_removed_is_not_there(data, pool):
    """Status 1, and nothing on standard output, for scripts to see."""
    data("set", "prefs", "colour", "teal", "--identity-pool-id", pool)
    assert data("set", "prefs", "colour", "--remove").code == 0
    got = data("get", "prefs", "colour")
    other = data("get", "other", "colour")

    assert (got.code, got.out) == (1, "")
    assert "There is no record colour" in got.err
    assert (other.code, other.out) == (1, "")
    assert "nor a dataset other" in other.err


def test_a_value_comes_from_standard_input(data, pool, monkeypatch):
    """Such as a file; one line end at its end is not part of it."""
    given = "a\tlong\nvalue\n"
    text = io.TextIOWrapper(io.BytesIO(given.encode()), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", text)
    data("set", "notes", "n", "--stdin", "--identity-pool-id", pool)

    assert data("get", "notes", "n").out == given


def test_input_that_is_no_text_is_refused(data, pool, monkeypatch):
    """Nothing is written."""
    text = io.TextIOWrapper(io.BytesIO(b"\xff\xfe"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", text)
    result = data("set", "notes", "n", "--stdin", "--identity-pool-id", pool)

    assert result.code == 255
    assert "no text" in result.err
    assert data("get", "notes", "n", "--identity-pool-id", pool).code == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("set", "prefs", "k" * 1025, "v"), "would be 1025; the limit is"),
        (("set", "prefs", "", "v"), "key"),
        (("set", "no such name", "k", "v"), "name"),
        (("set", "prefs", "k", "v\ud800"), ""),
    ],
)
def test_what_no_server_would_take_is_refused_here(data, pool, words, why):
    """With a sentence, and nothing is written."""
    result = data(*words, "--identity-pool-id", pool)

    assert (result.code, result.out) == (255, "")
    assert why in result.err
    assert "Traceback" not in result.err
    assert data("list", "--identity-pool-id", pool).out in (
        "",
        "prefs\t0\t0\t0\t-\t-\n",
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("get", "prefs", "k"), "no such file"),
        (("list",), "no such file"),
        (("sync",), "Which identity pool?"),
        (("sync", "--login", "x", "--identity-pool-id", "us-east-1:x"), "--token-file"),
        (
            (
                *("sync", "--login", "x", "--token-file", "y"),
                *("--identity-id", "us-east-1:x", "--identity-pool-id", "us-east-1:x"),
            ),
            "cannot both",
        ),
    ],
)
def test_what_is_missing_is_said(data, words, why):
    """What to do about it, too."""
    result = data(*words)

    assert (result.code, result.out) == (255, "")
    assert why in result.err


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("set", "prefs", "k"),
        ("set", "prefs", "k", "v", "--remove"),
        ("get", "prefs"),
        ("watch", "--count", "0"),
        ("watch", "--every", "0"),
        ("delete", "prefs"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(run, words):
    """Before any file is made."""
    assert run("data", *words).code in ((0, 2) if not words else (2,))


def test_the_file_is_its_owners(data, pool, tmp_path):
    """A guest's id in it opens the guest's data."""
    data("set", "prefs", "k", "v", "--identity-pool-id", pool)

    assert stat.S_IMODE(os.stat(tmp_path / "data.db").st_mode) == 0o600


def test_a_file_of_something_else_is_told_and_left_alone(data, pool, tmp_path):
    """No database of ours is made of it."""
    path = tmp_path / "data.db"
    path.write_text("a shopping list, long enough to be no database at all\n" * 40)
    before = path.read_bytes()
    result = data("set", "prefs", "k", "v", "--identity-pool-id", pool)

    assert result.code == 255
    assert str(path) in result.err
    assert path.read_bytes() == before


def test_a_terminal_is_not_steered_by_a_value(data, pool, monkeypatch):
    """In a pipe it is as it was written."""
    data("set", "prefs", "k", "\x1b[31mred", "--identity-pool-id", pool)
    piped = data("get", "prefs", "k")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = data("get", "prefs", "k")

    assert piped.out == "\x1b[31mred\n"
    assert "\x1b" not in shown.out


# --- With a server --------------------------------------------------------------------


def test_two_machines_of_one_identity(data, there, as_developer):
    """What one sets, the other has after both have synchronized; boto3 sees it too."""
    data("set", "prefs", "colour", "teal", *as_developer)
    sent = data("sync", *as_developer)
    pulled = data("sync", *as_developer, file="other.db")

    assert (sent.code, sent.out) == (0, "prefs\t0\t1\t0\t0\t-\n")
    assert pulled.out == "prefs\t1\t0\t0\t0\t-\n"
    got = data("get", "prefs", "colour", *as_developer, file="other.db")
    assert got.out == "teal\n"
    assert there.list()["Records"][0]["Value"] == "teal"


def test_a_guest_comes_back_with_what_was_set_offline(data, server, pool):
    """Set before anybody knew who it is; sent as a guest, twice the same one."""
    data("set", "prefs", "colour", "teal", "--identity-pool-id", pool)
    offline = data("sync")
    first = data("sync", "--endpoint-url", server.endpoint, "--output", "json")
    data("set", "prefs", "size", "7")
    second = data("sync", "prefs", "--endpoint-url", server.endpoint)

    assert (offline.code, offline.out) == (255, "")
    assert "Could not connect" in offline.err
    assert "millpond doctor" in offline.err
    assert json.loads(first.out)["Datasets"][0]["Pushed"] == ["colour"]
    assert second.out == "prefs\t0\t1\t0\t0\t-\n"
    assert data("list").out.startswith("prefs\t2\t0\t0\t")


def test_the_user_of_a_provider(tmp_path, data):
    """The token is read from its file whenever it is needed."""
    provider = OidcProvider()
    known = {"login_providers": json.dumps({provider.name: provider.setting})}
    with RunningServer(tmp_path / "server", settings=known) as server:
        identities = server.client("cognito-identity")
        pool = Backend(identities, OpenIdConnectProviderARNs=[provider.arn]).pool
        token = tmp_path / "token"
        token.write_text(f"{provider.token('ann')}\n")
        user = [
            *("--login", provider.name, "--token-file", str(token)),
            *("--identity-pool-id", pool, "--endpoint-url", server.endpoint),
        ]
        data("set", "prefs", "colour", "teal", *user)
        sent = data("sync", *user)
        elsewhere = data("sync", *user, file="other.db")
        token.unlink()
        missing = data("sync", *user, file="third.db")
    provider.close()

    assert sent.out == "prefs\t0\t1\t0\t0\t-\n"
    assert elsewhere.out == "prefs\t1\t0\t0\t0\t-\n"
    assert (missing.code, missing.out) == (255, "")
    assert "token" in missing.err


def test_what_the_server_refuses_stays_and_is_named(data, there, as_developer, start):
    """Status 1; everything else went out."""
    small = start({"record_value_chars_max": "10"})
    words = [*as_developer[:4], "--endpoint-url", small.endpoint]
    small_pool = create_pool(small)
    words[1] = small_pool
    data("set", "prefs", "good", "v", *words)
    data("set", "prefs", "long", "v" * 11, *words)
    result = data("sync", *words)

    assert (result.code, result.out) == (1, "prefs\t0\t1\t0\t1\t-\n")
    assert "prefs: long stays here, the server refuses it" in result.err
    assert "vvv" not in result.err
    listed = data("list", "prefs", *words)
    assert "long\tvvvvvvvvvvv\trefused: " in listed.out


@pytest.fixture
def start(tmp_path, monkeypatch) -> Iterator[Callable[[dict[str, str]], Any]]:
    """Start a server with settings, whose key counts from then on."""
    started: list[RunningServer] = []

    def start_server(settings: dict[str, str]) -> RunningServer:
        started.append(RunningServer(tmp_path / "small", settings=settings))
        started[-1].start()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", started[-1].access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", started[-1].secret_access_key)
        return started[-1]

    yield start_server
    for each in started:
        each.stop()


def test_a_developer_without_a_key_is_told(data, server, there):
    """As any other command says it."""
    result = data(
        *("sync", "--identity-pool-id", there.pool, "--identity-id", there.identity),
        *("--endpoint-url", server.endpoint),
    )

    assert result.code == 255
    assert "Unable to locate credentials" in result.err


def test_a_pool_that_is_not_there_is_told(data, server):
    """By the server's own words."""
    result = data(
        *(
            "sync",
            "--identity-pool-id",
            "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f",
        ),
        *("--endpoint-url", server.endpoint),
    )

    assert result.code == 255
    assert "ResourceNotFoundException" in result.err


def test_a_watch_takes_changes_both_ways(data, there, as_developer, tmp_path, programs):
    """What others write, and what another command writes to the file; until Ctrl-C."""
    there.update(replace("colour", "teal"))
    file = str(tmp_path / "data.db")
    words = ("data", "watch", *as_developer, "--file", file, "--output", "json")
    watch = programs.millpond(*words)
    assert watch.stderr.readline() == "Watching all datasets; Ctrl-C ends it.\n"
    first = json.loads(watch.stdout.readline())
    there.update(replace("colour", "red", 1))
    second = json.loads(watch.stdout.readline())
    assert data("set", "prefs", "size", "7", *as_developer).code == 0
    third = json.loads(watch.stdout.readline())
    watch.send_signal(signal.SIGINT)
    out, err = finished(watch)

    assert (first["DatasetName"], first["Values"]) == ("prefs", {"colour": "teal"})
    assert second["Values"] == {"colour": "red"}
    assert third["Pushed"] == ["size"]
    assert (watch.returncode, out, err) == (130, "", "")
    assert {e["Key"]: e["Value"] for e in there.list()["Records"]} == {
        "colour": "red",
        "size": "7",
    }


def test_a_watch_ends_after_so_many_changes(data, there, as_developer):
    """For scripts: `--count`."""
    there.update(replace("colour", "teal"))
    result = data("watch", "prefs", "--count", "1", *as_developer)

    assert result.code == 0
    assert result.out.split("\t")[1:] == ["prefs", "pulled colour\n"]


def test_commands_at_once_are_one_guest(data, server, tmp_path, programs):
    """Over one new file: one identity has all that they wrote, once."""
    identities = server.client("cognito-identity")
    pool = Backend(identities).pool
    words = [
        *("--file", str(tmp_path / "data.db"), "--identity-pool-id", pool),
        *("--endpoint-url", server.endpoint),
    ]
    for number in range(4):
        assert data("set", "prefs", f"k{number}", "v", *words[2:]).code == 0
    started = [programs.millpond("data", "sync", *words) for _ in range(4)]
    for each in started:
        finished(each, 60)
    found = identities.list_identities(IdentityPoolId=pool, MaxResults=60)
    held = [
        Dataset(server.client("cognito-sync"), pool, each["IdentityId"]).list()
        for each in found["Identities"]
    ]

    assert [each.returncode for each in started] == [0] * 4
    written = [[e["Key"] for e in each["Records"]] for each in held if each["Records"]]
    assert [sorted(each) for each in written] == [["k0", "k1", "k2", "k3"]]
    assert data("list").out.startswith("prefs\t4\t0\t0\t")


def test_a_server_with_a_certificate_of_its_own(data, home, tmp_path, monkeypatch):
    """`--ca-bundle` names its authority, and wins over the variable."""
    certificate, key = make_certificate(tmp_path)
    settings = {"tls_certificate": str(certificate), "tls_key": str(key)}
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with RunningServer(tmp_path / "server", settings=settings) as server:
        guests = Backend(server.client("cognito-identity")).pool
        where = ("--identity-pool-id", guests, "--endpoint-url", server.endpoint)
        monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/file.pem")

        trusted = data("sync", *where, "--ca-bundle", str(certificate))
        monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/file.pem")
        missing = data("sync", *where)
        monkeypatch.delenv("AWS_CA_BUNDLE")
        strange = data("sync", *where)

    assert trusted.code == 0
    for each in (missing, strange):
        assert each.code == 255
        assert "Traceback" not in each.err
    assert "CERTIFICATE_VERIFY_FAILED" in strange.err
