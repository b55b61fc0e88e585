"""
Developer keys: made by the administrator, and good from then on.

The server has them in memory, and looks at the store now and then. A request that names
a key that is not there has the store looked at once more before it is refused: the key
may have been made a moment ago. Strangers can name as many keys as they like, so there
are `LOOKS_PER_S_MAX` such looks a second at most, each for all who have come by then.

A secret must be at hand in the clear to check a signature, so it cannot be hashed. It
is sealed (AES-256-GCM, bound to its access key id) before the store sees it.
"""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from millpond.errors import SettingsError
from millpond.service.callers import KeyScope
from millpond.stores.base import DeveloperKey, DeveloperKeyStore

_log = structlog.get_logger()

LOOKS_PER_S_MAX: Final = 10
USE_KEPT_MS: Final = 5 * 60_000  # to which the date of the last use is kept
_NONCE_BYTES: Final = 12
_ID_BYTES: Final = 10  # 16 characters of base32
_SECRET_BYTES: Final = 30  # 40 characters of base64


class KnownKey(NamedTuple):
    """A key that requests are signed with."""

    secret: str
    scope: KeyScope


class NewKey(NamedTuple):
    """A key as its owner gets to see it, once."""

    access_key_id: str
    secret_access_key: str


class SecretSealer:
    """Seals secrets for the store."""

    def __init__(self, key: bytes, *, random_bytes: Callable[[int], bytes]) -> None:
        self._cipher = AESGCM(key)
        self._random_bytes = random_bytes

    def seal(self, secret: str, *, access_key_id: str) -> bytes:
        """Seal a secret; it opens for the same access key id alone."""
        nonce = self._random_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(
            nonce, secret.encode(), access_key_id.encode()
        )

    def open(self, sealed: bytes, *, access_key_id: str) -> str:
        """
        Open a sealed secret.

        Raises:
            SettingsError: it was sealed with another key, or is damaged.
        """
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, rest, access_key_id.encode()).decode()
        except (InvalidTag, ValueError) as error:  # cut off, it is no seal at all
            raise SettingsError(
                f"The secret of developer key '{access_key_id}' was sealed with "
                "another key. Is this the secret.key (or the setting secret_key) of "
                "this store?"
            ) from error


class KeyRing:
    """The developer keys in memory, refreshed from the store."""

    def __init__(self, store: DeveloperKeyStore, sealer: SecretSealer) -> None:
        self._store = store
        self.sealer = sealer
        """Seals the secrets of new keys as those of this ring."""
        self._stored: dict[str, DeveloperKey] = {}
        self._known: dict[str, KnownKey] = {}
        self._used_ms: dict[str, int] = {}  # when, as the store knows it
        self._used: set[str] = set()  # since that was last looked at
        self._looked_s = -math.inf  # by the monotonic clock
        self._next_look: asyncio.Task[None] | None = None  # it has not begun yet

    def find(self, access_key_id: str) -> KnownKey | None:
        """Find a key, as of the last refresh; it may have expired."""
        return self._known.get(access_key_id)

    def find_good(self, access_key_id: str, now_ms: int) -> KnownKey | None:
        """Find a key that has not expired."""
        known = self._known.get(access_key_id)
        if known is None:
            return None
        end_ms = known.scope.expires_ms
        return None if end_ms is not None and end_ms <= now_ms else known

    def note_use(self, access_key_id: str) -> None:
        """Note that somebody signed with a key; this is on the way of every request."""
        self._used.add(access_key_id)

    def take_uses(self) -> list[str]:
        """Give the uses that are not written to somebody else, who is going to."""
        used, self._used = self._used, set()
        return [*used]

    async def save_uses(self, now_ms: int) -> None:
        """
        Write when keys were used, those of which that is not known to some minutes.

        Raises:
            StoreError: it is written the next time.
        """
        uses = {
            each: now_ms
            for each in self._used
            if now_ms - self._used_ms.get(each, 0) >= USE_KEPT_MS
        }
        if uses:
            await self._store.note_key_uses(uses)
            self._used_ms.update(uses)
        self._used.clear()

    async def refresh(self) -> None:
        """Learn of keys that were made or deleted, by this process or another."""
        keys = await self._store.list_developer_keys()
        self._used_ms = {each.access_key_id: each.last_used_ms or 0 for each in keys}
        stored = {
            each.access_key_id: msgspec.structs.replace(each, last_used_ms=None)
            for each in keys
        }
        if stored == self._stored:
            return
        self._known, unreadable = {}, []
        for access_key_id, key in stored.items():
            try:
                secret = self.sealer.open(
                    key.sealed_secret, access_key_id=access_key_id
                )
            except SettingsError as error:
                # One key that cannot be read must not keep the others out, nor a
                # deleted one in.
                unreadable.append(str(error))
                continue
            self._known[access_key_id] = KnownKey(secret, scope_of(key))
        self._stored = stored
        if self._known:  # else `check` says it
            for reason in unreadable:
                _log.error("keys.unreadable", error=reason)

    async def look_again(self) -> None:
        """
        Learn of every key that was made before this call.

        Raises:
            StoreError: the store cannot be asked.
        """
        if self._next_look is None:
            self._next_look = asyncio.create_task(self._look())
        # Others wait for it, too: it goes on when this caller leaves.
        await asyncio.shield(self._next_look)

    async def _look(self) -> None:
        since_s = time.monotonic() - self._looked_s
        await asyncio.sleep(max(0.0, 1 / LOOKS_PER_S_MAX - since_s))
        # Who comes from here on may name a key that was made after the look.
        self._next_look = None
        self._looked_s = time.monotonic()
        await self.refresh()

    def check(self) -> None:
        """
        Refuse to go on when there are keys and none of them can be read.

        Raises:
            SettingsError: the secret is that of another store.
        """
        if self._known:
            return
        for access_key_id, key in self._stored.items():
            self.sealer.open(key.sealed_secret, access_key_id=access_key_id)


