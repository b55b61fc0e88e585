"""The store contract, developer keys."""

from __future__ import annotations

from pathlib import Path

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
