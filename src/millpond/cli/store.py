"""
`millpond store create|copy|backup|verify`: make a store, move it, keep a copy of it,
and look it over.

Progress is told on standard error, the result on standard output. Exit status:

    0    done; of a copy: both stores hold the same; of verify: nothing is wrong
    1    refused or failed; of a copy: something is different; of verify: is wrong
    130  Ctrl-C; a copy goes on where it was when it is called again
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from millpond.cli.administration import (
    CommandError,
    add_output_option,
    add_store_options,
    run,
    show,
)
from millpond.cli.paths import some_path
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.cli.store_progress import Meter
    from millpond.server.copying import Comparison, Place
    from millpond.stores.copying import Kind

_INTERRUPTED: Final = 130
_GO_ON: Final = "Stopped. What was copied stays; the same command goes on with it."
_UNFINISHED: Final = "Stopped. Nothing was changed."
_UNMADE: Final = "Stopped. The same command, or a server, makes the rest of the store."
_TORN: Final = "Stopped. The backup is not complete; delete what there is of it."


def main(argv: list[str]) -> int:
    """Run `millpond store`."""
    try:
        commands = {
            "copy": _copy,
            "create": _create,
            "backup": _backup,
            "verify": _verify,
        }
        return run(make_parser(), argv, commands)
    except KeyboardInterrupt:
        what = {"copy": _GO_ON, "create": _UNMADE, "backup": _TORN}
        print(f"\n{what.get(argv[0], _UNFINISHED)}", file=sys.stderr)
        return _INTERRUPTED


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond store",
        description="Make a store, move everything to another one, back an embedded "
        "store up, or look a store over.",
        epilog="Exit status: 0 done, 1 refused, failed, the stores are not the same "
        "after a copy, or something is wrong with one, 130 after Ctrl-C.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    copy = commands.add_parser(
        "copy",
        help="copy everything into an empty store, and compare",
        description="Copy everything into an empty store: keys, identity pools, "
        "identities, datasets with their sync counts, devices, what waits for streams, "
        "and embedded streams. Both stores must not be in use. A copy that was "
        "interrupted goes on when it is called again.",
        allow_abbrev=False,
    )
    for name, text in (("source", "from where"), ("target", "to where")):
        metavar = {"source": "FROM", "target": "TO"}[name]
        copy.add_argument(
            name,
            metavar=metavar,
            help=f"{text}: a data folder, or the postgresql:// URL of a database",
        )
    copy.add_argument(
        "--leave-old-sessions",
        action="store_true",
        help="leave behind marks of sync sessions that were used before this version "
        "was installed; a database has no place for them",
    )
    copy.set_defaults(settings=None)  # it names both places itself
    add_output_option(copy)
    create = commands.add_parser(
        "create",
        help="make an empty store, as the first start of a server does",
        description="Make an empty store and its secret.key, as a server does when it "
        "starts, so that keys, pools and streams can be made before. "
        "What is there already stays.",
        allow_abbrev=False,
    )
    add_store_options(create)
    backup = commands.add_parser(
        "backup",
        help="copy an embedded store while it is in use",
        description="Copy the embedded store into a folder, on which a server can be "
        "started. A server may be running on the store.",
        allow_abbrev=False,
    )
    backup.add_argument(
        "target",
        type=some_path,
        metavar="TO",
        help="a folder that is empty or not there",
    )
    backup.add_argument(
        "--with-secret-key",
        action="store_true",
        help="copy secret.key, too: who has it and the backup has every secret that "
        "is sealed with it, and can sign as the server does",
    )
    add_store_options(backup)
    verify = commands.add_parser(
        "verify",
        help="look a store over, also while servers use it",
        description="Look a store over: that its files are whole, that every row can "
        "be read, that counts fit the records, that nothing hangs on what is not there "
        "and that sealed secrets can be opened. Nothing of it is changed, and servers "
        "may be running on it.",
        allow_abbrev=False,
    )
    add_store_options(verify)
    return parser


async def _verify(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.cli.store_verify import verify

    return await verify(settings, options)


async def _create(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server import sealers, stores

    with stores.hold_store(settings):  # else a server has made it, and is using it
        async with stores.open_store(settings):
            sealers.make_sealer(settings)
    place = stores.place_of(settings).removeprefix("data in ")
    show(options, {"Place": place}, [f"There is a store in {place}."])
    return 0


async def _copy(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.cli.store_progress import make_meter
    from millpond.server.copying import Place, copy_store
    from millpond.service.context import system_now_ms

    source, target = Place.parse(options.source), Place.parse(options.target)
    with make_meter(sys.stderr) as meter:
        found = await copy_store(
            source,
            target,
            watcher=_Watcher(meter),
            now_ms=system_now_ms(),
            leave_old_sessions=options.leave_old_sessions,
        )
    different = [each for each in found if not each.same]
    document = {
        "Source": source.name,
        "Target": target.name,
        "Complete": not different,
        "Kinds": [_describe(each) for each in found],
    }
    lines = [_line(each) for each in found]
    lines += _conclusion(different, found, source, target)
    show(options, document, lines)
    return 1 if different else 0


class _Watcher:
    """Tells a meter how a copy goes."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._done = 0

    def begin(self, step: str, kind: Kind, *, total: int, done: int) -> None:
        self._done = done
        text = f"{step} {kind.replace('_', ' ')}"
        self._meter.step(text, total=total, done=done)

    def advance(self, rows: int) -> None:
        self._done += rows
        self._meter.at(self._done)


