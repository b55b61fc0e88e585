"""
`millpond import follow`: keep up with what is still written where a pool was.

It ends with Ctrl-C or SIGTERM, with `--once` when nothing is left to take for now, and
goes on where it was when it is called again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from millpond.cli.administration import (
    CommandError,
    check_place,
    note_change,
    show,
)
from millpond.cli.import_progress import make_watcher
from millpond.cli.numbers import any_number
from millpond.settings import ImportSource, Settings

if TYPE_CHECKING:
    from millpond.server.import_follow import Followed
    from millpond.server.importing import MovingStore
    from millpond.sources.base import PoolSource, Source

STREAM_INTERVAL_S: Final = 1.0
FILES_INTERVAL_S: Final = 30.0
API_INTERVAL_S: Final = 300.0
_LINES_MAX: Final = 20


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the parser of the command to those of `millpond import`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "follow",
        help="keep up with what is still written there",
        description="Take what the old app still writes: from the pool's stream in "
        "Kinesis or from files of it where they are named, else by asking the API "
        "again and again, first for the identities that changed last. A dataset that "
        "was written to here is ours; what changes there is told of and not applied. "
        "What is not given is taken from the setting 'imports' of the pool. Ends with "
        "Ctrl-C, and goes on where it was when it is called again.",
    )
    parser.add_argument(
        "identity_pool_id", metavar="POOL", help="the id of the identity pool"
    )
    group = parser.add_argument_group("source")
    group.add_argument(
        "--stream", metavar="URL", help="of the stream, kinesis://NAME?region=..."
    )
    group.add_argument(
        "--files",
        metavar="PLACE",
        help="folder, or s3://BUCKET/prefix, with what Firehose put there",
    )
    group.add_argument(
        "--no-api",
        action="store_true",
        help="read the stream or the files alone; what is missing in them stays so",
    )
    group.add_argument("--profile", metavar="NAME", help="profile of the AWS CLI")
    group.add_argument(
        "--endpoint-url",
        metavar="URL",
        help="where the APIs are [as the AWS CLI finds it]",
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="end when nothing is left to take for now",
    )
    parser.add_argument(
        "--interval",
        type=any_number,
        metavar="SECONDS",
        help="between two readings of all that there is [1 of a stream, 30 of files, "
        "300 of the API]",
    )
    return parser


async def follow(settings: Settings, options: argparse.Namespace) -> int:
    """Run the command."""
    from millpond.server import stores
    from millpond.server.import_follow import Follower
    from millpond.service.context import system_now_ms
    from millpond.sources.opening import check_pool_id

    pool = options.identity_pool_id
    check_pool_id(pool)
    check_place(settings, options)
    known = settings.imports.get(pool, ImportSource())
    stream = options.stream or ("" if options.files else known.stream)
    files = options.files or ("" if stream else known.files)
    if stream and files:
        raise CommandError("--stream and --files are two ways; give one of them.")
    if options.no_api and not (stream or files):
        raise CommandError("--no-api leaves nothing to read; give --stream or --files.")
    if options.interval is not None and not 0 <= options.interval <= 86_400:
        raise CommandError("--interval must be from 0 to 86400.")
    interval_s = options.interval
    if interval_s is None:
        interval_s = API_INTERVAL_S
        if stream or files:
            interval_s = STREAM_INTERVAL_S if stream else FILES_INTERVAL_S
    async with (
        _feed(settings, pool, stream, files) as feed,
        _api(settings, options, known) as api,
        stores.open_existing(settings) as store,
    ):
        await note_change(store, "FollowIdentityPool", identity_pool_id=pool)
        with make_watcher() as watcher:
            follower = Follower(
                cast("MovingStore", store),
                pool,
                api=api,
                feed=feed,
                settings=settings,
                watcher=watcher,
                now_ms=system_now_ms,
                interval_s=interval_s,
                once=options.once,
            )
            await _until_told(follower.run())
    found = follower.found
    show(options, _document(pool, found), _lines(found))
    return 0


async def _until_told(doing: Any) -> None:
    """Do something to its end, or until SIGTERM or Ctrl-C."""
    task = asyncio.ensure_future(doing)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


@contextlib.asynccontextmanager
async def _feed(
    settings: Settings, pool: str, stream: str, files: str
) -> AsyncIterator[Source | None]:
    from millpond.server.importing import limits_of

    limits = limits_of(settings)
    feed: Source | None = None
    if stream:
        from millpond.sinks.kinesis import make_reader
        from millpond.sources.stream import StreamSource

        if not stream.lower().startswith("kinesis://"):
            raise CommandError("--stream must begin with kinesis://.")
        reader = make_reader(stream, from_end=False)
        name = f"stream '{stream.partition('://')[2].partition('?')[0]}'"
        feed = StreamSource(pool, reader, name=name, limits=limits)
    elif files:
        from millpond.sources.files import FilesSource
        from millpond.sources.places import Bucket, Folder

        if files.lower().startswith("s3://"):
            from millpond.sinks.s3_payloads import read_bucket_url

            bucket, prefix, place, endpoint_url = read_bucket_url(files)
            feed = FilesSource(
                pool,
                Bucket(bucket, prefix, place, endpoint_url=endpoint_url),
                limits=limits,
            )
        else:
            path = files.removeprefix("file://")
            feed = FilesSource(pool, Folder(Path(path)), limits=limits)
    try:
        yield feed
    finally:
        if feed is not None:
            await feed.aclose()


@contextlib.asynccontextmanager
async def _api(
    settings: Settings, options: argparse.Namespace, known: ImportSource
) -> AsyncIterator[PoolSource | None]:
    from millpond.server.importing import limits_of
    from millpond.sources.opening import open_api

    if options.no_api:
        yield None
        return
    api = open_api(
        options.identity_pool_id,
        limits=limits_of(settings),
        profile=options.profile or known.profile or None,
        endpoint_url=options.endpoint_url or known.endpoint_url or None,
    )
    try:
        yield api
    finally:
        await api.aclose()


def _document(pool: str, found: Followed) -> dict[str, Any]:
    return {
        "IdentityPoolId": pool,
        "Events": found.events,
        "Passes": found.passes,
        "FetchedWhole": found.fetched,
        "DatasetsWritten": found.datasets,
        "RecordsWritten": found.records,
        "LagSeconds": round(found.lag_s, 1),
        "SetAsideCount": found.aside_count,
        "SetAside": [
            {
                "IdentityId": each.identity_id,
                "DatasetName": each.dataset_name or None,
                "Reason": each.reason,
                "SyncCount": each.sync_count or None,
            }
            for each in found.aside
        ],
        "PassedOverCount": found.unreadable_count,
        "PassedOver": [
            {"What": name, "Reason": reason}
            for name, reason in found.unreadable.items()
        ],
    }


def _lines(found: Followed) -> list[str]:
    lines = [
        f"{found.events} updates read, {found.datasets} datasets and {found.records} "
        f"records written; {found.fetched} identities fetched whole."
    ]
    if found.aside_count:
        lines.append(f"Set aside ({found.aside_count}):")
        lines += [
            f"  {each.identity_id} {each.dataset_name}: {each.reason}"
            for each in found.aside[:_LINES_MAX]
        ]
    if found.unreadable_count:
        lines.append(f"Passed over ({found.unreadable_count}):")
        shown = list(found.unreadable.items())[:_LINES_MAX]
        lines += [f"  {name}: {reason}" for name, reason in shown]
    return lines
