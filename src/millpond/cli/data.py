"""
`millpond data`: datasets of a user on this machine, offline first.

They are kept in a file (`millpond.client`). Reading and writing need no server; `sync`
and `watch` bring the file and a server in step, as an app does.

    0    done; `watch`: --count changes were told
    1    `get`: there is no such record; `sync`: the server refuses records, named then
    2    usage
    130  Ctrl-C
    255  it could not be done; what was written stays in the file
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from millpond.cli import data_shown as shown
from millpond.cli import standard_input
from millpond.cli.api import connecting
from millpond.cli.api.faults import PROGRAM
from millpond.cli.notes import INTERRUPTED, note
from millpond.cli.numbers import at_least_1, seconds
from millpond.cli.paths import some_path
from millpond.cli.tables import plain
from millpond.client import SQLite, open_sync_blocking
from millpond.client.api.configuration import Configuration
from millpond.client.api.faults import Fault
from millpond.client.errors import SyncError
from millpond.client.failures import CallError

if TYPE_CHECKING:
    from millpond.client import Dataset, Sync
    from millpond.client.status import Report

_NOT_THERE: Final = 1
_SET_ASIDE: Final = 1
_ABOUT: Final = (
    "Datasets of a user on this machine, kept in a file: read and written without a "
    "server, and brought in step with one as an app does."
)
_END: Final = (
    "Exit status: 0; 1 when `get` finds nothing, or the server refuses records of "
    "`sync`; 130 after Ctrl-C; 255 when it could not be done. What was written "
    "stays in the file and goes out with the next `sync`."
)


class DataFault(Fault):
    """It could not be done; a call that failed can be looked into."""

    def __init__(self, error: SyncError) -> None:
        called = isinstance(error, CallError)  # the others name it themselves
        named = called and error.dataset_name is not None
        where = f"{plain(str(error.dataset_name))}: " if named else ""
        super().__init__(f"{where}{plain(str(error))}")
        self.can_be_examined = called


def _fault(error: SyncError) -> Fault:
    """Say what is the matter: of what we looked for ourselves, what was found."""
    cause = error.__cause__
    return cause if isinstance(cause, Fault) else DataFault(error)


def main(argv: list[str]) -> int:
    """Run `millpond data`."""
    options = make_parser().parse_args(argv)
    runs = {
        "get": _get,
        "set": _set,
        "list": _list,
        "sync": _sync,
        "watch": _watch,
    }
    try:
        with _open(options) as sync:
            return runs[options.command](sync, options)
    except SyncError as error:
        raise _fault(error) from None
    except KeyboardInterrupt:
        return INTERRUPTED


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} data", description=_ABOUT, epilog=_END, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    getting = commands.add_parser("get", help="print the value of a record")
    setting = commands.add_parser("set", help="write a record, or remove it")
    listing = commands.add_parser("list", help="list datasets, or records of one")
    syncing = commands.add_parser("sync", help="bring the file and a server in step")
    watching = commands.add_parser("watch", help="stay in step until Ctrl-C")
    for each in (getting, setting):
        each.add_argument("dataset_name", metavar="DATASET", help="name of the dataset")
        each.add_argument("key", metavar="KEY", help="key of the record")
    what = setting.add_mutually_exclusive_group(required=True)
    what.add_argument("value", metavar="VALUE", nargs="?", help="what to write")
    what.add_argument("--stdin", action="store_true", help="write what is on its input")
    what.add_argument("--remove", action="store_true", help="remove the record")
    listing.add_argument(
        "dataset_name",
        metavar="DATASET",
        nargs="?",
        help="the dataset whose records to list [the datasets]",
    )
    for each in (syncing, watching):
        each.add_argument(
            "dataset_names",
            metavar="DATASET",
            nargs="*",
            help="which ones [all that are here or at the server]",
        )
    watching.add_argument(
        "--count", type=at_least_1, metavar="N", help="end after so many changes"
    )
    watching.add_argument(
        "--every",
        type=seconds(1),
        default=30.0,
        metavar="SECONDS",
        help="how often to ask a server that has no live updates [30]",
    )
    for each in (getting, setting, listing, syncing, watching):
        each.allow_abbrev = False  # it is not handed on
        _add_options(each)
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--file",
        type=some_path,
        metavar="PATH",
        help="where the data is [~/.local/share/millpond/data.db]",
    )
    parser.add_argument(
        "--identity-pool-id",
        metavar="ID",
        help="the identity pool [the one that the file has data of]",
    )
    parser.add_argument(
        "--output", choices=("text", "json"), default="text", help="form [text]"
    )
    who = parser.add_argument_group(
        "who", "A guest, the same one each time, unless one of these says otherwise."
    )
    who.add_argument(
        "--identity-id",
        metavar="ID",
        help="this identity, with a developer's key as the AWS CLI finds it",
    )
    who.add_argument(
        "--login",
        metavar="PROVIDER",
        help="the user of an OpenID Connect provider, such as accounts.google.com",
    )
    who.add_argument(
        "--token-file",
        metavar="PATH",
        help="where the provider's ID token is; read whenever it is needed",
    )
    group = parser.add_argument_group("connection")
    connecting.add_place_options(group)
    group.add_argument(
        "--ca-bundle",
        metavar="PATH",
        help="certificates to trust [AWS_CA_BUNDLE, or those of the system]",
    )


# Opening


@contextlib.contextmanager
def _open(options: argparse.Namespace) -> Iterator[Sync]:
    configuration = Configuration(options.profile)
    if bundle := options.ca_bundle or configuration.get("ca_bundle"):
        os.environ["AWS_CA_BUNDLE"] = bundle  # where calls look for it
    storage = SQLite(_file(options))
    try:
        sync = open_sync_blocking(
            options.endpoint_url or configuration.endpoint_url("cognito_sync"),
            _pool(options, storage),
            storage=storage,
            credentials=_credentials(options, configuration),
            region=options.region,
        )
    except ValueError as error:
        raise Fault(str(error)) from None
    try:
        yield sync
    finally:
        sync.close()


def _file(options: argparse.Namespace) -> str:
    """Find the file; it is made for its owner alone, as a guest's id opens data."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    path = str(options.file or os.path.join(base, PROGRAM, "data.db"))
    try:
        if options.file is None:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        if options.command in ("set", "sync", "watch"):
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise Fault(f"{path}: {error.strerror}") from None
    if not os.path.exists(path):
        raise Fault(
            f"{path}: there is no such file. `{PROGRAM} data sync` or `set` makes one."
        )
    return path


