"""
A real server in a process of its own, for tests, demonstrations and benchmarks.

    with RunningServer(folder) as server:
        server.client("cognito-sync").list_identity_pool_usage()
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from millpond.testing.deadlines import Deadline, seconds

START_TIMEOUT_S: Final = 30.0  # these two on a quiet machine
STOP_TIMEOUT_S: Final = 30.0


class RunningServer:
    """A `millpond serve` on a free port, with its first developer key."""

    def __init__(
        self,
        data: Path | None,
        *,
        settings: Mapping[str, str] | None = None,
        command_prefix: Sequence[str] = (),
    ) -> None:
        """
        Args:
            data: folder of the store; it may hold the data of an earlier run, whose
                first key is then used again. None: it keeps everything in memory.
            settings: by name, handed over as environment variables.
            command_prefix: put before the command, for example to pin it to a core.
        """
        self._folder = data
        self.endpoint = ""
        self.access_key_id = ""
        self.secret_access_key = ""
        self.region = (settings or {}).get("region", "us-east-1")
        self.log: list[str] = []
        self._settings = dict(settings or {})
        self._command_prefix = list(command_prefix)
        self._process: subprocess.Popen[str] | None = None
        self._drain: threading.Thread | None = None

    def __repr__(self) -> str:
        state = self.endpoint if self._process is not None else "STOPPED"
        return f"<{type(self).__name__} {str(self._folder)!r}, {state}>"

    def __enter__(self) -> RunningServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.stop()

    @property
    def data(self) -> Path:
        """The folder of its store."""
        assert self._folder is not None, "it keeps everything in memory"
        return self._folder

    @property
    def pid(self) -> int:
        """The process id of the server."""
        assert self._process is not None
        return self._process.pid

    @property
    def store_url(self) -> str:
        """The URL of its database; empty when its store is embedded."""
        return self._settings.get("store", "")

    @property
    def secret_key(self) -> str:
        """The setting `secret_key`; empty when the secret is in its data folder."""
        return self._settings.get("secret_key", "")

    @property
    def store_words(self) -> list[str]:
        """The options that point an administration command at its store."""
        store = ["--store", self.store_url] if self.store_url else []
        return ["--data", str(self.data), *store]

    def start(self) -> None:
        """
        Start the server and wait until it answers.

        Raises:
            RuntimeError: it ended instead; the message holds what it printed.
        """
        # The settings of whoever runs this are not those of this server.
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "MILLPOND_", "OTEL_"))
        }
        place = ["--ephemeral"]
        if self._folder is not None:
            place = ["--data", str(self._folder)]
        environment["MILLPOND_LOG_FORMAT"] = "json"
        environment |= {f"MILLPOND_{k.upper()}": v for k, v in self._settings.items()}
        self._process = subprocess.Popen(
            [
                *self._command_prefix,
                *(sys.executable, "-m", "millpond", "serve"),
                *(*place, "--port", "0"),
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._read_start(self._process)
        # Somebody must go on reading, or the server would block on a full pipe.
        self._drain = threading.Thread(target=self._read_rest, daemon=True)
        self._drain.start()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop the server and return its exit status; SIGKILL stops it at once."""
        assert self._process is not None
        self._process.send_signal(number)
        try:
            return self._process.wait(seconds(STOP_TIMEOUT_S))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            if self._drain is not None:
                self._drain.join(seconds(STOP_TIMEOUT_S))
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def kill(self) -> None:
        """Kill the server as a crash would, with no chance to finish anything."""
        self.stop(signal.SIGKILL)

    def environment(self) -> dict[str, str]:
        """Give the variables that point the AWS CLI and boto3 at this server."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, **options: Any) -> Any:
        """
        Make a boto3 client of this server; it needs boto3, which is not required.

        Args:
            options: of the client; they win over what points it at this server.
        """
        import boto3
        from botocore.config import Config

        config = Config(retries={"total_max_attempts": 1}, max_pool_connections=64)
        defaults = {
            "endpoint_url": self.endpoint,
            "region_name": self.region,
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "config": config,
        }
        return boto3.client(service, **{**defaults, **options})

    def wait_for_events(self, event: str) -> list[dict[str, Any]]:
        """Give the log's lines of an event, once there is one: they come a bit late."""
        found: list[dict[str, Any]] = wait_until(
            lambda: [
                json.loads(line)
                for line in [*self.log]
                if line.startswith("{") and json.loads(line).get("event") == event
            ]
        )
        return found

    def _read_start(self, process: subprocess.Popen[str]) -> None:
        """Read until the server says that it has started."""
        assert process.stdout is not None
        timer = threading.Timer(seconds(START_TIMEOUT_S), process.kill)
        timer.start()
        try:
            for line in process.stdout:
                self.log.append(line)
                name, _, value = line.strip().removeprefix("export ").partition("=")
                if name == "AWS_ACCESS_KEY_ID":
                    self.access_key_id = value
                elif name == "AWS_SECRET_ACCESS_KEY":
                    self.secret_access_key = value
                elif '"server.started"' in line:
                    self.endpoint = json.loads(line)["endpoint"]
                    return
        finally:
            timer.cancel()
        process.wait()
        printed = "".join(self.log)
        process.stdout.close()
        self._process = None
        raise RuntimeError(f"The server did not start:\n{printed}")

    def _read_rest(self) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        for line in process.stdout:
            self.log.append(line)


def wait_until(
    condition: Any, *, timeout_s: float = 20.0, pause_s: float = 0.02
) -> Any:
    """
    Call `condition` until it returns something true, and return that.

    Args:
        timeout_s: on a quiet machine; a busy one gets more time (`deadlines`).
    """
    deadline = Deadline(timeout_s)
    while not (found := condition()):
        if deadline.passed():
            raise TimeoutError(f"not true in time: {condition}, {deadline}")
        time.sleep(pause_s)
    return found
