"""
The service against a naive model of the protocol, and against clients that sync.

The model keeps every dataset as plain dictionaries and works out each answer the slow
way, from rulings 1 to 12 and 24. Random operations run on both; whatever the service
answers must be what the model says. The store is crashed between operations in one
variant.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from millpond import limits
from millpond.contract.cognito_sync import (
    DeleteDatasetRequest,
    DescribeDatasetRequest,
    ListDatasetsRequest,
    ListRecordsRequest,
    ListRecordsResponse,
    Record,
    RecordPatch,
    UpdateRecordsRequest,
)
from millpond.core import sync
from millpond.core.identity_pools import IdentityPool
from millpond.core.sync import DatasetId, DatasetState, SyncLimits
from millpond.core.tokens import PageTokens, SyncSessions
from millpond.errors import (
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceException,
)
from millpond.service import datasets, records
from millpond.service.context import Caller
from millpond.settings import Settings
from millpond.stores.sqlite import SqliteStore
from service.stage import make_context

POOL = "us-east-1:00000000-0000-4000-8000-000000000001"
IDENTITIES = ("us-east-1:aa", "us-east-1:bb")
NAMES = ("prefs", "saves", "a.b")
KEYS = ("a", "b", "c", "\u00e9", "\U0001f9c0")
CALLER = Caller("AKIAEXAMPLE", "000000000000")
RECORDS_MAX = 4
BYTES_MAX = 24
DATASETS_MAX = 2
KEY_MAX = 3
VALUE_MAX = 12
LIMITS = SyncLimits(
    datasets_per_identity=DATASETS_MAX,
    records_per_dataset=RECORDS_MAX,
    dataset_bytes=BYTES_MAX,
    record_key_chars=KEY_MAX,
    record_value_chars=VALUE_MAX,
)
Where = tuple[str, str]
Shown = tuple[str, str | None, int]
QUICK = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


# --- The service under test -----------------------------------------------------------


class Server:
    """The service functions over an embedded store, driven from plain code."""

    def __init__(self, limits: SyncLimits = LIMITS) -> None:
        self._limits = limits
        self._folder = Path(tempfile.mkdtemp())
        self._places = itertools.count()
        self._randomness = itertools.count()
        self._runner = asyncio.Runner()
        self._abandoned: list[SqliteStore] = []
        self.now_ms = 1_750_000_000_000
        self._place = self._folder / str(next(self._places))
        self._place.mkdir()
        self._open()
        pool = IdentityPool(
            identity_pool_id=POOL,
            identity_pool_name="Players",
            allow_unauthenticated_identities=True,
        )
        self.run(self.store.create_identity_pool(pool, pools_max=1))

    def _open(self) -> None:
        self.store = SqliteStore(self._place)
        self.run(self.store.open())
        key = b"k" * 32
        self.context = make_context(
            self.store,
            Settings(),
            lambda: self.now_ms,
            sessions=SyncSessions(
                key,
                lifetime_ms=3_600_000,
                random_bytes=lambda n: next(self._randomness).to_bytes(n),
            ),
            pages=PageTokens(key),
            limits=self._limits,
        )

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    def crash(self) -> None:
        """Go on from a copy of the files as they are now; nothing was closed."""
        place = self._folder / str(next(self._places))
        place.mkdir()
        for each in self._place.iterdir():
            if not each.name.endswith("-shm"):  # it is memory, and would be lost
                shutil.copyfile(each, place / each.name)
        self._abandoned.append(self.store)
        self._place = place
        self._open()

    def restart(self) -> None:
        """Close in good order and open again."""
        self.run(self.store.aclose())
        self._open()

    def stop(self) -> None:
        for store in [*self._abandoned, self.store]:
            self.run(store.aclose())
        self._runner.close()
        shutil.rmtree(self._folder)

    # --- Operations -------------------------------------------------------------------

    def list_records(self, where: Where, **members: Any) -> ListRecordsResponse:
        request = ListRecordsRequest(**_names(where), **members)
        answer = self.run(records.list_records(self.context, CALLER, request))
        assert isinstance(answer, ListRecordsResponse)
        assert answer.count == len(answer.records)
        assert answer.next_token != ""
        return answer

    def updating(self, where: Where, token: str, patches: list[RecordPatch]) -> Any:
        request = UpdateRecordsRequest(
            **_names(where), sync_session_token=token, record_patches=patches
        )
        return records.update_records(self.context, CALLER, request)

    def update_records(
        self, where: Where, token: str, patches: list[RecordPatch]
    ) -> list[Record]:
        answer = self.run(self.updating(where, token, patches))
        return list(answer.records)

    def delete_dataset(self, where: Where) -> None:
        request = DeleteDatasetRequest(**_names(where))
        self.run(datasets.delete_dataset(self.context, CALLER, request))

    def describe_dataset(self, where: Where) -> Any:
        request = DescribeDatasetRequest(**_names(where))
        return self.run(datasets.describe_dataset(self.context, CALLER, request))

    def list_datasets(self, identity: str, **members: Any) -> Any:
        request = ListDatasetsRequest(
            identity_pool_id=POOL, identity_id=identity, **members
        )
        return self.run(datasets.list_datasets(self.context, CALLER, request))

    def expire(self, where: Where, *, keep: int = 0) -> int:
        """Drop tombstones, as housekeeping does; all but the newest so many."""
        dropping = self.store.drop_tombstones(
            DatasetId(POOL, *where),
            modified_before_ms=limits.LONG_MAX,
            keep=keep,
            limit=1000,
            forget=sync.forget,
        )
        return int(self.run(dropping))

    def state(self, where: Where) -> DatasetState:
        """Look at the row of a dataset that was there once."""
        reading = self.store.read_records(DatasetId(POOL, *where), lambda dataset: None)
        found = self.run(reading).dataset
        assert isinstance(found, DatasetState)
        return found

    def fresh_token(self, where: Where) -> str:
        return self.list_records(where).sync_session_token


def _names(where: Where) -> dict[str, Any]:
    identity, name = where
    return {
        "identity_pool_id": POOL,
        "identity_id": identity,
        "dataset_name": name,
    }


def shown(found: list[Record]) -> list[Shown]:
    return [(each.key, each.value, each.sync_count) for each in found]


# --- The model ------------------------------------------------------------------------


@dataclass
class ModelDataset:
    """One dataset, with its whole past."""

    alive: bool = False
    count: int = 0
    horizon: int = 0
    forgotten: int = 0
    records: dict[str, tuple[str | None, int]] = field(default_factory=dict)

    def live(self) -> dict[str, str]:
        return {k: v for k, (v, _) in self.records.items() if v is not None}

    def shown(self, above: int = 0, up_to: int | None = None) -> list[Shown]:
        found = [
            (key, value, count)
            for key, (value, count) in self.records.items()
            if above < count and (up_to is None or count <= up_to)
        ]
        return sorted(found, key=lambda each: (each[2], each[0]))


class Model:
    """Rulings 1 to 12, without a thought for speed."""

    def __init__(self) -> None:
        self.datasets = {
            (identity, name): ModelDataset()
            for identity in IDENTITIES
            for name in NAMES
        }
        self.spent: dict[str, tuple[list[RecordPatch], list[Shown]]] = {}
        self.known: dict[str, int] = {}  # what came with a token

    def alive(self, identity: str) -> list[str]:
        return sorted(
            n for (i, n), d in self.datasets.items() if i == identity and d.alive
        )

    def update(
        self, where: Where, token_of: Where, token: str, patches: list[RecordPatch]
    ) -> tuple[set[str], list[Shown]]:
        """Give the errors of which one must come, or none and what is answered."""
        dataset = self.datasets[where]
        errors: set[str] = set()
        keys = [patch.key for patch in patches]
        wrong = (
            token_of != where
            or len(set(keys)) < len(keys)
            or any(len(key) > KEY_MAX or not key.strip() for key in keys)
            or any(
                p.op == "replace" and (p.value is None or len(p.value) > VALUE_MAX)
                for p in patches
            )
        )
        if wrong:
            errors.add("InvalidParameterException")
        elif token in self.spent:
            body, answer = self.spent[token]
            if body == patches:
                return set(), answer
            errors.add("InvalidParameterException")
        for patch in patches:
            if patch.sync_count not in self._right_counts(dataset, patch.key, token):
                errors.add("ResourceConflictException")
        after = dict(dataset.records)
        forgotten = dataset.forgotten
        for patch in patches:
            if patch.op == "replace":
                after[patch.key] = (patch.value, dataset.count + 1)
            elif patch.key in after:
                after[patch.key] = (None, dataset.count + 1)
            else:
                forgotten = dataset.count + 1
        live = {k: v for k, (v, _) in after.items() if v is not None}
        size = sum(len(k.encode()) + len(v.encode()) for k, v in live.items())
        creates = bool(patches) and not dataset.alive
        if (
            len(live) > RECORDS_MAX
            or size > BYTES_MAX
            or (creates and len(self.alive(where[0])) >= DATASETS_MAX)
        ):
            errors.add("LimitExceededException")
        if errors:
            return errors, []
        if patches:
            dataset.alive = True
            dataset.count += 1
            dataset.records = after
            dataset.forgotten = forgotten
        answer = [
            (p.key, after.get(p.key, (None, 0))[0], dataset.count) for p in patches
        ]
        self.spent[token] = (patches, answer)
        return set(), answer

    def _right_counts(self, dataset: ModelDataset, key: str, token: str) -> set[int]:
        if key in dataset.records:
            value, count = dataset.records[key]
            return {count} if value is not None else {count, 0}
        if not dataset.alive:
            return {0, dataset.count}
        if self.known[token] < dataset.horizon:
            return {0}
        return {*range(dataset.forgotten + 1)}

    def expire(self, where: Where, keep: int) -> int:
        dataset = self.datasets[where]
        dead = sorted(
            (count, key)
            for key, (value, count) in dataset.records.items()
            if value is None
        )
        dropped = dead[: len(dead) - keep] if keep else dead
        for count, key in dropped:
            del dataset.records[key]
            dataset.horizon = max(dataset.horizon, count)
            dataset.forgotten = max(dataset.forgotten, count)
        return len(dropped)

    def delete(self, where: Where) -> bool:
        dataset = self.datasets[where]
        if not dataset.alive:
            return False
        dataset.alive = False
        dataset.count += 1
        dataset.horizon = dataset.count
        dataset.forgotten = 0
        dataset.records = {}
        return True

    def listing(self, where: Where, known: int) -> dict[str, Any] | None:
        """Give what a listing must show; None when it must be refused."""
        dataset = self.datasets[where]
        if known < 0:
            return None
        if not dataset.alive:
            deleted = known > 0 and dataset.count > 0
            count = dataset.count
            return {"exists": False, "deleted": deleted, "count": count, "records": []}
        if known > dataset.count:
            return None
        deleted = 0 < known < dataset.horizon
        return {
            "exists": True,
            "deleted": deleted,
            "count": dataset.count,
            "records": dataset.shown(0 if deleted else known),
        }


# --- Random operations ----------------------------------------------------------------

places = st.tuples(st.sampled_from(IDENTITIES), st.sampled_from(NAMES))
values = st.one_of(
    st.sampled_from(["", "v", "\u00e9\u00e9", "\U0001f9c0", "x" * 6]),
    st.sampled_from(["x" * VALUE_MAX, "x" * (VALUE_MAX + 1)]),
    st.none(),
)
# Mostly the count that is right; else one that is wrong, or 0.
counts = st.sampled_from(["right"] * 6 + ["zero", "below", "above", "forgotten"])
patches_drawn = st.lists(
    st.tuples(
        st.sampled_from(["replace", "replace", "replace", "remove"]),
        st.sampled_from([*KEYS, *KEYS, "long", " "]),
        values,
        counts,
    ),
    max_size=4,
)


class Protocol(RuleBasedStateMachine):
    """Random operations on the service and on the model."""

    @initialize()
    def start(self) -> None:
        self.server = Server()
        self.model = Model()
        self.tokens: list[tuple[Where, str]] = []
        self.updates: list[tuple[Where, Where, str, list[RecordPatch]]] = []

    def teardown(self) -> None:
        if hasattr(self, "server"):
            self.server.stop()

    def _fresh_token(self, where: Where) -> str:
        token = self.server.fresh_token(where)
        self.tokens.append((where, token))
        self.model.known[token] = self.model.datasets[where].count
        return token

    def _patches(self, where: Where, drawn: list[Any]) -> list[RecordPatch]:
        known = self.model.datasets[where].records
        patches = []
        for op, key, value, how in drawn:
            count = known.get(key, (None, 0))[1]
            forgotten = self.model.datasets[where].forgotten
            count = {
                "right": count,
                "zero": 0,
                "below": count - 1,
                "forgotten": forgotten,
            }.get(how, count + 1)
            patches.append(RecordPatch(op=op, key=key, value=value, sync_count=count))
        return patches

    def _update(
        self, where: Where, token_of: Where, token: str, patches: list[RecordPatch]
    ) -> None:
        errors, wanted = self.model.update(where, token_of, token, patches)
        if errors:
            with pytest.raises(ServiceException) as caught:
                self.server.update_records(where, token, patches)
            assert caught.value.code in errors
        else:
            found = self.server.update_records(where, token, patches)
            assert shown(found) == wanted

    @rule(where=places, drawn=patches_drawn)
    def update(self, where: Where, drawn: list[Any]) -> None:
        """Update with a token of its own."""
        token = self._fresh_token(where)
        patches = self._patches(where, drawn)
        self.updates.append((where, where, token, patches))
        self._update(where, where, token, patches)

    @precondition(lambda self: self.tokens)
    @rule(where=places, drawn=patches_drawn, choice=st.integers(0, 10**6))
    def update_with_some_token(
        self, where: Where, drawn: list[Any], choice: int
    ) -> None:
        """Update with a token that is spent, or of another dataset, or neither."""
        token_of, token = self.tokens[choice % len(self.tokens)]
        if choice % 3:
            where = token_of
        patches = self._patches(where, drawn)
        self.updates.append((where, token_of, token, patches))
        self._update(where, token_of, token, patches)

    @precondition(lambda self: self.updates)
    @rule(choice=st.integers(0, 10**6))
    def repeat_an_update(self, choice: int) -> None:
        """Send one again, as a client does whose answer was lost."""
        self._update(*self.updates[-1 - choice % min(len(self.updates), 5)])

    @rule(where=places)
    def delete(self, where: Where) -> None:
        """Delete a dataset, or be told that there is none."""
        if self.model.delete(where):
            self.server.delete_dataset(where)
        else:
            with pytest.raises(ResourceNotFoundException):
                self.server.delete_dataset(where)

    @rule(where=places, keep=st.integers(0, 1), again=st.booleans())
    def remove_and_expire(self, where: Where, keep: int, again: bool) -> None:
        """A record is removed; tombstones expire, all or the older ones."""
        records = self.model.datasets[where].records
        for key in [key for key, (value, _) in records.items() if value is not None]:
            drawn: list[Any] = [("remove", key, None, "right")]
            if again:  # and another one is added
                drawn += [("replace", "b" if key != "b" else "a", "v", "right")]
            self.update(where, drawn)
            break
        assert self.server.expire(where, keep=keep) == self.model.expire(where, keep)

    @rule(
        where=places,
        below=st.integers(-3, 4),
        size=st.sampled_from([None, None, -1, 0, 1, 2, 3, 5000]),
    )
    def list_changes(self, where: Where, below: int, size: int | None) -> None:
        """List from any count, in one answer or in pages."""
        known = self.model.datasets[where].count - below
        wanted = self.model.listing(where, known)
        if wanted is None:
            with pytest.raises(ServiceException) as caught:
                self.server.list_records(where, last_sync_count=known, max_results=size)
            assert caught.value.code == "InvalidParameterException"
            return
        pages = self._pages(where, known, size, between=lambda: None)
        self._check_listing(pages, wanted)
        assert size is not None or len(pages) == 1

    @rule(
        where=places,
        below=st.integers(0, 4),
        size=st.integers(1, 2),
        drawn=st.lists(patches_drawn, min_size=1, max_size=4),
    )
    def list_while_others_write(
        self, where: Where, below: int, size: int, drawn: list[list[Any]]
    ) -> None:
        """Pages show the snapshot of the first, less what has moved above it."""
        dataset = self.model.datasets[where]
        known = max(dataset.count - below, 0)
        wanted = self.model.listing(where, known)
        assert wanted is not None
        writes = iter(drawn)

        def write() -> None:
            self.update(where, next(writes, []))

        pages = self._pages(where, known, size, between=write)
        found = [each for page in pages for each in shown(page.records)]
        keys = [key for key, _, _ in found]
        assert len(set(keys)) == len(keys)
        assert set(found) <= set(wanted["records"])
        for missing in set(wanted["records"]) - set(found):
            # It is not lost: the next listing has it, above this one's count.
            assert dataset.records[missing[0]][1] > wanted["count"]
        self._check_listing(pages, {**wanted, "records": found})

    def _pages(
        self,
        where: Where,
        known: int,
        size: int | None,
        between: Callable[[], None],
    ) -> list[ListRecordsResponse]:
        pages = [
            self.server.list_records(where, last_sync_count=known, max_results=size)
        ]
        while pages[-1].next_token is not None:
            assert len(pages[-1].records) == max(size or 0, 1)
            between()
            pages.append(
                self.server.list_records(
                    where,
                    last_sync_count=known,
                    max_results=size,
                    next_token=pages[-1].next_token,
                )
            )
        return pages

    def _check_listing(
        self, pages: list[ListRecordsResponse], wanted: dict[str, Any]
    ) -> None:
        found = [each for page in pages for each in shown(page.records)]
        assert found == wanted["records"]
        for page in pages:
            assert page.dataset_exists is wanted["exists"]
            assert page.dataset_deleted_after_requested_sync_count is wanted["deleted"]
            assert page.dataset_sync_count == wanted["count"]
            assert page.sync_session_token == pages[0].sync_session_token
            assert all(each.last_modified_by for each in page.records)

    @precondition(lambda self: self.tokens)
    @rule(where=places, choice=st.integers(0, 10**6))
    def list_with_a_token(self, where: Where, choice: int) -> None:
        """A session goes on until it is spent, and is of its own dataset."""
        token_of, token = self.tokens[choice % len(self.tokens)]
        if choice % 3:
            where = token_of
        if where != token_of or token in self.model.spent:
            with pytest.raises(ServiceException) as caught:
                self.server.list_records(where, sync_session_token=token)
            assert caught.value.message == "SyncSessionToken not valid for these inputs"
        else:
            answer = self.server.list_records(where, sync_session_token=token)
            assert answer.sync_session_token == token

    @rule(ms=st.sampled_from([1, 1000, -500]))
    def let_time_pass(self, ms: int) -> None:
        """The clock goes on, or is set back a little."""
        self.server.now_ms += ms

    @rule()
    def check_everything(self) -> None:
        """All datasets are listed and described as the model has them."""
        for identity in IDENTITIES:
            answer = self.server.list_datasets(identity)
            names = [each.dataset_name for each in answer.datasets]
            assert names == self.model.alive(identity)
            first = self.server.list_datasets(identity, max_results=1)
            assert first.datasets == answer.datasets[:1]
            if first.next_token is not None:
                rest = self.server.list_datasets(identity, next_token=first.next_token)
                assert rest.datasets == answer.datasets[1:]
        for where, dataset in self.model.datasets.items():
            if not dataset.alive:
                with pytest.raises(ResourceNotFoundException):
                    self.server.describe_dataset(where)
                continue
            described = self.server.describe_dataset(where).dataset
            live = dataset.live()
            size = sum(len(k.encode()) + len(v.encode()) for k, v in live.items())
            assert (described.num_records, described.data_storage) == (len(live), size)

    @invariant()
    def counters_never_fall(self) -> None:
        """The model's own counters are checked too: they only grow."""
        for dataset in getattr(self, "model", Model()).datasets.values():
            assert all(c <= dataset.count for _, c in dataset.records.values())


