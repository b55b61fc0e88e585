"""A store is opened as a whole, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
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


@pytest.mark.parametrize("how", ["emptied", "gone"])
def test_a_main_file_that_left_the_other_behind(tmp_path: Path, how: str) -> None:
    """The secret may be a setting; what streams hold tells of the store as well."""
    open_once(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    if how == "emptied":
        (tmp_path / FILE_NAME).write_bytes(b"")
    with pytest.raises(StoreError, match=STREAMS_FILE_NAME):
        open_once(tmp_path)


@pytest.mark.parametrize("name", [FILE_NAME, STREAMS_FILE_NAME])
@pytest.mark.parametrize("version", [0, 2])
def test_databases_of_other_programs(tmp_path: Path, name: str, version: int) -> None:
    """They are refused, whatever number their schema has, and stay as they are."""
    open_once(tmp_path)
    (tmp_path / name).unlink()
    with contextlib.closing(sqlite3.connect(tmp_path / name)) as other:
        other.execute("CREATE TABLE records (a)")
        other.execute(f"PRAGMA user_version = {version}")
    before = (tmp_path / name).read_bytes()

    with pytest.raises(StoreError, match="of another program"):
        open_once(tmp_path)

    assert (tmp_path / name).read_bytes() == before


def test_files_that_changed_places(tmp_path: Path) -> None:
    """Neither is migrated as if it were the other one."""
    open_once(tmp_path)
    one, other = tmp_path / FILE_NAME, tmp_path / STREAMS_FILE_NAME
    one.rename(tmp_path / "kept")
    other.rename(one)
    (tmp_path / "kept").rename(other)

    with pytest.raises(StoreError, match="another one than its name says"):
        open_once(tmp_path)


def test_a_first_start_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    """It leaves empty files, and nothing that is made after the store."""
    for name in (FILE_NAME, STREAMS_FILE_NAME):
        (tmp_path / name).write_bytes(b"")

    open_once(tmp_path)
