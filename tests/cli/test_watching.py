"""`millpond get-bulk-publish-details`: how a bulk publish goes, for people."""

from __future__ import annotations

import re
import signal

import pytest

from millpond.testing.server import wait_until
from processes import Terminal, finished

START_S = 1415212845.0


def details(pool: str, status: str, **members) -> dict:
    """An answer of GetBulkPublishDetails."""
    known: dict = {"IdentityPoolId": pool, "BulkPublishStatus": status}
    if status != "NOT_STARTED":
        known["BulkPublishStartTime"] = START_S
    return {**known, **members}


@pytest.fixture
def watch(run, stub, pool):
    """Watch a run on the stub, with little time between two looks."""

    def watch_run(*words: str):
        return run(
            *("get-bulk-publish-details", "--identity-pool-id", pool, "--watch"),
            *("--interval", "0.05", "--endpoint-url", stub.url, *words),
        )

    return watch_run


@pytest.fixture
def watching(programs, home, stub, pool):
    """Start a process that watches."""
    return lambda **options: programs.millpond(
        *("get-bulk-publish-details", "--identity-pool-id", pool, "--watch"),
        *("--interval", "0.05", "--endpoint-url", stub.url),
        **options,
    )


def test_a_watched_run_is_told_once_for_each_change(watch, stub, pool):
    """On a pipe, each change is one line, and the end of the run is the end."""
    for _ in range(3):
        stub.will_answer(details(pool, "IN_PROGRESS"))
    stub.will_answer(details(pool, "SUCCEEDED", BulkPublishCompleteTime=START_S + 83.4))

    result = watch()

    assert (result.code, result.err) == (0, "")
    first, second = result.out.splitlines()
    assert first.startswith("IN_PROGRESS  started 2014-11-05 ")
    assert "running for" in first
    assert re.fullmatch(r"SUCCEEDED +started 2014-11-05 .* took 1 min 23 s", second)
    assert len(stub.received) == 4


def test_elapsed_time_is_by_the_clock_of_the_server(watch, stub, pool):
    """Our clock may be off; the server's has started the run."""
    stub.date = "Wed, 05 Nov 2014 20:42:45 GMT"
    stub.will_answer(details(pool, "IN_PROGRESS"))
    stub.will_answer(details(pool, "SUCCEEDED"))

    assert "running for 2 h 02 min" in watch().out


def test_a_failed_run_says_why(watch, stub, pool):
    """The status is the result, the reason an error; the exit status is 1."""
    stub.will_answer(details(pool, "IN_PROGRESS"))
    stub.will_answer(details(pool, "FAILED", FailureMessage="Stream 's' is gone."))

    result = watch()

    assert result.code == 1
    assert result.out.splitlines()[-1].startswith("FAILED")
    assert result.err == "Stream 's' is gone.\n"


def test_a_run_that_was_never_started_cannot_be_watched(watch, stub, pool):
    """The exit status is 3, and what starts a run is told."""
    stub.will_answer(details(pool, "NOT_STARTED"))

    result = watch()

    assert (result.code, result.out) == (3, "NOT_STARTED\n")
    assert f"cognito-sync bulk-publish --identity-pool-id {pool}\n" in result.err
    assert len(stub.received) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [("SUCCEEDED", 0), ("IN_PROGRESS", 0), ("FAILED", 1), ("NOT_STARTED", 3)],
)
def test_without_watching_there_is_one_look(run, stub, pool, status, code):
    """One call, one line, and the exit status says how it stands."""
    stub.will_answer(details(pool, status))

    result = run(
        *("get-bulk-publish-details", "--identity-pool-id", pool),
        *("--endpoint-url", stub.url),
    )

    assert code == result.code
    assert result.out.startswith(status)
    assert result.out.count("\n") == 1
    assert len(stub.received) == 1


def test_the_command_of_the_api_stays_the_apis(sync, stub, pool):
    """`millpond cognito-sync get-bulk-publish-details` knows nothing of watching."""
    result = sync("get-bulk-publish-details", "--identity-pool-id", pool, "--watch")

    assert result.code == 255
    assert "Unknown options: --watch" in result.err


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(watch, stub, pool, status):
    """An answer that may pass ends nothing; it is noted once."""
    stub.will_answer(details(pool, "IN_PROGRESS"))
    stub.will_answer({"__type": "X", "message": "starting"}, status)
    stub.will_answer({"__type": "X", "message": "starting"}, status)
    stub.will_answer(details(pool, "SUCCEEDED"))

    result = watch()

    assert result.code == 0
    assert result.err.count("starting") == 1
    assert "Trying again for 5 min 00 s.\nThe server answers again.\n" in result.err


