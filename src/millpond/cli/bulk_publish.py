"""
`millpond bulk-publish`: publish everything, and see how it goes.

`millpond cognito-sync bulk-publish` is the API's own and stays so: it starts a run and
says nothing. This one says how to watch the run, or watches it with `--wait`: a bar on
a terminal, lines elsewhere, and the end as `get-bulk-publish-details` tells it, with
its exit statuses:

    0    SUCCEEDED; without --wait: it has started
    1    FAILED
    130  Ctrl-C; the run goes on without anybody watching
    255  refused, or no answer

How far the run is comes from GetBulkPublishProgress. Where a server does not know that
operation, GetBulkPublishDetails tells how it ends.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TextIO

from millpond.cli import bulk_publish_watch
from millpond.cli.api import connecting
from millpond.cli.api.faults import PROGRAM
from millpond.cli.bulk_publish_watch import Details, Screen, duration
from millpond.client.api.call import RefusedFault
from millpond.client.api.client import Answer, Client
from millpond.client.api.configuration import Configuration
from millpond.client.api.faults import Fault
from millpond.client.api.model import ServiceModel

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_LINE_S: Final = 5.0  # between two lines of a run that changes nothing but its counts


def main(argv: list[str]) -> int:
    """Run `millpond bulk-publish`."""
    options = make_parser().parse_args(argv)
    pool_id: str = options.identity_pool_id
    configuration = connecting.settle(options)
    api = Client(options, configuration, ServiceModel.load("cognito-sync"))
    _start(api, pool_id)
    if not options.wait:
        print(
            f"The bulk publish of {pool_id} has started. To watch it:\n"
            f"  {bulk_publish_watch.watching_command(pool_id)}"
        )
        return 0
    ask = _make_ask(options, configuration, api)
    screen = make_screen(sys.stdout)
    try:
        progress = bulk_publish_watch.look(ask, screen, options)
        screen.show(progress)
        progress = bulk_publish_watch.watch(ask, progress, screen, options)
    except KeyboardInterrupt:
        return bulk_publish_watch.let_go(screen, pool_id)
    finally:
        screen.close()
    print(progress.line())
    return bulk_publish_watch.conclude(progress, pool_id)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} bulk-publish",
        description="Publish all data of an identity pool to its stream.",
        epilog="Exit status: 0 SUCCEEDED (without --wait: started), 1 FAILED, 130 "
        "after Ctrl-C (the run goes on), 255 when it is refused or without an answer.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--identity-pool-id", required=True, metavar="ID", help="the identity pool"
    )
    parser.add_argument(
        "--wait", action="store_true", help="show the progress until the run has ended"
    )
    bulk_publish_watch.add_options(parser)
    connecting.add_options(parser)
    return parser


def _start(api: Client, pool_id: str) -> None:
    try:
        api.call("bulk-publish", IdentityPoolId=pool_id)
    except RefusedFault as refusal:
        if refusal.error.code != "DuplicateRequestException":
            raise
        raise Fault(
            f"{refusal}\nTo watch it:\n  {bulk_publish_watch.watching_command(pool_id)}"
        ) from refusal


class Progress(Details):
    """One look at a run, as GetBulkPublishProgress tells it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        result: dict[str, Any] = answer.result
        self.delivered: int | None = result.get("DatasetsDelivered")
        self.records: int = result.get("RecordsDelivered", 0)
        self.datasets: int = max(result.get("DatasetCount", 0), self.delivered or 0)
        self._records_per_s: float | None = result.get("RecordsPerSecond")
        self._remaining_s: int | None = result.get("SecondsRemaining")

    def counts(self) -> str:
        """Say how far it is and how fast it goes; empty when nobody knows."""
        if self.delivered is None:
            return ""
        # The pool may have grown since; what is new is not of a run that is over.
        of_all = "" if self.status == "SUCCEEDED" else f" of {self.datasets:,}"
        parts = [
            f"{self.delivered:,}{of_all} dataset{_plural(self.datasets)}",
            f"{self.records:,} record{_plural(self.records)}",
        ]
        if self._records_per_s is not None:
            parts.append(f"{_rate(self._records_per_s)} records/s")
        if self._remaining_s is not None:
            parts.append(f"about {duration(self._remaining_s)} left")
        return ", ".join(parts)


def _plural(count: int) -> str:
    return "" if count == 1 else "s"


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}" if per_s >= 10 else f"{per_s:.1f}"


def _make_ask(
    options: argparse.Namespace, configuration: Configuration, api: Client
) -> Callable[[], Progress]:
    """Make what asks how far the run is, by the operation that the server knows."""
    pool = {"IdentityPoolId": options.identity_pool_id}
    ours: Client | None = Client(options, configuration, ServiceModel.load("streaming"))

    def ask() -> Progress:
        nonlocal ours
        if ours is not None:
            try:
                return Progress(ours.call("get-bulk-publish-progress", **pool))
            except RefusedFault as refusal:
                if refusal.error.code != "UnknownOperationException":
                    raise
                ours = None
        return Progress(api.call("get-bulk-publish-details", **pool))

    return ask


def make_screen(stream: TextIO) -> Screen[Progress]:
    """Choose a bar for a terminal, and lines for anything else."""
    return Bar(stream) if bulk_publish_watch.can_redraw(stream) else Lines(stream)


class Lines:
    """One line for each change of the status, and one for the counts now and then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._key: tuple[Any, ...] | None = None
        self._next_s = 0.0

    def show(self, progress: Progress) -> None:
        """Write a line when it is time for one."""
        running = progress.status == "IN_PROGRESS"
        now_s = time.monotonic()
        if running and progress.key == self._key and now_s < self._next_s:
            return
        # The last line of a run is written by whoever shows it.
        parts = [progress.line() if running else "", progress.counts()]
        text = "  ".join(filter(None, parts))
        if text:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        self._key = progress.key
        self._next_s = now_s + _LINE_S

    def close(self) -> None:
        """Nothing is left open."""


class Bar:
    """A bar that is drawn over and over."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._open: RichProgress | None = None

    def show(self, progress: Progress) -> None:
        """Draw the bar."""
        if self._open is None:
            self._open = _make_bar(self._stream)
            self._open.add_task("", total=None)
        known = progress.delivered is not None
        total = progress.datasets
        if progress.status == "SUCCEEDED" and progress.delivered is not None:
            total = progress.delivered
        self._open.update(
            self._open.task_ids[0],
            description=progress.counts() or progress.line(),
            completed=progress.delivered or 0,
            total=total if known else None,
        )
        self._open.start()
        self._open.refresh()

    def close(self) -> None:
        """Leave the bar as it is and give the cursor back."""
        if self._open is not None:
            self._open.stop()
            self._open = None


def _make_bar(stream: TextIO) -> RichProgress:
    """Make a bar of rich, which is loaded for it alone: it is dear."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    return Progress(
        BarColumn(bar_width=20, complete_style="cyan", finished_style="green"),
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis"),
        ),
        console=Console(file=stream),
        auto_refresh=False,
    )