class CrashingProtocol(Protocol):
    """The same with crashes and restarts: what was acknowledged is there."""

    @rule()
    def crash(self) -> None:
        """Go on from the files as they are."""
        self.server.crash()

    @rule()
    def restart(self) -> None:
        """Close and open."""
        self.server.restart()

    @rule(where=places, drawn=patches_drawn, yields=st.integers(0, 3))
    def crash_during_an_update(
        self, where: Where, drawn: list[Any], yields: int
    ) -> None:
        """The update is there whole or not at all; sent again it is done once."""
        token = self._fresh_token(where)
        patches = self._patches(where, drawn)
        server = self.server

        async def send() -> Any:
            sending = asyncio.ensure_future(server.updating(where, token, patches))
            for _ in range(yields):
                await asyncio.sleep(0)
            return sending

        sending = server.run(send())
        server.crash()
        self._update(where, where, token, patches)

        async def forget() -> None:
            await asyncio.wait([sending])
            sending.exception()  # whoever sent it is gone

        server.run(forget())


def test_the_service_answers_as_the_model_says() -> None:
    """Updates, listings, pages, deletions and tokens, in any order."""
    run_state_machine_as_test(
        Protocol, settings=settings(QUICK, max_examples=60, stateful_step_count=40)
    )


def test_crashes_lose_nothing_that_was_acknowledged() -> None:
    """The same, while the store is crashed and restarted between operations."""
    run_state_machine_as_test(
        CrashingProtocol,
        settings=settings(QUICK, max_examples=25, stateful_step_count=30),
    )


