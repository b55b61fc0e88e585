"""The store contract, purge: exactly what is dead goes, a little at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from millpond.core.bulk_publish import BulkPublishRun, Slice
from millpond.core.sync import DatasetId
from millpond.core.tokens import SyncSessions
from millpond.stores.base import IdentityPoolUsage, RecordPage, Store, Stream
from millpond.testing.store_contract.bench import (
    ALICE,
    BOB,
    NOW_MS,
    OTHER_POOL,
    POOL,
    PREFS,
    StoreBench,
    a_pool,
    delete,
    put,
    read_all,
)
from millpond.testing.store_contract.bulk_publish import lease, starting
from millpond.testing.store_contract.identities import (
    CAROL,
    FACEBOOK,
    GOOGLE,
    an_identity,
    keep,
    load,
)
from millpond.testing.store_contract.stream_consumers import register_all
from millpond.testing.store_contract.streams import a_stream, append, data_of

RETENTION_MS = 1000
ROUNDS_MAX = 1000


async def purge(store: Store, *, now_ms: int = NOW_MS, limit: int = 1000) -> int:
    """Purge until nothing is left to drop; return how many rounds dropped something."""
    for rounds in range(ROUNDS_MAX):
        dropped = await store.purge(
            now_ms=now_ms, stream_retention_ms=RETENTION_MS, limit=limit
        )
        if dropped == 0:
            return rounds
    raise AssertionError("purge does not come to an end")


def a_session(*, expires_ms: int, mark: int = 0) -> bytes:
    """Make the id of a session."""
    sessions = SyncSessions(
        b"k" * 32, lifetime_ms=0, random_bytes=lambda n: bytes([mark]) * n
    )
    return sessions.issue(PREFS, now_ms=expires_ms).session_id


class PurgeContract(StoreBench):
    """Dropping what nobody can reach any more."""

    def test_a_store_without_waste_loses_nothing(self, tmp_path: Path) -> None:
        """What is alive is never dropped, however often and small the rounds."""
        tombstone = DatasetId(POOL, ALICE, "tombstone")
        gone = DatasetId(POOL, ALICE, "gone")

        async def scene(store: Store) -> None:
            session = a_session(expires_ms=NOW_MS + 1)
            people = [an_identity(ALICE, GOOGLE), an_identity(BOB, merged_into=ALICE)]
            await keep(store, *people)
            await put(store, PREFS, {"k": "v"}, event=b"waiting", session=session)
            await put(store, tombstone, {"k": None})
            await put(store, gone, {"k": "v"})
            await delete(store, gone)
            stream = await a_stream(store)
            await append(store, stream, b"young", at=NOW_MS - RETENTION_MS)
            await store.put_stream_payload("p", b"x", expires_ms=NOW_MS + 1)
            run = await store.start_bulk_publish(
                POOL, starting(), [Slice(0, None, None)]
            )
            before = [await read_all(store, each) for each in (PREFS, tombstone, gone)]
            usage = await store.find_identity_pool_usage(POOL)

            assert await purge(store, limit=1) == 0
            assert await purge(store) == 0
            after = [await read_all(store, each) for each in (PREFS, tombstone, gone)]
            assert before == after
            assert usage == await store.find_identity_pool_usage(POOL)
            found = await load(store, [ALICE, BOB], [GOOGLE])
            assert found.identities == {each.identity_id: each for each in people}
            assert await store.find_spent_session(PREFS, session) is not None
            assert await data_of(store, stream) == [b"young"]
            assert await store.find_stream_payload("p", now_ms=NOW_MS) == b"x"
            assert (await store.measure_outbox(None)).entries == 1
            assert run == await store.find_bulk_publish(POOL)
            assert (await lease(store)).identity_pool_id == POOL

        self.play(tmp_path, scene)

    def test_marks_of_expired_sessions_go(self, tmp_path: Path) -> None:
        """The mark of a session goes when its token is good for nothing any more."""
        dead = [a_session(expires_ms=NOW_MS - n, mark=n) for n in range(1, 9)]
        alive = [a_session(expires_ms=NOW_MS + n, mark=255) for n in (1, 2**33)]

        async def scene(store: Store) -> None:
            for session in [*dead, *alive]:
                await put(store, PREFS, {"k": "v"}, session=session)

            assert await purge(store, limit=3) > 1
            for session in dead:
                assert await store.find_spent_session(PREFS, session) is None
            for session in alive:
                assert await store.find_spent_session(PREFS, session) is not None

        self.play(tmp_path, scene)

    def test_stream_records_go_after_their_retention(self, tmp_path: Path) -> None:
        """Those that arrived before it go; numbers are not used again."""

        async def scene(store: Store) -> None:
            one, two = await a_stream(store, "one"), await a_stream(store, "two")
            edge = NOW_MS - RETENTION_MS
            for _ in range(10):
                await append(store, one, b"old", at=edge - 10)
                await append(store, two, b"old", shard=1, at=edge - 1)
            (kept,) = await append(store, one, b"kept", at=edge)

            assert await purge(store, limit=4) > 1
            assert await data_of(store, one) == [b"kept"]
            assert await data_of(store, two, 1) == []
            find = store.find_sequence_number
            early = await find(one.stream_id, 0, arrived_before_ms=edge)
            late = await find(one.stream_id, 0, arrived_before_ms=edge + 1)
            assert (0, kept) == (early, late)

            await purge(store, now_ms=NOW_MS + 2 * RETENTION_MS)
            assert await data_of(store, one) == []
            (next_number,) = await append(store, one, b"next", at=NOW_MS)
            assert next_number > kept

        self.play(tmp_path, scene)

    def test_a_stream_keeps_records_as_long_as_it_says(self, tmp_path: Path) -> None:
        """One retention of its own, longer or shorter, touches no other stream."""
        hour = 3_600_000

        async def scene(store: Store) -> None:
            plain, longer, longest = [
                await a_stream(store, name) for name in ("plain", "longer", "longest")
            ]

            def keeping(hours: int) -> Callable[[Stream], Stream]:
                return lambda each: msgspec.structs.replace(each, retention_hours=hours)

            await store.update_stream(longer.stream_id, keeping(24))
            await store.update_stream(longest.stream_id, keeping(48))
            for hours_ago in (50, 30, 10, 0):
                at = NOW_MS - hours_ago * hour
                for stream in (plain, longer, longest):
                    await append(store, stream, b"%d" % hours_ago, shard=1, at=at)

            await purge(store, limit=5)

            kept = [await data_of(store, s, 1) for s in (plain, longer, longest)]
            assert kept == [[b"0"], [b"10", b"0"], [b"30", b"10", b"0"]]

        self.play(tmp_path, scene)

    def test_consumers_go_with_their_stream(self, tmp_path: Path) -> None:
        """A stream of the same name begins without any."""

        async def scene(store: Store) -> None:
            old = await a_stream(store)
            await register_all(store, old, "app")
            await store.delete_stream("changes")
            new = await a_stream(store)

            for _ in range(2):
                for stream in (old, new):
                    found = await store.find_stream_consumer(stream.stream_id, "app")
                    assert found is None
                await purge(store)
            listed = await store.list_stream_consumers(
                old.stream_id, after=None, limit=9
            )
            assert listed == []

        self.play(tmp_path, scene)

    def test_expired_payloads_go(self, tmp_path: Path) -> None:
        """A payload goes at its time; the clock stepping back does not revive it."""

        async def scene(store: Store) -> None:
            for number in range(6):
                await store.put_stream_payload(
                    str(number), b"x", expires_ms=NOW_MS + number
                )

            assert await purge(store, now_ms=NOW_MS + 3, limit=1) > 1
            left = [
                number
                for number in range(6)
                if await store.find_stream_payload(str(number), now_ms=0) is not None
            ]
            assert left == [4, 5]

        self.play(tmp_path, scene)

    def test_a_deleted_stream_is_dropped(self, tmp_path: Path) -> None:
        """Its records go, however young; those of the next of its name stay."""

        async def scene(store: Store) -> None:
            old = await a_stream(store)
            await append(store, old, *[b"old"] * 10, at=NOW_MS)
            await store.delete_stream("changes")
            new = await a_stream(store)
            await append(store, new, b"new", at=NOW_MS)

            assert await purge(store, limit=3) > 1
            assert await data_of(store, old) == []
            assert await data_of(store, new) == [b"new"]
            assert new == await store.find_stream("changes")

        self.play(tmp_path, scene)

    def test_a_deleted_pool_is_dropped(self, tmp_path: Path) -> None:
        """Nothing of it comes back when its id does; other pools keep everything."""
        other = DatasetId(OTHER_POOL, ALICE, "prefs")
        carol = an_identity(CAROL, GOOGLE, pool=OTHER_POOL)

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await keep(store, carol, an_identity(ALICE, GOOGLE, FACEBOOK))
            await keep(store, *(an_identity(f"us-east-1:{n}") for n in range(9)))
            await put(store, other, {"k": "v"}, event=b"other")
            for identity_id in (ALICE, BOB):
                for name in ("a", "prefs"):
                    dataset_id = DatasetId(POOL, identity_id, name)
                    await put(store, dataset_id, {"k": "v", "l": "w"}, event=b"x")
            await store.add_sync_sessions({POOL: 3, OTHER_POOL: 1})
            slices = [Slice(0, None, None)]
            await store.start_bulk_publish(POOL, starting(), slices)
            await store.start_bulk_publish(OTHER_POOL, starting(), slices)
            others = await read_all(store, other)
            usage = await store.find_identity_pool_usage(OTHER_POOL)
            run = await store.find_bulk_publish(OTHER_POOL)
            await store.delete_identity_pool(POOL)

            assert await purge(store, limit=3) > 1
            assert (await store.measure_outbox(None)).entries == 1
            assert others == await read_all(store, other)
            assert usage == await store.find_identity_pool_usage(OTHER_POOL)
            assert run == await store.find_bulk_publish(OTHER_POOL)
            assert (await lease(store)).identity_pool_id == OTHER_POOL
            assert carol == await store.find_identity(CAROL)

            assert await store.create_identity_pool(a_pool(), pools_max=9)
            assert (await load(store, [ALICE], [GOOGLE, FACEBOOK])).identities == {}
            listed = store.list_identities(POOL, after=None, limit=9, enabled=False)
            assert await listed == []
            await keep(store, an_identity(BOB, GOOGLE, FACEBOOK))
            assert RecordPage(None, []) == await read_all(store, PREFS)
            assert await store.find_identity_usage(POOL, ALICE) is None
            empty = IdentityPoolUsage(POOL, 0, 0, None)
            assert empty == await store.find_identity_pool_usage(POOL)
            none = BulkPublishRun(identity_pool_id=POOL)
            assert none == await store.find_bulk_publish(POOL)

        self.play(tmp_path, scene)
