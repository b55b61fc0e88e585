"""The store contract, identity pools: configuration and usage."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from millpond.core.identity_pools import (
    CognitoIdentityProvider,
    IdentityPool,
    PrincipalTagMap,
    PushConfiguration,
    StreamConfiguration,
)
from millpond.core.sync import DatasetId
from millpond.stores.base import IdentityPoolUsage, IdentityUsage, Store
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
    never,
    put,
    read_all,
)


def full_pool(identity_pool_id: str) -> IdentityPool:
    """Describe a pool in which everything is set."""
    return IdentityPool(
        identity_pool_id=identity_pool_id,
        identity_pool_name=AWKWARD_TEXTS[-3],
        allow_unauthenticated_identities=False,
        allow_classic_flow=False,
        supported_login_providers={"accounts.google.com": "1.apps"},
        developer_provider_name="login.game",
        open_id_connect_provider_arns=["arn:aws:iam::000000000000:oidc-provider/a"],
        cognito_identity_providers=[
            CognitoIdentityProvider(provider_name="p", server_side_token_check=False),
            CognitoIdentityProvider(),
        ],
        saml_provider_arns=[],
        identity_pool_tags={"team": "", "\u00e9": "\U0001f9c0"},
        push=PushConfiguration(application_arns=["arn"], role_arn=None),
        stream=StreamConfiguration(stream_name="s", streaming_status="DISABLED"),
        principal_tag_maps={
            "a": PrincipalTagMap(principal_tags={"team": "custom:team"}),
            "login.game": PrincipalTagMap(use_defaults=False),
        },
        sync_trigger="https://hooks.example/\u00e9?a=b",
    )


class IdentityPoolContract(StoreBench):
    """Identity pools, their configuration and their usage."""

    def test_a_pool_comes_back_as_it_went_in(self, tmp_path: Path) -> None:
        """Every part of a description is kept, what is absent and what is empty too."""

        async def scene(store: Store) -> None:
            pool = full_pool(OTHER_POOL)
            assert await store.create_identity_pool(pool, pools_max=100)

            assert pool == await store.find_identity_pool(OTHER_POOL)
            assert a_pool() == await store.find_identity_pool(POOL)

        self.play(tmp_path, scene)

    def test_an_unknown_pool_is_none_everywhere(self, tmp_path: Path) -> None:
        """What names a pool that does not exist finds nothing and writes nothing."""
        dataset_id = DatasetId(UNKNOWN_POOL, ALICE, "prefs")

        async def scene(store: Store) -> None:
            update = store.update_dataset(
                dataset_id, keys=["k"], session_id=None, decide=never
            )

            assert await store.find_identity_pool(UNKNOWN_POOL) is None
            assert await store.update_identity_pool(UNKNOWN_POOL, never) is None
            assert await store.find_identity_pool_usage(UNKNOWN_POOL) is None
            assert not await store.delete_identity_pool(UNKNOWN_POOL)
            assert await update is None
            assert await store.read_records(dataset_id, never) is None
            assert await store.find_identity_usage(UNKNOWN_POOL, ALICE) is None
            listed = store.list_datasets(UNKNOWN_POOL, ALICE, after=None, limit=None)
            assert await listed is None
            assert await store.find_bulk_publish(UNKNOWN_POOL) is None
            assert await store.find_bulk_publish_progress(UNKNOWN_POOL) is None
            assert await store.start_bulk_publish(UNKNOWN_POOL, never, []) is None
            assert await store.list_outbox(UNKNOWN_POOL, limit=1, bytes_max=1) == []

        self.play(tmp_path, scene)

    def test_the_number_of_pools_is_bounded(self, tmp_path: Path) -> None:
        """No pool is created beyond the limit; deleting one makes room."""

        async def scene(store: Store) -> None:
            assert not await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=1)
            assert await store.find_identity_pool(OTHER_POOL) is None
            assert await store.delete_identity_pool(POOL)
            assert await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=1)

        self.play(tmp_path, scene)

    def test_the_bound_holds_for_many_at_once(self, tmp_path: Path) -> None:
        """Of ten that are created at the same time, only as many as fit are."""

        async def scene(store: Store) -> None:
            created = await asyncio.gather(
                *(
                    store.create_identity_pool(a_pool(f"us-east-1:{n}"), pools_max=5)
                    for n in range(10)
                )
            )

            assert sum(created) == 4
            assert len(await store.list_identity_pools(after=None, limit=100)) == 5

        self.play(tmp_path, scene)

    def test_pools_are_listed_by_id(self, tmp_path: Path) -> None:
        """Pools stand in the order of their ids; `after` and `limit` make pages."""

        async def scene(store: Store) -> None:
            names = ["us-east-1:c", "us-east-1:a", "eu-west-1:b"]
            for name in names:
                await store.create_identity_pool(a_pool(name), pools_max=100)
            wanted = sorted([*names, POOL])
            listed = await store.list_identity_pools(after=None, limit=100)
            usage = await store.list_identity_pool_usage(after=None, limit=100)
            page = await store.list_identity_pools(after=wanted[0], limit=2)
            usage_page = await store.list_identity_pool_usage(after=wanted[0], limit=2)

            assert wanted == [each.identity_pool_id for each in listed]
            assert wanted == [each.identity_pool_id for each in usage]
            assert wanted[1:3] == [each.identity_pool_id for each in page]
            assert wanted[1:3] == [each.identity_pool_id for each in usage_page]
            assert await store.list_identity_pools(after=wanted[-1], limit=2) == []

        self.play(tmp_path, scene)

    def test_a_pool_is_changed(self, tmp_path: Path) -> None:
        """`change` gets the pool as it is; what it returns is kept and returned."""

        def rename(pool: IdentityPool) -> IdentityPool:
            assert pool == a_pool()
            return msgspec.structs.replace(pool, identity_pool_name="Renamed")

        async def scene(store: Store) -> None:
            changed = await store.update_identity_pool(POOL, rename)

            assert changed is not None
            assert changed.identity_pool_name == "Renamed"
            assert changed == await store.find_identity_pool(POOL)

        self.play(tmp_path, scene)

    def test_a_change_that_raises_leaves_nothing(self, tmp_path: Path) -> None:
        """What `change` raises comes out as it is, and the pool stays as it was."""

        def refuse(pool: IdentityPool) -> IdentityPool:
            raise LookupError("no")

        async def scene(store: Store) -> None:
            with pytest.raises(LookupError, match=r"^no$"):
                await store.update_identity_pool(POOL, refuse)

            assert a_pool() == await store.find_identity_pool(POOL)

        self.play(tmp_path, scene)

    def test_no_change_is_lost(self, tmp_path: Path) -> None:
        """Twenty changes at once are made one after the other."""

        def adding_tag(name: str) -> Callable[[IdentityPool], IdentityPool]:
            def change(pool: IdentityPool) -> IdentityPool:
                tags = {**(pool.identity_pool_tags or {}), name: "x"}
                return msgspec.structs.replace(pool, identity_pool_tags=tags)

            return change

        async def scene(store: Store) -> None:
            await asyncio.gather(
                *(
                    store.update_identity_pool(POOL, adding_tag(str(number)))
                    for number in range(20)
                )
            )
            pool = await store.find_identity_pool(POOL)

            assert pool is not None
            assert {str(n) for n in range(20)} == set(pool.identity_pool_tags or {})

        self.play(tmp_path, scene)

    def test_a_deleted_pool_does_not_exist(self, tmp_path: Path) -> None:
        """Once deleted, a pool and all that is in it cannot be found."""

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"k": "v"}, event=b"1")
            assert await store.delete_identity_pool(POOL)
            update = store.update_dataset(
                PREFS, keys=["k"], session_id=None, decide=never
            )

            assert not await store.delete_identity_pool(POOL)
            assert await store.find_identity_pool(POOL) is None
            assert await store.update_identity_pool(POOL, never) is None
            assert await store.list_identity_pools(after=None, limit=10) == []
            assert await store.list_identity_pool_usage(after=None, limit=10) == []
            assert await store.find_identity_pool_usage(POOL) is None
            assert await update is None
            assert await store.read_records(PREFS, never) is None
            assert await store.find_identity_usage(POOL, ALICE) is None
            listed = await store.list_datasets(POOL, ALICE, after=None, limit=None)
            assert listed is None
            assert await store.list_outbox_pools() == []
            assert await store.find_bulk_publish(POOL) is None

        self.play(tmp_path, scene)

    # --- Usage ----------------------------------------------------------------------

    def test_a_new_pool_holds_nothing(self, tmp_path: Path) -> None:
        """A pool without data has figures of zero and no date."""

        async def scene(store: Store) -> None:
            usage = IdentityPoolUsage(POOL, 0, 0, None)

            assert usage == await store.find_identity_pool_usage(POOL)
            assert await store.find_identity_usage(POOL, ALICE) is None

        self.play(tmp_path, scene)

    def test_usage_counts_bytes_of_live_records(self, tmp_path: Path) -> None:
        """Usage is the UTF-8 length of live keys and values; the date is the newest."""

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"\u00e9": "12345", "k": "v"}, now_ms=NOW_MS)
            await put(store, PREFS, {"k": None}, now_ms=NOW_MS + 5)
            await put(store, DatasetId(POOL, ALICE, "b"), {"x": ""}, now_ms=NOW_MS + 2)
            await put(store, DatasetId(POOL, BOB, "b"), {"12": "34"}, now_ms=NOW_MS)
            pool = IdentityPoolUsage(POOL, 0, 7 + 1 + 4, NOW_MS + 5)

            assert pool == await store.find_identity_pool_usage(POOL)
            alice = await store.find_identity_usage(POOL, ALICE)
            assert IdentityUsage(2, 8, NOW_MS + 5) == alice
            assert IdentityUsage(1, 4, NOW_MS) == await store.find_identity_usage(
                POOL, BOB
            )

        self.play(tmp_path, scene)

    def test_an_identity_without_live_datasets_holds_nothing(
        self, tmp_path: Path
    ) -> None:
        """Deleting the last dataset leaves an identity that is known and empty."""

        async def scene(store: Store) -> None:
            await put(store, PREFS, {"k": "v"})
            await delete(store, PREFS, now_ms=NOW_MS + 1)
            usage = await store.find_identity_usage(POOL, ALICE)
            pool = await store.find_identity_pool_usage(POOL)

            assert IdentityUsage(0, 0, NOW_MS + 1) == usage
            assert IdentityPoolUsage(POOL, 0, 0, NOW_MS + 1) == pool

        self.play(tmp_path, scene)

    def test_sync_sessions_are_added(self, tmp_path: Path) -> None:
        """Counts add up, per pool; an unknown pool is passed over."""

        async def scene(store: Store) -> None:
            await store.create_identity_pool(a_pool(OTHER_POOL), pools_max=100)
            await store.add_sync_sessions({POOL: 2, OTHER_POOL: 1, UNKNOWN_POOL: 7})
            await store.add_sync_sessions({POOL: 3})
            await store.add_sync_sessions({})
            listed = await store.list_identity_pool_usage(after=None, limit=10)

            assert [
                (each.identity_pool_id, each.sync_sessions_count) for each in listed
            ] == [(POOL, 5), (OTHER_POOL, 1)]
            assert listed[0] == await store.find_identity_pool_usage(POOL)

        self.play(tmp_path, scene)

    def test_usage_equals_a_recount(self, tmp_path: Path) -> None:
        """After many changes the figures are what counting everything gives."""
        choices = random.Random(20140630)
        identities = [ALICE, BOB]
        names = ["a", "b", "c"]

        async def scene(store: Store) -> None:
            for step in range(150):
                dataset_id = DatasetId(
                    POOL, choices.choice(identities), choices.choice(names)
                )
                state = (await read_all(store, dataset_id)).dataset
                if state is not None and state.exists and choices.random() < 0.15:
                    await delete(store, dataset_id, now_ms=NOW_MS + step)
                    continue
                keys = choices.sample(["k", "\u00e9", "key", "\U0001f9c0"], 2)
                values = {
                    key: choices.choice([None, "", "v" * choices.randrange(9)])
                    for key in keys
                }
                await put(store, dataset_id, values, now_ms=NOW_MS + step)
            await _check_usage(store, identities, names)

        self.play(tmp_path, scene)


async def _check_usage(store: Store, identities: list[str], names: list[str]) -> None:
    total = 0
    for identity_id in identities:
        held = datasets = 0
        for name in names:
            page = await read_all(store, DatasetId(POOL, identity_id, name))
            if page.dataset is None or not page.dataset.exists:
                assert page.records == []
                continue
            live = [each for each in page.records if each.value is not None]
            size = sum(each.size_bytes for each in live)
            assert len(live) == page.dataset.num_records
            assert size == page.dataset.data_storage
            held += size
            datasets += 1
        usage = await store.find_identity_usage(POOL, identity_id)
        assert usage is not None
        assert (datasets, held) == (usage.dataset_count, usage.data_storage)
        total += held
    pool = await store.find_identity_pool_usage(POOL)
    assert pool is not None
    assert total == pool.data_storage
