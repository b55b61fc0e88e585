"""Real processes: the same as inside, and nothing loaded that is not needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import millpond
from millpond.testing.deadlines import seconds
from millpond.testing.server import wait_until
from processes import Terminal, finished

SOURCE = str(Path(millpond.__file__).parent.parent)
DETAILS = ("cognito-sync", "get-bulk-publish-details")

# Each of these takes longer to load than a whole command.
HEAVY = (
    *("botocore", "msgspec", "typing", "dataclasses", "jmespath", "urllib3", "rich"),
    *("ruamel", "xml", "configparser"),
)

LIST_MODULES = """\
import contextlib, os, sys
from millpond.cli.main import main
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
    with contextlib.redirect_stderr(nowhere):
        code = main(sys.argv[1:])
print(code, *sys.modules)
"""


# Ends at the second Ctrl-C.
PAGER = """\
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
sys.stdin.read()
for count in range(3):
    print(f"<{count}>", flush=True)
    if count < 2:
        signal.sigwait([signal.SIGINT])
"""


@pytest.fixture
def millpond_process(home):
    """Run `python -m millpond` with some words."""

    def run_process(*words, **options):
        environment = {**os.environ, "PYTHONPATH": SOURCE, **options.pop("env", {})}
        return subprocess.run(
            [sys.executable, "-m", "millpond", *words],
            env=environment,
            capture_output=True,
            timeout=seconds(30),
            check=False,
            **options,
        )

    return run_process


@pytest.fixture
def loaded(home):
    """Run a command in a bare interpreter; give back the modules it loaded."""

    def list_modules(*words):
        # -S and -I keep the site's own start-up files out of the count
        code = f"import sys; sys.path[:0] = {[SOURCE, *sys.path]!r}\n{LIST_MODULES}"
        done = subprocess.run(
            [sys.executable, "-S", "-c", code, *words],
            capture_output=True,
            timeout=seconds(30),
            check=True,
        )
        _, *modules = done.stdout.decode().split()
        return {name.partition(".")[0] for name in modules} | set(modules)

    return list_modules


def test_a_call(millpond_process, stub, pool):
    """A call prints its result, nothing else, and exits with 0."""
    stub.will_answer({"IdentityPoolId": pool, "FailureMessage": "é 池"})

    done = millpond_process(
        *(*DETAILS, "--identity-pool-id", pool, "--endpoint-url", stub.url)
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert f'"FailureMessage": "é 池"\n}}{os.linesep}' in done.stdout.decode()


def test_a_usage_error(millpond_process):
    """A usage error leaves standard output empty and exits with 2."""
    done = millpond_process(*DETAILS)

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"usage: millpond [options]")


def test_a_service_error(millpond_process, stub, pool):
    """An error of the service exits with 255."""
    stub.will_answer({"__type": "ResourceNotFoundException", "message": "none"}, 404)

    done = millpond_process(
        *(*DETAILS, "--identity-pool-id", pool, "--endpoint-url", stub.url)
    )

    assert (done.returncode, done.stdout) == (255, b"")
    assert done.stderr.startswith(b"\nAn error occurred (ResourceNotFoundException) ")


def test_an_encoding_without_the_character(millpond_process, stub, pool):
    """A message that the terminal's encoding lacks is escaped, not lost."""
    stub.will_answer({"__type": "X", "message": "池"}, 400)

    done = millpond_process(
        *(*DETAILS, "--identity-pool-id", pool, "--endpoint-url", stub.url),
        env={"PYTHONIOENCODING": "ascii:strict"},
    )

    assert done.returncode == 255
    assert b"operation: \\u6c60" in done.stderr


