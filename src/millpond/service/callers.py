"""Who is calling, what that caller may do, and where the call came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from millpond.core.session_tokens import UserSession


class KeyScope(NamedTuple):
    """What a developer key may do; by itself everything, without an end."""

    name: str = ""
    read_only: bool = False
    identity_pool_id: str | None = None  # of this pool alone; None: of all
    expires_ms: int | None = None  # epoch milliseconds; None: never


ALL: Final = KeyScope()


class Whence(Protocol):
    """Where a call came from; worked out when an audit entry is made of it."""

    @property
    def origin(self) -> str:
        """Give the way in: one of the `ORIGIN_...` here."""
        ...

    @property
    def address(self) -> str:
        """Give the address of the client, behind proxies that are trusted."""
        ...

    @property
    def user_agent(self) -> str:
        """Give the name that the client gives itself, of any length."""
        ...

    @property
    def request_id(self) -> str:
        """Give the id under which the log knows the request."""
        ...


ORIGIN_API: Final = "API"
ORIGIN_CONSOLE: Final = "console"
ORIGIN_COMMAND_LINE: Final = "command line"


class CameFrom(NamedTuple):
    """Where a call came from, when that is known already."""

    origin: str
    address: str = ""
    user_agent: str = ""
    request_id: str = ""


FROM_API: Final = CameFrom(ORIGIN_API)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: a developer, an identity, or somebody unknown."""

    access_key_id: str
    account_id: str
    session: UserSession | None = None
    """The session of an identity; None for a developer."""
    scope: KeyScope = ALL
    """What the developer's key may do."""
    whence: Whence = field(default=FROM_API, compare=False)

    @property
    def name(self) -> str:
        """The name under which the caller's changes are kept (ruling 10)."""
        return self.account_id if self.session is None else self.session.identity_id

    def coming_from(self, whence: Whence) -> Caller:
        """Give the same caller with where this call came from."""
        return Caller(
            self.access_key_id, self.account_id, self.session, self.scope, whence
        )


ANYONE: Final = Caller("", "")
"""Whoever calls an operation that is not signed."""
