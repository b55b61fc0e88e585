"""The store contract, a store's life: opening, closing, coming back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from millpond.core.bulk_publish import Counts, LeasedSlice, Position, Slice
from millpond.core.push import LastPush, Push
from millpond.core.sync import Changes, DatasetId
from millpond.errors import StoreError
from millpond.stores import base
from millpond.stores.base import (
    AuditFilter,
    NewStreamRecord,
    OutboxEntry,
    PoolLogin,
    Store,
)
from millpond.testing.deadlines import seconds
from millpond.testing.store_contract.audit import an_entry
from millpond.testing.store_contract.bench import (
    ALICE,
    BOB,
    NOW_MS,
    POOL,
    PREFS,
    StoreBench,
    a_pool,
    delete,
    put,
    read_all,
)
from millpond.testing.store_contract.bulk_publish import lease, starting
from millpond.testing.store_contract.devices import a_device
from millpond.testing.store_contract.identities import (
    GOOGLE,
    an_identity,
    deciding_to_keep,
    keep,
)
from millpond.testing.store_contract.keys import a_key
from millpond.testing.store_contract.stream_consumers import a_consumer
from millpond.testing.store_contract.streams import a_stream, append, data_of
from millpond.testing.store_contract.token_keys import a_token_key

_LEASED: Final = LeasedSlice(
    identity_pool_id=POOL,
    run_id="run 1",
    stream_name="changes",
    slice=Slice(0, None, None),
    slices=1,
    fence=1,
    position=None,
    counts=Counts(),
)

_ENTRY: Final = OutboxEntry(1, ALICE, b"", NOW_MS)
_PUSH: Final = Push(device=a_device(), dataset_name="prefs", sync_count=1)


async def _take_along(store: Store) -> None:
    with store.taking_along(an_entry(2)):
        await store.update_identity_pool(POOL, lambda pool: pool)


EVERY_METHOD: Final[Mapping[str, Callable[[Store], Awaitable[Any]]]] = {
    "put_developer_key": lambda s: s.put_developer_key(a_key()),
    "list_developer_keys": lambda s: s.list_developer_keys(),
    "delete_developer_key": lambda s: s.delete_developer_key("AKIA1"),
    "update_developer_key": lambda s: s.update_developer_key("AKIA1", lambda k: k),
    "note_key_uses": lambda s: s.note_key_uses({"AKIA1": NOW_MS}),
    "taking_along": _take_along,
    "put_audit_entries": lambda s: s.put_audit_entries([an_entry(1)]),
    "list_audit_entries": lambda s: s.list_audit_entries(
        AuditFilter(), before=None, limit=1
    ),
    "trim_audit": lambda s: s.trim_audit(frequent=False, keep=1, limit=1),
    "put_token_key": lambda s: s.put_token_key(a_token_key()),
    "list_token_keys": lambda s: s.list_token_keys(),
    "retire_token_key": lambda s: s.retire_token_key("us-east-1-1", retire_date_ms=1),
    "spend_mark": lambda s: s.spend_mark("link 1", until_ms=1),
    "is_mark_spent": lambda s: s.is_mark_spent("link 1"),
    "create_identity_pool": lambda s: s.create_identity_pool(
        a_pool("us-east-1:9"), pools_max=9
    ),
    "find_identity_pool": lambda s: s.find_identity_pool(POOL),
    "list_identity_pools": lambda s: s.list_identity_pools(after=None, limit=9),
    "update_identity_pool": lambda s: s.update_identity_pool(POOL, lambda pool: pool),
    "delete_identity_pool": lambda s: s.delete_identity_pool("us-east-1:8"),
    "find_identity_pool_usage": lambda s: s.find_identity_pool_usage(POOL),
    "list_identity_pool_usage": lambda s: s.list_identity_pool_usage(
        after=None, limit=9
    ),
    "add_sync_sessions": lambda s: s.add_sync_sessions({POOL: 1}),
    "find_identity": lambda s: s.find_identity(ALICE),
    "find_identities": lambda s: s.find_identities(
        POOL, identity_ids=[ALICE, BOB], logins=[GOOGLE]
    ),
    "update_identities": lambda s: s.update_identities(
        POOL,
        identity_ids=[],
        logins=[GOOGLE],
        decide=deciding_to_keep(an_identity(BOB, GOOGLE)),
    ),
    "list_identities": lambda s: s.list_identities(
        POOL, after=None, limit=9, enabled=True
    ),
    "search_identities": lambda s: s.search_identities(
        None, prefix="us", kind=None, after=None, limit=9
    ),
    "find_login_owners": lambda s: s.find_login_owners([PoolLogin(POOL, GOOGLE)]),
    "list_merged_identities": lambda s: s.list_merged_identities(POOL, BOB, limit=9),
    "delete_identity": lambda s: s.delete_identity(BOB, now_ms=NOW_MS),
    "note_guest_use": lambda s: s.note_guest_use(ALICE, now_ms=NOW_MS, before_ms=1),
    "begin_guest_expiry": lambda s: s.begin_guest_expiry(now_ms=NOW_MS),
    "stop_guest_expiry": lambda s: s.stop_guest_expiry(),
    "expire_guests": lambda s: s.expire_guests("", unused_since_ms=1, rows_max=9),
    "find_verification": lambda s: s.find_verification(),
    "update_dataset": lambda s: s.update_dataset(
        PREFS, keys=["k"], session_id=b"s" * 16, decide=lambda stored: Changes()
    ),
    "list_expired_tombstones": lambda s: s.list_expired_tombstones(
        modified_before_ms=NOW_MS, limit=9
    ),
    "drop_tombstones": lambda s: s.drop_tombstones(
        PREFS,
        modified_before_ms=NOW_MS,
        keep=0,
        limit=9,
        forget=lambda dataset, newest: dataset,
    ),
    "read_records": lambda s: s.read_records(PREFS, lambda dataset: None),
    "find_records": lambda s: s.find_records(PREFS, ["k"]),
    "find_spent_session": lambda s: s.find_spent_session(PREFS, b"s" * 16),
    "list_datasets": lambda s: s.list_datasets(POOL, ALICE, after=None, limit=None),
    "find_identity_usage": lambda s: s.find_identity_usage(POOL, ALICE),
    "put_device": lambda s: s.put_device(a_device(), devices_max=9),
    "find_device": lambda s: s.find_device(ALICE, "d1"),
    "list_devices": lambda s: s.list_devices(POOL, ALICE, after=None, limit=9),
    "list_pool_devices": lambda s: s.list_pool_devices(POOL, after=None, limit=9),
    "delete_device": lambda s: s.delete_device(POOL, ALICE, "d1"),
    "put_last_push": lambda s: s.put_last_push(a_device(), LastPush(1)),
    "put_endpoint": lambda s: s.put_endpoint(a_device(), "arn"),
    "disable_device": lambda s: s.disable_device(a_device(), "arn"),
    "put_subscription": lambda s: s.put_subscription(PREFS, "d1"),
    "delete_subscription": lambda s: s.delete_subscription(PREFS, "d1"),
    "list_pushes": lambda s: s.list_pushes(now_ms=NOW_MS, limit=9),
    "delete_pushes": lambda s: s.delete_pushes([_PUSH]),
    "defer_push": lambda s: s.defer_push(_PUSH, due_ms=NOW_MS),
    "count_identity_pools": lambda s: s.count_identity_pools(),
    "count_identities": lambda s: s.count_identities(None, rows_max=9),
    "count_tombstones": lambda s: s.count_tombstones(None, rows_max=9),
    "measure_bytes": lambda s: s.measure_bytes(),
    "count_pushes": lambda s: s.count_pushes(),
    "list_outbox_pools": lambda s: s.list_outbox_pools(),
    "list_outbox": lambda s: s.list_outbox(POOL, limit=9, bytes_max=9),
    "delete_outbox": lambda s: s.delete_outbox(POOL, [_ENTRY]),
    "measure_outbox": lambda s: s.measure_outbox(None),
    "list_outbox_usage": lambda s: s.list_outbox_usage(after=None, limit=9),
    "list_outbox_notes": lambda s: s.list_outbox_notes(
        POOL, parked=True, after=0, limit=9
    ),
    "find_outbox_range": lambda s: s.find_outbox_range(POOL),
    "park_outbox": lambda s: s.park_outbox(POOL, [(_ENTRY, "refused")], now_ms=NOW_MS),
    "list_parked_outbox": lambda s: s.list_parked_outbox(POOL, after=0, limit=9),
    "return_parked_outbox": lambda s: s.return_parked_outbox(POOL, [1]),
    "delete_parked_outbox": lambda s: s.delete_parked_outbox(POOL, [1]),
    "count_bulk_publishes": lambda s: s.count_bulk_publishes(),
    "start_bulk_publish": lambda s: s.start_bulk_publish(
        POOL, lambda pool, run: run, []
    ),
    "find_bulk_publish": lambda s: s.find_bulk_publish(POOL),
    "find_bulk_publish_progress": lambda s: s.find_bulk_publish_progress(POOL),
    "cut_bulk_publish": lambda s: s.cut_bulk_publish("us-east-1", 2),
    "close_slice": lambda s: s.close_slice(_LEASED),
    "postpone_slice": lambda s: s.postpone_slice(_LEASED, until_ms=NOW_MS),
    "find_sliced_run": lambda s: s.find_sliced_run(POOL, now_ms=NOW_MS),
    "lease_slice": lambda s: s.lease_slice("one", now_ms=NOW_MS, lease_ms=1),
    "checkpoint_slice": lambda s: s.checkpoint_slice(
        _LEASED, None, Counts(), lease_until_ms=NOW_MS
    ),
    "change_bulk_publish": lambda s: s.change_bulk_publish(_LEASED, lambda run: run),
    "finish_slice": lambda s: s.finish_slice(_LEASED, lambda run: run),
    "fail_bulk_publish": lambda s: s.fail_bulk_publish(_LEASED, lambda run: run),
    "release_slices": lambda s: s.release_slices("one"),
    "scan_datasets": lambda s: s.scan_datasets(
        _LEASED, position=None, limit=9, bytes_max=9
    ),
    "create_stream": lambda s: s.create_stream("other", shard_count=1, now_ms=NOW_MS),
    "delete_stream": lambda s: s.delete_stream("other"),
    "find_stream": lambda s: s.find_stream("changes"),
    "list_streams": lambda s: s.list_streams(after=None, limit=9),
    "update_stream": lambda s: s.update_stream(1, lambda stream: stream),
    "measure_streams": lambda s: s.measure_streams(),
    "create_stream_consumer": lambda s: s.create_stream_consumer(
        a_consumer(1), lambda others: None
    ),
    "find_stream_consumer": lambda s: s.find_stream_consumer(1, "app"),
    "list_stream_consumers": lambda s: s.list_stream_consumers(1, after=None, limit=9),
    "update_stream_consumer": lambda s: s.update_stream_consumer(
        1, "app", lambda consumer: consumer
    ),
    "delete_stream_consumer": lambda s: s.delete_stream_consumer(1, "app"),
    "put_stream_records": lambda s: s.put_stream_records(
        1, [NewStreamRecord(0, "k", b"x")], now_ms=NOW_MS
    ),
    "list_stream_records": lambda s: s.list_stream_records(
        1, 0, after=0, limit=9, bytes_max=9
    ),
    "list_earlier_stream_records": lambda s: s.list_earlier_stream_records(
        1, 0, partition_key="k", before=None, limit=9, bytes_max=9
    ),
    "find_sequence_number": lambda s: s.find_sequence_number(
        1, 0, arrived_before_ms=NOW_MS
    ),
    "put_stream_payload": lambda s: s.put_stream_payload("p", b"x", expires_ms=NOW_MS),
    "find_stream_payload": lambda s: s.find_stream_payload("p", now_ms=NOW_MS),
    "ping": lambda s: s.ping(),
    "purge": lambda s: s.purge(now_ms=NOW_MS, stream_retention_ms=1, limit=9),
}
"""A call of each method of the port, but for opening and closing."""


class LifecycleContract(StoreBench):
    """Opening, closing, and what is still there afterwards."""

    def test_the_suite_knows_every_method(self) -> None:
        """`EVERY_METHOD` names the whole port, so that nothing escapes the tests."""
        ports = [
            each for each in base.Store.__mro__ if each.__module__ == base.__name__
        ]
        methods = {
            name for port in ports for name in vars(port) if not name.startswith("_")
        }

        assert methods - {"open", "aclose"} == set(EVERY_METHOD)

    def test_open_and_aclose_may_be_repeated(self, tmp_path: Path) -> None:
        """Opening twice is opening once; so is closing, open or not."""

        async def scene(store: Store) -> None:
            await store.open()
            await put(store, PREFS, {"k": "v"})
            await store.aclose()
            await store.aclose()
            await store.open()
            await store.ping()

            assert len((await read_all(store, PREFS)).records) == 1

        asyncio.run(self.new_store(tmp_path).aclose())
        self.play(tmp_path, scene)

    @pytest.mark.parametrize("method", EVERY_METHOD)
    def test_a_closed_store_answers_nothing(self, tmp_path: Path, method: str) -> None:
        """Before `open` and after `aclose`, every method raises a StoreError."""
        call = EVERY_METHOD[method]

        async def scene(store: Store) -> None:
            await store.aclose()
            with pytest.raises(StoreError):
                await call(store)
            with pytest.raises(StoreError):
                await call(self.new_store(tmp_path))

        self.play(tmp_path, scene)

    def test_closing_finishes_what_was_accepted(self, tmp_path: Path) -> None:
        """Updates under way when a store is closed are kept and acknowledged."""

        async def scene(store: Store) -> None:
            writing = [
                asyncio.ensure_future(put(store, PREFS, {f"{n}": "v"}))
                for n in range(30)
            ]
            await asyncio.sleep(0)
            await store.aclose()
            done = await asyncio.gather(*writing)
            await store.open()

            assert len(done) == 30
            assert len((await read_all(store, PREFS)).records) == 30

        self.play(tmp_path, scene)

    def test_every_write_is_answered_while_the_store_closes(
        self, tmp_path: Path
    ) -> None:
        """A write that comes too late raises; one that was acknowledged is kept."""

        async def write(store: Store, number: int) -> bool:
            try:
                await put(store, PREFS, {str(number): "v"})
            except StoreError:
                return False
            return True

        async def scene(store: Store) -> None:
            early = [asyncio.ensure_future(write(store, n)) for n in range(20)]
            await asyncio.sleep(0)
            closing = asyncio.ensure_future(store.aclose())
            late: list[asyncio.Future[bool]] = []
            while not closing.done() and len(late) < 500:
                late.append(asyncio.ensure_future(write(store, 20 + len(late))))
                await asyncio.sleep(0)
            async with asyncio.timeout(seconds(20)):
                kept = await asyncio.gather(*early, *late)
            await closing
            await store.open()
            records = (await read_all(store, PREFS)).records

            assert all(kept[:20])
            acknowledged = {n for n, each in enumerate(kept) if each}
            assert acknowledged == {int(each.key) for each in records}

        self.play(tmp_path, scene)

    def test_everything_is_there_after_reopening(self, tmp_path: Path) -> None:
        """What each part of the port wrote is found by the next store of the place."""
        gone = DatasetId(POOL, ALICE, "gone")

        async def scene(store: Store) -> None:
            await store.put_developer_key(a_key())
            await store.put_token_key(a_token_key())
            await keep(store, an_identity(ALICE, GOOGLE), an_identity(BOB, guest=True))
            await store.add_sync_sessions({POOL: 3})
            await put(
                store, PREFS, {"k": "v", "t": None}, event=b"x", session=b"s" * 16
            )
            await put(store, gone, {"k": "v"})
            await delete(store, gone)
            stream = await a_stream(store)
            (number,) = await append(store, stream, b"record")
            await store.put_stream_payload("p", b"payload", expires_ms=NOW_MS + 1)
            slices = [Slice(0, None, "us-east-1:8"), Slice(1, "us-east-1:8", None)]
            await store.start_bulk_publish(POOL, starting(), slices)
            leased = await lease(store)
            await store.checkpoint_slice(
                leased, Position(ALICE, "a"), Counts(1, 2, 3), lease_until_ms=NOW_MS + 5
            )
            before = await self._everything(store)
            await store.aclose()

            second = self.new_store(tmp_path)
            await second.open()
            try:
                assert before == await self._everything(second)
                assert await data_of(second, stream) == [b"record"]
                resumed = await second.lease_slice("two", now_ms=NOW_MS + 5, lease_ms=9)
                assert resumed is not None
                (later,) = await append(second, stream, b"later")
                assert later > number
                changes = await put(second, gone, {"k": "again"})
                assert changes.outcome is not None
                assert changes.outcome.sync_count == 3
            finally:
                await second.aclose()

        self.play(tmp_path, scene)

    async def _everything(self, store: Store) -> list[object]:
        return [
            await store.list_developer_keys(),
            await store.list_token_keys(),
            await store.list_identities(POOL, after=None, limit=9, enabled=True),
            await store.list_identity_pools(after=None, limit=9),
            await store.list_identity_pool_usage(after=None, limit=9),
            await read_all(store, PREFS),
            await read_all(store, DatasetId(POOL, ALICE, "gone")),
            await store.find_identity_usage(POOL, ALICE),
            await store.find_spent_session(PREFS, b"s" * 16),
            await store.list_outbox(POOL, limit=9, bytes_max=99),
            await store.find_bulk_publish(POOL),
            await store.find_bulk_publish_progress(POOL),
            await store.find_sliced_run(POOL, now_ms=NOW_MS),
            await store.list_streams(after=None, limit=9),
            await store.find_stream_payload("p", now_ms=NOW_MS),
        ]
