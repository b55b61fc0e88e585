"""A real PgBouncer before the database of the tests."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from millpond.testing.deadlines import Deadline, seconds
from millpond.testing.ports import free_port

START_TIMEOUT_S = 20.0
MISSING = (
    "there is no PgBouncer; on Debian and Ubuntu: apt-get install pgbouncer "
    "(.ci/prepare-clients does it)"
)


def find_program() -> str | None:
    """Find PgBouncer; Debian has it where users do not look."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@contextlib.contextmanager
def run_pgbouncer(
    database_url: str, *, pool_mode: str, pool_size: int = 17
) -> Iterator[str]:
    """
    Run a PgBouncer before the server of a database.

    Args:
        pool_mode: session or transaction.
        pool_size: connections to the server, for each database.
    Returns:
        The URL of the same database through it.
    """
    program = find_program()
    assert program is not None, MISSING
    server = urlsplit(database_url)
    folder = Path(tempfile.mkdtemp(prefix="millpond-pgbouncer-"))
    port = free_port()
    (folder / "users.txt").write_text(f'"{server.username}" ""\n')
    (folder / "pgbouncer.ini").write_text(
        "[databases]\n"
        f"* = host={server.hostname} port={server.port}\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {folder / 'users.txt'}\n"
        f"pool_mode = {pool_mode}\ndefault_pool_size = {pool_size}\n"
        f"max_client_conn = 200\nlogfile = {folder / 'log'}\n"
    )
    words = [program, str(folder / "pgbouncer.ini")]
    if os.geteuid() == 0:  # for whom it refuses to run
        shutil.chown(folder, "nobody")
        words[1:1] = ["-u", pwd.getpwnam("nobody").pw_name]
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(process, port, folder / "log")
        yield server._replace(netloc=f"{server.username}@127.0.0.1:{port}").geturl()
    finally:
        process.kill()
        process.wait(seconds(START_TIMEOUT_S))
        shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = Deadline(START_TIMEOUT_S)
    while True:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port)),
        ):
            return
        if process.poll() is not None or deadline.passed():
            raise AssertionError(f"PgBouncer did not start: {log.read_text()[-500:]}")
        time.sleep(0.02)