def may_give(giver: KeyScope, given: KeyScope) -> bool:
    """Say whether who has a key may make one of this scope: none that is wider."""
    return (
        not (giver.read_only and not given.read_only)
        and giver.identity_pool_id in (None, given.identity_pool_id)
        and (
            giver.expires_ms is None
            or (given.expires_ms is not None and given.expires_ms <= giver.expires_ms)
        )
    )


def is_last_full(keys: Sequence[DeveloperKey], access_key_id: str, now_ms: int) -> bool:
    """Say whether a key is the last one that may do everything, now."""
    full = [each for each in keys if not each.read_only and not each.identity_pool_id]
    return is_last_good(full, access_key_id, now_ms)


def is_last_good(keys: Sequence[DeveloperKey], access_key_id: str, now_ms: int) -> bool:
    """Say whether a key is the last one that is good, now."""
    good = [
        each.access_key_id
        for each in keys
        if each.expires_ms is None or each.expires_ms > now_ms
    ]
    return good == [access_key_id]


def ends_sooner(before_ms: int | None, after_ms: int | None) -> bool:
    """Say whether a key of the one end is good for less time than one of the other."""
    return after_ms is not None and (before_ms is None or after_ms < before_ms)


def scope_of(key: DeveloperKey) -> KeyScope:
    """Tell what a key may do."""
    return KeyScope(key.name, key.read_only, key.identity_pool_id, key.expires_ms)


async def create_developer_key(
    store: DeveloperKeyStore,
    sealer: SecretSealer,
    *,
    name: str,
    now_ms: int,
    random_bytes: Callable[[int], bytes],
    read_only: bool = False,
    identity_pool_id: str | None = None,
    expires_ms: int | None = None,
) -> NewKey:
    """
    Make a key, of the length and alphabet that clients expect.

    Args:
        read_only: it may change nothing.
        identity_pool_id: of the one pool that it is for; None: of all.
        expires_ms: from when on it is refused; None: never.
    """
    access_key_id = "AKIA" + base64.b32encode(random_bytes(_ID_BYTES)).decode()
    secret = base64.b64encode(random_bytes(_SECRET_BYTES)).decode()
    await store.put_developer_key(
        DeveloperKey(
            access_key_id=access_key_id,
            name=name,
            sealed_secret=sealer.seal(secret, access_key_id=access_key_id),
            creation_date_ms=now_ms,
            read_only=read_only,
            identity_pool_id=identity_pool_id,
            expires_ms=expires_ms,
        )
    )
    return NewKey(access_key_id, secret)
