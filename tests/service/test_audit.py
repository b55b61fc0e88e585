"""The audit: what is merged, what is not, and what it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from millpond.errors import StoreUnavailableError
from millpond.service.audit import NAMED_MAX, TALLIES_MAX, WINDOW_MS, AuditBook
from millpond.service.callers import Caller, KeyScope
from millpond.stores.base import AuditEntry

CALLER = Caller("AKIA1", "0", scope=KeyScope("backend"))


class Entries:
    """A store of entries, in memory."""

    def __init__(self) -> None:
        self.by_id: dict[str, AuditEntry] = {}
        self.writes = 0
        self.failure: Exception | None = None

    async def put_audit_entries(self, entries: list[AuditEntry]) -> None:
        if self.failure is not None:
            raise self.failure
        self.writes += 1
        self.by_id |= {each.entry_id: each for each in entries}


class Desk:
    """A book, its store and its clock."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.entries = Entries()
        self.book = AuditBook(
            cast(Any, self.entries),
            now_ms=lambda: self.now_ms,
            random_bytes=lambda count: b"r" * count,
        )

    async def write(self, dataset: str = "prefs", **given: Any) -> None:
        """Note a write of a record."""
        await self.book.note(
            CALLER,
            **{
                "operation": "UpdateRecords",
                "identity_pool_id": "p",
                "identity_id": "i",
                "dataset_name": dataset,
                "frequent": True,
                **given,
            },
        )


def play(scene: Callable[[Desk], Awaitable[None]]) -> Desk:
    """Play a scene at a new desk."""
    desk = Desk()

    async def run() -> None:
        await scene(desk)

    asyncio.run(run())
    return desk


def test_a_first_write_is_there_at_once_and_more_are_counted() -> None:
    """Those of the same dataset within the window; then there is another entry."""

    async def scene(desk: Desk) -> None:
        for _ in range(50):
            await desk.write()
            desk.now_ms += 1
        assert (desk.entries.writes, len(desk.entries.by_id)) == (1, 1)
        await desk.book.flush()
        (entry,) = desk.entries.by_id.values()
        assert (entry.changes, entry.last_ms - entry.time_ms) == (50, 49)

        desk.now_ms += WINDOW_MS
        await desk.write()

    assert len(play(scene).entries.by_id) == 2


def test_a_script_over_all_users_costs_a_few_rows() -> None:
    """Beyond some datasets all others are counted together."""

    async def scene(desk: Desk) -> None:
        for number in range(10_000):
            await desk.write(f"d{number}")
        await desk.book.flush()

    entries = [*play(scene).entries.by_id.values()]

    assert len(entries) == NAMED_MAX + 1
    assert sum(each.changes for each in entries) == 10_000
    assert entries[-1].dataset_name == ""
    assert entries[-1].identity_pool_id == "p"


def test_each_change_of_administration_has_an_entry() -> None:
    """They are in the order in which they were made, though the clock goes back."""

    async def scene(desk: Desk) -> None:
        for number in range(5):
            desk.now_ms -= number
            await desk.book.note(CALLER, operation=f"Op{number}")

    by_id = play(scene).entries.by_id

    assert [by_id[each].operation for each in sorted(by_id)] == [
        f"Op{number}" for number in range(5)
    ]


def test_a_change_whose_entry_is_not_kept_is_not_answered() -> None:
    """A failure keeps its own error; its entry is written later."""

    async def scene(desk: Desk) -> None:
        desk.entries.failure = StoreUnavailableError("down", op="put")
        with pytest.raises(StoreUnavailableError):
            await desk.book.note(CALLER, operation="DeleteIdentityPool")
        with pytest.raises(StoreUnavailableError):
            await desk.write()
        await desk.write("other", result="InternalErrorException")
        desk.entries.failure = None
        await desk.book.flush()

    entries = play(scene).entries.by_id.values()

    assert sorted(each.dataset_name for each in entries) == ["other", "prefs"]


def test_nobody_fills_the_memory() -> None:
    """Neither by many operations and keys, nor by long names, nor with a dead store."""

    async def scene(desk: Desk) -> None:
        desk.entries.failure = StoreUnavailableError("down", op="put")
        for number in range(3 * TALLIES_MAX):
            caller = Caller(f"AKIA{number}", "0")
            await desk.book.note(
                caller, operation="Op", target="x" * 100_000, result="Refused"
            )
        desk.entries.failure = None
        await desk.book.flush()

    entries = play(scene).entries.by_id.values()

    assert 0 < len(entries) <= TALLIES_MAX
    assert all(len(each.target) <= 4096 for each in entries)
