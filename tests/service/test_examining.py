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
from millpond.service.examining.server import _look_at_disk
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
