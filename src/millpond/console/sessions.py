"""
Who is logged in: a developer key, for eight hours, told by a sealed cookie.

The cookie holds the id of the key and never its secret, so nothing of worth can be
stolen from a server's memory or a browser's disk but the session itself. A session is
over when its time is, when its key is (deleted, or ended), and when somebody logged out
with it; that one is remembered in the store, so that every server knows.

Cookies do not know ports (RFC 6265, 8.5): two servers on one host would take each
other's. So the name of ours ends in a few digits of the store's secret.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from millpond.console.base import Console
from millpond.console.sealing import Seal
from millpond.service.callers import KeyScope

SESSION_S: Final = 8 * 3600
SAID_S: Final = 60  # the page that shows it is the next one
_PURPOSE: Final = "session"
_SAID: Final = "said"
_ENDED_MAX: Final = 1000


class Session(msgspec.Struct, frozen=True):
    """What the cookie holds."""

    id: str
    access_key_id: str
    began_ms: int


class Sessions:
    """Begins, finds and ends sessions."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seal = Seal(console.seal_key)
        self._suffix = hashlib.sha256(console.seal_key + b"name").hexdigest()[:8]
        self._ended: dict[str, None] = {}  # for what goes on here; the store has all

    def cookie_name(self, what: str, *, is_secure: bool) -> str:
        """Name a cookie; over TLS in the way that only this host can set it."""
        return f"{'__Host-' if is_secure else ''}millpond-{what}-{self._suffix}"

    def begin(self, access_key_id: str) -> str:
        """Begin a session and give the value of its cookie."""
        now_ms = self._console.context.now_ms()
        session = Session(secrets.token_urlsafe(16), access_key_id, now_ms)
        return self._seal.close(_PURPOSE, session, until_ms=now_ms + SESSION_S * 1000)

    async def find(self, cookies: Iterable[str]) -> Session | None:
        """
        Find the session that a cookie is of; None where there is none any more.

        Raises:
            StoreError: nobody can say whether it has ended.
        """
        now_ms = self._console.context.now_ms()
        for value in cookies:
            session = self._seal.open(_PURPOSE, value, Session, now_ms=now_ms)
            if session is not None and self.is_good(session):
                store = self._console.context.store
                return None if await store.is_mark_spent(_mark(session)) else session
        return None

    def is_good(self, session: Session, scope: KeyScope | None = None) -> bool:
        """
        Say whether a session goes on, as far as this server knows by itself.

        Args:
            scope: that its key must have now as it had then; None: any will do.
        """
        now_ms = self._console.context.now_ms()
        key = self._console.keys.find_good(session.access_key_id, now_ms)
        return (
            now_ms - session.began_ms < SESSION_S * 1000
            and session.id not in self._ended
            and key is not None
            and scope in (None, key.scope)
        )

    async def end(self, session: Session) -> None:
        """End a session, on every server."""
        while len(self._ended) >= _ENDED_MAX:
            del self._ended[next(iter(self._ended))]
        self._ended[session.id] = None
        until_ms = session.began_ms + SESSION_S * 1000
        store = self._console.context.store
        await store.spend_mark(_mark(session), until_ms=until_ms)

    def note_said(self, sentence: str) -> str:
        """Seal a sentence for the next page."""
        now_ms = self._console.context.now_ms()
        return self._seal.close(_SAID, sentence[:1000], until_ms=now_ms + SAID_S * 1000)

    def read_said(self, values: Iterable[str]) -> str:
        """Read the sentence that is to be shown; empty: there is none."""
        now_ms = self._console.context.now_ms()
        for value in values:
            sentence = self._seal.open(_SAID, value, str, now_ms=now_ms)
            if sentence:
                return sentence
        return ""


def _mark(session: Session) -> str:
    return f"session {session.id}"


def read_cookies(headers: Iterable[tuple[bytes, bytes]], name: str) -> Iterator[str]:
    """Give the values of a cookie; HTTP/2 may part the header, others may add to it."""
    for header, value in headers:
        if header.lower() != b"cookie":
            continue
        for each in value.decode("latin-1").split(";"):
            found, _, text = each.strip().partition("=")
            if found == name:
                yield text
