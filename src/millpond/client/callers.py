"""
Who calls, as the rest of the library sees it; and what an app says of it.

    opener = guest()                          # what an app says (`credentials`)
    caller = opener.open(calls, pool, kept)   # what a synchronization asks
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, TypeVar

from millpond.client.api.credentials import Credentials
from millpond.client.errors import SyncError
from millpond.client.failures import NotAllowed

if TYPE_CHECKING:
    from millpond.client.calls import Calls

T = TypeVar("T")
NOTHING_GIVEN: Final = "NoCredentials"

Kind = Literal["guest", "user", "developer"]
Why = Literal["new", "merged", "signed in", "gone", "other"]


class Identity(NamedTuple):
    """
    An identity, and how it came to be the one of this app.

    Args:
        was: the identity before it, if that was another one.
        why: why it changed. After "merged" and "gone" the data of `was` follows,
            after "other" it does not.
    """

    id: str
    kind: Kind
    was: str | None = None
    why: Why = "new"


class Kept(Protocol):
    """A few small texts that an app's storage keeps, for all processes that use it."""

    def get(self, name: str) -> str | None:
        """Give a text."""
        ...

    def swap(self, name: str, before: str | None, after: str | None) -> str | None:
        """Set a text if it still is `before`; give what it is then. None: it is not."""
        ...


class Caller(Protocol):
    """Who calls; all of it from any thread."""

    def known(self) -> Identity | None:
        """Give the identity as far as it is known, without asking anybody."""
        ...

    def identity(self) -> Identity:
        """Give the identity; asks where it is not known (CallError)."""
        ...

    def identity_id(self) -> str:
        """Give the id of the identity, as above."""
        ...

    def credentials(self) -> Credentials:
        """Give credentials that are good for a while yet (CallError)."""
        ...

    def renew(self) -> None:
        """Take the credentials for worthless, or the user for another one."""
        ...

    def forget(self) -> None:
        """Sign out: the identity is not this app's any more."""
        ...


class Opener(Protocol):
    """What an app says of who it is."""

    def open(self, calls: Calls, pool: str, kept: Kept) -> Caller:
        """Make the caller, for a server and a pool; asks nobody."""
        ...


class Login(NamedTuple):
    """What a user shows: tokens by the names of their providers, or nothing yet."""

    logins: Mapping[str, str]
    identity_id: str | None = None  # where a backend said whose the token is


ShowLogin = Callable[[str | None], Login | None]
"""Of the guest's identity id, if there is one: what the user shows."""


def asked_of_app(ask: Callable[[], T]) -> T:
    """
    Ask the app for something; what goes wrong there is no reason for us to end.

    Raises:
        NotAllowed: it went wrong; the cause says how.
    """
    try:
        return ask()
    except SyncError:
        raise
    except Exception as error:
        raise NotAllowed(
            f"The app gives no credentials or token: {type(error).__name__}",
            code=NOTHING_GIVEN,
        ) from error
