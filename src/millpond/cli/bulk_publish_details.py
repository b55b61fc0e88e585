"""
`millpond get-bulk-publish-details`: how a bulk publish goes, for people.

`millpond cognito-sync get-bulk-publish-details` is the API's own and stays so: one
call, one answer. This one says it in a line, follows the run to its end with `--watch`,
and tells a script by its exit status how it went:

    0    SUCCEEDED; without --watch IN_PROGRESS too
    1    FAILED
    3    NOT_STARTED: there is no run that could be watched
    130  Ctrl-C; the run goes on without anybody watching
    255  no answer

A server that does not answer for a while, because it starts anew, ends nothing: the run
outlives its server, and so does whoever watches it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TextIO

from millpond.cli.api import client
from millpond.cli.api.call import RefusedFault
from millpond.cli.api.client import Answer, Client
from millpond.cli.api.faults import PROGRAM, Fault
from millpond.cli.api.model import ServiceModel
from millpond.cli.api.transport import ConnectionFault

_COMMAND: Final = f"{PROGRAM} get-bulk-publish-details"
_EXIT_CODES: Final = {"SUCCEEDED": 0, "FAILED": 1, "NOT_STARTED": 3, "IN_PROGRESS": 0}
_INTERRUPTED: Final = 130
_STATUS_WIDTH: Final = max(map(len, _EXIT_CODES))
_INTERVAL_S_DEFAULT: Final = 1.0
_INTERVAL_S_MIN: Final = 0.05
_PATIENCE_S_DEFAULT: Final = 300.0
_SECONDS_MAX: Final = 86_400
_CLEAR_LINE: Final = "\r\x1b[K"


def main(argv: list[str]) -> int:
    """Run `millpond get-bulk-publish-details`."""
    options = make_parser().parse_args(argv)
    screen = Screen(sys.stdout)
    api = Client(options, client.settle(options), ServiceModel.load("cognito-sync"))

    def ask() -> Details:
        pool = {"IdentityPoolId": options.identity_pool_id}
        return Details(api.call("get-bulk-publish-details", **pool))

    try:
        details = ask()
        screen.show(details)
        if options.watch:
            details = _watch(ask, details, screen, options)
    except KeyboardInterrupt:
        screen.close()
        _note(
            "Nobody watches any more; the bulk publish goes on. To watch it again:\n"
            f"  {_COMMAND} --identity-pool-id {options.identity_pool_id} --watch"
        )
        return _INTERRUPTED
    finally:
        screen.close()
    return _conclude(details, options.identity_pool_id)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog=_COMMAND,
        description="Say how the last bulk publish of an identity pool went, or is "
        "going.",
        epilog="Exit status: 0 SUCCEEDED (without --watch IN_PROGRESS too), 1 FAILED, "
        "3 NOT_STARTED, 130 after Ctrl-C (the run goes on), 255 without an answer.",
        allow_abbrev=False,
    )
    parser.add_argument("--identity-pool-id", required=True, metavar="ID")
    parser.add_argument(
        "--watch", action="store_true", help="go on until the run has ended"
    )
    parser.add_argument(
        "--interval",
        type=_seconds(_INTERVAL_S_MIN),
        default=_INTERVAL_S_DEFAULT,
        metavar="SECONDS",
        help="time between two looks (default 1)",
    )
    parser.add_argument(
        "--patience",
        type=_seconds(0),
        default=_PATIENCE_S_DEFAULT,
        metavar="SECONDS",
        help="how long to wait for a server that has stopped answering (default 300)",
    )
    client.add_options(parser)
    return parser


def _seconds(least: float) -> Callable[[str], float]:
    """Make a reader of a time that is at least so long, and at most a day."""

    def read(text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not least <= seconds <= _SECONDS_MAX:
            raise argparse.ArgumentTypeError(
                f"{text!r} is no number of seconds from {least:g} to {_SECONDS_MAX}"
            )
        return seconds

    return read


class Details:
    """One look at a run, as GetBulkPublishDetails tells it."""

    def __init__(self, answer: Answer) -> None:
        result: dict[str, Any] = answer.result
        self.status: str = result.get("BulkPublishStatus", "NOT_STARTED")
        self.failure_message: str = result.get("FailureMessage", "")
        self.start_s: float | None = result.get("BulkPublishStartTime")
        self.complete_s: float | None = result.get("BulkPublishCompleteTime")
        self._now_s = _server_clock_s(answer)

    @property
    def key(self) -> tuple[Any, ...]:
        """What a change is a change of: another status, or another run."""
        return self.status, self.start_s

    def line(self) -> str:
        """Say it in one line."""
        parts = [self.status.ljust(_STATUS_WIDTH)]
        if self.start_s is not None:
            parts.append(f"started {_local_time(self.start_s)}")
            if self.complete_s is not None:
                parts.append(f"took {_duration(self.complete_s - self.start_s)}")
            elif self.status == "IN_PROGRESS":
                parts.append(f"running for {_duration(self._now_s - self.start_s)}")
        return "  ".join(parts).rstrip()


Ask = Callable[[], Details]


def _server_clock_s(answer: Answer) -> float:
    """What time it is where the run was started; our own clock may be off."""
    try:
        date = parsedate_to_datetime(answer.response.headers["date"])
    except (KeyError, ValueError):
        return time.time()
    return date.timestamp()


def _local_time(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).astimezone().isoformat(" ", "seconds")


def _duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


class Screen:
    """
    Where the state is shown: on a terminal one line drawn over and over, elsewhere one
    line for each change.
    """

    def __init__(self, stream: TextIO) -> None:
        import os

        self._stream = stream
        self._redraws = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._line_is_open = False
        self._shown: tuple[Any, ...] | None = None

    def show(self, details: Details) -> None:
        """Show the state."""
        line = details.line()
        if self._redraws:
            from shutil import get_terminal_size

            # A line that wraps could not be drawn over.
            line = line[: get_terminal_size().columns - 1]
            self._stream.write(f"{_CLEAR_LINE}{line}")
            self._line_is_open = True
        elif details.key != self._shown:
            self._stream.write(f"{line}\n")
        self._shown = details.key
        self._stream.flush()

    def close(self) -> None:
        """End the line, so that something else can be written."""
        if self._line_is_open:
            self._stream.write("\n")
            self._stream.flush()
            self._line_is_open = False


def _watch(
    ask: Ask, details: Details, screen: Screen, options: argparse.Namespace
) -> Details:
    """Look again and again until the run has ended."""
    while details.status == "IN_PROGRESS":
        time.sleep(options.interval)
        try:
            details = ask()
        except Fault as fault:
            if not _may_pass(fault):
                raise
            screen.close()
            details = _wait_for_answer(ask, fault, options)
        screen.show(details)
    return details


def _wait_for_answer(ask: Ask, fault: Fault, options: argparse.Namespace) -> Details:
    """Ask a server that is gone until it is back, or patience is at its end."""
    _note(f"{fault}\nTrying again for {_duration(options.patience)}.")
    deadline_s = time.monotonic() + options.patience
    while time.monotonic() < deadline_s:
        time.sleep(options.interval)
        try:
            details = ask()
        except Fault as again:
            if not _may_pass(again):
                raise
            fault = again
        else:
            _note("The server answers again.")
            return details
    raise fault


def _may_pass(fault: Fault) -> bool:
    """Tell a server that starts anew or is busy from one that refuses."""
    if isinstance(fault, RefusedFault):
        return fault.error.status in (429, 500, 502, 503, 504)
    return isinstance(fault, ConnectionFault)


def _conclude(details: Details, pool_id: str) -> int:
    """Say on standard error what the status alone does not, and give the exit code."""
    if details.status == "FAILED":
        _note(details.failure_message or "The server does not say why.")
    elif details.status == "NOT_STARTED":
        _note(
            f"No bulk publish of {pool_id} was ever asked for. To start one:\n"
            f"  {PROGRAM} cognito-sync bulk-publish --identity-pool-id {pool_id}"
        )
    return _EXIT_CODES.get(details.status, Fault.exit_code)


def _note(text: str) -> None:
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)
