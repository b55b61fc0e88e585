"""The API of a pool elsewhere, as a source: another Millpond stands for AWS."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from millpond.core.sync import SyncLimits
from millpond.errors import SourceError, SourceRefusedError
from millpond.sources import api_datasets
from millpond.sources.api import ApiSource
from millpond.sources.api_answers import Record, Records
from millpond.sources.api_calls import ApiCalls, Keys
from millpond.sources.base import nothing_known
from millpond.sources.opening import open_api
from millpond.stores.importing import Arrival
from millpond.testing.server import RunningServer
from millpond.testing.source_contract import POOL, SourceContract, SourceDataset
from sources.moving import seed
from sources.trying_proxy import TryingProxy


class _Known:
    def __init__(self, server: RunningServer) -> None:
        self._keys = Keys(server.access_key_id, server.secret_access_key, None)

    def find(self) -> Keys:
        return self._keys


def source_of(
    server: RunningServer,
    endpoint: str = "",
    *,
    limits: SyncLimits | None = None,
    pool: str = POOL,
    patience_s: float = 60.0,
) -> ApiSource:
    """Make a source of a server, or of what stands before it."""
    at = endpoint or server.endpoint
    calls = ApiCalls(
        {"cognito-identity": at, "cognito-sync": at},
        server.region,
        _Known(server),
        patience_s=patience_s,
    )
    return ApiSource(pool, calls, limits=limits or SyncLimits(), parallel=4)


class TestApiSource(SourceContract):
    """The API keeps the source contract."""

    @contextlib.asynccontextmanager
    async def source(
        self, place: Path, datasets: Sequence[SourceDataset]
    ) -> AsyncIterator[ApiSource]:
        folder = place / "source"
        folder.mkdir()
        await asyncio.to_thread(seed, folder, [e.identity_id for e in datasets])
        with RunningServer(folder) as server, TryingProxy(server) as proxy:
            proxy.page = 2  # so that there are positions
            sync = server.client("cognito-sync")
            for each in datasets:
                for key, value in each.values.items():
                    put(sync, each.identity_id, {key: value}, name=each.dataset_name)
            source = source_of(server, proxy.endpoint)
            try:
                yield source
            finally:
                await source.aclose()


def put(
    sync: Any, identity_id: str, values: dict[str, str | None], *, name: str = "prefs"
) -> None:
    """Write records; None removes one."""
    names = {
        "IdentityPoolId": POOL,
        "IdentityId": identity_id,
        "DatasetName": name,
    }
    listed = sync.list_records(**names)
    counts = {each["Key"]: each["SyncCount"] for each in listed["Records"]}
    patches = []
    for key, value in values.items():
        patch = {"Key": key, "SyncCount": counts.get(key, 0), "Op": "remove"}
        if value is not None:
            patch |= {"Op": "replace", "Value": value}
        patches.append(patch)
    sync.update_records(
        **names, SyncSessionToken=listed["SyncSessionToken"], RecordPatches=patches
    )


ALICE = "us-east-1:a0000000-0000-4000-8000-000000000000"
OTHERS = [f"us-east-1:b{n:07x}-0000-4000-8000-000000000000" for n in range(5)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A source with a few identities, of which Alice has data."""
    folder = tmp_path_factory.mktemp("source")
    seed(folder, [ALICE, *OTHERS])
    with RunningServer(folder) as running:
        sync = running.client("cognito-sync")
        for turn in range(3):
            put(sync, ALICE, {"k": f"v{turn}", "gone": "x"})
        put(sync, ALICE, {"gone": None})
        for _ in range(2):
            put(sync, ALICE, {"a": "1"}, name="again")
            put(sync, ALICE, {"a": "2"}, name="again")
            sync.delete_dataset(
                IdentityPoolId=POOL, IdentityId=ALICE, DatasetName="again"
            )
        put(sync, ALICE, {"a": "3", "b": "4"}, name="again")
        put(sync, ALICE, {"a": "5"}, name="again")
        yield running


@pytest.fixture
def proxy(server: RunningServer) -> Iterator[TryingProxy]:
    with TryingProxy(server) as running:
        yield running


def fetch(source: ApiSource, identity_id: str = ALICE) -> list[Arrival]:
    async def run() -> list[Arrival]:
        try:
            return await source.fetch_identity(identity_id)
        finally:
            await source.aclose()

    return asyncio.run(run())


def test_a_dataset_comes_with_tombstones_and_horizon(server: RunningServer) -> None:
    """Removed records come without a value; the horizon is found by asking."""
    before_s = int(time.time())  # dates of HTTP have seconds
    (arrival,) = fetch(source_of(server))
    assert before_s * 1000 <= arrival.as_of_ms <= time.time() * 1000
    by_name = {each.row.dataset_name: each for each in arrival.datasets}

    prefs = by_name["prefs"]
    assert {e.record_key: (e.value, e.sync_count) for e in prefs.records} == {
        "k": ("v2", 3),
        "gone": (None, 4),
    }
    assert (prefs.row.sync_count, prefs.row.horizon, prefs.row.num_records) == (4, 0, 1)
    again = by_name["again"].row
    # Two incarnations of two counts each died before, and so did the counts of that.
    assert (again.sync_count, again.horizon) == (8, 6)
    assert arrival.names == {"prefs", "again"}
    assert arrival.identity is not None
    assert arrival.identity.guest


