"""The store contract, copying: everything goes out, and comes in as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import pytest

from millpond.core.bulk_publish import Counts, Position, Slice
from millpond.core.identities import Login
from millpond.core.push import LastPush
from millpond.core.sync import (
    Changes,
    DatasetId,
    Outcome,
    SpentSession,
    StoredDataset,
    StoredRecord,
)
from millpond.errors import StoreError
from millpond.stores.base import AuditFilter, DeveloperKey, Store
from millpond.stores.copying import (
    Checksum,
    CopyMark,
    CopyStore,
    Counters,
    ImportedIdentityRow,
    ImportPositionRow,
    ImportRow,
    Kind,
    ParkedOutboxRow,
    Row,
    StreamRecordRow,
    StreamRow,
)
from millpond.testing.store_contract.audit import an_entry
from millpond.testing.store_contract.bench import (
    ALICE,
    AWKWARD_TEXTS,
    BOB,
    NOW_MS,
    OTHER_POOL,
    POOL,
    PREFS,
    StoreBench,
    a_pool,
    deciding_to_put,
    delete,
    put,
    read_all,
)
from millpond.testing.store_contract.bulk_publish import lease, starting
from millpond.testing.store_contract.devices import (
    a_device,
    change,
    join,
    merge,
    register,
    subscribe,
    told,
)
from millpond.testing.store_contract.identities import (
    GOOGLE,
    ORIGIN,
    an_identity,
    keep,
    load,
)
from millpond.testing.store_contract.keys import a_key
from millpond.testing.store_contract.stream_consumers import register_all
from millpond.testing.store_contract.streams import (
    a_stream,
    append,
    data_of,
    keep_longer,
)
from millpond.testing.store_contract.token_keys import a_token_key

CAROL: Final = "us-east-1:c0000000-0000-4000-8000-000000000000"
GONE: Final = DatasetId(POOL, CAROL, "gone")
SESSION: Final = b"s" * 16
MARK: Final = CopyMark(source="there", fingerprint="f1", begun_ms=NOW_MS)
PARKED: Final = ParkedOutboxRow(
    CAROL, 9001, POOL, b"refused", NOW_MS, NOW_MS + 1, "The record is too large."
)
_NO_LIMIT: Final = {"limit": 100_000, "bytes_max": 2**40}

EVERY_COPY_METHOD: Final[Mapping[str, Callable[[CopyStore], Awaitable[Any]]]] = {
    "count_servers": lambda s: s.count_servers(),
    "find_copy_mark": lambda s: s.find_copy_mark(),
    "begin_copy": lambda s: s.begin_copy(MARK),
    "end_copy": lambda s: s.end_copy(),
    "find_copy_position": lambda s: s.find_copy_position(Kind.RECORDS),
    "count_rows": lambda s: s.count_rows(Kind.RECORDS),
    "export": lambda s: s.export(Kind.RECORDS, after=None, limit=1, bytes_max=1),
    "hold_for_copy": lambda s: s.hold_for_copy(alone=True),
    "import_": lambda s: s.import_(Kind.RECORDS, [], position=b""),
    "read_counters": lambda s: s.read_counters(),
    "raise_counters": lambda s: s.raise_counters(
        Counters(outbox_id=1, sequence_number=1, arrival_ms=1)
    ),
}
"""A call of each method that a store has for copying."""


async def fill(store: CopyStore) -> None:
    """Put something of everything into a store that has `POOL`."""
    await store.put_developer_key(a_key())
    await store.put_developer_key(
        DeveloperKey(
            access_key_id="AKIA2",
            name="bound",
            sealed_secret=b"sealed",
            creation_date_ms=NOW_MS,
            read_only=True,
            identity_pool_id=POOL,
            expires_ms=NOW_MS + 1,
        )
    )
    await store.note_key_uses({"AKIA2": NOW_MS})
    await store.put_audit_entries([an_entry(1), an_entry(2, frequent=True)])
    await store.put_token_key(a_token_key())
    await store.put_token_key(a_token_key("us-east-1-0", retires=NOW_MS * 2))
    await store.create_identity_pool(a_pool(OTHER_POOL, streaming=False), pools_max=100)
    await store.add_sync_sessions({POOL: 7})
    awkward = [Login("example.com", each) for each in AWKWARD_TEXTS]
    await keep(store, an_identity(CAROL, GOOGLE, *awkward, origin=ORIGIN))
    await _fill_datasets(store)
    await _fill_devices(store)
    await _fill_streams(store)
    await _fill_what_is_gone(store)


async def _fill_datasets(store: CopyStore) -> None:
    carol = DatasetId(POOL, CAROL, "prefs")
    values = {each: each for each in AWKWARD_TEXTS} | {"empty": "", "removed": None}
    await put(store, carol, values, event=b"\x00\xffchange", by='the "device"')
    await put(store, carol, {"removed": "v"}, event=b"second")
    await put(store, carol, {"removed": None}, now_ms=NOW_MS + 5)
    await put(store, GONE, {"k": "v"})
    await delete(store, GONE, event=b"deletion")
    await put(store, DatasetId(OTHER_POOL, BOB, "prefs"), {"k": "v"})
    await store.update_dataset(
        carol, keys=["k"], session_id=SESSION, decide=_deciding_to_amend
    )
    await store.import_(Kind.PARKED_OUTBOX, [PARKED], position=b"")
    await store.import_(Kind.IMPORTS, [ImportRow(POOL, b'{"x":1}')], position=b"")
    place = ImportPositionRow(POOL, "api", b"\x00\xff")
    await store.import_(Kind.IMPORT_POSITIONS, [place], position=b"")
    came = [
        ImportedIdentityRow(ALICE, POOL, 2, 1, None, 3, 0, b"{}"),
        ImportedIdentityRow(BOB, POOL, 0, 0, ALICE, 0, 1, b"{}"),
    ]
    await store.import_(Kind.IMPORTED_IDENTITIES, came, position=b"")


def _deciding_to_amend(stored: StoredDataset) -> Changes:
    changes = deciding_to_put({"k": "v"}, session=SESSION)(stored)
    assert changes.outcome is not None
    outcome = Outcome(
        changes.outcome.sync_count,
        NOW_MS,
        "device",
        (StoredRecord("k", "amended é", 4, NOW_MS, "hook", None),),
    )
    spent = SpentSession(SESSION, b"sha256 of the request", outcome)
    return msgspec.structs.replace(changes, spent=spent)


async def _fill_devices(store: CopyStore) -> None:
    await join(store, ALICE, BOB)
    await register(store, *(a_device(each) for each in ("d1", "d2", "d3")))
    await register(store, a_device("d4", identity_id=BOB))
    await subscribe(store, "d1", "d2")
    await change(store, writer="d1")
    await store.put_endpoint(a_device("d1"), "arn:aws:sns:endpoint")
    await store.disable_device(a_device("d3"), None)
    await store.put_last_push(a_device("d2"), LastPush(NOW_MS))
    await store.put_last_push(a_device("d3"), LastPush(NOW_MS, "gone \N{BULLET}"))
    await put(store, DatasetId(POOL, BOB, "prefs"), {"of bob": "v"})
    await merge(store, BOB, ALICE)


async def _fill_streams(store: CopyStore) -> None:
    stream = await a_stream(store, shard_count=2)
    await store.update_stream(stream.stream_id, keep_longer)
    await register_all(store, stream, "app", "other", tags={"k é": ""})
    await append(store, stream, b"one", b"two", shard=1)
    await append(store, stream, b"three \xff", b"", at=NOW_MS + 1)
    await store.put_stream_payload("p", b"payload", expires_ms=NOW_MS + 1)
    slices = [Slice(0, None, "us-east-1:8"), Slice(1, "us-east-1:8", None)]
    await store.start_bulk_publish(POOL, starting(), slices)
    leased = await lease(store)
    await store.checkpoint_slice(
        leased, Position(ALICE, "a"), Counts(1, 2, 3), lease_until_ms=NOW_MS + 5
    )


async def _fill_what_is_gone(store: CopyStore) -> None:
    """Leave traces of what is deleted; it need not go anywhere."""
    pool = "us-east-1:00000000-0000-4000-8000-00000000000d"
    await store.create_identity_pool(a_pool(pool), pools_max=100)
    identity = "us-east-1:d0000000-0000-4000-8000-000000000000"
    await keep(store, an_identity(identity, GOOGLE, pool=pool))
    gone = DatasetId(pool, identity, "prefs")
    await put(store, gone, {"k": "v"}, event=b"lost")
    await register(store, a_device("d9", identity_pool_id=pool, identity_id=identity))
    await subscribe(store, "d9", to=gone)
    await store.start_bulk_publish(pool, starting(), [Slice(0, None, None)])
    await store.delete_identity_pool(pool)
    stream = await a_stream(store, "deleted")
    await register_all(store, stream, "app")
    await append(store, stream, b"lost")
    await store.delete_stream("deleted")


async def export_all(store: CopyStore, kind: Kind, **bounds: int) -> list[Row]:
    """Export a kind, page by page."""
    found: list[Row] = []
    after = None
    while True:
        page = await store.export(kind, after=after, **(_NO_LIMIT | bounds))
        if not page.rows:
            return found
        found += page.rows
        after = page.position


async def copy_all(there: CopyStore, here: CopyStore) -> None:
    """Copy everything, in pages of three rows."""
    for kind in Kind:
        after = None
        while True:
            page = await there.export(kind, after=after, limit=3, bytes_max=2**20)
            if not page.rows:
                break
            await here.import_(kind, page.rows, position=page.position)
            after = page.position
    await here.raise_counters(await there.read_counters())


class CopyContract(StoreBench):
    """Everything goes from one store to another."""

    def play_two(
        self,
        tmp_path: Path,
        scene: Callable[[CopyStore, CopyStore], Awaitable[None]],
    ) -> None:
        """Run a scene with a store that is filled, and an empty one."""
        (tmp_path / "there").mkdir()
        (tmp_path / "here").mkdir()

        async def both(store: Store) -> None:
            there = cast("CopyStore", store)
            await fill(there)
            here = cast("CopyStore", self.new_store(tmp_path / "here"))
            await here.open()
            try:
                await scene(there, here)
            finally:
                await here.aclose()

        self.play(tmp_path / "there", both)

    def test_what_comes_in_goes_out_the_same(self, tmp_path: Path) -> None:
        """A store that everything was imported into exports the same rows."""

        async def scene(there: CopyStore, here: CopyStore) -> None:
            await copy_all(there, here)
            for kind in Kind:
                wanted = await export_all(there, kind)
                found = await export_all(here, kind)
                checksums = Checksum(kind), Checksum(kind)
                checksums[0].add(wanted)
                checksums[1].add(found)

                assert wanted, f"the sample has no {kind}"
                assert sorted(map(repr, wanted)) == sorted(map(repr, found))
                assert checksums[0].text == checksums[1].text
                assert checksums[0].numbers_text == checksums[1].numbers_text
                assert await here.count_rows(kind) == len(found)
                assert await there.count_rows(kind) >= len(found)

        self.play_two(tmp_path, scene)

    def test_a_copy_is_a_store_like_the_first(self, tmp_path: Path) -> None:
        """What each part of the port reads, and how work goes on, is the same."""

        async def everything(store: CopyStore) -> list[object]:
            leased = [
                await store.lease_slice("new", now_ms=NOW_MS + 9, lease_ms=9)
                for _ in range(3)
            ]
            assert leased[2] is None
            places = {(e.slice, e.run_id, e.position, e.counts) for e in leased if e}
            return [
                await store.list_developer_keys(),
                await store.list_audit_entries(AuditFilter(), before=None, limit=9),
                await store.list_token_keys(),
                await store.list_identity_pools(after=None, limit=9),
                await store.list_identity_pool_usage(after=None, limit=9),
                await store.list_identities(POOL, after=None, limit=9, enabled=False),
                (await load(store, logins=[GOOGLE])).identities,
                await read_all(store, DatasetId(POOL, CAROL, "prefs")),
                await read_all(store, GONE),
                await store.list_datasets(
                    POOL, ALICE, after=None, limit=None, deleted=True
                ),
                await store.find_identity_usage(POOL, CAROL),
                await store.find_spent_session(
                    DatasetId(POOL, CAROL, "prefs"), SESSION
                ),
                await store.find_device(ALICE, "d1"),
                await told(store),
                await store.list_outbox(POOL, limit=99, bytes_max=2**20),
                await store.find_bulk_publish(POOL),
                places,
                await store.list_streams(after=None, limit=9),
                await store.find_stream_payload("p", now_ms=NOW_MS),
            ]

        async def scene(there: CopyStore, here: CopyStore) -> None:
            await copy_all(there, here)
            assert await everything(here) == await everything(there)

            changes = await put(here, GONE, {"k": "again"}, event=b"new")
            assert changes.outcome is not None
            assert changes.outcome.sync_count == 3
            before = await there.list_outbox(POOL, limit=99, bytes_max=2**20)
            *same, new = await here.list_outbox(POOL, limit=99, bytes_max=2**20)
            assert same == before
            assert new.outbox_id > max(each.outbox_id for each in before)
            stream = await here.find_stream("changes")
            assert stream is not None
            last = (await there.read_counters()).sequence_number
            (number,) = await append(here, stream, b"later", shard=1)
            assert number > last
            assert await data_of(here, stream, 1) == [b"one", b"two", b"later"]

        self.play_two(tmp_path, scene)

    def test_pages_part_the_rows(self, tmp_path: Path) -> None:
        """Rows come the same in pages of any size, each of them once."""

        async def scene(there: CopyStore, here: CopyStore) -> None:
            for kind in Kind:
                whole = await export_all(there, kind)
                page = await there.export(kind, after=None, limit=100, bytes_max=1)

                assert whole == await export_all(there, kind, limit=1)
                assert whole == await export_all(there, kind, bytes_max=1)
                assert list(page.rows) == whole[:1]

        self.play_two(tmp_path, scene)

    def test_the_last_page_may_come_again(self, tmp_path: Path) -> None:
        """A page that is written twice is there once."""

        async def scene(there: CopyStore, here: CopyStore) -> None:
            for kind in Kind:
                page = await there.export(kind, after=None, limit=100, bytes_max=2**30)
                for _ in range(2):
                    await here.import_(kind, page.rows, position=page.position)
                first_stream_only = kind is Kind.STREAM_RECORDS
                found = await export_all(here, kind)

                assert len(found) == len(page.rows) or first_stream_only
                assert await here.count_rows(kind) == len(page.rows)

        self.play_two(tmp_path, scene)

    def test_positions_and_the_mark_are_kept(self, tmp_path: Path) -> None:
        """They are those of the last page and the first begin, until the end."""

        async def scene(there: CopyStore, here: CopyStore) -> None:
            assert await here.find_copy_mark() is None
            await here.begin_copy(MARK)
            await here.begin_copy(msgspec.structs.replace(MARK, source="elsewhere"))
            for kind in Kind:
                assert await here.find_copy_position(kind) is None
                await here.import_(kind, [], position=b"first")
                await here.import_(kind, [], position=b"\x00\xff")
            await here.aclose()
            await here.open()

            assert await here.find_copy_mark() == MARK
            for kind in Kind:
                assert await here.find_copy_position(kind) == b"\x00\xff"
            await here.end_copy()
            await here.end_copy()
            assert await here.find_copy_mark() is None
            for kind in Kind:
                assert await here.find_copy_position(kind) is None

        self.play_two(tmp_path, scene)

    def test_counters_only_rise(self, tmp_path: Path) -> None:
        """Numbers of what is gone are not used again; lower counters change nothing."""

        async def scene(there: CopyStore, here: CopyStore) -> None:
            page = await there.export(Kind.STREAMS, after=None, limit=9, bytes_max=999)
            await here.import_(Kind.STREAMS, page.rows, position=page.position)
            high = Counters(
                outbox_id=5000, sequence_number=2**60, arrival_ms=NOW_MS + 99
            )
            low = Counters(outbox_id=1, sequence_number=1, arrival_ms=1)
            await here.raise_counters(high)
            await here.raise_counters(low)
            found = await here.read_counters()
            assert (found.outbox_id, found.sequence_number) == (5000, 2**60)

            await here.create_identity_pool(a_pool(), pools_max=9)
            await put(here, PREFS, {"k": "v"}, event=b"x")
            (entry,) = await here.list_outbox(POOL, limit=9, bytes_max=99)
            assert entry.outbox_id > 5000
            stream = await here.find_stream("changes")
            assert stream is not None
            assert (await append(here, stream, b"x"))[0] > 2**60

        self.play_two(tmp_path, scene)

    def test_no_stream_record_is_lost_to_another_shard(self, tmp_path: Path) -> None:
        """Where two shards share numbers, all records come, in their order."""
        shards = {0: [10, 11, 12, 20], 1: [9, 11, 12, 13, 21]}
        rows = [
            StreamRecordRow(5, shard, number, NOW_MS, "key", b"%d" % number)
            for shard, numbers in shards.items()
            for number in numbers
        ]

        async def scene(store: Store) -> None:
            here = cast("CopyStore", store)
            stream = StreamRow(5, "shared", 2, NOW_MS, None, "PROVISIONED", None)
            await here.import_(Kind.STREAMS, [stream], position=b"1")
            await here.import_(Kind.STREAM_RECORDS, rows[:6], position=b"1")
            await here.import_(Kind.STREAM_RECORDS, rows[6:], position=b"2")
            await here.import_(Kind.STREAM_RECORDS, rows[6:], position=b"2")
            found = await here.find_stream("shared")
            assert found is not None

            for shard, numbers in shards.items():
                assert await data_of(here, found, shard) == [b"%d" % n for n in numbers]
                listed = await here.list_stream_records(
                    5, shard, after=0, limit=99, bytes_max=2**20
                )
                # A consumer that knows a position misses nothing behind it.
                assert all(
                    each.sequence_number >= number
                    for each, number in zip(listed, numbers, strict=True)
                )

        self.play(tmp_path, scene)

    @pytest.mark.parametrize("method", EVERY_COPY_METHOD)
    def test_a_closed_store_copies_nothing(self, tmp_path: Path, method: str) -> None:
        """Before `open`, every method raises a StoreError."""
        store = cast("CopyStore", self.new_store(tmp_path))

        with pytest.raises(StoreError):
            asyncio.run(_call(store, method))


async def _call(store: CopyStore, method: str) -> None:
    await EVERY_COPY_METHOD[method](store)