# --- Clients --------------------------------------------------------------------------


@dataclass
class LocalRecord:
    """A record on a device."""

    value: str | None
    sync_count: int = 0
    dirty: bool = True


class RetriesExceeded(Exception):
    """The client's own failure."""


class Device:
    """The Android client: its `synchronize` loop, step by step."""

    page_size = 2  # it asks for 1024; small pages are harder

    def __init__(self, server: Server, where: Where, name: str) -> None:
        self.server = server
        self.where = where
        self.name = name
        self.last_sync_count = 0
        self.records: dict[str, LocalRecord] = {}
        self.keeps_own = True  # what its conflict handler decides
        self.seen = 0  # the newest count of the dataset that it has listed

    def put(self, key: str, value: str | None) -> None:
        old = self.records.get(key)
        self.records[key] = LocalRecord(value, old.sync_count if old else 0)

    def clear(self) -> None:
        self.records.clear()
        self.last_sync_count = -1

    def values(self) -> dict[str, str]:
        return {k: r.value for k, r in self.records.items() if r.value is not None}

    def synchronize(
        self, *, between: Callable[[], None] | None = None, lose_answer: bool = False
    ) -> None:
        for _ in range(4):  # MAX_RETRY = 3
            if self._pass(between, lose_answer):
                return
            between = None
        raise RetriesExceeded

    def settle(self) -> None:
        """
        Sync again while the device does not know at which count its data is.

        This client moves its count after a push only when it was the next one. A device
        that stays at 0 with data would not hear of a deletion: its own flaw, which the
        next sync mends.
        """
        if self.last_sync_count == 0 and self.records:
            self.synchronize()

    def _pass(self, between: Callable[[], None] | None, lose_answer: bool) -> bool:
        if self.last_sync_count == -1:
            # "Possibly a local-only dataset"
            with contextlib.suppress(ResourceNotFoundException):
                self.server.delete_dataset(self.where)
            self._purge()
            return True
        pages, last = self._pull()
        if (
            self.last_sync_count != 0 and not last.dataset_exists
        ) or last.dataset_deleted_after_requested_sync_count:
            # For a conflict alone nobody may be made to drop what was not pushed.
            assert not last.dataset_exists or (
                self.seen < self.server.state(self.where).horizon
            )
            self._purge()  # onDatasetDeleted answers true
            return True
        self.seen = last.dataset_sync_count
        self._merge([each for page in pages for each in page.records])
        if any(page.records for page in pages):
            self.last_sync_count = last.dataset_sync_count
        dirty = {key: each for key, each in self.records.items() if each.dirty}
        if not dirty:
            return True
        patches = [
            RecordPatch(
                op="remove" if each.value is None else "replace",
                key=key,
                value=each.value,
                sync_count=each.sync_count,
            )
            for key, each in dirty.items()
        ]
        if between is not None:
            between()
        try:
            answer = self.server.update_records(
                self.where, last.sync_session_token, patches
            )
        except ResourceConflictException:
            highest = max(patch.sync_count for patch in patches)
            if last.dataset_sync_count > highest:
                self.last_sync_count = highest
            return False
        if lose_answer:
            return True  # the connection broke; all stays dirty
        assert {each.key for each in answer} == set(dirty)
        for each in answer:
            self.records[each.key] = LocalRecord(each.value, each.sync_count, False)
        newest = max(each.sync_count for each in answer)
        if newest == last.dataset_sync_count + 1:
            self.last_sync_count = newest
        return True

    def _pull(self) -> tuple[list[ListRecordsResponse], ListRecordsResponse]:
        pages: list[ListRecordsResponse] = []
        token = None
        while True:
            pages.append(
                self.server.list_records(
                    self.where,
                    last_sync_count=self.last_sync_count,
                    max_results=self.page_size,
                    next_token=token,
                )
            )
            token = pages[-1].next_token
            if token is None:
                return pages, pages[-1]

    def _merge(self, remote: list[Record]) -> None:
        for each in remote:
            mine = self.records.get(each.key)
            conflict = (
                mine is not None
                and mine.dirty
                and mine.sync_count != each.sync_count
                and mine.value != each.value
            )
            if conflict and self.keeps_own:
                assert mine is not None
                self.records[each.key] = LocalRecord(mine.value, each.sync_count)
            else:
                self.records[each.key] = LocalRecord(each.value, each.sync_count, False)

    def _purge(self) -> None:
        self.records.clear()
        self.last_sync_count = 0
        self.seen = 0


