"""The store contract, developer keys."""

from __future__ import annotations

from pathlib import Path

import msgspec

from millpond.stores.base import DeveloperKey, Store
from millpond.testing.store_contract.bench import AWKWARD_TEXTS, NOW_MS, StoreBench


def a_key(access_key_id: str = "AKIA1", *, at: int = NOW_MS) -> DeveloperKey:
    """Describe a key."""
    return DeveloperKey(
        access_key_id=access_key_id,
        name=f"key of {access_key_id}",
        sealed_secret=bytes(range(256)),
        creation_date_ms=at,
    )


class DeveloperKeyContract(StoreBench):
    """Access keys of developers."""

    def test_keys_come_back_as_they_went_in(self, tmp_path: Path) -> None:
        """A key keeps its name, its sealed bytes and its date."""
        keys = [
            DeveloperKey(
                access_key_id=f"AKIA{number:02}",
                name=name,
                sealed_secret=bytes([number, 0, 255]),
                creation_date_ms=NOW_MS,
            )
            for number, name in enumerate(AWKWARD_TEXTS)
        ]

        async def scene(store: Store) -> None:
            for each in keys:
                await store.put_developer_key(each)

            assert keys == await store.list_developer_keys()

        self.play(tmp_path, scene)

    def test_keys_are_listed_oldest_first(self, tmp_path: Path) -> None:
        """Keys stand in the order of their creation, then of their ids."""
        keys = [a_key("B", at=2), a_key("A", at=2), a_key("C", at=1)]

        async def scene(store: Store) -> None:
            for each in keys:
                await store.put_developer_key(each)
            listed = [each.access_key_id for each in await store.list_developer_keys()]

            assert listed == ["C", "A", "B"]

        self.play(tmp_path, scene)

    def test_a_key_can_be_put_again(self, tmp_path: Path) -> None:
        """Putting a key twice keeps one, with the new name and secret."""
        changed = DeveloperKey(
            access_key_id="AKIA1",
            name="renamed",
            sealed_secret=b"other",
            creation_date_ms=NOW_MS,
        )

        async def scene(store: Store) -> None:
            await store.put_developer_key(a_key())
            await store.put_developer_key(changed)

            assert [changed] == await store.list_developer_keys()

        self.play(tmp_path, scene)

    def test_a_key_is_deleted_once(self, tmp_path: Path) -> None:
        """Deleting says whether there was such a key, and leaves the others."""

        async def scene(store: Store) -> None:
            await store.put_developer_key(a_key("AKIA1"))
            await store.put_developer_key(a_key("AKIA2"))

            assert await store.delete_developer_key("AKIA1")
            assert not await store.delete_developer_key("AKIA1")
            assert [a_key("AKIA2")] == await store.list_developer_keys()

        self.play(tmp_path, scene)

    def test_a_key_keeps_its_bounds_and_its_last_use(self, tmp_path: Path) -> None:
        """The last use never goes back, and putting the key again leaves it."""
        bound = DeveloperKey(
            access_key_id="AKIA1",
            name="bound",
            sealed_secret=b"sealed",
            creation_date_ms=NOW_MS,
            read_only=True,
            identity_pool_id="us-east-1:pool",
            expires_ms=NOW_MS + 1,
        )

        async def scene(store: Store) -> None:
            await store.put_developer_key(bound)
            assert [bound] == await store.list_developer_keys()

            await store.note_key_uses({"AKIA1": NOW_MS + 5, "AKIA9": NOW_MS})
            await store.note_key_uses({"AKIA1": NOW_MS + 4})
            await store.put_developer_key(bound)
            used = msgspec.structs.replace(bound, last_used_ms=NOW_MS + 5)
            assert [used] == await store.list_developer_keys()

        self.play(tmp_path, scene)

    def test_a_key_is_changed_where_there_is_one(self, tmp_path: Path) -> None:
        """A change of a deleted key does not bring it back."""

        def bind(key: DeveloperKey) -> DeveloperKey:
            return msgspec.structs.replace(key, read_only=True, expires_ms=NOW_MS)

        async def scene(store: Store) -> None:
            await store.put_developer_key(a_key())
            changed = await store.update_developer_key("AKIA1", bind)

            assert changed == bind(a_key())
            assert [changed] == await store.list_developer_keys()
            assert await store.update_developer_key("AKIA2", bind) is None
            assert [changed] == await store.list_developer_keys()

        self.play(tmp_path, scene)
