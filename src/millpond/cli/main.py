"""
The entry point: finds the command and hands the arguments on.

Rule: importing this module costs next to nothing, and a command imports what it needs
when it runs. A help page or a usage error must not pay for an HTTP client, nor a call
for the server. `typing` and `dataclasses` are not imported on the way to a call; they
alone would cost a fifth of it.
"""

from __future__ import annotations

import sys

from millpond.cli import asking, page, quiet_logs
from millpond.cli.api.faults import PROGRAM
from millpond.cli.commands import COMMANDS
from millpond.client.api.faults import Fault

TYPE_CHECKING = False  # importing typing for this constant would be dear
if TYPE_CHECKING:
    from typing import Final

_REFUSED: Final = 1
_USAGE_ERROR: Final = 2
_DOCTOR: Final = " To find out why: millpond doctor"
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
    if argv is None:  # the process is ours
        quiet_logs.install()
    if sys.stdout is None or sys.stderr is None:
        _open_what_is_closed()
    try:
        status = _dispatch(words)
        sys.stdout.flush()  # a reader that is gone, a full disk: here it can be told
        return status
    except Fault as fault:
        _complain(_report(fault, words))
        return fault.status
    except KeyboardInterrupt:
        _flush_or_silence("\n")
        return _INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return Fault.exit_code
    except OSError as error:
        if error.strerror is None:  # of a library, not of the system
            raise
        _complain(_refusal(error, words))
        return _REFUSED


def _open_what_is_closed() -> None:
    """Give a process that was started without them somewhere to write to."""
    import os

    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _refusal(error: OSError, words: list[str]) -> str:
    """Tell what the system refuses, such as a folder that belongs to somebody else."""
    own = f" {words[0]}" if words and words[0] in COMMANDS else ""
    where = f" '{error.filename}'" if error.filename is not None else ""
    return f"{PROGRAM}{own}: the system refuses{where}: {error.strerror}.\n"


def _dispatch(words: list[str]) -> int:
    words = asking.canonical(words, COMMANDS)
    if words[0] in COMMANDS:
        return _run_own(words[0], words[1:])
    if words == [asking.HELP]:
        from millpond.cli import help as pages

        page.show(pages.program_page())
        return 0
    from millpond.cli.api import command

    try:
        return command.main(words, own_commands=list(COMMANDS))
    except (Fault, BrokenPipeError):
        raise
    except Exception as error:
        # AWS: whatever else goes wrong is told in one line; --debug shows it whole.
        if "--debug" in words:
            raise
        raise Fault(str(error)) from error


def _run_own(name: str, words: list[str]) -> int:
    import importlib

    module = importlib.import_module(COMMANDS[name].module)
    _settle_output()
    if not words or asking.HELP in words or asking.is_asked(words):
        parser = asking.page_asked(module.make_parser(), words)
        if parser is not None:
            from millpond.cli import help as pages

            page.show(pages.command_page(parser, module))
            return 0
        if asking.is_asked(words):
            words = asking.without(words)  # it is for what there is not
    try:
        status: int = module.main(words)
    except SystemExit as done:  # argparse has told what is wrong
        if done.code == _USAGE_ERROR:
            from millpond.cli import near

            _complain(near.proposals(module.make_parser(), words).removeprefix("\n\n"))
        return int(done.code or 0)
    return status


def _settle_output() -> None:
    """Have names and values in any script written, and on a terminal of any kind."""
    import os

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if os.environ.get("COLUMNS", "").strip("0") == "":
        os.environ.pop("COLUMNS", None)  # rich would take it at its word, and cut all


def _report(fault: Fault, words: list[str]) -> str:
    """
    Tell of a fault; where a call failed for what the doctor looks at, point there.

    AWS: what programs read has nothing but the error; so the commands of the APIs point
    for people alone.
    """
    text = fault.report()
    own = bool(words) and words[0] in COMMANDS and words[0] != "doctor"
    if fault.can_be_examined and (own or sys.stderr.isatty()):
        return f"{text.rstrip()}{_DOCTOR}\n"
    return text


def _complain(text: str) -> None:
    _flush_or_silence()
    try:
        sys.stderr.write(text)
    except UnicodeEncodeError:
        sys.stderr.write(text.encode("ascii", "backslashreplace").decode())
    sys.stderr.flush()


def _flush_or_silence(text: str = "") -> None:
    """Write out what is left; what cannot be written is not tried again at the end."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError:
        _silence_stdout()


def _silence_stdout() -> None:
    """Keep the interpreter from complaining about the closed pipe when it exits."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
