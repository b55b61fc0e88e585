"""
What a service manager is told, and tells us: readiness, a reload, secrets.

    READY=1, STOPPING=1, RELOADING=1    to the socket that NOTIFY_SOCKET names
    SIGHUP                              read again what may change while we run
    CREDENTIALS_DIRECTORY               files named `millpond.SETTING`

Source: sd_notify(3), systemd.exec(5). Where none of these is there, nothing is done.
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


class Manager:
    """The manager of this process; where there is none, nobody is told anything."""

    def __init__(self) -> None:
        self._address = ""
        self._pid = 0
        self._parts: list[Callable[[], None]] = []

    def begin(self, environment: Mapping[str, str]) -> None:
        """Find out who is to be told; processes that are forked later tell nothing."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._pid = os.getpid()

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