@pytest.mark.parametrize(
    ("encoding", "words", "printed"),
    [
        ("ascii", ("configure", "help"), r"\u2026"),
        ("ascii", ("settings", "show", "data", "--data", "größe"), r'"gr\xf6\xdfe"'),
        ("utf-8", ("settings", "show", "data", "--data", b"caf\xe9"), r'"caf\udce9"'),
    ],
)
def test_what_an_encoding_lacks_is_printed(millpond_process, encoding, words, printed):
    """Our own commands escape it, also where they open no store."""
    done = millpond_process(*words, env={"PYTHONIOENCODING": f"{encoding}:strict"})

    assert (done.returncode, done.stderr) == (0, b"")
    assert printed in done.stdout.decode(encoding)


def test_a_value_for_a_program_is_as_it_is(millpond_process):
    """A script that reads one gets it, not how an encoding would have it escaped."""
    given = ("--file", "ours.db", "--identity-pool-id", "us-east-1:a")
    options = {"env": {"PYTHONIOENCODING": "ascii:strict"}}

    assert (
        millpond_process("data", "set", "notes", "word", "日", *given).returncode == 0
    )
    done = millpond_process("data", "get", "notes", "word", *given, **options)

    assert (done.returncode, done.stdout) == (0, "日\n".encode())


@pytest.mark.parametrize(
    "words",
    [
        ("data", "set", "a", "b", "--stdin", "--file=x.db", "--identity-pool-id=a:1"),
        ("apply", "-"),
    ],
)
def test_a_standard_input_that_is_closed_is_told(home, words):
    """It is no empty value, nor an empty file."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-m", "millpond", *words],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        timeout=seconds(30),
        check=False,
    )

    assert done.returncode == 255
    assert done.stderr == b"\nThere is no standard input to read: it is closed.\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [("help",), ("configure", "help")])
def test_a_disk_that_is_full(home, words, unbuffered):
    """What cannot be written is told in our words, whenever it is written."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "millpond", *words],
            # Empty: not set.
            env={**os.environ, "PYTHONPATH": SOURCE, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=seconds(30),
            check=False,
        )

    (told,) = done.stderr.splitlines()
    assert told.startswith("millpond")
    assert done.returncode == 1


def test_ctrl_c_in_a_pager_is_left_to_the_pager(home, programs):
    """It goes on, and ends as it likes: a pager that is killed spoils the terminal."""
    (home / "pager.py").write_text(PAGER)
    terminal = Terminal()
    with terminal.handed_over() as theirs:
        process = programs.millpond(
            "help",
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            environment={"MANPAGER": f"'{sys.executable}' '{home}/pager.py'"},
            start_new_session=True,  # so the signal meets all that a terminal's would
        )
    for count in ("0", "1"):
        wait_until(lambda count=count: f"<{count}>" in terminal.text)
        os.killpg(process.pid, signal.SIGINT)
    _, errors = finished(process)
    terminal.close()

    assert "<2>" in terminal.text
    assert (process.returncode, errors) == (0, "")


def test_a_reader_that_goes_away(home):
    """A closed pipe is no traceback."""
    words = [sys.executable, "-m", "millpond", "cognito-sync", "update-records", "help"]
    with subprocess.Popen(
        words,
        env={**os.environ, "PYTHONPATH": SOURCE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()

    assert b"Traceback" not in error


@pytest.mark.parametrize(
    "words",
    [
        (*DETAILS, "--generate-cli-skeleton"),
        DETAILS,
        (*DETAILS, "help"),
        ("--version",),
        ("nonsense",),
        ("completion", "--words", "cognito-sync", "update-records", "--"),
        ("completion", "--line", "=:", "millpond cognito-sync get-"),
    ],
)
def test_commands_that_send_nothing_load_no_network(loaded, words):
    """Skeletons, help, usage errors, completion: nothing heavy, no sockets."""
    modules = loaded(*words)

    assert not modules & {*HEAVY, "socket", "ssl", "http.client", "configparser"}


def test_a_plain_call_loads_no_botocore(loaded, stub, pool):
    """A call with keys from the environment loads nothing heavy either."""
    modules = loaded(*DETAILS, "--identity-pool-id", pool, "--endpoint-url", stub.url)

    assert "millpond.client.api.transport" in modules
    assert not modules & set(HEAVY)
    assert len(stub.received) == 1
