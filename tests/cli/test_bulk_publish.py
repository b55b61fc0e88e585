"""`millpond bulk-publish`: publish everything, and see how it goes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from millpond.cli import bulk_publish
from millpond.testing.deadlines import seconds
from millpond.testing.server import wait_until
from processes import SOURCE, Terminal, finished

START_S = 1415212845.0
NOT_KNOWN = {"__type": "UnknownOperationException"}


def progress(pool: str, delivered: int, **members) -> dict:
    """An answer of GetBulkPublishProgress; each dataset has ten records."""
    return {
        "IdentityPoolId": pool,
        "BulkPublishStatus": "IN_PROGRESS",
        "BulkPublishStartTime": START_S,
        "DatasetsDelivered": delivered,
        "RecordsDelivered": 10 * delivered,
        "DatasetCount": 4000,
        **members,
    }


def ended(pool: str, status: str = "SUCCEEDED", **members) -> dict:
    """The answer when the run is over."""
    return progress(pool, 4000, BulkPublishStatus=status, **members)


@pytest.fixture
def publish(run, stub, pool):
    """Publish a pool on the stub."""

    def publish_pool(*words: str):
        return run(
            *("bulk-publish", "--identity-pool-id", pool),
            *("--endpoint-url", stub.url, *words),
        )

    return publish_pool


@pytest.fixture
def wait(publish):
    """The same, to its end, with little time between two looks."""
    return lambda *words: publish("--wait", "--interval", "0.05", *words)


@pytest.fixture
def waiting(programs, home, stub, pool):
    """Start a process that waits."""
    return lambda **options: programs.millpond(
        *("bulk-publish", "--wait", "--identity-pool-id", pool),
        *("--interval", "0.05", "--endpoint-url", stub.url),
        **options,
    )


def operations(stub) -> list[str]:
    """What was asked, by the last part of the path, without repeats in a row."""
    names = [each.target.rpartition("/")[2] for each in stub.received]
    return [name for n, name in enumerate(names) if names[n - 1 : n] != [name]]


def test_without_waiting_it_is_started(publish, stub, pool):
    """One call, and how to watch it."""
    stub.will_answer({"IdentityPoolId": pool})

    result = publish()

    assert (result.code, result.err) == (0, "")
    assert result.out == (
        f"The bulk publish of {pool} has started. To watch it:\n"
        f"  millpond get-bulk-publish-details --identity-pool-id {pool} --watch\n"
    )
    (call,) = stub.received
    assert call.method == "POST"
    assert call.target.endswith("/bulkpublish")


def test_a_run_is_waited_for(wait, stub, pool):
    """The API starts it, our operation tells of it, the end is that of the details."""
    stub.will_answer({"IdentityPoolId": pool})
    stub.will_answer(progress(pool, 0))
    stub.will_answer(progress(pool, 1000, RecordsPerSecond=1234.5, SecondsRemaining=75))
    stub.will_answer(ended(pool, BulkPublishCompleteTime=START_S + 83.4))

    result = wait()

    assert (result.code, result.err) == (0, "")
    first, counts, last = result.out.splitlines()
    assert first.startswith("IN_PROGRESS  started 2014-11-05 ")
    assert first.endswith("  0 of 4,000 datasets, 0 records")
    assert counts == "4,000 datasets, 40,000 records"
    assert re.fullmatch(r"SUCCEEDED +started 2014-11-05 .* took 1 min 23 s", last)
    assert operations(stub) == ["bulkpublish", "bulkPublishProgress"]
    assert len(stub.received) == 4
    assert stub.received[1].method == "GET"
    assert "/cognito-sync/aws4_request" in stub.received[1].headers["authorization"]


def test_the_end_is_told_as_by_the_details(run, wait, stub, pool):
    """The last line is the one that get-bulk-publish-details shows."""
    end = ended(pool, BulkPublishCompleteTime=START_S + 7)
    stub.will_answer({})
    stub.will_answer(end)
    waited = wait()

    details = run(
        *("get-bulk-publish-details", "--identity-pool-id", pool),
        *("--endpoint-url", stub.url),
    )

    assert waited.out.splitlines(keepends=True)[-1] == details.out
    assert waited.code == details.code


def test_counts_come_now_and_then(wait, stub, pool, monkeypatch):
    """On a pipe, a run that goes on has a line for its counts every few seconds."""
    monkeypatch.setattr(bulk_publish, "_LINE_S", 0)
    stub.will_answer({})
    stub.will_answer(progress(pool, 0))
    members = {"RecordsPerSecond": 1234.5, "SecondsRemaining": 75}
    stub.will_answer(progress(pool, 1000, **members))
    stub.will_answer(progress(pool, 2000, RecordsPerSecond=0.25))
    stub.will_answer(ended(pool))

    lines = wait().out.splitlines()

    assert len(lines) == 5
    assert lines[1].endswith(
        "  1,000 of 4,000 datasets, 10,000 records, 1,234 records/s, "
        "about 1 min 15 s left"
    )
    assert lines[2].endswith("  2,000 of 4,000 datasets, 20,000 records, 0.2 records/s")


def test_a_pool_that_has_shrunk(wait, stub, pool):
    """No run has delivered more than there is."""
    stub.will_answer({})
    stub.will_answer(progress(pool, 5000))
    stub.will_answer(ended(pool))

    assert "5,000 of 5,000 datasets" in wait().out


def test_a_failed_run_says_why(wait, stub, pool):
    """The reason stands on standard error; the exit status is 1."""
    stub.will_answer({})
    stub.will_answer(progress(pool, 100))
    stub.will_answer(
        progress(
            pool, 200, BulkPublishStatus="FAILED", FailureMessage="Stream 's' is gone."
        )
    )

    result = wait()

    assert result.code == 1
    assert result.out.splitlines()[-1].startswith("FAILED")
    assert result.out.splitlines()[-2] == "200 of 4,000 datasets, 2,000 records"
    assert result.err == "Stream 's' is gone.\n"


@pytest.mark.parametrize("words", [(), ("--wait",)])
def test_a_refusal_is_told(publish, stub, pool, words):
    """What the API refuses is not waited for."""
    stub.will_answer({"__type": "AlreadyStreamedException", "message": "no"}, 400)

    result = publish(*words)

    assert (result.code, result.out) == (255, "")
    assert "(AlreadyStreamedException) when calling the BulkPublish" in result.err
    assert len(stub.received) == 1


def test_a_run_in_progress_is_no_new_one(publish, stub, pool):
    """It is refused, and how to watch it is told."""
    stub.will_answer({"__type": "DuplicateRequestException", "message": "one"}, 400)

    result = publish("--wait")

    assert result.code == 255
    assert "(DuplicateRequestException)" in result.err
    assert f"details --identity-pool-id {pool} --watch\n" in result.err
    assert len(stub.received) == 1


def test_no_answer_to_the_start_is_not_waited_for(publish, stub):
    """A wrong endpoint is told at once."""
    stub.will_answer(drop=True)

    assert publish("--wait").code == 255
    assert len(stub.received) == 1


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(wait, stub, pool, status):
    """From the first look on, an answer that may pass ends nothing."""
    stub.will_answer({})
    stub.will_answer({"__type": "X", "message": "starting"}, status)
    stub.will_answer(progress(pool, 7))
    stub.will_answer({"__type": "X", "message": "starting"}, status)
    stub.will_answer(ended(pool))

    result = wait()

    assert result.code == 0
    assert result.err.count("Trying again for 5 min 00 s.\n") == 2
    assert result.err.count("The server answers again.\n") == 2


def test_patience_has_an_end(wait, stub, pool):
    """A server that stays away ends the waiting with the error of a call."""
    stub.will_answer({})
    stub.will_answer(progress(pool, 7))
    stub.will_answer(drop=True)

    result = wait("--patience", "0.2")

    assert result.code == 255
    assert "Connection was closed" in result.err.splitlines()[-1]


def test_a_pool_that_is_deleted_meanwhile(wait, stub, pool):
    """A refusal on the way ends the waiting."""
    stub.will_answer({})
    stub.will_answer(progress(pool, 7))
    stub.will_answer({"__type": "ResourceNotFoundException", "message": "gone"}, 404)

    result = wait()

    assert result.code == 255
    assert "(ResourceNotFoundException)" in result.err
    assert len(stub.received) == 3


def test_a_server_without_progress_tells_the_end(wait, stub, pool):
    """Where our operation is not known, the API's details are asked, and only they."""
    details = {"IdentityPoolId": pool, "BulkPublishStartTime": START_S}
    stub.will_answer({})
    stub.will_answer(NOT_KNOWN, 404)
    stub.will_answer({**details, "BulkPublishStatus": "IN_PROGRESS"})
    stub.will_answer({**details, "BulkPublishStatus": "SUCCEEDED"})

    result = wait()

    assert result.code == 0
    first, last = result.out.splitlines()
    assert "running for" in first
    assert last.startswith("SUCCEEDED")
    assert operations(stub) == [
        "bulkpublish",
        "bulkPublishProgress",
        "getBulkPublishDetails",
    ]