def _describe(each: Comparison) -> dict[str, Any]:
    return {
        "Kind": each.kind.value,
        "SourceCount": each.source.count,
        "TargetCount": each.target.count,
        "SourceChecksum": each.source.text,
        "TargetChecksum": each.target.text,
        "Same": each.same,
    }


def _line(each: Comparison) -> str:
    name = each.kind.replace("_", " ")
    if each.same:
        return f"{name:20} {each.source.count:>12}  {each.source.text}  same"
    return (
        f"{name:20} {each.source.count:>12}  {each.source.text}  DIFFERENT: "
        f"{each.target.count} {each.target.text}"
    )


def _conclusion(
    different: list[Comparison],
    found: list[Comparison],
    source: Place,
    target: Place,
) -> list[str]:
    if different:
        return [
            f"'{target.name}' does not hold what '{source.name}' holds. No server "
            "starts on it. Empty it and begin again."
        ]
    lines = [f"'{target.name}' holds everything. {_secret_note(source, target)}"]
    if any(each.renumbered for each in found):
        lines.append(
            "Some stream records have a higher sequence number than before; consumers "
            "may read these again."
        )
    return lines


def _secret_note(source: Place, target: Place) -> str:
    """Say what to do so that the target is opened with the same master secret."""
    from millpond.server import secret_key

    if target.folder and (target.folder / secret_key.FILE_NAME).exists():
        return f"Its secret is in '{target.folder / secret_key.FILE_NAME}'."
    if source.folder and (source.folder / secret_key.FILE_NAME).exists():
        file = source.folder / secret_key.FILE_NAME
        return (
            f"Give its servers the same secret: put '{file}' into their data folder,"
            " or its digits into secret_key."
        )
    return (
        "Give its servers the same secret: the same secret_key, or the "
        f"{secret_key.FILE_NAME} of a server of '{source.name}'."
    )


async def _backup(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.cli.store_progress import make_meter
    from millpond.server import secret_key
    from millpond.server.backups import make_backup

    if settings.store:
        raise CommandError(
            "the store is a PostgreSQL database: back it up with pg_dump or "
            "pg_basebackup."
        )
    with make_meter(sys.stderr) as meter:
        current = ""
        stopping = threading.Event()

        def progress(name: str, done: int, total: int) -> None:
            nonlocal current
            if name != current:
                current = name
                meter.step(name, total=total)
            meter.at(done)
            if stopping.is_set():
                raise CommandError("stopped.")

        try:
            size = await asyncio.to_thread(
                make_backup,
                settings.data,
                options.target,
                with_secret_key=options.with_secret_key,
                progress=progress,
            )
        except asyncio.CancelledError:  # Ctrl-C; the thread is waited for
            stopping.set()
            raise
    lines = [f"Backed '{settings.data}' up into '{options.target}': {size} bytes."]
    if not options.with_secret_key:
        lines.append(
            f"{secret_key.FILE_NAME} is not in it; keep that apart. Without it the "
            "backup opens no developer key."
        )
    document = {
        "Source": str(settings.data),
        "Target": str(options.target),
        "Bytes": size,
        "SecretKey": options.with_secret_key,
    }
    show(options, document, lines)
    return 0
