"""amazon-cognito-js devices with data from before a move go on after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients.devices import Device
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer
from processes import Programs

LIST, UPDATE = "listRecords", "updateRecords"


@pytest.fixture
def copy(
    programs: Programs, server: RunningServer, pool: str, tmp_path: Path
) -> tuple[Path, Callable[[], None]]:
    """A target, and the copying of the pool into it."""
    target = tmp_path / "target"
    words = ["--data", str(target)]
    assert programs.millpond("store", "create", *words).wait(seconds(60)) == 0

    def run() -> None:
        copying = programs.millpond(
            *("import", "copy", pool, *words, "--endpoint-url", server.endpoint),
            environment=server.environment(),
        )
        _, told = copying.communicate(timeout=seconds(60))
        assert copying.returncode == 0, told

    return target, run


@pytest.mark.timeout(360)
@pytest.mark.parametrize("devices", ["node"], indirect=True)
def test_devices_go_on_after_a_move(
    devices: tuple[Device, Device],
    pool: str,
    copy: tuple[Path, Callable[[], None]],
    sync: Any,
) -> None:
    """
    No conflict, no error, nothing sent again; one that was offline during the move has
    what was written meanwhile, and sends what it has changed itself.
    """
    one, offline = devices
    target, run = copy
    one.start(pool)
    offline.start(pool, IdentityId=one.identity_id)
    for turn in range(3):
        one.put({"colour": f"blue {turn}", "gone": "x", "size": "7"})
        one.synchronize_well()
    offline.synchronize_well()
    one.put({"a": "1"}, "old")
    one.synchronize_well("old")
    names = {"IdentityPoolId": pool, "IdentityId": one.identity_id}
    sync.delete_dataset(**names, DatasetName="old")
    one.remove("gone")
    one.synchronize_well()
    run()
    one.put({"colour": "written after the first copy"})
    one.synchronize_well()
    offline.put({"mine": "written offline"})
    run()

    with RunningServer(target) as moved:
        one.move(moved)
        done = one.synchronize_well()
        assert (done.sent, done.conflicts, done.deleted) == ([LIST], [], [])
        one.put({"size": "8"})
        assert one.synchronize_well().conflicts == []

        # Of what was deleted before nothing came; it is told of all the same.
        assert one.synchronize("old").deleted == ["old"]
        one.purge("old")
        one.put({"a": "2"}, "old")
        one.synchronize_well("old")

        offline.move(moved)
        done = offline.synchronize_well()
        assert (done.conflicts, done.deleted, done.merged) == ([], [], [])
        assert done.sent.count(UPDATE) == 1
        one.synchronize_well()
        assert one.values() == offline.values()
        assert offline.values() == {
            "colour": "written after the first copy",
            "gone": "",
            "mine": "written offline",
            "size": "8",
        }
