"""
What an attack is made of: a server whose use of the machine can be read, and sockets.

A bound is shown in bytes or in processor time, as /proc has them; never by a clock.
Numbers are small: a mechanism that holds at 16 MiB holds at 256. To add an attack,
write a test in the file of its kind, and give the server settings with small bounds.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from acceptance.live_reader import metric
from acceptance.raw_http import Answer, RawClient, Request, Scope, read_answer, sign
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer
from processes import proc_of, resident_bytes

MIB: Final = 1_048_576


class Target:
    """A server under attack."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.raw = RawClient(server)

    @property
    def resident_bytes(self) -> int:
        """The memory that the process has."""
        return resident_bytes(self.server.pid)

    @property
    def cpu_s(self) -> float:
        """The processor time that the process has used, of user and system."""
        text = (proc_of(self.server.pid) / "stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def connections(self) -> int:
        """How many sockets the process has open, its own few included."""
        folder = proc_of(self.server.pid) / "fd"
        found = 0
        for each in folder.iterdir():
            with contextlib.suppress(OSError):
                found += os.readlink(each).startswith("socket:")
        return found

    def metric(self, name: str, **labels: str) -> float:
        """Read one of its metrics."""
        shown = self.raw.send(Request(target=b"/metrics")).body.decode()
        spelled = ",".join(f'{key}="{value}"' for key, value in labels.items())
        full = f"{name}{{{spelled}}}" if labels else name
        return metric(shown, full) if f"{full} " in shown else 0.0

    def head(
        self,
        request: Request,
        *,
        length: int | None,
        scope: Scope | None = None,
        **options: object,
    ) -> bytes:
        """
        Spell the head of a signed request.

        Args:
            length: of the body that it announces; None: in chunks.
            scope: who signs; the first developer key unless one is given.
            options: of `sign`.
        """
        hosted = request.but(headers=(("host", self.raw.host), *request.headers))
        signed = sign(hosted, scope or self.raw.scope, **options)  # type: ignore[arg-type]
        return spell(signed, length=length)

    def unsigned_head(self, request: Request, *, length: int | None) -> bytes:
        """Spell the head of a request that nobody signed."""
        hosted = request.but(headers=(("host", self.raw.host), *request.headers))
        return spell(hosted, length=length)

    @contextlib.contextmanager
    def connect(self, count: int = 1) -> Iterator[list[socket.socket]]:
        """Open connections; they are closed in the end."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self.raw.connect()) for _ in range(count)]


def spell(request: Request, *, length: int | None) -> bytes:
    """Spell the head of a request as it is."""
    framing = (
        ("transfer-encoding", "chunked")
        if length is None
        else ("content-length", str(length))
    )
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.target)]
    lines += [f"{k}: {v}".encode() for k, v in (*request.headers, framing)]
    return b"\r\n".join([*lines, b"", b""])


def pool_of(target: Target) -> str:
    """Make a pool for guests."""
    client = target.server.client("cognito-identity")
    made = client.create_identity_pool(
        IdentityPoolName="attacked", AllowUnauthenticatedIdentities=True
    )
    pool: str = made["IdentityPoolId"]
    return pool


def for_kinesis(scope: Scope) -> Scope:
    """Sign for the Kinesis API."""
    return replace(scope, service="kinesis")


def answer_of(connection: socket.socket) -> Answer:
    """Read an answer."""
    return read_answer(connection)


def is_ended(connection: socket.socket) -> bool:
    """Say whether the other end has ended a connection; reads what came by now."""
    connection.setblocking(False)
    try:
        while connection.recv(65_536):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(seconds(20))
    return True