WHERE = (IDENTITIES[0], NAMES[0])
FEW_TOMBSTONES = msgspec.structs.replace(LIMITS, tombstones_per_dataset=2)
device_numbers = st.integers(0, 1)


class Devices(RuleBasedStateMachine):
    """Two devices of one identity, offline and on, crossing each other."""

    @initialize(keeps_own=st.booleans(), few=st.booleans())
    def start(self, keeps_own: bool, few: bool) -> None:
        self.server = Server(FEW_TOMBSTONES if few else LIMITS)
        self.devices = [Device(self.server, WHERE, name) for name in ("one", "two")]
        self.devices[1].keeps_own = keeps_own
        self.values = itertools.count()

    @rule(which=device_numbers, key=st.sampled_from("abc"))
    def put(self, which: int, key: str) -> None:
        """Change a record offline; every value is another one."""
        self.devices[which].put(key, f"{next(self.values)}")

    @rule(which=device_numbers, key=st.sampled_from("abc"))
    def remove(self, which: int, key: str) -> None:
        """Remove a record offline, or what never was one."""
        self.devices[which].put(key, None)

    @rule(which=device_numbers, keep=st.integers(0, 1))
    def remove_and_expire(self, which: int, keep: int) -> None:
        """
        A device removes what it has, and tombstones expire; who has not heard of them
        has to start over.
        """
        device = self.devices[which]
        for key in [*device.values()][:1]:
            device.put(key, None)
            device.synchronize()
        self.server.expire(WHERE, keep=keep)

    @rule(which=device_numbers, key=st.sampled_from("abc"))
    def add_again(self, which: int, key: str) -> None:
        """A record is removed that may never have been there, and added again."""
        device = self.devices[which]
        device.put(key, None)
        device.synchronize()
        device.put(key, f"{next(self.values)}")
        device.synchronize()

    @rule(which=device_numbers)
    def synchronize(self, which: int) -> None:
        """Sync while nobody else does: this succeeds and leaves nothing dirty."""
        device = self.devices[which]
        device.synchronize()
        device.settle()

        assert self.server.run(self._count_tombstones()) <= self._tombstones_max
        assert not any(each.dirty for each in device.records.values())
        if device.last_sync_count > 0:
            assert device.values() == self._server_values()

    @rule(which=device_numbers, lose=st.booleans(), expire=st.booleans())
    def synchronize_crossing(self, which: int, lose: bool, expire: bool) -> None:
        """The other device syncs between this one's listing and its update."""
        other = self.devices[1 - which]

        def between() -> None:
            other.synchronize()
            if expire:
                self.server.expire(WHERE)

        self.devices[which].synchronize(between=between, lose_answer=lose)
        for device in self.devices:
            device.settle()

    @rule(which=device_numbers)
    def lose_an_answer(self, which: int) -> None:
        """The update is taken, but its answer does not arrive."""
        self.devices[which].synchronize(lose_answer=True)
        self.devices[which].settle()

    @rule(which=device_numbers)
    def clear(self, which: int) -> None:
        """Delete the dataset on one device."""
        self.devices[which].clear()

    @rule()
    def crash(self) -> None:
        """The server crashes and comes back."""
        self.server.crash()

    @rule()
    def converge(self) -> None:
        """After both have synced, twice at most, they agree with the server."""
        for _ in range(2):
            for device in self.devices:
                device.synchronize()
                device.settle()
        # Who was told of a deletion has dropped everything and pulls anew.
        for device in self.devices:
            device.synchronize()
        server = self._server_values()

        assert self.devices[0].values() == server
        assert self.devices[1].values() == server

    @property
    def _tombstones_max(self) -> int:
        return self.server.context.limits.tombstones_per_dataset

    async def _count_tombstones(self) -> int:
        counted = await self.server.store.count_tombstones(None, rows_max=1000)
        return counted.count

    def _server_values(self) -> dict[str, str]:
        listed = self.server.list_records(WHERE)
        return {
            each.key: each.value for each in listed.records if each.value is not None
        }

    def teardown(self) -> None:
        if hasattr(self, "server"):
            self.converge()
            self.server.stop()


def test_devices_converge() -> None:
    """However they cross each other, two devices end up with what the server has."""
    run_state_machine_as_test(
        Devices,
        settings=settings(
            QUICK,
            max_examples=60,
            stateful_step_count=25,
            phases=[Phase.explicit, Phase.generate],
        ),
    )


def test_no_record_is_lost_between_devices() -> None:
    """What one device has pushed, the other has after its next sync."""
    server = Server()
    try:
        one, two = (Device(server, WHERE, name) for name in ("one", "two"))
        for number, key in enumerate("abcd"):
            writer, reader = (one, two) if number % 2 else (two, one)
            writer.put(key, str(number))
            writer.synchronize()
            reader.synchronize()

            assert reader.values()[key] == str(number)
            assert reader.last_sync_count == number + 1
        assert one.values() == two.values() == dict(zip("abcd", "0123", strict=True))
    finally:
        server.stop()
