"""A store is opened as a whole, or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from millpond.errors import StoreError
from millpond.server.stores import open_store
from millpond.settings import Settings
from millpond.stores.sqlite import FILE_NAME, STREAMS_FILE_NAME


def open_once(folder: Path) -> None:
    async def run() -> None:
        async with open_store(Settings(data=folder)):
            pass

    asyncio.run(run())


@pytest.mark.parametrize("name", [FILE_NAME, STREAMS_FILE_NAME])
def test_a_file_that_was_emptied_is_no_new_store(tmp_path: Path, name: str) -> None:
    """The data is gone, and an empty store in its place would hide that."""
    open_once(tmp_path)
    (tmp_path / "secret.key").write_text("0" * 64)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(StoreError, match=f"{name}' has 0 bytes"):
        open_once(tmp_path)

    assert (tmp_path / name).stat().st_size == 0


def test_a_first_start_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    """It leaves empty files, and nothing that is made after the store."""
    for name in (FILE_NAME, STREAMS_FILE_NAME):
        (tmp_path / name).write_bytes(b"")

    open_once(tmp_path)
