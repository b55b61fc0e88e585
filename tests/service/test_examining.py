"""What a look at the server says that no machine of a test brings about."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from millpond.cli.main import main
from millpond.contract.examination import Finding
from millpond.core.sync import SyncLimits
from millpond.service.examining import trigger
from millpond.service.examining.server import _look_at_disk
from millpond.service.trigger_notes import TriggerNotes
from millpond.settings import Settings
from millpond.testing.server import RunningServer

SECRET = "0123456789abcdef" * 4


@pytest.mark.parametrize("secret_key", ["", SECRET])
def test_a_full_disk_is_left_by_the_command_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret_key: str
) -> None:
    """It is taken as it stands, wherever the secret of the server is."""
    data, target = tmp_path / "it's here", tmp_path / "larger"
    settings: dict[str, str] = {"secret_key": secret_key} if secret_key else {}
    with RunningServer(data, settings=settings):
        pass
    context: Any = SimpleNamespace(settings=Settings(data=data, secret_key=secret_key))
    with monkeypatch.context() as patch:
        usage = SimpleNamespace(total=1 << 40, free=1 << 20)
        patch.setattr(shutil, "disk_usage", lambda folder: usage)
        found = asyncio.run(_look_at_disk(context))

    assert found.status == "FAIL"
    told = re.search("`(millpond store backup [^`]+)`", found.mend or "")
    assert told
    _, *words = shlex.split(told[1].replace("FOLDER", str(target)))
    assert main(words) == 0
    assert (target / "secret.key").exists() is not bool(secret_key)


def test_a_trigger_is_not_slow_for_what_is_loaded_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first look loads what calls triggers, which no update waits for again."""
    clock = [0.0]

    class Hooks:
        async def check(self, target: str) -> None:
            clock[0] += 30

        async def call(self, target: str, event: bytes) -> bytes:
            clock[0] += 1.5
            return event

    monkeypatch.setattr(trigger, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    context: Any = SimpleNamespace(
        hooks=Hooks(), limits=SyncLimits(), trigger_notes=TriggerNotes()
    )

    async def look() -> Finding:
        return await trigger.look(context, "a:0", "http://h/").finding

    found = asyncio.run(look())

    assert (found.status, found.text) == ("OK", "It answers a test event in 1500 ms.")