def _pool(options: argparse.Namespace, storage: SQLite) -> str:
    if options.identity_pool_id:
        return str(options.identity_pool_id).strip().lower()
    with contextlib.closing(storage.open()) as store:
        pools = store.pools()
    if len(pools) != 1:
        found = f"has data of {len(pools)}: {', '.join(pools)}" if pools else "has none"
        raise Fault(f"Which identity pool? {storage.path} {found}. --identity-pool-id")
    return pools[0]


def _credentials(options: argparse.Namespace, configuration: Configuration) -> Any:
    from millpond.client import guest, openid

    if bool(options.login) != bool(options.token_file):
        raise Fault("--login and --token-file go together.")
    if options.identity_id:
        if options.login:
            raise Fault("--identity-id and --login cannot both be.")
        return _developer(options, configuration)
    if not options.login:
        return guest()

    def read_token() -> str:
        try:
            with open(options.token_file, encoding="ascii") as file:
                return file.read().strip()
        except OSError as error:
            raise Fault(f"{options.token_file}: {error.strerror}.") from None
        except ValueError:
            raise Fault(f"{options.token_file}: a token is text in ASCII.") from None

    return openid(options.login, read_token)


def _developer(options: argparse.Namespace, configuration: Configuration) -> Any:
    from millpond.client.api.credentials import (
        Credentials,
        Elsewhere,
        NoCredentialsFault,
        find,
    )
    from millpond.client.credentials import found

    known: list[Credentials | Elsewhere] = []

    def give() -> Credentials:
        if not known:
            one = find(configuration, options.region)
            if one is None:
                raise NoCredentialsFault
            known.append(one)
        (one,) = known
        return one.fetch() if isinstance(one, Elsewhere) else one

    return found(options.identity_id.strip().lower(), give)


