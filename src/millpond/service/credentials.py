"""
Whose credentials a request is signed with: a developer's key or an identity's.

Developer keys are in memory; the credentials of an identity are in the session token
that comes with the request (`core.session_tokens`). Neither needs a look at the store.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from millpond.core.session_tokens import ACCESS_KEY_PREFIX, SessionTokens
from millpond.errors import ExpiredTokenException, UnrecognizedClientException
from millpond.limits import LONG_MAX
from millpond.service.context import Caller
from millpond.service.developer_keys import KeyRing, KnownKey

CACHED_MAX: Final = (
    8192  # session tokens that need not be opened again; about 1 KiB each
)


class Credentials(NamedTuple):
    """The secret that a request must be signed with, and who signs with it."""

    secret: str
    caller: Caller
    expires_ms: int


class CredentialFinder:
    """Finds the credentials that a request names."""

    def __init__(
        self, keys: KeyRing, session_tokens: SessionTokens, *, account_id: str
    ) -> None:
        self._keys = keys
        self._session_tokens = session_tokens
        self._account_id = account_id
        self._open = lru_cache(CACHED_MAX)(self._open_session)
        self._of_developer = lru_cache(CACHED_MAX)(self._make_developer)

    def find(
        self, access_key_id: str, session_token: str | None, now_s: float
    ) -> Credentials | None:
        """
        Find the credentials of an access key id; None when there are none.

        Raises:
            UnrecognizedClientException: the session token is not one of its own.
            ExpiredTokenException: it was, until it expired.
        """
        if session_token is None:
            known = self._keys.find(access_key_id)
            if known is None:
                return None
            developer = self._of_developer(access_key_id, known)
            return None if developer.expires_ms <= now_s * 1000 else developer
        found = self._open(access_key_id, session_token)
        if found.expires_ms <= now_s * 1000:
            raise ExpiredTokenException
        return found

    def _make_developer(self, access_key_id: str, known: KnownKey) -> Credentials:
        # What the key may do is part of what is remembered: another scope, another one.
        caller = Caller(access_key_id, self._account_id, scope=known.scope)
        end_ms = known.scope.expires_ms
        return Credentials(known.secret, caller, LONG_MAX if end_ms is None else end_ms)

    def _open_session(self, access_key_id: str, session_token: str) -> Credentials:
        if not access_key_id.startswith(ACCESS_KEY_PREFIX):
            raise UnrecognizedClientException  # a developer's key has no session
        secret, session = self._session_tokens.open(access_key_id, session_token)
        caller = Caller(access_key_id, self._account_id, session)
        return Credentials(secret, caller, session.expires_ms)