def test_an_interrupt_leaves_the_run_alone(waiting, stub, pool):
    """Ctrl-C ends the waiting with 130 and says that the run goes on."""
    stub.will_answer({})
    stub.will_answer(progress(pool, 7))
    process = waiting()
    process.stdout.readline()

    process.send_signal(signal.SIGINT)
    out, err = finished(process)

    assert process.returncode == 130
    assert out == ""
    assert "the bulk publish goes on" in err
    assert f"details --identity-pool-id {pool} --watch\n" in err
    assert "Traceback" not in err
    assert operations(stub) == ["bulkpublish", "bulkPublishProgress"]


@pytest.fixture
def on_terminal(waiting):
    """Wait on a terminal of our own; give the process and the terminal."""
    made: list[Terminal] = []

    def start(**environment) -> tuple[subprocess.Popen, Terminal]:
        terminal = Terminal()
        made.append(terminal)
        settings = {"TERM": "xterm", "COLUMNS": "100", **environment}
        with terminal.handed_over() as theirs:
            process = waiting(stdout=theirs, environment=settings)
        return process, terminal

    yield start
    for each in made:
        each.close()


def test_a_terminal_has_a_bar(on_terminal, stub, pool):
    """A bar with the counts is drawn over and over; the end stands below it."""
    stub.will_answer({})
    members = {"RecordsPerSecond": 1234.5, "SecondsRemaining": 75}
    stub.will_answer(progress(pool, 1000, **members))
    stub.will_answer(progress(pool, 2000, **members))
    stub.will_answer(ended(pool, BulkPublishCompleteTime=START_S + 7))

    process, terminal = on_terminal()
    assert process.wait(seconds(20)) == 0
    wait_until(lambda: "took 7 s" in terminal.text)

    assert "\u2501" in terminal.text
    for count in ("1,000 of 4,000", "2,000 of 4,000", "4,000 datasets, 40,000 rec"):
        assert count in terminal.text
    assert "about 1 min 15 s left" in terminal.text
    assert terminal.text.endswith("took 7 s\r\n")
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")


