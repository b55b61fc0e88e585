"""
Watching a bulk publish: what the commands that do it have in common.

A look is one answer of the server. Whoever watches looks again and again until the run
has ended. A server that does not answer for a while, because it starts anew, ends
nothing: the run outlives its server, and so does whoever watches it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TextIO, TypeVar

from millpond.cli.api.faults import PROGRAM
from millpond.cli.notes import INTERRUPTED, note
from millpond.cli.numbers import seconds
from millpond.client.api.call import RefusedFault
from millpond.client.api.client import Answer
from millpond.client.api.faults import Fault
from millpond.client.api.transport import ConnectionFault

EXIT_CODES: Final = {"SUCCEEDED": 0, "FAILED": 1, "NOT_STARTED": 3, "IN_PROGRESS": 0}
_STATUS_WIDTH: Final = max(map(len, EXIT_CODES))
_INTERVAL_S_DEFAULT: Final = 1.0
_INTERVAL_S_MIN: Final = 0.05
_PATIENCE_S_DEFAULT: Final = 300.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how often to look, and how long to be patient."""
    parser.add_argument(
        "--interval",
        type=seconds(_INTERVAL_S_MIN),
        default=_INTERVAL_S_DEFAULT,
        metavar="SECONDS",
        help="time between two looks (default 1)",
    )
    parser.add_argument(
        "--patience",
        type=seconds(0),
        default=_PATIENCE_S_DEFAULT,
        metavar="SECONDS",
        help="how long to wait for a server that has stopped answering (default 300)",
    )


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
                parts.append(f"took {duration(self.complete_s - self.start_s)}")
            elif self.status == "IN_PROGRESS":
                parts.append(f"running for {duration(self._now_s - self.start_s)}")
        return "  ".join(parts).rstrip()


def _server_clock_s(answer: Answer) -> float:
    """What time it is where the run was started; our own clock may be off."""
    from email.utils import parsedate_to_datetime  # as long to load as all of this

    try:
        date = parsedate_to_datetime(answer.response.headers["date"])
    except (KeyError, ValueError):
        return time.time()
    return date.timestamp()


def _local_time(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).astimezone().isoformat(" ", "seconds")


def duration(seconds: float) -> str:
    """Word a time in two units at most."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


D = TypeVar("D", bound=Details)
Shown = TypeVar("Shown", bound=Details, contravariant=True)


class Screen(Protocol[Shown]):
    """Where a run is shown."""

    def show(self, details: Shown, /) -> None:
        """Show the state of a run."""
        ...

    def close(self) -> None:
        """End what is drawn, so that something else can be written. Idempotent."""
        ...


def can_redraw(stream: TextIO) -> bool:
    """Tell whether what was written can be drawn over."""
    import os

    return stream.isatty() and os.environ.get("TERM") != "dumb"


def watch(
    ask: Callable[[], D], details: D, screen: Screen[D], options: argparse.Namespace
) -> D:
    """Look again and again until the run has ended."""
    while details.status == "IN_PROGRESS":
        time.sleep(options.interval)
        details = look(ask, screen, options)
        screen.show(details)
    return details


def look(ask: Callable[[], D], screen: Screen[D], options: argparse.Namespace) -> D:
    """
    Ask, and be patient with a server that has gone away.

    Raises:
        Fault: the server refuses, or patience is at its end.
    """
    try:
        return ask()
    except Fault as fault:
        if not may_pass(fault):
            raise
        screen.close()
        return _wait_for_answer(ask, fault, options)


def _wait_for_answer(
    ask: Callable[[], D], fault: Fault, options: argparse.Namespace
) -> D:
    """Ask a server that is gone until it is back, or patience is at its end."""
    note(f"{fault}\nTrying again for {duration(options.patience)}.")
    deadline_s = time.monotonic() + options.patience
    while time.monotonic() < deadline_s:
        time.sleep(options.interval)
        try:
            details = ask()
        except Fault as again:
            if not may_pass(again):
                raise
            fault = again
        else:
            note("The server answers again.")
            return details
    raise fault


def may_pass(fault: Fault) -> bool:
    """Tell a server that starts anew or is busy from one that refuses."""
    if isinstance(fault, RefusedFault):
        return fault.error.status in (429, 500, 502, 503, 504)
    return isinstance(fault, ConnectionFault)


def let_go(screen: Screen[D], pool_id: str) -> int:
    """Say after Ctrl-C that the run goes on, and give the exit status."""
    screen.close()
    note(
        "Nobody watches any more; the bulk publish goes on. To watch it again:\n"
        f"  {watching_command(pool_id)}"
    )
    return INTERRUPTED


def watching_command(pool_id: str) -> str:
    """Give the command line that watches a run."""
    return f"{PROGRAM} get-bulk-publish-details --identity-pool-id {pool_id} --watch"


def conclude(details: Details, pool_id: str) -> int:
    """Say on standard error what the status alone does not, and give the exit code."""
    if details.status == "FAILED":
        note(details.failure_message or "The server does not say why.")
    elif details.status == "NOT_STARTED":
        note(
            f"No bulk publish of {pool_id} was ever asked for. To start one:\n"
            f"  {PROGRAM} cognito-sync bulk-publish --identity-pool-id {pool_id}"
        )
    return EXIT_CODES.get(details.status, Fault.exit_code)
