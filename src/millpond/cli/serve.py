"""`millpond serve`: run the server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import os  # the environment is looked at here and nowhere else
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millpond import settings as settings_table
from millpond.cli.page import STEP, may_style, prose
from millpond.errors import MillpondError, SettingsError
from millpond.settings import Reading, Settings, refuse

if TYPE_CHECKING:
    import socket

    from millpond.server.app import Started
    from millpond.tracing.sdk import Tracing


def main(argv: list[str]) -> int:
    """Run `millpond serve`."""
    options = make_parser().parse_args(argv)
    try:
        with _ephemeral(read_settings(options)) as reading:
            from millpond.server.settings_check import find_problems

            refuse(find_problems(reading, to_start=True))
            _run(reading, lambda: read_settings(options))
    except MillpondError as error:
        print(f"millpond serve: {error}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def _ephemeral(reading: Reading) -> Iterator[Reading]:
    """Put the data of a server that keeps nothing where it goes with it."""
    if not reading.settings.ephemeral:
        yield reading
        return
    from millpond.server import ephemeral

    with ephemeral.folder() as folder:
        settings = dataclasses.replace(reading.settings, data=folder)
        yield reading._replace(settings=settings)


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where the data and the settings are."""
    parser.add_argument("--data", metavar="DIR", help="folder of the embedded store")
    parser.add_argument(
        "--store", metavar="URL", help="PostgreSQL database, instead of the folder"
    )
    parser.add_argument("--settings", metavar="FILE", help="TOML file with settings")


def how_to_set(option: str) -> str:
    """Say how to give a setting that somebody wrote as an option; empty: it is none."""
    name = option.strip("-").replace("-", "_").lower()
    if name not in {row.name for row in settings_table.table()}:
        return ""
    return (
        f"{name} is a setting: give it in the variable "
        f"{settings_table.PREFIX}{name.upper()}, or in the file of --settings."
    )


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where a server listens."""
    parser.add_argument("--host", metavar="H", help="address to listen on")
    parser.add_argument("--port", metavar="N", help="port to listen on; 0: a free one")


def add_kind_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what kind of server it is to be."""
    parser.add_argument(
        "--ephemeral",
        action="store_const",
        const=True,
        help="keep everything in memory, and nothing in the end: for tests of apps",
    )
    parser.add_argument(
        "--readers",
        metavar="N",
        help="processes that answer reads, before the one that writes; or auto",
    )


def read_settings(options: argparse.Namespace) -> Reading:
    """Read the settings, with what is wrong with them; raises as `read` does."""
    names = ("data", "store", "host", "port", "readers", "ephemeral")
    from millpond.server.service_manager import read_credentials

    if options.settings == "":
        raise SettingsError("--settings names no file: it is empty.")
    return settings_table.read(
        None
        if options.settings is None
        else Path(os.path.expanduser(options.settings)),
        {**os.environ, **read_credentials(os.environ)},
        {name: getattr(options, name, None) for name in names},
    )


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond serve",
        description="Run the server until SIGTERM or Ctrl-C.",
        allow_abbrev=False,
    )
    add_settings_options(parser)
    add_server_options(parser)
    add_kind_options(parser)
    return parser


def help_sections() -> Iterator[tuple[str, Iterable[str]]]:
    """List the settings, for the help page."""
    yield "SETTINGS", _settings_help()


def _settings_help() -> Iterator[str]:
    yield from prose(
        "In the file by name, in the environment as MILLPOND_ and the name in capitals."
    )
    for row in settings_table.table():
        yield f"{row.name} [{row.default}]" if row.default else row.name
        yield from prose(row.help, STEP)


