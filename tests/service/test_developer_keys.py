"""Developer keys: sealed at rest, known to the ring."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from millpond.errors import SettingsError
from millpond.service.developer_keys import (
    KeyRing,
    SecretSealer,
    create_developer_key,
)
from millpond.stores.sqlite import SqliteStore


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

        assert ring.find_secret(key.access_key_id) is None
        await ring.refresh()
        assert ring.find_secret(key.access_key_id) == key.secret_access_key
        await store.delete_developer_key(key.access_key_id)
        await ring.refresh()
        assert ring.find_secret(key.access_key_id) is None
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
        assert ring.find_secret(good.access_key_id) == good.secret_access_key
        assert ring.find_secret(foreign.access_key_id) is None
        await store.delete_developer_key(good.access_key_id)
        await ring.refresh()
        assert ring.find_secret(good.access_key_id) is None
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