def test_a_pool_without_datasets_has_a_bar_too(on_terminal, stub, pool):
    """Nothing of nothing is no division by zero."""
    nothing = {"DatasetCount": 0, "SecondsRemaining": 0}
    stub.will_answer({})
    stub.will_answer(progress(pool, 0, **nothing))
    stub.will_answer(progress(pool, 0, BulkPublishStatus="SUCCEEDED", **nothing))

    process, terminal = on_terminal()
    assert process.wait(seconds(20)) == 0
    wait_until(lambda: "SUCCEEDED" in terminal.text)

    assert "0 of 0 datasets, 0 records, about 0 s left" in terminal.text


def test_a_terminal_that_cannot_be_drawn_over_has_lines(on_terminal, stub, pool):
    """A dumb terminal is written to as a pipe is."""
    stub.will_answer({})
    stub.will_answer(progress(pool, 1000))
    stub.will_answer(ended(pool))

    process, terminal = on_terminal(TERM="dumb")
    assert process.wait(seconds(20)) == 0
    wait_until(lambda: "SUCCEEDED" in terminal.text)

    assert "\x1b" not in terminal.text
    assert len(terminal.text.splitlines()) == 3


def test_an_interrupt_on_a_terminal_gives_the_cursor_back(on_terminal, stub, pool):
    """The bar stays, the cursor is shown, and the exit status is 130."""
    stub.will_answer({})
    stub.will_answer(progress(pool, 1000))
    process, terminal = on_terminal()
    wait_until(lambda: "1,000 of 4,000" in terminal.text)

    process.send_signal(signal.SIGINT)

    assert process.wait(seconds(20)) == 130
    wait_until(lambda: "\x1b[?25h" in terminal.text)