def _run(reading: Reading, read_again: Callable[[], Reading]) -> None:
    # Imported late: `--help` and a wrong setting need none of it.
    settings = reading.settings
    if not _logs_for_people(settings):
        _load_logging_without_rich()
    from millpond.server import app, logging
    from millpond.server.readers import count_readers
    from millpond.server.service_manager import MANAGER

    tracing, no_traces = load_tracing()
    MANAGER.begin(os.environ)
    # On a terminal the signal says that this was closed, and ends us as it always did.
    may_reload = not any(each.isatty() for each in (sys.stdin, sys.stderr) if each)

    def configure(process: str, level: str = settings.log_level) -> None:
        logging.configure(
            level=level,
            form=settings.log_format,
            colors=may_style(sys.stderr),
            process=process,
            name_trace=tracing.name_line if tracing else None,
        )

    def run(work: Coroutine[Any, Any, None], process: str = "") -> None:
        configure(process)
        if tracing is not None:
            tracing.start()
        MANAGER.forget()
        MANAGER.add(lambda: read_level(process))
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            if may_reload:
                loop = runner.get_loop()
                loop.add_signal_handler(signal.SIGHUP, MANAGER.reload)
            try:
                runner.run(work)
            finally:
                if tracing is not None:
                    tracing.close(settings.drain_s)

    def read_level(process: str) -> None:
        again = read_again()
        refuse(again.problems)
        configure(process, again.settings.log_level)

    def tell(started: Started) -> None:
        _tell(settings, started)
        MANAGER.ready(started.endpoint)

    readers = count_readers(settings)
    if MANAGER.listener is not None:
        settings = _at_listener(settings, MANAGER.listener, readers)
    configure("supervisor" if readers else "")
    if no_traces:
        import structlog

        structlog.get_logger().warning("tracing.off", error=no_traces)
    if readers:
        from millpond.server.readers import supervisor

        if may_reload:
            MANAGER.add(lambda: read_level("supervisor"))
        supervisor.supervise(
            settings,
            readers,
            tell,
            run,
            origins=reading.origins,
            may_reload=may_reload,
            tracing=tracing,
        )
    else:
        run(app.serve(settings, tell, origins=reading.origins, tracing=tracing))


def load_tracing() -> tuple[Tracing | None, str]:
    """
    Load what makes traces, if the environment asks for any.

    Returns:
        With it, why there are none all the same; a server runs without them.
    """
    from millpond import tracing

    try:
        return tracing.load(os.environ), ""
    except SettingsError as error:
        return None, str(error)


def tracing_asked_by() -> str:
    """Name the variable that asks for traces; empty: none does."""
    from millpond.tracing.variables import asked_by

    return asked_by(os.environ)


def _at_listener(settings: Settings, listener: socket.socket, readers: int) -> Settings:
    """Say that we are where the service manager listens for us."""
    if readers:
        raise SettingsError(
            "Readers need a port that each of them opens: leave out the socket of the "
            "service manager, or readers."
        )
    return dataclasses.replace(settings, host=listener.getsockname()[0])


def _logs_for_people(settings: Settings) -> bool:
    form = settings.log_format
    return form == "console" or (form == "auto" and sys.stderr.isatty())


def _load_logging_without_rich() -> None:
    """
    Load what logs, and not what it would colour the tracebacks of people with.

    structlog imports rich when it is there, which is a tenth of a server's start and
    4 MiB. What is written for programs has no use for it.
    """
    modules: dict[str, Any] = sys.modules
    if "rich" in modules or "structlog" in modules:
        return
    modules["rich"] = None  # as if it were not installed
    try:
        import structlog  # noqa: F401
    finally:
        del modules["rich"]


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # there is none for this platform
        return None
    return uvloop.new_event_loop


def _tell(settings: Settings, started: Started) -> None:
    from millpond.server.stores import place_of

    place = "all in memory" if settings.ephemeral else place_of(settings)
    print(f"Millpond answers at {started.endpoint} ({place}).")
    if started.first_key is not None:
        print(
            "\nThe first developer key; its secret is shown this once:\n\n"
            f"  export AWS_ACCESS_KEY_ID={started.first_key.access_key_id}\n"
            f"  export AWS_SECRET_ACCESS_KEY={started.first_key.secret_access_key}\n"
            f"  export AWS_REGION={settings.region}\n"
            f"  export AWS_DEFAULT_REGION={settings.region}\n"
            f"  export AWS_ENDPOINT_URL={started.endpoint}\n\n"
            "AWS_ENDPOINT_URL counts from boto3 1.28 and AWS CLI 1.29 or 2.13 on; "
            "before them, give\nendpoint_url= to each client and --endpoint-url to "
            "each command, or they call AWS.\n"
        )
    if started.console_link:
        print(
            "The console, logged in once by this link (for ten minutes; then "
            f"`millpond console` prints another):\n\n  {started.console_link}\n"
        )
    sys.stdout.flush()
