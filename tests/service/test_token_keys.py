"""Token keys: one signs, the others are published until their tokens have expired."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import rsa

from millpond.core import openid
from millpond.core.identity_pools import IdentityPool
from millpond.core.login_tokens import read_token, verify_token
from millpond.errors import SettingsError
from millpond.service.developer_keys import SecretSealer
from millpond.service.token_keys import (
    TokenKeyRing,
    retire_token_key,
    rotate_token_key,
)
from millpond.stores.sqlite import SqliteStore
from millpond.testing.deadlines import seconds

NOW_MS = 1_750_000_000_000
DAY_MS = 24 * 3600 * 1000
GRACE_MS = 5 * 60 * 1000
REGION = "us-east-1"
CLAIMS = {"sub": "us-east-1:alice", "aud": "us-east-1:pool", "amr": ["unauthenticated"]}


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


class Stage:
    """A store, and what the keys in it are sealed with."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.sealer = sealer_of()
        self.clock = Clock()

    def ring(self, sealer: SecretSealer | None = None) -> TokenKeyRing:
        return TokenKeyRing(
            self.store, sealer or self.sealer, region=REGION, now_ms=self.clock
        )

    async def rotate(self, sealer: SecretSealer | None = None) -> str:
        return await rotate_token_key(
            self.store, sealer or self.sealer, region=REGION, now_ms=self.clock()
        )

    async def retire(self, key_id: str, sealer: SecretSealer | None = None) -> bool:
        return await retire_token_key(
            self.store,
            sealer or self.sealer,
            key_id,
            region=REGION,
            now_ms=self.clock(),
        )


def sealer_of(key: bytes = bytes(32)) -> SecretSealer:
    return SecretSealer(key, random_bytes=os.urandom)