def _dataset(sync: Sync, name: str) -> Dataset:
    try:
        return sync.dataset(name)
    except ValueError as error:
        raise Fault(str(error)) from None


# The commands


def _get(sync: Sync, options: argparse.Namespace) -> int:
    name, key = options.dataset_name, options.key
    value = _dataset(sync, name).get(key) if name in sync.datasets() else None
    if value is None:
        where = "" if name in sync.datasets() else f", nor a dataset {plain(name)}"
        note(f"There is no record {plain(key)}{where} here. {PROGRAM} data sync")
        return _NOT_THERE
    if options.output == "json":
        print(json.dumps({"DatasetName": name, "Key": key, "Value": value}))
    else:
        _print_value(value)
    return 0


def _print_value(value: str) -> None:
    """Show a value; where no person reads it, as it is, whatever the locale."""
    if sys.stdout.isatty():
        print(plain(value))
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as `set --stdin` reads it
    print(value)


def _set(sync: Sync, options: argparse.Namespace) -> int:
    dataset = _dataset(sync, options.dataset_name)
    try:
        if options.remove:
            dataset.remove(options.key)
        else:
            value = _read_input() if options.stdin else options.value
            dataset[options.key] = value
    except UnicodeError:
        raise Fault("What is to be written is no text (UTF-8).") from None
    except ValueError as error:
        raise Fault(str(error)) from None
    if options.output == "json":
        unsent = options.key in dataset.status.unsent
        names = {"DatasetName": options.dataset_name, "Key": options.key}
        print(json.dumps({**names, "Unsent": unsent}))
    return 0


def _read_input() -> str:
    text = standard_input.read().decode("utf-8")
    return text.removesuffix("\n")


def _list(sync: Sync, options: argparse.Namespace) -> int:
    name = options.dataset_name
    if name is None:
        shown.show_datasets(sync, json_form=options.output == "json")
        return 0
    if name not in sync.datasets():
        raise Fault(f"There is no dataset {plain(name)} here. {PROGRAM} data sync")
    shown.show_records(_dataset(sync, name), json_form=options.output == "json")
    return 0


def _sync(sync: Sync, options: argparse.Namespace) -> int:
    from millpond.client.status import Report

    done: list[tuple[str, Report, SyncError | None]] = []
    for name in _names(sync, options):
        dataset = _dataset(sync, name)
        try:
            done.append((name, dataset.sync(), None))
        except SyncError as error:
            done.append((name, error.report or Report(), error))
    shown.show_reports(done, json_form=options.output == "json")
    failed = [error for _, _, error in done if error is not None]
    if failed:
        raise _fault(failed[0])
    aside = [(name, report.set_aside) for name, report, _ in done if report.set_aside]
    for name, codes in aside:
        for key, code in codes.items():
            note(f"{name}: {plain(key)} stays here, the server refuses it: {code}")
    return _SET_ASIDE if aside else 0


def _names(sync: Sync, options: argparse.Namespace) -> list[str]:
    """Say which datasets are meant: those that are named, or all there are."""
    if options.dataset_names:
        return list(dict.fromkeys(options.dataset_names))
    return sorted({*sync.datasets(), *sync.server_datasets()})


def _watch(sync: Sync, options: argparse.Namespace) -> int:
    wanted = [*options.dataset_names]
    for name in wanted or sync.datasets():
        _dataset(sync, name)
    left: int | None = options.count
    note(f"Watching {', '.join(wanted) or 'all datasets'}; Ctrl-C ends it.")
    with sync.watch(ask_every_s=options.every) as watch:
        failing: set[str] = set()
        for seen in watch:
            name = seen.dataset_name
            if seen.report is None:
                if not wanted:
                    _dataset(sync, name)  # from now on it is watched
                continue
            if seen.error is not None:
                failing.add(name)
                note(f"{_fault(seen.error)}\nIt is tried again.")
            elif name in failing:
                failing.discard(name)
                note(f"{name}: in step again.")
            told = shown.show_change(
                sync.dataset(name), seen.report, json_form=options.output == "json"
            )
            if told and left is not None:
                left -= 1
                if left <= 0:
                    return 0
    return 0
