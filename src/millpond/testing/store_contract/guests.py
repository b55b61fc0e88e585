"""The store contract, guests that nobody uses: they go, and nobody else does."""

from __future__ import annotations

from pathlib import Path

from millpond.core.identities import Identity
from millpond.core.sync import DatasetId
from millpond.stores.base import Store
from millpond.testing.store_contract.bench import (
    ALICE,
    BOB,
    NOW_MS,
    POOL,
    StoreBench,
    delete,
    put,
)
from millpond.testing.store_contract.identities import (
    CAROL,
    GOOGLE,
    an_identity,
    keep,
)

LATER_MS = NOW_MS + 1_000_000
DAVE = "us-east-1:d0000000-0000-4000-8000-000000000000"
ERIN = "us-east-1:e0000000-0000-4000-8000-000000000000"
FRED = "us-east-1:f0000000-0000-4000-8000-000000000000"


def a_guest(identity_id: str) -> Identity:
    """Describe somebody who never had a login."""
    return an_identity(identity_id, guest=True)


async def expire(store: Store, *, since_ms: int, rows_max: int = 1000) -> list[str]:
    """Expire guests, stretch by stretch; give the ids of those that went."""
    gone: list[str] = []
    place: str | None = ""
    while place is not None:
        expired = await store.expire_guests(
            place, unused_since_ms=since_ms, rows_max=rows_max
        )
        gone += expired.identity_ids
        place = expired.place
    return gone


class GuestContract(StoreBench):
    """Guests that nobody uses."""

    def test_only_unused_guests_without_data_expire(self, tmp_path: Path) -> None:
        """Who has or had data, a login or another identity, or was used, stays."""

        async def scene(store: Store) -> None:
            merged = an_identity(CAROL, guest=True, merged_into=ALICE)
            guests = [a_guest(each) for each in (BOB, DAVE, ERIN, FRED)]
            await keep(store, an_identity(ALICE, GOOGLE), merged, *guests)
            await put(store, DatasetId(POOL, BOB, "prefs"), {"a": "1"})
            dropped = DatasetId(POOL, DAVE, "prefs")
            await put(store, dropped, {"a": "1"})
            await delete(store, dropped)
            await store.note_guest_use(ERIN, now_ms=LATER_MS, before_ms=LATER_MS)

            assert await expire(store, since_ms=NOW_MS) == []
            assert await expire(store, since_ms=LATER_MS, rows_max=1) == [FRED]
            assert await expire(store, since_ms=LATER_MS) == []
            assert await store.find_identity(FRED) is None
            for each in (ALICE, BOB, CAROL, DAVE, ERIN):
                assert await store.find_identity(each) is not None
            assert await expire(store, since_ms=LATER_MS + 1) == [ERIN]

        self.play(tmp_path, scene)

    def test_a_use_is_kept_once_in_a_while(self, tmp_path: Path) -> None:
        """A mark that is young enough stays; users and strangers have none."""

        async def scene(store: Store) -> None:
            await keep(store, a_guest(BOB), an_identity(ALICE, GOOGLE))
            for now_ms, before_ms in ((NOW_MS + 10, NOW_MS), (NOW_MS + 20, NOW_MS)):
                await store.note_guest_use(BOB, now_ms=now_ms, before_ms=before_ms)
            await store.note_guest_use(ALICE, now_ms=NOW_MS, before_ms=NOW_MS)
            await store.note_guest_use(FRED, now_ms=NOW_MS, before_ms=NOW_MS)

            assert await expire(store, since_ms=NOW_MS + 10) == []
            assert await expire(store, since_ms=NOW_MS + 11) == [BOB]

        self.play(tmp_path, scene)

    def test_since_when_uses_are_kept(self, tmp_path: Path) -> None:
        """The first time counts, until it is stopped."""

        async def scene(store: Store) -> None:
            assert await store.begin_guest_expiry(now_ms=NOW_MS) == NOW_MS
            assert await store.begin_guest_expiry(now_ms=LATER_MS) == NOW_MS
            await store.stop_guest_expiry()
            assert await store.begin_guest_expiry(now_ms=LATER_MS) == LATER_MS

        self.play(tmp_path, scene)
