"""
What an app says of who it is: a guest, a user who signed in, or a developer.

Guests and users are found out by `users`; what is here for developers is said once, and
stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from millpond.client.api.credentials import Credentials
from millpond.client.callers import (
    NOTHING_GIVEN,
    Caller,
    Identity,
    Kept,
    Login,
    Opener,
    asked_of_app,
)
from millpond.client.failures import NotAllowed
from millpond.client.users import Users

if TYPE_CHECKING:
    from millpond.client.calls import Calls

OF_DEVELOPER: Final = "cognito-identity.amazonaws.com"
"""The name under which a token that a developer's backend asked for is shown."""


def guest() -> Opener:
    """Be a guest, the same one as long as the storage keeps the id."""
    return Users(lambda guest_id: None)


def openid(provider: str, token: Callable[[], str | None]) -> Opener:
    """
    Be the user of an OpenID Connect provider; a guest until there is a token.

    Args:
        provider: its name in `Logins`, such as `accounts.google.com`.
        token: gives the ID token that counts now, or `None` while nobody has signed
            in. It is called whenever credentials are renewed, on any thread.
    """

    def show(guest_id: str | None) -> Login | None:
        found = token()
        return Login({provider: found}) if found else None

    return Users(show)


def developer_token(
    token: Callable[[str | None], tuple[str, str] | None],
) -> Opener:
    """
    Be a user whom one's own backend has signed in; a guest until it has.

    Args:
        token: gives the identity id and the token that the backend got from
            GetOpenIdTokenForDeveloperIdentity, or `None` while nobody has signed in.
            It is given the id of the guest, if there is one: the backend names it in
            that request, and the guest's data follows.
    """

    def show(guest_id: str | None) -> Login | None:
        found = token(guest_id)
        return Login({OF_DEVELOPER: found[1]}, found[0]) if found else None

    return Users(show)


def botocore_session(session: Any, identity_id: str) -> Opener:
    """
    Call for an identity with the credentials of a boto3 or botocore session.

    Args:
        session: which renews what ends.
        identity_id: whose data it is.
    """
    return _Fixed(identity_id, lambda: _of_session(session))


def fixed(
    identity_id: str,
    access_key_id: str,
    secret_access_key: str,
    session_token: str | None = None,
) -> Opener:
    """
    Call for an identity with a developer's key, or with credentials as they are.

    Args:
        identity_id: whose data it is.
        session_token: of temporary credentials; nothing renews them.
    """
    given = Credentials(access_key_id, secret_access_key, session_token)
    return _Fixed(identity_id, lambda: given)


def found(identity_id: str, find: Callable[[], Credentials]) -> Opener:
    """Call for an identity with credentials that are looked for at each call."""
    return _Fixed(identity_id, find)


def _of_session(session: Any) -> Credentials:
    found = session.get_credentials()
    if found is None:
        raise NotAllowed("The session has no credentials.", code=NOTHING_GIVEN)
    frozen = found.get_frozen_credentials()
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


class _Fixed:
    """An identity that is said, and stays; its own opener and caller."""

    def __init__(self, identity_id: str, find: Callable[[], Credentials]) -> None:
        self._identity = Identity(identity_id, "developer")
        self._find = find

    def __repr__(self) -> str:
        return "<developer for an identity>"

    def open(self, calls: Calls, pool: str, kept: Kept) -> Caller:
        return self

    def known(self) -> Identity | None:
        return self._identity

    def identity(self) -> Identity:
        return self._identity

    def identity_id(self) -> str:
        return self._identity.id

    def credentials(self) -> Credentials:
        return asked_of_app(self._find)

    def renew(self) -> None:
        """Nothing: a session renews its own, and a key does not change."""

    def forget(self) -> None:
        """Nothing: it was said who it is."""