def play(place: Path, scene: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        store = SqliteStore(place)
        await store.open()
        try:
            await scene(Stage(store))
        finally:
            await store.aclose()

    asyncio.run(run())


def signer(token: str) -> str:
    """Say which key a token names."""
    return str(jwt.get_unverified_header(token)["kid"])


def published(ring: TokenKeyRing) -> list[str]:
    """List the ids of the keys that a ring publishes."""
    return [each["kid"] for each in ring.jwks()["keys"]]


def is_good(token: str, ring: TokenKeyRing) -> bool:
    """Verify a token with what a ring publishes, as anybody else would."""
    keys = {each["kid"]: each for each in ring.jwks()["keys"]}
    if signer(token) not in keys:
        return False
    found = jwt.decode(
        token, jwt.PyJWK(keys[signer(token)]), algorithms=["RS512"], audience=AUDIENCE
    )
    return found == CLAIMS


AUDIENCE = CLAIMS["aud"]


def test_the_first_start_makes_the_first_key(tmp_path: Path) -> None:
    """A ring on an empty store makes a key, numbered 1, which the next ring finds."""

    async def scene(stage: Stage) -> None:
        first, second = stage.ring(), stage.ring()
        await first.refresh()
        await first.refresh()
        await second.refresh()

        assert published(first) == published(second) == ["us-east-1-1"]
        assert is_good(first.sign(CLAIMS), second)

    play(tmp_path, scene)


def test_a_token_looks_like_those_of_the_real_service(tmp_path: Path) -> None:
    """The header has the key id, `typ` JWS and RS512, and nothing else."""

    async def scene(stage: Stage) -> None:
        ring = stage.ring()
        await ring.refresh()

        assert jwt.get_unverified_header(ring.sign(CLAIMS)) == {
            "kid": "us-east-1-1",
            "typ": "JWS",
            "alg": "RS512",
        }

    play(tmp_path, scene)


def test_our_own_tokens_pass_the_checks_of_login_tokens(tmp_path: Path) -> None:
    """What the ring signs is verified with the keys it finds, as any login is."""
    now_s = NOW_MS // 1000
    pool = IdentityPool(
        identity_pool_id="us-east-1:pool",
        identity_pool_name="Players",
        allow_unauthenticated_identities=True,
    )
    claims = openid.claims(
        pool,
        "us-east-1:alice",
        [],
        issuer="https://cognito-identity.amazonaws.com",
        account_id="123456789012",
        now_s=now_s,
        lifetime_s=600,
    )

    async def scene(stage: Stage) -> None:
        ring = stage.ring()
        await ring.refresh()
        token = read_token(ring.sign(claims))
        verified = verify_token(
            token,
            ring.find_keys(token.key_id),
            provider_name="cognito-identity.amazonaws.com",
            audiences={pool.identity_pool_id},
            now_s=now_s,
        )

        assert verified == claims

    play(tmp_path, scene)


def test_what_is_published_is_public(tmp_path: Path) -> None:
    """A published key says what it is for, and holds no private number."""

    async def scene(stage: Stage) -> None:
        ring = stage.ring()
        await ring.refresh()
        (key,) = ring.jwks()["keys"]

        assert set(key) == {"kid", "kty", "use", "alg", "n", "e"}
        assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS512")
        assert jwt.PyJWK(key).key.key_size == 2048
        (found,) = ring.find_keys("us-east-1-1")
        assert found.key == jwt.PyJWK(key).key
        assert found.algorithm_name == "RS512"

    play(tmp_path, scene)


def test_private_keys_are_sealed(tmp_path: Path) -> None:
    """The store never sees a private key, and a seal is good for its own id alone."""

    async def scene(stage: Stage) -> None:
        await stage.ring().refresh()
        await stage.rotate()
        keys = await stage.store.list_token_keys()
        one, two = (each.sealed_private_key for each in keys)

        assert b"PRIVATE KEY" not in one
        assert b"PRIVATE KEY" in stage.sealer.open(
            one, access_key_id="us-east-1-1"
        ).encode("ascii")
        with pytest.raises(SettingsError):
            stage.sealer.open(two, access_key_id="us-east-1-1")

    play(tmp_path, scene)


def test_servers_that_start_at_once_agree(tmp_path: Path) -> None:
    """Of several first starts one makes the key, and all sign with it."""

    async def scene(stage: Stage) -> None:
        rings = [stage.ring() for _ in range(4)]
        await asyncio.gather(*(each.refresh() for each in rings))
        token = rings[0].sign(CLAIMS)

        assert len(await stage.store.list_token_keys()) == 1
        assert all(is_good(token, each) for each in rings)

    play(tmp_path, scene)


def test_making_a_key_does_not_hold_the_others_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key is made on a thread of its own, while the event loop goes on."""
    loop_is_free, generate = threading.Event(), rsa.generate_private_key

    def generate_when_free(*numbers: int) -> Any:
        assert loop_is_free.wait(seconds(20))
        return generate(*numbers)

    monkeypatch.setattr(
        "cryptography.hazmat.primitives.asymmetric.rsa.generate_private_key",
        generate_when_free,
    )

    async def scene(stage: Stage) -> None:
        ring = stage.ring()
        making = asyncio.create_task(ring.refresh())
        await asyncio.sleep(0)
        loop_is_free.set()
        await making

        assert published(ring) == ["us-east-1-1"]

    play(tmp_path, scene)


def test_after_a_rotation_the_new_key_signs(tmp_path: Path) -> None:
    """A rotation is known after a refresh; tokens of the key before are still good."""

    async def scene(stage: Stage) -> None:
        ring = stage.ring()
        await ring.refresh()
        old = ring.sign(CLAIMS)

        assert await stage.rotate() == "us-east-1-2"
        assert signer(ring.sign(CLAIMS)) == "us-east-1-1"
        await ring.refresh()
        new = ring.sign(CLAIMS)

        assert signer(new) == "us-east-1-2"
        assert published(ring) == ["us-east-1-2", "us-east-1-1"]
        assert is_good(old, ring)
        assert is_good(new, ring)
        assert [len(ring.find_keys(each)) for each in ("us-east-1-1", None, "x")] == [
            *(1, 2, 0)
        ]

    play(tmp_path, scene)


def test_a_key_is_published_as_long_as_its_tokens_live(tmp_path: Path) -> None:
    """The key before goes a day and five minutes after the rotation, not earlier."""

    async def scene(stage: Stage) -> None:
        ring = stage.ring()
        await ring.refresh()
        await stage.rotate()
        await ring.refresh()

        stage.clock.now_ms = NOW_MS + DAY_MS + GRACE_MS - 1
        assert published(ring) == ["us-east-1-2", "us-east-1-1"]
        stage.clock.now_ms += 1
        assert published(ring) == ["us-east-1-2"]
        assert ring.find_keys("us-east-1-1") == []
        assert len(ring.find_keys(None)) == 1

    play(tmp_path, scene)


def test_a_rotation_does_not_put_off_what_retires(tmp_path: Path) -> None:
    """A second rotation dates the key before, and leaves older ones their dates."""

    async def scene(stage: Stage) -> None:
        await stage.ring().refresh()
        await stage.rotate()
        stage.clock.now_ms += 1000
        await stage.rotate()
        keys = await stage.store.list_token_keys()

        assert [each.retire_date_ms for each in keys] == [
            NOW_MS + DAY_MS + GRACE_MS,
            NOW_MS + 1000 + DAY_MS + GRACE_MS,
            None,
        ]

    play(tmp_path, scene)


def test_rotations_at_once_each_make_a_key(tmp_path: Path) -> None:
    """Of several rotations at a time the last number signs, and only that."""

    async def scene(stage: Stage) -> None:
        await stage.ring().refresh()
        made = await asyncio.gather(*(stage.rotate() for _ in range(3)))
        ring = stage.ring()
        await ring.refresh()
        signing = [
            each.key_id
            for each in await stage.store.list_token_keys()
            if each.retire_date_ms is None
        ]

        assert sorted(made) == ["us-east-1-2", "us-east-1-3", "us-east-1-4"]
        assert signing == ["us-east-1-4"]
        assert signer(ring.sign(CLAIMS)) == "us-east-1-4"

    play(tmp_path, scene)


def test_the_tenth_key_is_newer_than_the_ninth(tmp_path: Path) -> None:
    """Keys follow each other by number, not by the alphabet."""

    async def scene(stage: Stage) -> None:
        await stage.ring().refresh()
        for _ in range(9):
            await stage.rotate()
        ring = stage.ring()
        await ring.refresh()

        assert signer(ring.sign(CLAIMS)) == "us-east-1-10"
        assert published(ring)[:2] == ["us-east-1-10", "us-east-1-9"]

    play(tmp_path, scene)


def test_a_key_that_leaked_retires_at_once(tmp_path: Path) -> None:
    """A retired key is replaced, and what it signed is worth nothing."""

    async def scene(stage: Stage) -> None:
        ring = stage.ring()
        await ring.refresh()
        leaked = ring.sign(CLAIMS)

        assert await stage.retire("us-east-1-1")
        await ring.refresh()

        assert published(ring) == ["us-east-1-2"]
        assert not is_good(leaked, ring)
        assert signer(ring.sign(CLAIMS)) == "us-east-1-2"

    play(tmp_path, scene)


def test_retiring_an_older_key_makes_no_new_one(tmp_path: Path) -> None:
    """A key that signs no more needs no successor."""

    async def scene(stage: Stage) -> None:
        await stage.ring().refresh()
        await stage.rotate()

        assert await stage.retire("us-east-1-1")
        ring = stage.ring()
        await ring.refresh()
        assert published(ring) == ["us-east-1-2"]
        assert not await stage.retire("us-east-1-7")
        assert len(await stage.store.list_token_keys()) == 2

    play(tmp_path, scene)


def test_a_number_is_never_used_again(tmp_path: Path) -> None:
    """When retired keys are dropped, the next one still has a number of its own."""

    async def scene(stage: Stage) -> None:
        ring = stage.ring()
        seen = []
        for _ in range(3):
            await ring.refresh()
            seen.append(signer(ring.sign(CLAIMS)))
            await stage.retire(seen[-1])
            await stage.store.purge(
                now_ms=stage.clock(), stream_retention_ms=1, limit=99
            )
            assert len(await stage.store.list_token_keys()) == 1

        assert seen == ["us-east-1-1", "us-east-1-2", "us-east-1-3"]

    play(tmp_path, scene)


def test_keys_of_another_secret_are_not_passed_over(tmp_path: Path) -> None:
    """With the secret of another store nothing is signed, and the reason is told."""

    async def scene(stage: Stage) -> None:
        await stage.ring().refresh()
        alien = sealer_of(b"x" * 32)
        ring = stage.ring(alien)
        with structlog.testing.capture_logs() as logs:
            await ring.refresh()
            await ring.refresh()

        with pytest.raises(SettingsError, match=r"us-east-1-1.*secret\.key"):
            ring.check()
        with pytest.raises(SettingsError):
            ring.sign(CLAIMS)
        assert published(ring) == []
        assert [each["event"] for each in logs] == ["token_keys.unreadable"]
        with pytest.raises(SettingsError, match="us-east-1-1"):
            await stage.rotate(alien)
        assert len(await stage.store.list_token_keys()) == 1

    play(tmp_path, scene)


def test_a_store_whose_secret_is_lost_can_be_given_a_new_key(tmp_path: Path) -> None:
    """Retiring works without reading the key, so there is a way out."""

    async def scene(stage: Stage) -> None:
        await stage.ring().refresh()
        alien = sealer_of(b"x" * 32)

        assert await stage.retire("us-east-1-1", alien)
        ring = stage.ring(alien)
        with structlog.testing.capture_logs():
            await ring.refresh()

        ring.check()
        assert signer(ring.sign(CLAIMS)) == "us-east-1-2"

    play(tmp_path, scene)


def test_a_ring_that_was_not_refreshed_signs_nothing(tmp_path: Path) -> None:
    """Before the first refresh there is no key, and that is said."""

    async def scene(stage: Stage) -> None:
        ring = stage.ring()

        with pytest.raises(SettingsError):
            ring.sign(CLAIMS)
        empty: Any = {"keys": []}
        assert ring.jwks() == empty

    play(tmp_path, scene)
