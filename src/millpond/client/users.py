"""
Guests and users of a pool, and how one becomes the other.

They go the way of all apps: GetId, then GetCredentialsForIdentity. The id is kept in
the app's storage, so that the same guest comes back; credentials are not, and are
renewed before they end by the clock of the server.

    guest --------- signs in ---------> user       "signed in": the same identity
      |                `--------------> user       "merged": it became another's
      |--- its identity is deleted ---> guest      "gone"
    user ---------- another user -----> user       "other": nothing follows
      `------------ merged elsewhere -> user       "merged"

Rule: an identity that is kept is presented with a login only where it is a guest, or of
the same user. Somebody else's login would be linked to it for good.

What reads and writes notes and tokens is loaded when there is one: an app that opens
its data should not wait for it.

Sources: docs/identities.md; an identity's id may change with any answer.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from millpond.client.api.credentials import Credentials
from millpond.client.callers import (
    Caller,
    Identity,
    Kept,
    Kind,
    Login,
    ShowLogin,
    Why,
    asked_of_app,
)
from millpond.client.failures import CallError, NotAllowed, Unanswered

if TYPE_CHECKING:
    from millpond.client.calls import Calls

SIGN_IN_NEEDED: Final = "SignInNeeded"
API: Final = "cognito-identity"
_RENEWED_BEFORE_S: Final = 300.0  # or a quarter of their life, where that is less
_TOLD_MAX: Final = 8  # how often an id may change within one request for credentials


class Users:
    """Guests and users of a pool, by what they show."""

    def __init__(self, show: ShowLogin) -> None:
        self._show = show

    def open(self, calls: Calls, pool: str, kept: Kept) -> Caller:
        return _User(calls, pool, kept, self._show)


class _Note(NamedTuple):
    """
    What is kept of an identity.

    Args:
        who: a digest of the user's name at the provider; empty where it is not known.
    """

    id: str
    kind: Kind
    was: str | None = None
    why: Why = "new"
    who: str = ""

    @property
    def identity(self) -> Identity:
        return Identity(self.id, self.kind, self.was, self.why)


class _Given(NamedTuple):
    """Credentials that were given out, and until when they are good."""

    identity_id: str
    credentials: Credentials
    renewed_from_s: float


class _User:
    """A guest or user of a pool, as one app has it."""

    def __init__(self, calls: Calls, pool: str, kept: Kept, show: ShowLogin) -> None:
        self._calls = calls
        self._pool = pool
        self._kept = kept
        self._show = show
        # By pool alone: one that moves to another address keeps its identities.
        self._name = f"identity {pool}"
        self._lock = threading.RLock()  # an app may ask for the id while it shows
        self._given: _Given | None = None

    def __repr__(self) -> str:
        note = self._note()
        return f"<{note.kind if note else 'nobody yet'} of {self._pool}>"

    def known(self) -> Identity | None:
        note = self._note()
        return note.identity if note else None

    def identity(self) -> Identity:
        note = self._note()
        if note is None:
            self.credentials()
            note = self._note()
        if note is None:
            raise Unanswered("The app signed out meanwhile.")
        return note.identity

    def identity_id(self) -> str:
        return self.identity().id

    def credentials(self) -> Credentials:
        with self._lock:
            note, given = self._note(), self._given
            if (
                given is not None
                and note is not None
                and note.id == given.identity_id  # not merged by another process
                and self._calls.now_s < given.renewed_from_s
            ):
                return given.credentials
            self._given = given = self._ask()
            return given.credentials

    def renew(self) -> None:
        with self._lock:
            self._given = None

    def forget(self) -> None:
        with self._lock:
            self._given = None
            while (text := self._kept.get(self._name)) is not None:
                self._kept.swap(self._name, text, None)

    def _ask(self) -> _Given:
        """Get credentials, for whoever it turns out to be."""
        from millpond.core.client_sync.session import NOT_FOUND

        for _ in range(_TOLD_MAX):
            text = self._kept.get(self._name)
            note = _read(text)
            login = self._shown(note)
            who = _who(login)
            if login is None and note is not None and note.kind == "user":
                raise NotAllowed(
                    "This user's credentials are over: sign in again, or sign out.",
                    code=SIGN_IN_NEEDED,
                )
            if note is None and (login is None or login.identity_id is None):
                # Kept before anything is done with it, else a failure makes another.
                self._keep(text, note, self._new_id(login), login, who)
                continue
            try:
                answer = self._call(
                    "GetCredentialsForIdentity",
                    {
                        "IdentityId": self._presented(note, login, who),
                        "Logins": login and login.logins,
                    },
                )
            except CallError as error:
                told = login is not None and login.identity_id is not None
                if note is None or told or error.code != NOT_FOUND:
                    raise
                # It was deleted at the server: what is here goes up as another one.
                new_id = self._new_id(login)
                self._keep(text, note, new_id, login, who, gone=True)
                continue
            found_id, given = self._given_by(answer)
            if self._keep(text, note, found_id, login, who):
                return given
            # Another process was faster: ask for the one that it found.
        raise Unanswered("The identity kept changing.", operation="GetId")

    def _shown(self, note: _Note | None) -> Login | None:
        guest_id = note.id if note is not None and note.kind == "guest" else None
        return asked_of_app(lambda: self._show(guest_id))

    def _presented(self, note: _Note | None, login: Login | None, who: str) -> str:
        """Say whom to ask for: who is kept, or whoever the login is of."""
        if login is not None and login.identity_id is not None:
            return login.identity_id
        if note is not None and (note.kind == "guest" or (who and who == note.who)):
            return note.id
        return self._new_id(login)

    def _new_id(self, login: Login | None) -> str:
        answer = self._call(
            "GetId",
            {"IdentityPoolId": self._pool, "Logins": login and login.logins},
        )
        return _text(answer, "IdentityId", "GetId")

    def _keep(
        self,
        text: str | None,
        note: _Note | None,
        identity_id: str,
        login: Login | None,
        who: str,
        *,
        gone: bool = False,
    ) -> bool:
        """Keep whose the app is now, unless another process did meanwhile."""
        import json

        kind: Kind = "guest" if login is None else "user"
        why = _why(note, identity_id, kind, who, gone=gone)
        was = None if note is None else note.id
        after = _Note(identity_id, kind, was, why, who)
        if note is not None and note.id == identity_id and note.kind == kind:
            after = note._replace(who=who or note.who)
        written = json.dumps(after._asdict())
        now = text if written == text else self._kept.swap(self._name, text, written)
        found = _read(now)
        return found is not None and found.id == identity_id

    def _given_by(self, answer: dict[str, Any]) -> tuple[str, _Given]:
        operation = "GetCredentialsForIdentity"
        identity_id = _text(answer, "IdentityId", operation)
        raw = answer.get("Credentials")
        if not isinstance(raw, dict):
            raise _no_answer(operation)
        credentials = Credentials(
            _text(raw, "AccessKeyId", operation),
            _text(raw, "SecretKey", operation),
            _text(raw, "SessionToken", operation),
        )
        end_s = raw.get("Expiration")
        if isinstance(end_s, bool) or not isinstance(end_s, int | float):
            raise _no_answer(operation)
        now_s = self._calls.now_s
        early_s = min(_RENEWED_BEFORE_S, max(0.0, end_s - now_s) / 4)
        return identity_id, _Given(identity_id, credentials, end_s - early_s)

    def _note(self) -> _Note | None:
        return _read(self._kept.get(self._name))

    def _call(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        return self._calls.call(API, operation, asked)


def _why(
    note: _Note | None, identity_id: str, kind: Kind, who: str, *, gone: bool
) -> Why:
    if note is None:
        return "new"
    if gone:
        return "gone"
    if note.id == identity_id:
        return "signed in" if kind != note.kind else note.why
    if note.kind == "guest" or (who and who == note.who):
        return "merged"
    return "other"


def _who(login: Login | None) -> str:
    """
    Say who a user is, as far as the tokens tell: a digest of names at providers.

    Nothing is verified here; the server does that. It tells users of one device apart.
    """
    import json
    from hashlib import sha256

    if login is None:
        return ""
    names = []
    for provider, token in sorted(login.logins.items()):
        claims = _claims(token)
        if not isinstance(claims.get("sub"), str):
            return ""
        names.append([provider, claims.get("iss"), claims["sub"]])
    return sha256(json.dumps(names).encode()).hexdigest()


def _claims(token: str) -> dict[str, Any]:
    import json
    from base64 import urlsafe_b64decode

    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


def _read(text: str | None) -> _Note | None:
    if text is None:
        return None
    import json

    try:
        return _Note(**json.loads(text))
    except (ValueError, TypeError):
        return None  # of a later release, perhaps: it is found out anew


def _text(answer: dict[str, Any], name: str, operation: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise _no_answer(operation)
    return value


def _no_answer(operation: str) -> Unanswered:
    return Unanswered(
        "What came back is no answer of this API. Is there a proxy or a login page in "
        "between?",
        operation=operation,
    )
