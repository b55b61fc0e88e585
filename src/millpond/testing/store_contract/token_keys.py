"""The store contract, keys that sign OpenID tokens."""

from __future__ import annotations

import asyncio
from pathlib import Path

from millpond.stores.base import Store, TokenKey
from millpond.testing.store_contract.bench import NOW_MS, StoreBench
from millpond.testing.store_contract.purging import purge


def a_token_key(
    key_id: str = "us-east-1-1", *, at: int = NOW_MS, retires: int | None = None
) -> TokenKey:
    """Describe a key."""
    return TokenKey(
        key_id=key_id,
        sealed_private_key=bytes(range(256)),
        creation_date_ms=at,
        retire_date_ms=retires,
    )


class TokenKeyContract(StoreBench):
    """Keys that sign OpenID tokens."""

    def test_token_keys_come_back_as_they_went_in(self, tmp_path: Path) -> None:
        """A key keeps its sealed bytes and its dates; the oldest is listed first."""
        keys = [
            a_token_key("c-1", at=1, retires=NOW_MS),
            a_token_key("a-2", at=2),
            a_token_key("b-2", at=2),
        ]

        async def scene(store: Store) -> None:
            for each in reversed(keys):
                assert await store.put_token_key(each)

            assert keys == await store.list_token_keys()

        self.play(tmp_path, scene)

    def test_the_id_of_a_token_key_is_taken_once(self, tmp_path: Path) -> None:
        """Of several that put a key of one id, exactly one does; its key is kept."""
        keys = [a_token_key(at=number) for number in range(8)]

        async def scene(store: Store) -> None:
            put = await asyncio.gather(*(store.put_token_key(each) for each in keys))

            assert sum(put) == 1
            assert await store.list_token_keys() == [keys[put.index(True)]]

        self.play(tmp_path, scene)

    def test_a_token_key_retires_at_the_earliest_date(self, tmp_path: Path) -> None:
        """A date to retire can be given and brought forward, but not put off."""

        async def scene(store: Store) -> None:
            await store.put_token_key(a_token_key("one"))
            await store.put_token_key(a_token_key("two"))
            for retires, expected in ((9, 9), (10, 9), (8, 8)):
                assert await store.retire_token_key("one", retire_date_ms=retires)
                dates = {
                    e.key_id: e.retire_date_ms for e in await store.list_token_keys()
                }
                assert dates == {"one": expected, "two": None}

            assert not await store.retire_token_key("three", retire_date_ms=1)

        self.play(tmp_path, scene)

    def test_purge_drops_token_keys_that_have_retired(self, tmp_path: Path) -> None:
        """A key goes when its date has come; one without a date stays."""
        alive = [a_token_key("one"), a_token_key("two", retires=NOW_MS + 1)]

        async def scene(store: Store) -> None:
            for each in alive:
                await store.put_token_key(each)
            for number in range(3):
                await store.put_token_key(a_token_key(f"{number}", retires=NOW_MS))

            assert await purge(store, limit=1) > 0
            assert alive == await store.list_token_keys()
            assert await purge(store) == 0

        self.play(tmp_path, scene)