def test_a_server_that_starts_anew_is_waited_for(watching, stub, pool):
    """The watch outlives a server that is gone for a while."""
    stub.will_answer(details(pool, "IN_PROGRESS"))
    process = watching()
    wait_until(lambda: stub.received)

    stub.close()
    note = process.stderr.readline() + process.stderr.readline()
    stub.answers.clear()
    stub.will_answer(details(pool, "SUCCEEDED"))
    stub.open()
    out, err = finished(process)

    assert process.returncode == 0
    assert "Trying again for 5 min 00 s." in note
    assert err == "The server answers again.\n"
    assert out.splitlines()[-1].startswith("SUCCEEDED")


def test_patience_has_an_end(watch, stub, pool):
    """A server that stays away ends the watch with the error of a call."""
    stub.will_answer(details(pool, "IN_PROGRESS"))
    stub.will_answer(drop=True)

    result = watch("--patience", "0.2")

    assert result.code == 255
    assert "Connection was closed" in result.err.splitlines()[-1]


def test_a_refusal_ends_the_watch(watch, stub, pool):
    """A pool that is deleted meanwhile is not asked for again."""
    stub.will_answer(details(pool, "IN_PROGRESS"))
    stub.will_answer({"__type": "ResourceNotFoundException", "message": "gone"}, 404)

    result = watch()

    assert result.code == 255
    assert "(ResourceNotFoundException)" in result.err
    assert len(stub.received) == 2


def test_a_server_that_never_answered_is_not_waited_for(watch, stub):
    """A wrong endpoint is told at once."""
    stub.will_answer(drop=True)

    assert watch().code == 255
    assert len(stub.received) == 1


def test_an_interrupt_leaves_the_run_alone(watching, stub, pool):
    """Ctrl-C ends the watch with 130, says that the run goes on, and calls nothing."""
    stub.will_answer(details(pool, "IN_PROGRESS"))
    process = watching()
    process.stdout.readline()

    process.send_signal(signal.SIGINT)
    out, err = finished(process)

    assert process.returncode == 130
    assert out == ""
    assert "the bulk publish goes on" in err
    assert "Traceback" not in err
    paths = {each.target for each in stub.received}
    assert paths == {f"/identitypools/{_quoted(pool)}/getBulkPublishDetails"}


def test_a_terminal_has_one_line_drawn_over_and_over(watching, stub, pool):
    """On a terminal every look redraws the line, which is ended once."""
    for _ in range(3):
        stub.will_answer(details(pool, "IN_PROGRESS"))
    stub.will_answer(details(pool, "SUCCEEDED"))
    terminal = Terminal()

    with terminal.handed_over() as theirs:
        process = watching(stdout=theirs)
    finished(process)
    terminal.close()

    assert process.returncode == 0
    text = terminal.text
    assert text.count("\r\x1b[K") == 4
    assert text.count("\n") == 1
    assert text.endswith("\r\n")


def _quoted(pool: str) -> str:
    return pool.replace(":", "%3A")


@pytest.mark.parametrize(
    "words",
    [
        ("--interval", "0"),
        ("--interval", "x"),
        ("--interval", "nan"),
        ("--patience", "-1"),
        ("--patience", "1e9"),
        ("--nope",),
    ],
)
def test_a_wrong_option_is_a_usage_error(watch, stub, words):
    """Times that are none are refused before anything is asked."""
    assert watch(*words).code == 2
    assert not stub.received


def test_a_real_run_is_watched_to_its_end(run, server, monkeypatch):
    """Against a real server: not started, failed without its stream, succeeded."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    pool = server.client("cognito-identity").create_identity_pool(
        IdentityPoolName="watched", AllowUnauthenticatedIdentities=True
    )["IdentityPoolId"]
    _write_a_record(server.client("cognito-sync"), pool)
    words = ("--identity-pool-id", pool)
    watch_it = ("get-bulk-publish-details", *words, "--watch", "--interval", "0.05")

    never = run(*watch_it)
    streams = "StreamName=watched,StreamingStatus=ENABLED"
    run(
        *("cognito-sync", "set-identity-pool-configuration", *words),
        *("--cognito-streams", streams),
    )
    run("cognito-sync", "bulk-publish", *words)
    failed = run(*watch_it)
    server.client("kinesis").create_stream(StreamName="watched", ShardCount=1)
    run("cognito-sync", "bulk-publish", *words)
    succeeded = run(*watch_it)

    assert (never.code, failed.code, succeeded.code) == (3, 1, 0)
    assert "'watched'" in failed.err
    assert succeeded.out.splitlines()[-1].startswith("SUCCEEDED")


def _write_a_record(sync, pool: str) -> None:
    names = {
        "IdentityPoolId": pool,
        "IdentityId": "us-east-1:11111111-2222-3333-4444-555555555555",
        "DatasetName": "d",
    }
    token = sync.list_records(**names)["SyncSessionToken"]
    patch = {"Op": "replace", "Key": "k", "Value": "v", "SyncCount": 0}
    sync.update_records(**names, SyncSessionToken=token, RecordPatches=[patch])