def test_what_changes_between_pages_is_read_again() -> None:
    """Pages that are not of one moment come together as of the last one."""
    state = {"k0": ("old", 1), "k1": ("old", 1), "k2": ("old", 1)}
    asked: list[int] = []

    async def list_(after: int, limit: int, token: str | None) -> tuple[Records, float]:
        asked.append(after)
        now = max(count for _, count in state.values())
        changed = sorted(k for k, (_, count) in state.items() if count > after)
        start = int(token or 0)
        page = [
            Record(key=key, value=state[key][0], sync_count=state[key][1])
            for key in changed[start : start + 1]
        ]
        more = str(start + 1) if start + 1 < len(changed) else None
        if after == 0:
            state["k0"] = (f"new{start}", now + 1)
        return Records(dataset_sync_count=now, records=page, next_token=more), 0.0

    fetched = asyncio.run(api_datasets.fetch(list_, "it"))
    assert fetched is not None
    assert {k: (e.value, e.sync_count) for k, e in fetched.records.items()} == state
    assert fetched.sync_count == 4
    assert 0 in asked
    assert 1 in asked


def test_a_missing_right_is_named(server: RunningServer, proxy: TryingProxy) -> None:
    """The action stands in the message, as policies name it."""
    proxy.denied = frozenset({"ListDatasets"})
    with pytest.raises(SourceRefusedError, match="cognito-sync:ListDatasets") as caught:
        fetch(source_of(server, proxy.endpoint))
    assert caught.value.action == "cognito-sync:ListDatasets"


def test_a_wrong_secret_is_told(server: RunningServer) -> None:
    """Who signs wrongly hears that, and not that a right is missing."""
    source = source_of(server)
    source.calls._credentials = _Wrong(server)
    with pytest.raises(SourceRefusedError, match="secret key"):
        fetch(source)


class _Wrong(_Known):
    def find(self) -> Keys:
        return super().find()._replace(secret="wrong")


def test_a_source_that_is_down_is_given_up(
    server: RunningServer, proxy: TryingProxy
) -> None:
    """When nothing is answered for as long as one has patience; it says what for."""
    proxy.down = True
    with pytest.raises(SourceError, match="cognito-identity:DescribeIdentity is not"):
        fetch(source_of(server, proxy.endpoint, patience_s=0.5))


def test_what_is_over_a_limit_is_named_and_not_given(server: RunningServer) -> None:
    """With the setting that would let it in; everything else is given."""
    limits = SyncLimits(record_value_chars=1)
    (arrival,) = fetch(source_of(server, limits=limits))
    assert [each.row.dataset_name for each in arrival.datasets] == ["again"]
    assert "record_value_chars_max is 1" in arrival.asides["prefs"]
    assert "'k'" in arrival.asides["prefs"]

    limits = SyncLimits(datasets_per_identity=1)
    (arrival,) = fetch(source_of(server, limits=limits))
    (reason,) = arrival.asides.values()
    assert "datasets_per_identity_max is 1" in reason


def test_odd_identities_are_named(server: RunningServer, proxy: TryingProxy) -> None:
    """One in upper case, or of another region, is told of; the others come."""
    odd = [ALICE.upper(), ALICE.replace("us-east-1", "eu-west-1")]

    def rewrite(operation: str, answer: Any) -> Any:
        if operation == "ListIdentities":
            answer["Identities"] += [{"IdentityId": each} for each in odd]
        return answer

    proxy.rewrite = rewrite

    async def run() -> tuple[set[str], dict[str, str]]:
        source = source_of(server, proxy.endpoint)
        given: set[str] = set()
        unreadable: dict[str, str] = {}
        async for batch in source.read(None, nothing_known):
            given |= {each.identity_id for each in batch.arrivals}
            unreadable |= batch.unreadable
        await source.aclose()
        return given, unreadable

    given, unreadable = asyncio.run(run())
    assert given == {ALICE, *OTHERS}
    assert sorted(unreadable) == sorted(odd)
    assert "region" in unreadable[odd[1]]


def test_throttling_is_met_with_the_pace_that_is_allowed(
    server: RunningServer, proxy: TryingProxy
) -> None:
    """Everything comes, and hardly more is asked for than is allowed."""
    proxy.rate = 40.0

    async def run() -> None:
        source = source_of(server, proxy.endpoint)
        for _ in range(12):
            given = set()
            async for batch in source.read(None, nothing_known):
                assert not batch.unreadable
                given |= {each.identity_id for each in batch.arrivals}
            assert given == {ALICE, *OTHERS}
        assert source.calls.throttled > 0
        await source.aclose()

    asyncio.run(run())
    refused = proxy.seen - len(proxy.answered)
    assert refused < len(proxy.answered)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"identity_pool_id": POOL.upper()}, "lower"),
        ({"identity_pool_id": "my pool"}, "REGION:UUID"),
        ({"region": "eu-west-1"}, "is in us-east-1, not in eu-west-1"),
        ({"profile": "nobody"}, "nobody"),
    ],
)
def test_what_cannot_be_opened_is_told(words: dict[str, Any], message: str) -> None:
    """Before anything is called."""
    with pytest.raises(SourceError, match=message):
        open_api(**{"identity_pool_id": POOL, "limits": SyncLimits(), **words})
