"""
The entry point: finds the command and hands the arguments on.

Rule: importing this module costs next to nothing, and a command imports what it needs
when it runs. A help page or a usage error must not pay for an HTTP client, nor a call
for the server. `typing` and `dataclasses` are not imported on the way to a call; they
alone would cost a fifth of it.
"""

from __future__ import annotations

import sys

from millpond.cli.api.faults import Fault

TYPE_CHECKING = False  # importing typing for this constant would be dear
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

# name -> module with `main(argv) -> int` and `make_parser()`, one line of help
LOCAL_COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "serve": ("millpond.cli.serve", "Run a server."),
    "key": ("millpond.cli.key", "Create, list and remove developer access keys."),
    "hook-secret": (
        "millpond.cli.hook_secret",
        "Print the secret that signs what sync triggers are sent.",
    ),
    "token-key": ("millpond.cli.token_key", "Rotate the keys that sign tokens."),
    "pool": ("millpond.cli.pool", "Create a pool under the id that it has at AWS."),
    "outbox": ("millpond.cli.outbox", "See what waits for a stream, or was refused."),
    "stream": ("millpond.cli.stream", "Create, list, follow and verify streams."),
    "migrate": (
        "millpond.cli.migrate",
        "Bring the schema of a store up to date, or spread it over servers.",
    ),
    "store": (
        "millpond.cli.store",
        "Copy everything to another store, or back a store up.",
    ),
    "demo": ("millpond.cli.demo", "Run a server with sample data, to try things out."),
    "doctor": ("millpond.cli.doctor", "Find out why calls fail, and what to do."),
    "bulk-publish": (
        "millpond.cli.bulk_publish",
        "Publish everything to the stream, and see how it goes.",
    ),
    "get-bulk-publish-details": (
        "millpond.cli.bulk_publish_details",
        "Say how a bulk publish goes, and watch it to its end.",
    ),
    "install-model": (
        "millpond.cli.install_model",
        "Make the AWS CLI and boto3 know the API without AWS.",
    ),
    "completion": (
        "millpond.cli.completion",
        "Print what makes a shell complete our commands.",
    ),
}

_USAGE_ERROR: Final = 2
_INTERRUPTED: Final = 130  # 128 and the number of the signal, as shells have it


def main(argv: list[str] | None = None) -> int:
    """
    Run one command line.

    Args:
        argv: the words after the program's name; those of the process by default.
    Returns:
        The exit status: 0; 2 for a usage error; 255 for any other failure.
    """
    words = sys.argv[1:] if argv is None else argv
    try:
        return _dispatch(words)
    except Fault as fault:
        _complain(fault.report())
        return fault.exit_code
    except KeyboardInterrupt:
        sys.stdout.write("\n")
        return _INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return Fault.exit_code


def _dispatch(words: list[str]) -> int:
    if words and words[0] in LOCAL_COMMANDS:
        return _run_local(words[0], words[1:])
    from millpond.cli.api import command

    try:
        return command.main(words, local_commands=LOCAL_COMMANDS)
    except (Fault, BrokenPipeError):
        raise
    except Exception as error:
        # AWS: whatever else goes wrong is told in one line; --debug shows it whole.
        if "--debug" in words:
            raise
        raise Fault(str(error)) from error


def _run_local(name: str, words: list[str]) -> int:
    import importlib

    module = importlib.import_module(LOCAL_COMMANDS[name][0])
    try:
        status: int = module.main(words)
    except SystemExit as done:  # argparse has printed help, or what is wrong
        if done.code == _USAGE_ERROR:
            from millpond.cli import near

            _complain(near.proposals(module.make_parser(), words).removeprefix("\n\n"))
        return int(done.code or 0)
    return status


def _complain(text: str) -> None:
    sys.stdout.flush()
    try:
        sys.stderr.write(text)
    except UnicodeEncodeError:
        sys.stderr.write(text.encode("ascii", "backslashreplace").decode())
    sys.stderr.flush()


def _silence_stdout() -> None:
    """Keep the interpreter from complaining about the closed pipe when it exits."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
