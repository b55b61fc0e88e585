"""
Logging in: by a link that is good once, or by access key and secret.

The secret is compared in constant time and forgotten. How often a peer may fail is
bounded; the secret of a key has 240 bits, so that this protects the server rather than
the key.
"""

from __future__ import annotations

import hmac
import math
import time
from dataclasses import dataclass
from typing import Final

from millpond.console import links
from millpond.console.base import ROOT, Console, Door, Fields, Refused, Shown
from millpond.console.sessions import Session, Sessions
from millpond.core.rates import BURST_S, Buckets
from millpond.service.developer_keys import KnownKey

FORM_BYTES_MAX: Final = 16_384
TRIES_PER_MINUTE: Final = 10  # of a peer, that fail
TARGET_CHARS_MAX: Final = 2048  # of a page to go on to; some proxies take little more
WRONG: Final = "There is no such key, or this is not its secret."
OLD_LINK: Final = (
    "This link was used, or is too old. `millpond console` prints another one."
)
NO_KEY: Final = "The key that this link is for is not there any more."
_NO_SECRET: Final = "-" * 40  # as long as one


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A session that began."""

    cookie: str
    location: str


class _Try:
    """A try to log in, which counts when it fails, and before it makes any work."""

    def __init__(self, tries: Buckets, peer: str) -> None:
        self._tries = tries
        self._peer = peer
        self._is_counted = False
        _refuse(tries.wait_s(peer, time.monotonic()))

    def count(self) -> None:
        """
        Count it, once.

        Raises:
            Refused: others of this peer were counted meanwhile, and are enough.
        """
        if not self._is_counted:
            self._is_counted = True
            _refuse(self._tries.take(self._peer, time.monotonic()))


def _refuse(wait_s: float) -> None:
    if wait_s:
        raise Refused(
            429, f"Too many tries to log in. Try again in {math.ceil(wait_s)} s."
        )


class Login:
    """Begins sessions, for those who may."""

    def __init__(self, console: Console, sessions: Sessions) -> None:
        self._console = console
        self._sessions = sessions
        self._tries = Buckets(TRIES_PER_MINUTE / BURST_S)

    def page(self, query: Fields) -> Shown:
        """Show the form, or, of a link, its button."""
        sealed = query.text("link")
        if not sealed:
            was_out = query.flag("out")
            return self._form(own_path(query.long_text("next")), was_out=was_out)
        found = self._read_link(sealed)
        if found is None:
            return self._form(ROOT, wrong=OLD_LINK)
        data = {"link": sealed, "accessKeyId": found.access_key_id}
        return Shown(title="Log in", data=data)

    async def log_in(self, form: Fields, door: Door) -> Shown | LoggedIn:
        """
        Log in, or show the form again.

        Raises:
            Refused: too many tries.
        """
        this = _Try(self._tries, door.peer)
        answer = await self._try(form, this)
        if isinstance(answer, Shown):
            this.count()
        return answer

    async def _try(self, form: Fields, this: _Try) -> Shown | LoggedIn:
        if "link" in form:
            return await self._follow(form.text("link"), this)
        target = own_path(form.long_text("next"))
        access_key_id = form.text("access_key_id").strip()
        secret = form.text("secret_access_key")
        if not await self._is_right(access_key_id, secret, this):
            return self._form(target, access_key_id, WRONG)
        return LoggedIn(self._sessions.begin(access_key_id), target)

    async def _follow(self, sealed: str, this: _Try) -> Shown | LoggedIn:
        """Log in by a link, which is used up then."""
        found = self._read_link(sealed)
        if found is None:
            return self._form(ROOT, wrong=OLD_LINK)
        if await self._find_key(found.access_key_id, this) is None:
            return self._form(ROOT, wrong=NO_KEY)
        if not await links.use(self._console.context.store, found):
            return self._form(ROOT, wrong=OLD_LINK)
        return LoggedIn(self._sessions.begin(found.access_key_id), ROOT)

    def _read_link(self, sealed: str) -> links.Link | None:
        now_ms = self._console.context.now_ms()
        return links.read(self._console.seal_key, sealed, now_ms=now_ms)

    async def _find_key(self, access_key_id: str, this: _Try) -> KnownKey | None:
        keys = self._console.keys
        now_ms = self._console.context.now_ms()
        found = keys.find_good(access_key_id, now_ms)
        if found is None and access_key_id:
            this.count()  # many at a time would all get by while they wait
            await keys.look_again()  # it may have been made a moment ago
            found = keys.find_good(access_key_id, now_ms)
        return found

    async def _is_right(self, access_key_id: str, secret: str, this: _Try) -> bool:
        found = await self._find_key(access_key_id, this)
        given = secret.strip().encode()
        known = found.secret if found is not None else _NO_SECRET
        return hmac.compare_digest(given, known.encode()) and found is not None

    async def log_out(self, session: Session) -> None:
        """End a session, on every server."""
        await self._sessions.end(session)

    def _form(
        self,
        target: str,
        access_key_id: str = "",
        wrong: str = "",
        *,
        was_out: bool = False,
    ) -> Shown:
        return Shown(
            title="Log in",
            data={"next": target, "link": "", "loggedOut": was_out},
            status=403 if wrong else 200,
            form={"access_key_id": access_key_id},
            errors={"": wrong} if wrong else {},
        )


def own_path(text: str) -> str:
    """Give a path of the console to go on to; whatever else was meant is its root."""
    is_own = text == ROOT or text.startswith((f"{ROOT}/", f"{ROOT}?"))
    is_plain = all("!" <= each <= "~" and each != "\\" for each in text)
    is_page = not text.startswith((f"{ROOT}/login", f"{ROOT}/logout", f"{ROOT}/static"))
    is_short = len(text) <= TARGET_CHARS_MAX
    return text if is_own and is_plain and is_page and is_short else ROOT
