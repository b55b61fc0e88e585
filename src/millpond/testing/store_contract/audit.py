"""The store contract, the audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from millpond.stores.base import AuditEntry, AuditFilter, DeveloperKey, Store
from millpond.testing.store_contract.bench import AWKWARD_TEXTS, NOW_MS, StoreBench
from millpond.testing.store_contract.keys import a_key


def an_entry(number: int, **members: Any) -> AuditEntry:
    """Describe an entry, `number` milliseconds after the beginning."""
    time_ms = NOW_MS + number
    given = {
        "entry_id": f"{time_ms:012x}{number:020x}",
        "time_ms": time_ms,
        "last_ms": time_ms,
        "origin": "API",
        "access_key_id": "AKIA1",
        "operation": "UpdateRecords",
        "result": "OK",
        **members,
    }
    return AuditEntry(**given)


async def listed(store: Store, limit: int = 100, **wanted: Any) -> list[AuditEntry]:
    """List entries, the newest first."""
    return await store.list_audit_entries(
        AuditFilter(**wanted), before=None, limit=limit
    )


class AuditContract(StoreBench):
    """Who changed what."""

    def test_entries_come_back_newest_first_and_page_by_page(
        self, tmp_path: Path
    ) -> None:
        """Whatever is in their texts; pages neither lose nor repeat one."""
        entries = [
            an_entry(
                number,
                caller_name=text,
                target=text,
                user_agent=text,
                changes=number + 1,
                frequent=bool(number % 2),
            )
            for number, text in enumerate(AWKWARD_TEXTS)
        ]

        async def scene(store: Store) -> None:
            await store.put_audit_entries(entries)
            found: list[AuditEntry] = []
            while page := await store.list_audit_entries(
                AuditFilter(),
                before=found[-1].entry_id if found else None,
                limit=2,
            ):
                found += page

            assert entries[::-1] == found

        self.play(tmp_path, scene)

    def test_each_filter_gives_what_fits_it(self, tmp_path: Path) -> None:
        """Alone and together; the time is from the first to before the last."""
        one = an_entry(1, identity_pool_id="p1", identity_id="i1")
        two = an_entry(2, identity_pool_id="p1", access_key_id="AKIA2")
        three = an_entry(3, identity_pool_id="p2", operation="TagResource")

        async def scene(store: Store) -> None:
            await store.put_audit_entries([one, two, three])

            assert [two, one] == await listed(store, identity_pool_id="p1")
            assert [one] == await listed(store, identity_id="i1")
            assert [two] == await listed(store, access_key_id="AKIA2")
            assert [three] == await listed(store, operation="TagResource")
            assert [one] == await listed(
                store, identity_pool_id="p1", access_key_id="AKIA1"
            )
            assert await listed(store, identity_pool_id="p2", identity_id="i1") == []
            since, until = NOW_MS + 2, NOW_MS + 3
            assert [two] == await listed(store, since_ms=since, until_ms=until)
            assert await listed(store, until_ms=NOW_MS) == []
            assert [three, two] == await listed(store, limit=2)

        self.play(tmp_path, scene)

    def test_an_entry_comes_to_stand_for_more(self, tmp_path: Path) -> None:
        """A count never goes back, whichever write comes last."""
        later = an_entry(1, changes=5, last_ms=NOW_MS + 9)

        async def scene(store: Store) -> None:
            await store.put_audit_entries([an_entry(1)])
            await store.put_audit_entries([later])
            await store.put_audit_entries([an_entry(1, changes=2)])

            assert [later] == await listed(store)

        self.play(tmp_path, scene)

    def test_an_entry_goes_with_the_first_change_or_not_at_all(
        self, tmp_path: Path
    ) -> None:
        """A change that fails leaves none, and neither does what is not a change."""

        def fail(key: DeveloperKey) -> DeveloperKey:
            raise KeyError(key.access_key_id)

        async def scene(store: Store) -> None:
            with store.taking_along(an_entry(1)) as along:
                await store.list_developer_keys()
                assert not along.is_kept
                await store.put_developer_key(a_key())
                await store.put_developer_key(a_key("AKIA2"))
            kept: list[AuditEntry] = [an_entry(1)] if along.is_kept else []
            assert kept == await listed(store)

            with store.taking_along(an_entry(2)) as along:
                with pytest.raises(KeyError):
                    await store.update_developer_key("AKIA1", fail)
                assert not along.is_kept
            await store.put_developer_key(a_key("AKIA3"))
            assert not along.is_kept
            assert kept == await listed(store)

        self.play(tmp_path, scene)

    def test_the_oldest_go_and_of_each_sort_by_itself(self, tmp_path: Path) -> None:
        """What is frequent pushes out nothing else; each call drops a few."""
        rare = [an_entry(number) for number in range(3)]
        frequent = [an_entry(10 + number, frequent=True) for number in range(5)]

        async def scene(store: Store) -> None:
            await store.put_audit_entries([*rare, *frequent])

            assert await store.trim_audit(frequent=True, keep=2, limit=2) == 2
            assert await store.trim_audit(frequent=True, keep=2, limit=2) == 1
            assert await store.trim_audit(frequent=True, keep=2, limit=2) == 0
            assert await store.trim_audit(frequent=False, keep=3, limit=9) == 0
            assert await listed(store) == [*frequent[:2:-1], *rare[::-1]]

        self.play(tmp_path, scene)

    def test_entries_stay_when_their_pool_goes(self, tmp_path: Path) -> None:
        """A purge leaves them alone."""
        entry = msgspec.structs.replace(an_entry(1), identity_pool_id="gone")

        async def scene(store: Store) -> None:
            await store.put_audit_entries([entry])
            await store.delete_identity_pool("gone")
            await store.purge(now_ms=NOW_MS * 2, stream_retention_ms=1, limit=99)

            assert [entry] == await listed(store, identity_pool_id="gone")

        self.play(tmp_path, scene)
