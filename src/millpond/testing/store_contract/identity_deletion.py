"""The store contract, deletion of identities: what goes with them, and what stays."""

from __future__ import annotations

from pathlib import Path

import msgspec

from millpond.core.streaming import StreamEvent
from millpond.core.sync import DatasetId
from millpond.stores.base import RecordPage, Store
from millpond.testing.store_contract.bench import (
    ALICE,
    BOB,
    NOW_MS,
    POOL,
    PREFS,
    StoreBench,
    a_pool,
    delete,
    never,
    put,
    read_all,
    values_of,
)
from millpond.testing.store_contract.identities import (
    CAROL,
    FACEBOOK,
    GOOGLE,
    an_identity,
    keep,
    load,
)


async def events_of(store: Store, identity_pool_id: str = POOL) -> list[StreamEvent]:
    """Read what the outbox tells of a pool, in its order."""
    entries = await store.list_outbox(identity_pool_id, limit=1000, bytes_max=2**20)
    events = [msgspec.json.decode(each.data, type=StreamEvent) for each in entries]
    assert [e.identity_id for e in entries] == [e.identity_id for e in events]
    return events


class IdentityDeletionContract(StoreBench):
    """Deletion of identities."""

    def test_a_deleted_identity_is_gone(self, tmp_path: Path) -> None:
        """It is found no more, its logins are free; a second time it is not there."""

        async def scene(store: Store) -> None:
            await keep(store, an_identity(ALICE, GOOGLE), an_identity(BOB, FACEBOOK))

            assert await store.delete_identity(ALICE, now_ms=NOW_MS)
            assert not await store.delete_identity(ALICE, now_ms=NOW_MS)
            assert await store.find_identity(ALICE) is None
            found = await load(store, [ALICE], [GOOGLE, FACEBOOK])
            assert set(found.identities) == {BOB}
            await keep(store, an_identity(CAROL, GOOGLE))

        self.play(tmp_path, scene)

    def test_with_an_identity_goes_its_data(self, tmp_path: Path) -> None:
        """Its datasets, dead ones too, and what they counted; nobody else's."""
        theirs = DatasetId(POOL, BOB, "prefs")

        async def scene(store: Store) -> None:
            await keep(store, an_identity(ALICE, GOOGLE))
            await put(store, theirs, {"k": "theirs"})
            usage = await store.find_identity_pool_usage(POOL)
            await put(store, PREFS, {"k": "v", "t": None})
            dead = DatasetId(POOL, ALICE, "dead")
            await put(store, dead, {"k": "v"})
            await delete(store, dead)
            await store.delete_identity(ALICE, now_ms=NOW_MS)

            assert await store.find_identity_usage(POOL, ALICE) is None
            for each in (PREFS, dead):
                assert RecordPage(None, []) == await read_all(store, each)
            assert await values_of(store, theirs) == {"k": "theirs"}
            assert usage == await store.find_identity_pool_usage(POOL)
            for each in (PREFS, dead):
                await put(store, each, {"new": "1"})
                assert await values_of(store, each) == {"new": "1"}

        self.play(tmp_path, scene)

    def test_data_without_an_identity_goes_too(self, tmp_path: Path) -> None:
        """What was written under an id that has no identity is deleted by the id."""

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"k": "v"})

            assert await store.delete_identity(ALICE, now_ms=NOW_MS)
            assert RecordPage(None, []) == await read_all(store, PREFS)
            assert [e.operation for e in await events_of(store)] == ["remove"]
            assert not await store.delete_identity(ALICE, now_ms=NOW_MS)

        self.play(tmp_path, scene)

    def test_a_deletion_is_told_to_the_stream(self, tmp_path: Path) -> None:
        """Each live dataset is deleted there too, at the count that comes next."""

        async def scene(store: Store) -> None:
            await keep(store, an_identity(ALICE))
            for name, updates in (("b", 3), ("a", 1), ("dead", 1)):
                for _ in range(updates):
                    await put(store, DatasetId(POOL, ALICE, name), {"k": "v"})
            await delete(store, DatasetId(POOL, ALICE, "dead"))
            await store.delete_identity(ALICE, now_ms=NOW_MS + 5)
            told = await events_of(store)

            assert {
                (e.identity_id, e.data_set_name, e.operation, e.sync_count)
                for e in told
            } == {(ALICE, "a", "remove", 2), (ALICE, "b", "remove", 4)}
            assert len(told) == 2
            for each in told:
                assert each.last_modified_date == NOW_MS + 5
                assert each.kinesis_sync_records is None

        self.play(tmp_path, scene)

    def test_a_pool_that_does_not_stream_is_told_nothing(self, tmp_path: Path) -> None:
        """A deletion there leaves the outbox as it is."""

        async def scene(store: Store) -> None:
            await store.update_identity_pool(POOL, lambda p: a_pool(streaming=False))
            await keep(store, an_identity(ALICE))
            await put(store, PREFS, {"k": "v"})
            await store.delete_identity(ALICE, now_ms=NOW_MS)

            assert (await store.measure_outbox(None)).entries == 0

        self.play(tmp_path, scene)

    def test_with_a_pool_go_its_identities(self, tmp_path: Path) -> None:
        """Once it is deleted, nobody of it is found, changed or deleted."""

        async def scene(store: Store) -> None:
            await keep(store, an_identity(ALICE, GOOGLE))
            await store.delete_identity_pool(POOL)
            find = store.find_identities(POOL, identity_ids=[ALICE], logins=[GOOGLE])
            update = store.update_identities(
                POOL, identity_ids=[ALICE], logins=[GOOGLE], decide=never
            )

            assert await store.find_identity(ALICE) is None
            assert await find is None
            assert await update is None
            assert not await store.delete_identity(ALICE, now_ms=NOW_MS)
            listed = store.list_identities(POOL, after=None, limit=9, enabled=False)
            assert await listed is None

        self.play(tmp_path, scene)