def test_a_server_that_goes_away_on_a_terminal(on_terminal, stub, pool):
    """The bar is left, the trouble is told below it, and a new bar is drawn."""
    stub.will_answer({})
    stub.will_answer(progress(pool, 1000))
    process, terminal = on_terminal()
    wait_until(lambda: "1,000 of 4,000" in terminal.text)

    stub.close()
    assert process.stderr is not None
    note = process.stderr.readline() + process.stderr.readline()
    stub.answers.clear()
    stub.will_answer(ended(pool))
    stub.open()

    assert process.wait(seconds(20)) == 0
    assert "Trying again for 5 min 00 s." in note
    wait_until(lambda: "SUCCEEDED" in terminal.text)
    assert terminal.text.count("\x1b[?25h") == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--interval", "0"),
        ("--interval", "nan"),
        ("--patience", "-1"),
        ("--watch",),
        ("extra",),
    ],
)
def test_a_wrong_option_is_a_usage_error(publish, stub, words):
    """It is refused before anything is started."""
    assert publish(*words).code == 2
    assert not stub.received


def test_a_pool_must_be_named(run, stub):
    """Nothing is published by accident."""
    assert run("bulk-publish", "--endpoint-url", stub.url).code == 2
    assert not stub.received


def test_the_command_of_the_api_stays_the_apis(sync, stub, pool):
    """`millpond cognito-sync bulk-publish` knows nothing of waiting."""
    result = sync("bulk-publish", "--identity-pool-id", pool, "--wait")

    assert result.code == 255
    assert "Unknown options: --wait" in result.err


def test_a_run_that_does_not_wait_loads_no_bar(home, stub, pool):
    """The library that draws is loaded for a terminal alone."""
    stub.will_answer({})
    code = (
        "import sys; from millpond.cli.main import main; main(sys.argv[1:]);"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", code, "bulk-publish", "--identity-pool-id", pool),
            *("--endpoint-url", stub.url),
        ],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=seconds(30),
        check=True,
    )

    modules = {name.partition(".")[0] for name in done.stdout.split()}
    assert not modules & {"rich", "botocore", "msgspec"}


def test_real_runs(run, server, monkeypatch):
    """Against a real server: refused, failed without its stream, succeeded."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    pool = server.client("cognito-identity").create_identity_pool(
        IdentityPoolName="published", AllowUnauthenticatedIdentities=True
    )["IdentityPoolId"]
    _write_a_record(server.client("cognito-sync"), pool)
    words = ("--identity-pool-id", pool)
    publish = ("bulk-publish", *words, "--wait", "--interval", "0.05")

    refused = run(*publish)
    run(
        *("cognito-sync", "set-identity-pool-configuration", *words),
        *("--cognito-streams", "StreamName=published,StreamingStatus=ENABLED"),
    )
    failed = run(*publish)
    server.client("kinesis").create_stream(StreamName="published", ShardCount=1)
    succeeded = run(*publish)

    assert (refused.code, failed.code, succeeded.code) == (255, 1, 0)
    assert "(InvalidParameterException)" in refused.err
    assert "'published'" in failed.err
    *_, counts, last = succeeded.out.splitlines()
    assert counts == "1 dataset, 1 record"
    assert last.startswith("SUCCEEDED")


def _write_a_record(sync, pool: str) -> None:
    names = {
        "IdentityPoolId": pool,
        "IdentityId": "us-east-1:11111111-2222-3333-4444-555555555555",
        "DatasetName": "d",
    }
    token = sync.list_records(**names)["SyncSessionToken"]
    patch = {"Op": "replace", "Key": "k", "Value": "v", "SyncCount": 0}
    sync.update_records(**names, SyncSessionToken=token, RecordPatches=[patch])
