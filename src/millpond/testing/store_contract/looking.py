"""The store contract, looking: pages for people who want to see what there is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from millpond.core.identities import Identity, IdentityKind, Login
from millpond.core.push import Device, LastPush
from millpond.core.sync import DatasetId
from millpond.stores.base import (
    OUTBOX_HEAD_BYTES,
    NewStreamRecord,
    OutboxEntry,
    OutboxNote,
    OutboxUsage,
    PoolLogin,
    RegisteredDevice,
    Store,
    StoredStreamRecord,
)
from millpond.testing.store_contract.bench import (
    ALICE,
    AWKWARD_TEXTS,
    BOB,
    NOW_MS,
    OTHER_POOL,
    POOL,
    PREFS,
    UNKNOWN_POOL,
    StoreBench,
    a_pool,
    put,
)
from millpond.testing.store_contract.devices import (
    BOBS_PREFS,
    a_device,
    change,
    join,
    register,
    subscribe,
)
from millpond.testing.store_contract.identities import GOOGLE, an_identity, keep
from millpond.testing.store_contract.streams import a_stream, append

THIRD_POOL = "us-east-1:00000000-0000-4000-8000-000000000003"


async def search(
    store: Store,
    pool: str | None = POOL,
    *,
    prefix: str = "",
    kind: IdentityKind | None = None,
    page: int = 100,
) -> list[str]:
    """Search to the end, some at a time; the ids."""
    found: list[str] = []
    while True:
        listed = await store.search_identities(
            pool,
            prefix=prefix,
            kind=kind,
            after=found[-1] if found else None,
            limit=page,
        )
        assert listed is not None
        assert len(listed) <= page
        found += [each.identity_id for each in listed]
        if not listed:
            return found


class LookingContract(StoreBench):
    """Searching identities, listing devices, what waits, and looking back."""

    # --- Identities -------------------------------------------------------------------

    @pytest.mark.parametrize("page", [1, 2, 100])
    def test_identities_are_found_by_their_beginning(
        self, tmp_path: Path, page: int
    ) -> None:
        """Those whose id begins with it, in order; the whole id finds one; none all."""
        ids = sorted(
            [
                *("r:a", "r:ab", "r:ab0", "r:ac", "r:b", "s:ab"),
                *("r:ab\U0010ffff", "r:ab\U0010ffff1", "\U0010ffff"),
                *(f"r:z{text}" for text in AWKWARD_TEXTS),
            ]
        )
        prefixes = ["", "r", "r:a", "r:ab", "r:ab\U0010ffff", "r:ab0", "r:ab00", "t"]
        prefixes += ["\U0010ffff", "r:z", *(f"r:z{text}" for text in AWKWARD_TEXTS)]

        async def scene(store: Store) -> None:
            await keep(store, *map(an_identity, ids))
            for pool in (POOL, None):
                for prefix in prefixes:
                    assert [
                        each for each in ids if each.startswith(prefix)
                    ] == await search(store, pool, prefix=prefix, page=page)

        self.play(tmp_path, scene)

    def test_a_page_behind_what_is_there_no_more(self, tmp_path: Path) -> None:
        """`after` need not be the id of an identity, nor begin with the prefix."""

        async def scene(store: Store) -> None:
            await keep(store, *map(an_identity, ("a", "ba", "bc", "c")))

            async def behind(after: str, prefix: str) -> list[str]:
                found = await store.search_identities(
                    POOL, prefix=prefix, kind=None, after=after, limit=9
                )
                assert found is not None
                return [each.identity_id for each in found]

            assert await behind("bb", "b") == ["bc"]
            assert await behind("a", "b") == ["ba", "bc"]
            assert await behind("b", "b") == ["ba", "bc"]
            assert await behind("c", "b") == []
            assert await behind("bb", "") == ["bc", "c"]

        self.play(tmp_path, scene)

    @pytest.mark.parametrize("page", [1, 100])
    def test_kinds_are_listed_apart(self, tmp_path: Path, page: int) -> None:
        """Guests, users and merged ones; an identity that changes is of another one."""
        people = {
            IdentityKind.GUEST: ["g1", "g2"],
            IdentityKind.USER: ["u1", "u2", "u3"],
            IdentityKind.MERGED: ["m1", "m2"],
        }
        described = [
            *(an_identity(each, guest=True) for each in ("g1", "g2")),
            *(an_identity(each) for each in ("u1", "u2", "u3")),
            an_identity("m1", guest=True, merged_into="u1"),
            an_identity("m2", merged_into="u1"),
        ]

        async def scene(store: Store) -> None:
            await keep(store, *described)
            for each in described:
                assert each.identity_id in people[each.kind]
            for kind, ids in people.items():
                assert ids == await search(store, kind=kind, page=page)
            await keep(store, an_identity("g1", GOOGLE))
            assert await search(store, kind=IdentityKind.GUEST) == ["g2"]
            assert await search(store, kind=IdentityKind.USER, prefix="g") == ["g1"]

        self.play(tmp_path, scene)

    def test_a_search_gives_identities_whole(self, tmp_path: Path) -> None:
        """They come as `find_identity` gives them, with their logins."""

        async def scene(store: Store) -> None:
            await keep(store, an_identity(ALICE, GOOGLE), an_identity(BOB, guest=True))
            wanted: list[Identity | None] = [
                await store.find_identity(each) for each in (ALICE, BOB)
            ]

            assert wanted == await store.search_identities(
                None, prefix="us-east-1:", kind=None, after=None, limit=9
            )

        self.play(tmp_path, scene)

    def test_a_search_keeps_to_its_pool(self, tmp_path: Path) -> None:
        """In a pool are its own; in all, those of each that was not deleted."""

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await keep(store, an_identity("a1"), an_identity("a2", pool=OTHER_POOL))

            assert await search(store, OTHER_POOL) == ["a2"]
            assert await search(store, None) == ["a1", "a2"]
            await store.delete_identity_pool(OTHER_POOL)
            assert await search(store, None) == ["a1"]
            for pool in (OTHER_POOL, UNKNOWN_POOL):
                for kind in (None, IdentityKind.USER):
                    assert (
                        await store.search_identities(
                            pool, prefix="", kind=kind, after=None, limit=9
                        )
                        is None
                    )

        self.play(tmp_path, scene)

    def test_owners_of_logins_are_found(self, tmp_path: Path) -> None:
        """Each once, of the pool that is named with the login; nobody else."""
        logins = [Login("p", text) for text in AWKWARD_TEXTS]
        owner = an_identity("a", *logins)
        other = an_identity("b", GOOGLE, pool=OTHER_POOL)

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await keep(store, owner, other, an_identity("c", merged_into="a"))

            async def found(*asked: PoolLogin) -> list[Identity]:
                return await store.find_login_owners(asked)

            assert await found() == []
            for each in logins:
                assert await found(PoolLogin(POOL, each)) == [owner]
                assert await found(PoolLogin(OTHER_POOL, each)) == []
            everything = [PoolLogin(POOL, each) for each in logins]
            both = [PoolLogin(OTHER_POOL, GOOGLE), *everything]
            assert await found(*both) == [owner, other]
            assert await found(PoolLogin(POOL, GOOGLE)) == []
            await store.delete_identity_pool(OTHER_POOL)
            assert await found(*both) == [owner]

        self.play(tmp_path, scene)

    def test_merged_identities_are_listed_by_survivor(self, tmp_path: Path) -> None:
        """Those merged into it directly, the last ones first, at most so many."""
        merged = [
            an_identity(each, merged_into="a", at=NOW_MS + day)
            for each, day in (("m1", 1), ("m2", 3), ("m3", 2), ("m4", 2))
        ]
        others = [an_identity("a"), an_identity("n", merged_into="m1")]
        foreign = an_identity("f", pool=OTHER_POOL, merged_into="a")

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await keep(store, *others, *merged, foreign)

            async def into(identity_id: str, limit: int = 9) -> list[Identity]:
                return await store.list_merged_identities(
                    POOL, identity_id, limit=limit
                )

            newest_first = [merged[1], merged[3], merged[2], merged[0]]
            assert await into("a") == newest_first
            assert await into("a", limit=2) == newest_first[:2]
            assert await into("n") == []

        self.play(tmp_path, scene)

    # --- Devices ----------------------------------------------------------------------

    def test_devices_are_listed_with_their_subscriptions(self, tmp_path: Path) -> None:
        """By id, each with the names of its datasets and what waits for it."""
        devices = [a_device(each) for each in ("d1", "d2", "d3")]

        async def scene(store: Store) -> None:
            await join(store, ALICE, BOB)
            await register(store, *devices, a_device("other", identity_id=BOB))
            await subscribe(store, "d1", "d2", to=PREFS)
            await subscribe(store, "d1", to=DatasetId(POOL, ALICE, "bag"))
            await subscribe(store, "other", to=BOBS_PREFS)
            await change(store, PREFS, writer="d2")
            (push,) = await store.list_pushes(now_ms=NOW_MS + 10**6, limit=9)
            await store.defer_push(push, due_ms=NOW_MS)
            await store.disable_device(devices[2], None)
            disabled = msgspec.structs.replace(devices[2], disabled=True)

            wanted = [
                RegisteredDevice(devices[0], ("bag", "prefs"), 1, 1),
                RegisteredDevice(devices[1], ("prefs",), 0, 0),
                RegisteredDevice(disabled, (), 0, 0),
            ]
            assert wanted == await store.list_devices(POOL, ALICE, after=None, limit=9)
            assert wanted[1:2] == await store.list_devices(
                POOL, ALICE, after="d1", limit=1
            )

        self.play(tmp_path, scene)

    def test_the_devices_of_a_pool_are_listed(self, tmp_path: Path) -> None:
        """Whosever they are, by identity and id, a page after the other, as above."""
        mine = [a_device(each) for each in ("d1", "d3")]
        bobs = [a_device(each, identity_id=BOB) for each in ("d0", "d2")]
        foreign = a_device("d9", identity_pool_id=OTHER_POOL, identity_id="us-east-1:f")

        async def scene(store: Store) -> None:
            await join(store, ALICE, BOB)
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await join(store, "us-east-1:f", pool=OTHER_POOL)
            await register(store, *mine, *bobs, foreign)
            await subscribe(store, "d1", to=DatasetId(POOL, ALICE, "bag"))
            await subscribe(store, "d1", "d3", to=PREFS)
            await change(store, PREFS, writer="d3")
            (push,) = await store.list_pushes(now_ms=NOW_MS + 10**6, limit=9)
            await store.defer_push(push, due_ms=NOW_MS)
            last_push = LastPush(NOW_MS, "no \N{SNOWMAN}")
            await store.put_last_push(mine[0], last_push)

            wanted = [
                RegisteredDevice(mine[0], ("bag", "prefs"), 1, 1, last_push),
                RegisteredDevice(mine[1], ("prefs",), 0, 0),
                RegisteredDevice(bobs[0], (), 0, 0),
                RegisteredDevice(bobs[1], (), 0, 0),
            ]
            wanted.sort(key=lambda e: (e.device.identity_id, e.device.device_id))
            assert wanted == await store.list_pool_devices(POOL, after=None, limit=9)
            for number, each in enumerate(wanted):
                place = (each.device.identity_id, each.device.device_id)
                behind = await store.list_pool_devices(POOL, after=place, limit=2)
                assert behind == wanted[number + 1 : number + 3]
            assert (
                await store.list_pool_devices(UNKNOWN_POOL, after=None, limit=9) is None
            )

        self.play(tmp_path, scene)

    def test_no_devices_and_no_pool(self, tmp_path: Path) -> None:
        """Who has none has an empty list; a pool that is not there has no list."""

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            await join(store, ALICE)
            await register(store, a_device())

            async def listed(pool: str, identity: str) -> list[Device] | None:
                found = await store.list_devices(pool, identity, after=None, limit=9)
                return None if found is None else [each.device for each in found]

            assert await listed(POOL, BOB) == []
            assert await listed(OTHER_POOL, ALICE) == []
            assert await listed(UNKNOWN_POOL, ALICE) is None
            await store.delete_identity_pool(POOL)
            assert await listed(POOL, ALICE) is None

        self.play(tmp_path, scene)

    # --- The outbox -------------------------------------------------------------------

    def test_what_waits_is_told_pool_by_pool(self, tmp_path: Path) -> None:
        """Pools by id of which anything waits or is parked, each as measured alone."""

        async def scene(store: Store) -> None:
            pools = (OTHER_POOL, THIRD_POOL, "us-east-1:f")
            for pool in pools:
                await store.create_identity_pool(a_pool(pool), pools_max=9)
            for pool in (POOL, POOL, *pools[:2]):
                await put(store, DatasetId(pool, ALICE, "d"), {"k": "v"}, event=b"x")
            # One that streams no more, with a parked entry alone.
            (entry,) = await store.list_outbox(OTHER_POOL, limit=9, bytes_max=99)
            reasons = [(entry, "no")]
            await store.park_outbox(OTHER_POOL, reasons, now_ms=NOW_MS)
            await store.update_identity_pool(
                OTHER_POOL, lambda p: a_pool(OTHER_POOL, streaming=False)
            )

            found = await store.list_outbox_usage(after=None, limit=9)
            assert [e.identity_pool_id for e in found] == [POOL, OTHER_POOL, THIRD_POOL]
            for each in found:
                assert each.usage == await store.measure_outbox(each.identity_pool_id)
            assert OutboxUsage(0, 1, None) == found[1].usage
            assert found[1:2] == await store.list_outbox_usage(after=POOL, limit=1)
            await store.delete_identity_pool(THIRD_POOL)
            assert found[:2] == await store.list_outbox_usage(after=None, limit=9)

            for _ in range(4):
                await put(store, DatasetId(POOL, ALICE, "d"), {"k": "v"}, event=b"x")
            counted = await store.list_outbox_usage(after=None, limit=9, count_max=3)
            assert [each.usage.entries for each in counted] == [3, 0]
            assert counted[0].usage.oldest_ms == found[0].usage.oldest_ms
            assert counted[0].usage == await store.measure_outbox(POOL, count_max=3)

        self.play(tmp_path, scene)

    def test_what_waits_and_what_is_parked_is_noted_by_its_beginning(
        self, tmp_path: Path
    ) -> None:
        """Entries by id, with their sizes, behind a place; parked ones with reasons."""

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=9)
            large = bytes(range(256)) * 5
            for data in (large, b"two", b"", b"four"):
                await put(store, DatasetId(POOL, ALICE, "d"), {"k": "v"}, event=data)
            await put(store, DatasetId(OTHER_POOL, ALICE, "d"), {"k": "v"}, event=b"x")
            one, two, three, four = await store.list_outbox(
                POOL, limit=9, bytes_max=9999
            )
            await store.park_outbox(
                POOL, [(one, "too odd"), (three, "<b>no</b>")], now_ms=NOW_MS
            )

            async def notes(*, parked: bool, after: int = 0) -> list[OutboxNote]:
                return await store.list_outbox_notes(
                    POOL, parked=parked, after=after, limit=2
                )

            def note(entry: OutboxEntry, *parked: int | str) -> tuple[object, ...]:
                head = entry.data[:OUTBOX_HEAD_BYTES]
                size = len(entry.data)
                shown = (entry.outbox_id, entry.identity_id, size, head)
                return *shown, entry.created_ms, *(parked or (None, None))

            astuple = msgspec.structs.astuple
            assert [note(two), note(four)] == [
                astuple(each) for each in await notes(parked=False)
            ]
            assert [note(one, NOW_MS, "too odd"), note(three, NOW_MS, "<b>no</b>")] == [
                astuple(each) for each in await notes(parked=True)
            ]
            behind = await notes(parked=True, after=one.outbox_id)
            assert [each.outbox_id for each in behind] == [three.outbox_id]
            assert await notes(parked=True, after=three.outbox_id) == []

        self.play(tmp_path, scene)

    # --- Streams ----------------------------------------------------------------------

    def test_a_shard_is_read_backwards(self, tmp_path: Path) -> None:
        """The newest first; only the records of the key bring their data."""

        async def scene(store: Store) -> None:
            stream = await a_stream(store)
            records = [
                NewStreamRecord(0, ("mine", "theirs")[n % 2], bytes([n]))
                for n in range(6)
            ]
            numbers = await store.put_stream_records(
                stream.stream_id, records, now_ms=NOW_MS
            )
            assert numbers is not None
            await append(store, stream, b"of another shard", shard=1)

            async def read(
                before: int | None, limit: int = 9, bytes_max: int = 99
            ) -> list[StoredStreamRecord]:
                return await store.list_earlier_stream_records(
                    stream.stream_id,
                    0,
                    partition_key="mine",
                    before=before,
                    limit=limit,
                    bytes_max=bytes_max,
                )

            found = await read(None)
            assert [*reversed(numbers)] == [each.sequence_number for each in found]
            assert [e.data for e in found] == [b"", b"\x04", b"", b"\x02", b"", b"\x00"]
            assert {NOW_MS} == {each.arrival_ms for each in found}
            assert found[2:4] == await read(numbers[4], limit=2)
            assert found[2:4] == (await read(numbers[4], bytes_max=1))[:2]
            assert found[5:] == await read(numbers[1], bytes_max=0)
            assert await read(numbers[0]) == []
            every = await store.list_earlier_stream_records(
                stream.stream_id,
                0,
                partition_key=None,
                before=None,
                limit=2,
                bytes_max=99,
            )
            assert [each.data for each in every] == [b"\x05", b"\x04"]

        self.play(tmp_path, scene)
