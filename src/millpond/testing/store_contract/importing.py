"""The store contract, importing: what comes from elsewhere stays as it was there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from millpond.core.claims import leave, told
from millpond.core.identities import Login
from millpond.core.ownership import Decision, Standing, Taken, decide
from millpond.core.sync import DatasetId, SyncLimits
from millpond.stores.base import Store
from millpond.stores.copying import DatasetRow, IdentityRow, RecordRow
from millpond.stores.importing import (
    Arrival,
    Arrived,
    ArrivingDataset,
    ImportState,
    ImportStore,
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
    delete,
    put,
    read_all,
)
from millpond.testing.store_contract.identities import an_identity, keep

STATE: Final = ImportState(identity_pool_id=OTHER_POOL, source="there", began_ms=1)
DEVELOPER: Final = ("login.example", "user-1")


class MovingStore(Store, ImportStore):
    """A store into which a pool can move."""


def identity_there(
    identity_id: str = ALICE, *, modified_ms: int = 20, **others: Any
) -> IdentityRow:
    """Make an identity as a source gives it."""
    return IdentityRow(
        identity_id=identity_id,
        identity_pool_id=POOL,
        creation_date_ms=10,
        last_modified_date_ms=modified_ms,
        guest=others.get("guest", False),
        merged_into=None,
        logins=others.get("logins", (DEVELOPER,)),
        origin=others.get("origin"),
    )


def dataset_there(
    records: dict[str, str | None],
    *,
    sync_count: int,
    name: str = "prefs",
    identity_id: str = ALICE,
    live: bool = True,
    horizon: int = 0,
    root: str | None = None,
    whole: bool = True,
) -> ArrivingDataset:
    """Make a dataset as a source gives it; all records have its count."""
    size = sum(len(f"{k}{v}".encode()) for k, v in records.items() if v is not None)
    return ArrivingDataset(
        row=DatasetRow(
            identity_id=identity_id,
            identity_pool_id=POOL,
            dataset_name=name,
            sync_count=sync_count,
            live=live,
            horizon=horizon,
            creation_date_ms=11,
            last_modified_date_ms=22 + sync_count,
            last_modified_by="a device",
            num_records=sum(each is not None for each in records.values()),
            data_storage=size,
            root_dataset_name=root,
        ),
        records=[
            RecordRow(
                identity_id=identity_id,
                identity_pool_id=POOL,
                dataset_name=name,
                record_key=key,
                sync_count=sync_count,
                last_modified_date_ms=33,
                last_modified_by="another device",
                device_last_modified_date_ms=32,
                value=value,
            )
            for key, value in records.items()
        ],
        whole=whole,
    )


def remade(
    dataset: ArrivingDataset, created_ms: int, modified_ms: int = 0
) -> ArrivingDataset:
    """Give other dates to a dataset, which was modified when it was made, or later."""
    row = msgspec.structs.replace(
        dataset.row,
        creation_date_ms=created_ms,
        last_modified_date_ms=modified_ms or created_ms,
    )
    return msgspec.structs.replace(dataset, row=row)


def arrival(
    *datasets: ArrivingDataset,
    names: Sequence[str] | None = ("prefs",),
    identity: IdentityRow | None = None,
    identity_id: str = ALICE,
    **others: Any,
) -> Arrival:
    """Make an arrival, complete unless `names` is None."""
    return Arrival(
        identity_pool_id=POOL,
        identity_id=identity_id,
        identity=identity or identity_there(identity_id),
        datasets=datasets,
        names=names,
        **others,
    )


async def arrive(
    store: MovingStore, *arrivals: Arrival, pass_number: int = 1, **others: Any
) -> Arrived:
    """Write arrivals, by the rule of `core.ownership`."""
    arrived = await store.arrive(
        POOL, arrivals, decide, pass_number=pass_number, now_ms=NOW_MS, **others
    )
    assert arrived is not None
    return arrived


async def taken_of(store: MovingStore, name: str = "prefs") -> Taken:
    """Read the mark of a dataset of Alice."""
    return (await store.find_imported(POOL, [ALICE]))[ALICE].datasets[name]


class ImportContract(StoreBench):
    """What `millpond.stores.importing` promises."""

    def play_moving(self, place: Path, scene: Any) -> None:
        """Run a scene on a store into which `POOL` moves."""
        self.play(place, lambda store: scene(cast("MovingStore", store)))

    def test_guests_that_arrived_and_were_not_seen_here(self, tmp_path: Path) -> None:
        """How long ago they were used elsewhere nobody knows, so they do not expire."""

        async def scene(store: MovingStore) -> None:
            guest = identity_there(BOB, logins=(), guest=True)
            await arrive(store, arrival(names=(), identity_id=BOB, identity=guest))
            since_ms = NOW_MS + 11

            gone = await store.expire_guests("", unused_since_ms=since_ms, rows_max=9)
            assert gone.identity_ids == []
            await store.note_guest_use(BOB, now_ms=NOW_MS + 10, before_ms=NOW_MS)
            gone = await store.expire_guests("", unused_since_ms=since_ms, rows_max=9)
            assert gone.identity_ids == [BOB]

        self.play_moving(tmp_path, scene)

    def test_what_arrives_is_here_as_it_was_there(self, tmp_path: Path) -> None:
        """Counts, dates, authors, tombstones, horizons, roots and logins stay."""

        async def scene(store: MovingStore) -> None:
            awkward: dict[str, str | None] = {each: each for each in AWKWARD_TEXTS}
            there = arrival(
                dataset_there({**awkward, "gone": None}, sync_count=40, horizon=7),
                dataset_there(
                    {"k": "v"}, sync_count=3, name=f"prefs.{BOB}", root="prefs"
                ),
                names=("prefs", f"prefs.{BOB}"),
            )
            arrived = await arrive(store, there)
            assert (arrived.identities, arrived.datasets) == (1, 2)
            assert arrived.records == len(AWKWARD_TEXTS) + 2
            assert not arrived.asides

            found = await store.find_arrival(POOL, ALICE)
            assert found is not None
            assert found.identity == there.identity
            by_name = {each.row.dataset_name: each for each in found.datasets}
            for each in there.datasets:
                here = by_name[each.row.dataset_name]
                assert here.row == each.row
                assert set(here.records) == set(each.records)
            page = await read_all(store, PREFS)
            assert page.merged_dataset_names == (f"prefs.{BOB}",)
            usage = await store.find_identity_pool_usage(POOL)
            assert usage is not None
            total = sum(each.row.data_storage for each in there.datasets)
            assert usage.data_storage == total == arrived.data_bytes
            assert not await store.list_outbox_pools()

        self.play_moving(tmp_path, scene)

    def test_arriving_again_changes_nothing(self, tmp_path: Path) -> None:
        """Whoever was interrupted begins again; nothing comes twice."""

        async def scene(store: MovingStore) -> None:
            there = arrival(dataset_there({"k": "v"}, sync_count=40))
            await arrive(store, there)
            before = await store.find_arrival(POOL, ALICE)
            again = await arrive(store, there, there)
            assert (again.identities, again.datasets) == (0, 0)
            assert await store.find_arrival(POOL, ALICE) == before
            usage = await store.find_identity_pool_usage(POOL)
            assert usage is not None
            assert usage.data_storage == 2

        self.play_moving(tmp_path, scene)

    def test_what_was_not_written_here_follows_the_source(self, tmp_path: Path) -> None:
        """A later state takes the place of the one before, records and all."""

        async def scene(store: MovingStore) -> None:
            await arrive(
                store, arrival(dataset_there({"k": "v", "x": "y"}, sync_count=4))
            )
            await arrive(
                store,
                arrival(
                    dataset_there({"k": "longer", "x": None}, sync_count=6),
                    identity=identity_there(
                        modified_ms=30, logins=(("login.example", "user-2"),)
                    ),
                ),
                pass_number=2,
            )
            page = await read_all(store, PREFS)
            assert page.dataset is not None
            assert page.dataset.sync_count == 6
            assert {each.key: each.value for each in page.records} == {
                "k": "longer",
                "x": None,
            }
            identity = await store.find_identity(ALICE)
            assert identity is not None
            assert identity.logins == (Login("login.example", "user-2"),)
            usage = await store.find_identity_pool_usage(POOL)
            assert usage is not None
            assert usage.data_storage == len("klonger")

        self.play_moving(tmp_path, scene)

    def test_what_was_written_here_stays(self, tmp_path: Path) -> None:
        """The first write here makes it ours; the source's is kept aside and told."""

        async def scene(store: MovingStore) -> None:
            await arrive(store, arrival(dataset_there({"k": "v"}, sync_count=4)))
            await put(store, PREFS, {"k": "ours"})
            later = arrival(dataset_there({"k": "theirs"}, sync_count=9))
            arrived = await arrive(store, later, pass_number=2)
            assert arrived.datasets == 0
            (aside,) = arrived.asides
            assert (aside.identity_id, aside.dataset_name) == (ALICE, "prefs")
            assert aside.sync_count == 9
            page = await read_all(store, PREFS)
            assert [each.value for each in page.records] == ["ours"]
            assert (await taken_of(store)).aside
            listed = await store.list_imported(POOL, after="", limit=9, aside=True)
            assert [identity_id for identity_id, _ in listed] == [ALICE]
            assert (await store.measure_import(POOL)).aside == 1

        self.play_moving(tmp_path, scene)

    def test_providers_come_without_names_once(self, tmp_path: Path) -> None:
        """What was claimed here is not open again because the source tells it again."""

        async def scene(store: MovingStore) -> None:
            origin = told(["graph.facebook.com", "idp.example"])
            there = arrival(identity=identity_there(origin=origin))
            assert (await arrive(store, there)).unclaimed == 1
            identity = await store.find_identity(ALICE)
            assert identity is not None
            assert identity.origin == origin
            assert (await arrive(store, there)).unclaimed == 1

            claimed = msgspec.structs.replace(
                identity,
                logins=(Login("idp.example", "alice"), *identity.logins),
                origin=leave(origin, ["idp.example"]),
                last_modified_date_ms=NOW_MS,
            )
            await keep(store, claimed)
            later = identity_there(modified_ms=99, origin=told(["idp.example"]))
            arrived = await arrive(store, arrival(identity=later), pass_number=2)
            assert (arrived.identities, arrived.unclaimed) == (1, 0)
            identity = await store.find_identity(ALICE)
            assert identity is not None
            assert (identity.logins, identity.unclaimed) == (claimed.logins, ())

        self.play_moving(tmp_path, scene)

    def test_what_is_gone_there_goes_here(self, tmp_path: Path) -> None:
        """Unless it was written here; a device that knew it is told of the deletion."""

        async def scene(store: MovingStore) -> None:
            both = [
                dataset_there({"k": "v"}, sync_count=4, name=name)
                for name in ("prefs", "ours")
            ]
            await arrive(store, arrival(*both, names=("prefs", "ours")))
            await put(store, DatasetId(POOL, ALICE, "ours"), {"k": "ours"})
            arrived = await arrive(store, arrival(names=()), pass_number=2)
            assert [each.dataset_name for each in arrived.asides] == ["ours"]
            live = await store.list_datasets(POOL, ALICE, after=None, limit=None)
            assert live is not None
            assert [each.dataset_name for each in live] == ["ours"]
            page = await read_all(store, PREFS)
            assert page.dataset is not None
            assert page.dataset.horizon > 4
            assert not page.records

        self.play_moving(tmp_path, scene)

    def test_what_was_deleted_here_stays_deleted(self, tmp_path: Path) -> None:
        """A dataset or an identity that went here does not come again."""

        async def scene(store: MovingStore) -> None:
            bobs = dataset_there({"k": "v"}, sync_count=4, identity_id=BOB)
            await arrive(
                store,
                arrival(dataset_there({"k": "v"}, sync_count=4)),
                arrival(bobs, identity_id=BOB, identity=identity_there(BOB, logins=())),
            )
            await delete(store, PREFS)
            assert await store.delete_identity(BOB, now_ms=NOW_MS)
            arrived = await arrive(
                store,
                arrival(dataset_there({"k": "v2"}, sync_count=5)),
                arrival(
                    dataset_there({"k": "v2"}, sync_count=5, identity_id=BOB),
                    identity_id=BOB,
                    identity=identity_there(BOB, logins=(), modified_ms=99),
                ),
                pass_number=2,
            )
            assert {(e.identity_id, e.dataset_name) for e in arrived.asides} == {
                (ALICE, "prefs"),
                (BOB, "prefs"),
                (BOB, ""),
            }
            assert await store.find_identity(BOB) is None
            assert await store.find_arrival(POOL, BOB) is None
            page = await read_all(store, PREFS)
            assert page.dataset is not None
            assert not page.dataset.exists

        self.play_moving(tmp_path, scene)

    def test_what_begins_anew_there_is_lifted(self, tmp_path: Path) -> None:
        """
        Counts here do not fall when those of the source do, whether all records come or
        those of an update, and later ones go on above them.
        """

        async def scene(store: MovingStore) -> None:
            await arrive(store, arrival(dataset_there({"k": "old"}, sync_count=40)))
            anew = remade(dataset_there({"a": "new"}, sync_count=3), 500)
            await arrive(store, arrival(anew), pass_number=2)
            await self.expect(store, 44, {"a": ("new", 44)}, horizon=44)

            part = dataset_there({"b": "more"}, sync_count=4, whole=False)
            part = remade(part, 0, modified_ms=600)
            await arrive(store, arrival(part, names=None))
            await self.expect(
                store, 45, {"a": ("new", 44), "b": ("more", 45)}, horizon=44
            )

            removal = dataset_there({}, sync_count=5, live=False, whole=False)
            await arrive(
                store, arrival(remade(removal, 0, modified_ms=700), names=None)
            )
            again = dataset_there({"c": "last"}, sync_count=1, whole=False)
            await arrive(store, arrival(remade(again, 0, modified_ms=800), names=None))
            # Again, and what came before all that.
            await arrive(store, arrival(remade(again, 0, modified_ms=800), names=None))
            late = dataset_there({"k": "dead"}, sync_count=41, whole=False)
            await arrive(store, arrival(late, names=None))
            await self.expect(store, 47, {"c": ("last", 47)}, horizon=46)
            usage = await store.find_identity_pool_usage(POOL)
            assert usage is not None
            assert usage.data_storage == len("clast")

        self.play_moving(tmp_path, scene)

    async def expect(
        self,
        store: MovingStore,
        sync_count: int,
        records: dict[str, tuple[str | None, int]],
        *,
        horizon: int,
    ) -> None:
        """Look whether `PREFS` has these records, with these counts."""
        page = await read_all(store, PREFS)
        assert page.dataset is not None
        found = {each.key: (each.value, each.sync_count) for each in page.records}
        assert found == records
        state = page.dataset
        assert (state.sync_count, state.horizon) == (sync_count, horizon)
        assert state.num_records == len(records)

    def test_what_is_over_a_limit_comes_when_it_is_raised(self, tmp_path: Path) -> None:
        """Until then it is told of, and nothing of it is written."""

        async def scene(store: MovingStore) -> None:
            both = arrival(
                *(dataset_there({"k": "v"}, sync_count=4, name=e) for e in "ab"),
                names=("a", "b"),
            )
            for most, asides in ((1, ["b"]), (2, [])):

                def decide_within(standing: Standing, most: int = most) -> Decision:
                    limits = SyncLimits(datasets_per_identity=most)
                    return decide(standing, limits=limits)

                arrived = await store.arrive(
                    POOL, [both], decide_within, pass_number=1, now_ms=NOW_MS
                )
                assert arrived is not None
                assert [each.dataset_name for each in arrived.asides] == asides
                assert (await store.measure_import(POOL)).aside == len(asides)
            live = await store.list_datasets(POOL, ALICE, after=None, limit=None)
            assert live is not None
            assert [each.dataset_name for each in live] == ["a", "b"]

        self.play_moving(tmp_path, scene)

    def test_some_records_of_a_dataset_may_come(self, tmp_path: Path) -> None:
        """Those that are newer are written; size and number are counted."""

        async def scene(store: MovingStore) -> None:
            await arrive(
                store, arrival(dataset_there({"k": "v", "x": "y"}, sync_count=4))
            )
            part = dataset_there({"k": "new"}, sync_count=5, whole=False)
            await arrive(store, arrival(part, names=None, identity=None))
            page = await read_all(store, PREFS)
            assert page.dataset is not None
            state = page.dataset
            assert (state.sync_count, state.num_records) == (5, 2)
            assert state.data_storage == len("knewxy")
            assert {each.key: each.value for each in page.records} == {
                "k": "new",
                "x": "y",
            }

        self.play_moving(tmp_path, scene)

    def test_a_login_has_one_owner(self, tmp_path: Path) -> None:
        """Who has it here keeps it; the identity comes without it."""

        async def scene(store: MovingStore) -> None:
            await keep(store, an_identity(BOB, Login(*DEVELOPER)))
            await arrive(store, arrival(names=()))
            alice = await store.find_identity(ALICE)
            bob = await store.find_identity(BOB)
            assert alice is not None
            assert bob is not None
            assert alice.logins == ()
            assert bob.logins == (Login(*DEVELOPER),)
            # One that has signed in here already has what it has there as well.
            there = identity_there(BOB, logins=(("login.example", "user-9"),))
            await arrive(store, arrival(names=(), identity=there, identity_id=BOB))
            bob = await store.find_identity(BOB)
            assert bob is not None
            assert [each.subject for each in bob.logins] == ["user-1", "user-9"]

        self.play_moving(tmp_path, scene)

    def test_disabled_identities_lead_to_who_took_their_place(
        self, tmp_path: Path
    ) -> None:
        """As far as the datasets of that one tell; else to nobody."""

        async def scene(store: MovingStore) -> None:
            carol = f"{BOB[:-1]}c"
            rows = {
                each: identity_there(each, logins=(), guest=True)
                for each in (BOB, carol)
            }
            await arrive(
                store,
                arrival(names=(), merged=[BOB]),
                *(
                    arrival(names=(), identity=row, identity_id=each)
                    for each, row in rows.items()
                ),
            )
            await store.note_enabled(POOL, [ALICE], pass_number=1)
            found = await store.list_not_enabled(
                POOL, pass_number=1, after="", limit=10
            )
            assert found == [BOB, carol]
            await arrive(
                store,
                *(
                    arrival(names=None, identity=row, identity_id=each, disabled=True)
                    for each, row in rows.items()
                ),
            )
            merged = [(await store.find_identity(each), each) for each in (BOB, carol)]
            assert [each and each.merged_into for each, _ in merged] == [ALICE, ""]
            enabled = await store.list_identities(
                POOL, after=None, limit=9, enabled=True
            )
            assert enabled is not None
            assert [each.identity_id for each in enabled] == [ALICE]
            # What was known of that stands until something else is said.
            await arrive(store, arrival(names=(), identity=rows[BOB], identity_id=BOB))
            bob = await store.find_identity(BOB)
            assert bob is not None
            assert bob.merged_into == ALICE

        self.play_moving(tmp_path, scene)

    def test_an_id_stays_in_its_pool(self, tmp_path: Path) -> None:
        """One that another pool has here is told of, and nothing of it is written."""

        async def scene(store: MovingStore) -> None:
            await store.create_identity_pool(
                a_pool(OTHER_POOL, streaming=False), pools_max=9
            )
            other = msgspec.structs.replace(
                an_identity(ALICE), identity_pool_id=OTHER_POOL
            )
            await keep(store, other)
            arrived = await arrive(
                store, arrival(dataset_there({"k": "v"}, sync_count=4))
            )
            assert OTHER_POOL in arrived.asides[0].reason
            assert await store.find_arrival(POOL, ALICE) is None

        self.play_moving(tmp_path, scene)

    def test_an_import_is_begun_once_and_found_again(self, tmp_path: Path) -> None:
        """In a pool that is not here, or holds nothing; with its position."""

        async def scene(store: MovingStore) -> None:
            pool = a_pool(OTHER_POOL, streaming=False)
            assert await store.begin_import(pool, STATE, pools_max=1) is None
            begun = await store.begin_import(pool, STATE, pools_max=9)
            assert begun == STATE
            assert await store.find_identity_pool(OTHER_POOL) == pool

            def go_on(state: ImportState) -> ImportState:
                return msgspec.structs.replace(state, pass_number=3)

            changed = await store.change_import(OTHER_POOL, go_on)
            again = await store.begin_import(pool, STATE, pools_max=1)
            assert changed == again == await store.find_import(OTHER_POOL)
            assert await store.list_imports() == [changed]
            assert await store.change_import(UNKNOWN_POOL, go_on) is None

            assert await store.find_import_position(OTHER_POOL, "api") is None
            await store.put_import_position(OTHER_POOL, "api", b"\x00\xff")
            assert await store.find_import_position(OTHER_POOL, "api") == b"\x00\xff"
            await store.put_import_position(OTHER_POOL, "api", None)
            assert await store.find_import_position(OTHER_POOL, "api") is None
            await arrive(store, position=("stream", b"7"))
            assert await store.find_import_position(POOL, "stream") == b"7"

            await put(store, PREFS, {"k": "v"})
            mine = msgspec.structs.replace(STATE, identity_pool_id=POOL)
            assert await store.begin_import(a_pool(), mine, pools_max=9) is None
            assert await store.find_import(POOL) is None

        self.play_moving(tmp_path, scene)

    def test_nothing_arrives_in_a_pool_that_is_not_there(self, tmp_path: Path) -> None:
        """It may have been deleted meanwhile; with it go the marks."""

        async def scene(store: MovingStore) -> None:
            await arrive(store, arrival(dataset_there({"k": "v"}, sync_count=4)))
            await store.delete_identity_pool(POOL)
            one = [arrival(dataset_there({"k": "v"}, sync_count=4))]
            found = await store.arrive(POOL, one, decide, pass_number=1, now_ms=NOW_MS)
            assert found is None
            while await store.purge(now_ms=NOW_MS, stream_retention_ms=1, limit=1000):
                pass
            assert await store.find_imported(POOL, [ALICE]) == {}

        self.play_moving(tmp_path, scene)

    def test_all_of_a_call_or_nothing(self, tmp_path: Path) -> None:
        """What fails in the middle leaves nothing, no mark and no position."""

        async def scene(store: MovingStore) -> None:
            class BrokenError(Exception):
                pass

            def break_at_second(standing: Any) -> Any:
                if standing.there is not None and standing.there.sync_count == 5:
                    raise BrokenError
                return decide(standing)

            both = [
                arrival(dataset_there({"k": "v"}, sync_count=4)),
                arrival(
                    dataset_there({"k": "v"}, sync_count=5, identity_id=BOB),
                    identity_id=BOB,
                    identity=identity_there(BOB, logins=()),
                ),
            ]
            try:
                await store.arrive(
                    POOL,
                    both,
                    break_at_second,
                    pass_number=1,
                    now_ms=NOW_MS,
                    position=("api", b"7"),
                )
            except BrokenError:
                pass
            else:
                raise AssertionError("it was swallowed")
            assert await store.find_arrival(POOL, ALICE) is None
            assert await store.find_imported(POOL, [ALICE, BOB]) == {}
            assert await store.find_import_position(POOL, "api") is None

        self.play_moving(tmp_path, scene)
