"""
Logging in: by a link that is good once, or by access key and secret.

The secret is compared in constant time and forgotten. How often a peer may try is
bounded; the secret of a key has 240 bits, so that this protects the server rather than
the key.
"""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass
from typing import Final

from millpond.console.base import ROOT, Console, Door, Fields, Refused, Shown
from millpond.console.sessions import Session, Sessions
from millpond.core.rates import BURST_S, Buckets

FORM_BYTES_MAX: Final = 16_384
TRIES_PER_MINUTE: Final = 10  # of a peer
WRONG: Final = "There is no such key, or this is not its secret."
_PURPOSE: Final = "link"
_NO_SECRET: Final = "-" * 40  # as long as one


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A session that began."""

    cookie: str
    location: str


class Login:
    """Begins sessions, for those who may."""

    def __init__(self, console: Console, sessions: Sessions) -> None:
        self._console = console
        self._sessions = sessions
        self._tries = Buckets(TRIES_PER_MINUTE / BURST_S)

    def page(self, query: Fields) -> Shown:
        """Show the form."""
        return self._form(own_path(query.text("next")))

    async def log_in(self, form: Fields, door: Door) -> Shown | LoggedIn:
        """
        Log in, or show the form again.

        Raises:
            Refused: too many tries.
        """
        wait_s = self._tries.take(door.peer, time.monotonic())
        if wait_s:
            raise Refused(
                429, f"Too many tries to log in. Try again in {wait_s:.0f} s."
            )
        target = own_path(form.text("next"))
        access_key_id = form.text("access_key_id").strip()
        if not await self._is_right(access_key_id, form.text("secret_access_key")):
            return self._form(target, access_key_id, WRONG)
        return LoggedIn(self._sessions.begin(access_key_id), target)

    async def _is_right(self, access_key_id: str, secret: str) -> bool:
        keys = self._console.keys
        found = keys.find_secret(access_key_id)
        if found is None and access_key_id:
            await keys.look_again()  # it may have been made a moment ago
            found = keys.find_secret(access_key_id)
        given = secret.strip().encode()
        is_same = hmac.compare_digest(given, (found or _NO_SECRET).encode())
        return is_same and found is not None

    async def log_out(self, session: Session) -> None:
        """End a session, on every server."""

    def _form(self, target: str, access_key_id: str = "", wrong: str = "") -> Shown:
        return Shown(
            title="Log in",
            data={"next": target},
            status=403 if wrong else 200,
            form={"access_key_id": access_key_id},
            errors={"": wrong} if wrong else {},
        )


def own_path(text: str) -> str:
    """Give a path of the console to go on to; whatever else was meant is its root."""
    is_own = text == ROOT or text.startswith((f"{ROOT}/", f"{ROOT}?"))
    is_plain = all("!" <= each <= "~" and each != "\\" for each in text)
    is_page = not text.startswith((f"{ROOT}/login", f"{ROOT}/logout", f"{ROOT}/static"))
    return text if is_own and is_plain and is_page else ROOT
