"""
Devices of all makes over one dataset, whatever happens: see `runs`.

A few runs are part of the tests. For many, say how many, and from which seed on:

    MILLPOND_TEST_MIXED_RUNS=500 MILLPOND_TEST_MIXED_SEED=1000 pytest tests/mixed
"""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.users import Backend
from clients.node import NodeProcess, install_packages, require_node
from millpond.testing.server import RunningServer
from mixed.devices import Developer, OldDevice, OurDevice, Programs, World
from mixed.runs import TOMBSTONES_MAX, Run, describe

RUNS = int(os.environ.get("MILLPOND_TEST_MIXED_RUNS", "6"))
SEED = int(os.environ.get("MILLPOND_TEST_MIXED_SEED", "0"))
OLD_DEVICES_MAX = 2
MERGES = ("union", "union", "sealed union", "newest", "mine", "theirs")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that keeps few tombstones."""
    with RunningServer(
        tmp_path_factory.mktemp("server") / "data",
        settings={"tombstones_per_dataset_max": str(TOMBSTONES_MAX)},
    ) as running:
        yield running


@pytest.fixture(scope="module")
def make_run(
    server: RunningServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """What makes the run of a seed; its devices leave their world at its end."""
    require_node()
    install_packages()
    with contextlib.ExitStack() as stack:
        programs = Programs()
        stack.callback(programs.close)
        old = [NodeProcess("device_in_node.js") for _ in range(OLD_DEVICES_MAX)]
        for each in old:
            stack.callback(each.close)
        identities = stack.enter_context(
            contextlib.closing(server.client("cognito-identity"))
        )
        sync = stack.enter_context(contextlib.closing(server.client("cognito-sync")))
        backend = Backend(identities)

        @contextlib.contextmanager
        def make(seed: int) -> Iterator[Run]:
            chosen = random.Random(seed)
            merge = chosen.choice(MERGES)
            sealed = merge.startswith("sealed")
            world = World(
                server.endpoint,
                server.region,
                backend.pool,
                backend.sign_in(TokenDuration=3600),
                merge.removeprefix("sealed "),
                sealed,
                tmp_path_factory.mktemp(f"run{seed}-"),
            )
            kinds = ["python", "javascript"][: chosen.choice([1, 2, 2, 2])]
            kinds += [chosen.choice(["python", "javascript", "old", "old"])]
            kinds += [
                chosen.choice(["python", "javascript", "old"])
                for _ in range(chosen.randrange(3))
            ]
            free = [] if sealed else [*old]
            devices: list[OurDevice | OldDevice] = []
            for kind in kinds:
                if kind == "old" and free:
                    devices.append(OldDevice(free.pop()))
                else:
                    language = "javascript" if kind == "old" else kind
                    devices.append(OurDevice(language, programs))
            rough = chosen.random() < 0.5
            with contextlib.ExitStack() as ends:
                for number, device in enumerate(devices):
                    # In a rough run some are a guest's, who signs in later.
                    if isinstance(device, OurDevice):
                        guest = rough and chosen.random() < 0.4
                        device.begin(world, str(number), guest=guest)
                    else:
                        device.begin(world, str(number))
                    ends.callback(device.end)
                developer = Developer(sync, identities, world)
                yield Run(
                    seed,
                    devices,
                    developer,
                    by_words=world.merge == "union",
                    rough=rough,
                )

        yield make


@pytest.mark.timeout(0 if RUNS > 100 else 120)
@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
def test_they_agree_and_lose_nothing(make_run, seed):
    """All agree in the end, on everything that was acknowledged."""
    with make_run(seed) as run:
        try:
            run.go(steps=random.Random(seed).randrange(6, 24))
        except BaseException as error:
            error.add_note("\n".join([str(describe(run)), *run.log]))
            raise
        if path := os.environ.get("MILLPOND_TEST_MIXED_LOG"):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps(describe(run)) + "\n")
