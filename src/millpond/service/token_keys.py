"""
The keys that sign OpenID tokens: one signs, those before it are still published.

Theory of operation
-------------------
A key's id is the region and a number that rises for ever. The key with the highest
number signs. When a new one is made, the older ones get a date to retire, by which the
last token that they signed has expired; until then who holds such a token, and who
caches the keys, is served. A key that leaked retires at once, and what it signed is
worth nothing from then on.

The private parts are sealed before the store sees them. Each process keeps the keys in
memory, parsed, and looks every second whether there is something new. Two that start at
once may both make the first key; the store takes one, and both use that.

Source: tokens of the real service, decoded (RS512, `typ` JWS, ids like us-east-1-7).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from millpond import limits
from millpond.errors import SettingsError
from millpond.service.developer_keys import SecretSealer
from millpond.stores.base import TokenKey, TokenKeyStore

if TYPE_CHECKING:
    import jwt
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_log = structlog.get_logger()

ALGORITHM: Final = "RS512"  # AWS: decoded tokens
_TYPE: Final = "JWS"  # AWS: decoded tokens
_RSA_BITS: Final = 2048
_RSA_EXPONENT: Final = 65537
# What a key signed is good for so long after it has stopped to sign.
_RETIREMENT_MS: Final = 1000 * (
    limits.DEVELOPER_TOKEN_LIFETIME_S_MAX + limits.LOGIN_CLOCK_SKEW_S
)


class _Parts(NamedTuple):
    """What a key is used as."""

    private_key: RSAPrivateKey
    jwk: dict[str, Any]
    public_key: jwt.PyJWK


class _OpenKey:
    """A key without its seal; it is parsed when it is used first."""

    def __init__(self, key_id: str, retire_date_ms: int | None, pem: str) -> None:
        self.key_id = key_id
        self.retire_date_ms = retire_date_ms
        self._pem = pem

    @functools.cached_property
    def parts(self) -> _Parts:
        """The key, parsed."""
        # Imported late: that takes a tenth of a start, and many servers sign nothing.
        import jwt
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from jwt.algorithms import RSAAlgorithm

        # We made it and the seal is whole, so it need not be tested, which is slow.
        private_key = load_pem_private_key(
            self._pem.encode(), None, unsafe_skip_rsa_key_validation=True
        )
        assert isinstance(private_key, RSAPrivateKey)
        numbers = RSAAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
        jwk = {
            "kid": self.key_id,
            "kty": "RSA",
            "use": "sig",
            "alg": ALGORITHM,
            "n": numbers["n"],
            "e": numbers["e"],
        }
        return _Parts(private_key, jwk, jwt.PyJWK.from_dict(jwk))


class TokenKeyRing:
    """The token keys in memory, refreshed from the store."""

    def __init__(
        self,
        store: TokenKeyStore,
        sealer: SecretSealer,
        *,
        region: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._region = region
        self._now_ms = now_ms
        self._stored: list[TokenKey] = []
        self._keys: list[_OpenKey] = []  # the newest first
        self._signing: _OpenKey | None = None
        self._refreshing = asyncio.Lock()

    async def refresh(self) -> None:
        """Learn of keys that were made or retired; make one when there is none."""
        async with self._refreshing:
            await self._refresh(make=True)

    async def look_again(self) -> None:
        """Learn of keys that were made or retired, and make none."""
        async with self._refreshing:
            await self._refresh(make=False)

    async def ready(self) -> None:
        """
        Wait until tokens can be signed, and verified, without making others wait.

        A store has its first key, and a process what uses keys, when they are needed.
        """
        if self._signing is None:
            await self.refresh()
        if self._signing is not None and "parts" not in vars(self._signing):
            signing = self._signing
            await asyncio.to_thread(lambda: signing.parts)

    async def _refresh(self, *, make: bool) -> None:
        stored = await self._store.list_token_keys()
        if make and all(each.retire_date_ms is not None for each in stored):
            await _put_new_key(
                self._store,
                self._sealer,
                stored,
                region=self._region,
                now_ms=self._now_ms(),
            )
            stored = await self._store.list_token_keys()
        if stored == self._stored:
            return
        self._keys = list(self._open(stored))
        self._signing = next(
            (each for each in self._keys if each.retire_date_ms is None), None
        )
        self._stored = stored

    def check(self) -> None:
        """
        Refuse to go on when no key that signs can be read.

        Raises:
            SettingsError: the keys were sealed with the secret of another store.
        """
        if self._signing is None:
            for each in newest_first(self._stored):
                _open(self._sealer, each)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """
        Sign a token with the newest key.

        Raises:
            SettingsError: there is none that can be read.
        """
        key = self._signing
        if key is None:
            raise SettingsError("There is no token key that can be read.")
        import jwt  # loaded late, with the parts of a key

        return jwt.encode(
            dict(claims),
            key.parts.private_key,
            algorithm=ALGORITHM,
            headers={"kid": key.key_id, "typ": _TYPE},
        )

    def jwks(self) -> dict[str, Any]:
        """Give the public keys, the newest first, as a JSON Web Key Set."""
        return {"keys": [dict(each.parts.jwk) for each in self._published()]}

    def find_keys(self, key_id: str | None) -> Sequence[jwt.PyJWK]:
        """Find the public keys of an id; all of them when it is None."""
        return [
            each.parts.public_key
            for each in self._published()
            if key_id in (None, each.key_id)
        ]

    def _published(self) -> Iterable[_OpenKey]:
        now_ms = self._now_ms()
        for each in self._keys:
            if each.retire_date_ms is None or each.retire_date_ms > now_ms:
                yield each

    def _open(self, stored: Iterable[TokenKey]) -> Iterable[_OpenKey]:
        for each in newest_first(stored):
            try:
                yield _open(self._sealer, each)
            except SettingsError as error:
                # The others still verify what they signed.
                _log.error("token_keys.unreadable", error=str(error))


async def rotate_token_key(
    store: TokenKeyStore, sealer: SecretSealer, *, region: str, now_ms: int
) -> str:
    """
    Make a key that signs from now on; the others retire when their tokens are dead.

    Returns:
        The id of the new key.
    Raises:
        SettingsError: the key that signs now was sealed with another secret, so the
            servers of this store could not read the new one.
    """
    key_id = None
    while key_id is None:  # another one may be at it, too
        before = await store.list_token_keys()
        for each in newest_first(before)[:1]:
            _open(sealer, each)
        key_id = await _put_new_key(store, sealer, before, region=region, now_ms=now_ms)
    for each in before:
        if each.retire_date_ms is None:
            await store.retire_token_key(
                each.key_id, retire_date_ms=now_ms + _RETIREMENT_MS
            )
    return key_id


async def retire_token_key(
    store: TokenKeyStore,
    sealer: SecretSealer,
    key_id: str,
    *,
    region: str,
    now_ms: int,
) -> bool:
    """
    Retire a key at once, and all that it signed with it; say whether there is such one.

    The key that signs is replaced first. It need not be readable: this is also the way
    out when the secret of a store is lost.
    """
    stored = await store.list_token_keys()
    if key_id not in {each.key_id for each in stored}:
        return False
    if key_id == newest_first(stored)[0].key_id:
        # Had it no successor, its number would be used again once it is dropped.
        await _put_new_key(store, sealer, stored, region=region, now_ms=now_ms)
    return await store.retire_token_key(key_id, retire_date_ms=now_ms)


def newest_first(keys: Iterable[TokenKey]) -> list[TokenKey]:
    """Put keys in the order of their numbers, the highest first."""
    return sorted(keys, key=_number, reverse=True)


async def _put_new_key(
    store: TokenKeyStore,
    sealer: SecretSealer,
    before: Iterable[TokenKey],
    *,
    region: str,
    now_ms: int,
) -> str | None:
    """Make the key of the next number; None when somebody else was faster."""
    number = max((_number(each) for each in before), default=0) + 1
    key_id = f"{region}-{number}"
    pem = await asyncio.to_thread(_generate_pem)
    key = TokenKey(
        key_id=key_id,
        sealed_private_key=sealer.seal(pem, access_key_id=key_id),
        creation_date_ms=now_ms,
    )
    return key_id if await store.put_token_key(key) else None


def _generate_pem() -> str:
    """Make a key pair. It takes a tenth of a second, and leaves the others alone."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    return (
        rsa.generate_private_key(_RSA_EXPONENT, _RSA_BITS)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def _open(sealer: SecretSealer, key: TokenKey) -> _OpenKey:
    try:
        pem = sealer.open(key.sealed_private_key, access_key_id=key.key_id)
    except SettingsError as error:
        raise SettingsError(
            f"Token key '{key.key_id}' was sealed with another key. Is this the "
            "secret.key (or the setting secret_key) of this store? If it is lost, "
            f"replace the token key: millpond token-key retire {key.key_id}"
        ) from error
    return _OpenKey(key.key_id, key.retire_date_ms, pem)


def _number(key: TokenKey) -> int:
    return int(key.key_id.rpartition("-")[2])
