"""
What a service manager is told, and tells us: readiness, a reload, secrets.

    READY=1, STOPPING=1, RELOADING=1    to the socket that NOTIFY_SOCKET names
    SIGHUP                              read again what may change while we run
    LISTEN_FDS, LISTEN_PID              a socket that listens already
    CREDENTIALS_DIRECTORY               files named `millpond.SETTING`

Source: sd_notify(3), sd_listen_fds(3), systemd.exec(5). Where none of these is there,
nothing is done.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from millpond.errors import MillpondError, SettingsError

CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
_PREFIX: Final = "millpond."
_BYTES_MAX: Final = 65_536
_FIRST_DESCRIPTOR: Final = 3  # SD_LISTEN_FDS_START


class Manager:
    """The manager of this process; where there is none, nobody is told anything."""

    def __init__(self) -> None:
        self._address = ""
        self._pid = 0
        self._parts: list[Callable[[], None]] = []
        self.listener: socket.socket | None = None
        """A socket that listens already, where the manager has one for us."""

    def begin(self, environment: Mapping[str, str]) -> None:
        """
        Find out who is to be told, and what we were handed; processes that are forked
        later tell nothing.

        Raises:
            SettingsError: there are several sockets, or one that is none of TCP.
        """
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._pid = os.getpid()
        self.listener = None
        if environment.get("LISTEN_PID") == str(self._pid):
            self.listener = _take_listener(environment.get("LISTEN_FDS", "0"))

    def ready(self, endpoint: str) -> None:
        """Say that requests are answered."""
        self._tell("READY=1", f"STATUS=Answers at {endpoint}")

    def stopping(self) -> None:
        """Say that no new requests are taken."""
        self._tell("STOPPING=1", "STATUS=Finishing what is under way")

    def add(self, part: Callable[[], None]) -> None:
        """Have something read again at a reload; it raises when that is no good."""
        self._parts.append(part)

    def forget(self) -> None:
        """Forget what is read again by the process that this one is a fork of."""
        self._parts.clear()

    def reload(self) -> None:
        """Read all of it again; what is no good stays as it was, and is logged."""
        import structlog  # late: a command that reads settings logs nothing

        log = structlog.get_logger()
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now_us}")
        failed = False
        for part in self._parts:
            try:
                part()
            except (MillpondError, OSError, ValueError) as error:
                failed = True
                log.error("server.reload_failed", error=str(error))
        if not failed:
            log.info("server.reloaded")
        self._tell("READY=1")

    def _tell(self, *lines: str) -> None:
        if not self._address.startswith(("/", "@")) or os.getpid() != self._pid:
            return
        address = self._address
        if address.startswith("@"):  # of the abstract namespace
            address = f"\0{address[1:]}"
        with (
            contextlib.suppress(OSError),  # who does not listen need not know
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        ):
            sender.sendto("\n".join(lines).encode(), address)


MANAGER: Final = Manager()
"""One for the process, as its signals are."""


def _take_listener(count: str) -> socket.socket | None:
    if count == "0":
        return None
    if count != "1":
        raise SettingsError(
            f"The service manager hands over {count} sockets, and one is wanted."
        )
    try:
        found = socket.socket(fileno=_FIRST_DESCRIPTOR)
        if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 0:
            raise OSError("it does not listen")
        if found.family not in (socket.AF_INET, socket.AF_INET6):
            raise OSError("it is none of TCP")
    except OSError as error:
        raise SettingsError(
            f"The socket of the service manager cannot be used: {error}."
        ) from error
    os.set_inheritable(found.fileno(), False)
    return found


def read_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """
    Read the settings that a service manager hands over as files, as variables.

    Raises:
        SettingsError: a file cannot be read.
    """
    folder = environment.get(CREDENTIALS)
    if not folder:
        return {}
    found = {}
    try:
        for file in sorted(Path(folder).glob(f"{_PREFIX}*")):
            name = file.name.removeprefix(_PREFIX)
            if file.stat().st_size > _BYTES_MAX:
                raise SettingsError(f"The credential '{file}' is too large.")
            text = file.read_text("utf-8").rstrip("\n")
            found[f"MILLPOND_{name.upper()}"] = text
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"A credential cannot be read: {error}") from error
    return found
