"""A pool that moves from one Millpond, which knows nothing of it, to another one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from acceptance.sync_client import Dataset
from acceptance.users import PROVIDER
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer


class Move:
    """The two sides of a move; the pool is on both, with nothing in it."""

    def __init__(
        self, start_server: Callable[..., RunningServer], source: RunningServer
    ) -> None:
        self.source = source
        self.there = source.client("cognito-identity")
        self.sync_there = source.client("cognito-sync")
        self.pool: str = self.there.create_identity_pool(
            IdentityPoolName="moving",
            AllowUnauthenticatedIdentities=True,
            DeveloperProviderName=PROVIDER,
        )["IdentityPoolId"]
        self.start_server = start_server

    def start_target(
        self,
        timeout_s: int = 10,
        *,
        pools: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        **entry: Any,
    ) -> RunningServer:
        """Start a server that reads through, with the pool copied as it is now."""
        pools = pools or [self.pool]
        source = {
            "read_through": True,
            "timeout_s": timeout_s,
            "endpoint_url": self.source.endpoint,
            **entry,
        }
        keys = self.source.environment()
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        target = self.start_server(
            "target",
            settings={
                "imports": json.dumps(dict.fromkeys(pools, source)),
                **(settings or {}),
            },
            command_prefix=["env", *(f"{name}={keys[name]}" for name in names)],
        )
        for pool in pools:
            done = self.run(target, "copy", pool)
            assert done.returncode == 0, done.stderr
        return target

    def words(self, target: RunningServer, command: str, *words: str) -> list[str]:
        """Spell an `import` command between the two."""
        return [
            *(sys.executable, "-m", "millpond", "import", command, *words),
            *target.store_words,
        ]

    def environment(self, **more: str) -> dict[str, str]:
        """Give the variables of a command, with the keys of the source."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MILLPOND_")}
        return {**kept, **self.source.environment(), **more}

    def run(
        self, target: RunningServer, command: str, *words: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run an `import` command to its end."""
        return subprocess.run(
            self.words(target, command, *words),
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=seconds(60.0),
            check=False,
        )

    def guest(self, count: int = 3, name: str = "prefs") -> Dataset:
        """Make a guest at the source, whose dataset comes to a sync count."""
        identity = self.there.get_id(IdentityPoolId=self.pool)["IdentityId"]
        dataset = Dataset(self.sync_there, self.pool, identity, name)
        for number in range(count):
            dataset.put(**{f"k{number}": f"v{number}"})
        return dataset

    def calls_there(self, operation: str) -> int:
        """Count the calls of an operation that the source has answered."""
        with urllib.request.urlopen(f"{self.source.endpoint}/metrics") as answer:
            text = answer.read().decode()
        pattern = rf'_requests_total{{.*operation="{operation}".*}} ([0-9.e+]+)'
        return sum(int(float(each)) for each in re.findall(pattern, text))

    def hold_source(self) -> None:
        """Let the source answer nobody, until it is let go."""
        os.kill(self.source.pid, signal.SIGSTOP)

    def let_source_go(self) -> None:
        os.kill(self.source.pid, signal.SIGCONT)


def at(target: RunningServer, dataset: Dataset) -> Dataset:
    """The same dataset on the other side."""
    client = target.client("cognito-sync")
    return Dataset(client, dataset.pool, dataset.identity, dataset.name)


def shown(dataset: Dataset) -> dict[str, Any]:
    """What a device is shown of a dataset, but for the session."""
    listed = dataset.list()
    return {
        name: listed[name]
        for name in ("Records", "DatasetSyncCount", "DatasetExists")
        if name in listed
    }
