"""Developer keys: sealed at rest, known to the ring."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any, cast

import pytest

from millpond.errors import SettingsError, StoreError, StoreUnavailableError
from millpond.service.developer_keys import (
    LOOKS_PER_S_MAX,
    KeyRing,
    SecretSealer,
    create_developer_key,
)
from millpond.stores.base import DeveloperKey
from millpond.stores.sqlite import SqliteStore


def secret_of(ring: KeyRing, access_key_id: str) -> str | None:
    """Give the secret of a key that the ring knows."""
    known = ring.find(access_key_id)
    return None if known is None else known.secret


def sealer_of(key: bytes = bytes(32)) -> SecretSealer:
    return SecretSealer(key, random_bytes=os.urandom)


def test_a_sealed_secret_opens_for_its_key_id_alone() -> None:
    """A sealed secret moved to another access key id does not open."""
    sealed = sealer_of().seal("secret", access_key_id="AKIA1")

    assert b"secret" not in sealed
    assert sealer_of().open(sealed, access_key_id="AKIA1") == "secret"
    with pytest.raises(SettingsError, match="another key"):
        sealer_of().open(sealed, access_key_id="AKIA2")
    with pytest.raises(SettingsError, match="another key"):
        sealer_of(b"x" * 32).open(sealed, access_key_id="AKIA1")


def test_the_ring_follows_the_store(tmp_path: Path) -> None:
    """A refresh learns of keys that were made and of keys that were deleted."""

    async def main() -> None:
        store = SqliteStore(tmp_path)
        await store.open()
        ring = KeyRing(store, sealer_of())
        key = await create_developer_key(
            store, sealer_of(), name="n", now_ms=1, random_bytes=os.urandom
        )

        assert secret_of(ring, key.access_key_id) is None
        await ring.refresh()
        assert secret_of(ring, key.access_key_id) == key.secret_access_key
        await store.delete_developer_key(key.access_key_id)
        await ring.refresh()
        assert secret_of(ring, key.access_key_id) is None
        await store.aclose()

    asyncio.run(main())


def test_a_key_that_cannot_be_read_does_not_stop_the_ring(tmp_path: Path) -> None:
    """One key sealed with another secret is passed over; deletions still count."""

    async def main() -> None:
        store = SqliteStore(tmp_path)
        await store.open()
        ring = KeyRing(store, sealer_of())
        made: dict[str, Any] = {"now_ms": 1, "random_bytes": os.urandom}
        alien = sealer_of(b"x" * 32)
        foreign = await create_developer_key(store, alien, name="foreign", **made)
        await ring.refresh()
        with pytest.raises(SettingsError, match="another key"):
            ring.check()
        good = await create_developer_key(store, sealer_of(), name="good", **made)

        await ring.refresh()

        ring.check()
        assert secret_of(ring, good.access_key_id) == good.secret_access_key
        assert secret_of(ring, foreign.access_key_id) is None
        await store.delete_developer_key(good.access_key_id)
        await ring.refresh()
        assert secret_of(ring, good.access_key_id) is None
        await store.aclose()

    asyncio.run(main())


def test_keys_have_the_form_that_clients_know(tmp_path: Path) -> None:
    """An id has 20 capital letters and digits from AKIA on, a secret 40 characters."""

    async def main() -> None:
        store = SqliteStore(tmp_path)
        await store.open()
        key = await create_developer_key(
            store, sealer_of(), name="", now_ms=1, random_bytes=os.urandom
        )
        await store.aclose()

        assert len(key.access_key_id) == 20
        assert key.access_key_id.startswith("AKIA")
        assert key.access_key_id.isupper()
        assert len(key.secret_access_key) == 40

    asyncio.run(main())


class CountingStore:
    """Developer keys that are counted each time somebody lists them."""

    def __init__(self) -> None:
        self.keys: list[DeveloperKey] = []
        self.looks = 0
        self.asked = asyncio.Event()
        self.failure: StoreError | None = None

    async def list_developer_keys(self) -> list[DeveloperKey]:
        self.looks += 1
        self.asked.set()
        found = list(self.keys)
        await asyncio.sleep(0)  # what is made from here on was not seen
        if self.failure is not None:
            raise self.failure
        return found

    def make(self, access_key_id: str) -> None:
        sealed = sealer_of().seal("secret", access_key_id=access_key_id)
        self.keys.append(
            DeveloperKey(
                access_key_id=access_key_id,
                name="n",
                sealed_secret=sealed,
                creation_date_ms=1,
            )
        )


def ring_over(store: CountingStore) -> KeyRing:
    return KeyRing(cast(SqliteStore, store), sealer_of())


def test_a_key_is_known_from_the_moment_it_was_made() -> None:
    """A look sees every key made before it; who comes during one waits for the next."""

    async def main() -> None:
        store = CountingStore()
        ring = ring_over(store)

        async def need(access_key_id: str) -> None:
            store.make(access_key_id)
            await ring.look_again()
            assert secret_of(ring, access_key_id) == "secret"

        first = asyncio.create_task(need("AKIA0"))
        await store.asked.wait()
        await asyncio.gather(first, *(need(f"AKIA{n}") for n in range(1, 50)))

        assert store.looks == 2

    asyncio.run(main())


def test_strangers_share_a_few_looks() -> None:
    """However many unknown keys come, the store is asked some times in a second."""

    async def main() -> None:
        store = CountingStore()
        ring = ring_over(store)
        began_s = time.monotonic()
        for _ in range(5):
            await asyncio.gather(*(ring.look_again() for _ in range(200)))
        lasted_s = time.monotonic() - began_s

        assert store.looks == 5
        assert lasted_s >= 4 / LOOKS_PER_S_MAX

    asyncio.run(main())


def test_a_caller_who_leaves_does_not_end_the_look() -> None:
    """When the one who asked first is cancelled, the others still learn of the key."""

    async def main() -> None:
        store = CountingStore()
        ring = ring_over(store)
        await ring.look_again()
        first, second = (asyncio.create_task(ring.look_again()) for _ in range(2))
        await asyncio.sleep(0)
        store.make("AKIA1")
        first.cancel()
        await second

        assert first.cancelled()
        assert secret_of(ring, "AKIA1") == "secret"

    asyncio.run(main())


def test_a_store_that_is_down_does_not_call_a_key_wrong() -> None:
    """Who waits is told of the store; the next look is made all the same."""

    async def main() -> None:
        store = CountingStore()
        ring = ring_over(store)
        store.failure = StoreUnavailableError("It is down.", op="list_developer_keys")
        for each in await asyncio.gather(
            ring.look_again(), ring.look_again(), return_exceptions=True
        ):
            assert each is store.failure
        store.failure = None
        store.make("AKIA1")
        await ring.look_again()

        assert secret_of(ring, "AKIA1") == "secret"

    asyncio.run(main())
