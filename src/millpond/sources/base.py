"""
The source port: where the data of a pool moves in from.

A source reads from beginning to end and gives what it finds as `Arrival`s, made of the
rows of `stores.copying`, with counts, dates and authors as they are there. Between them
it gives positions: who read up to one may begin behind it the next time.

Promises
--------
1. Everything that was at the source when a reading began, and is still there, is given
   at least once by a reading from the beginning; so is everything behind a position by
   one that begins at it.
2. What comes later of a dataset has no lower sync count than what came before, unless
   the dataset was created anew meanwhile.
3. A source waits when it is put off (throttling) or cut off, and goes on; it gives up
   with a `SourceError` when nothing it asks is answered for a while, or when it may not
   ask. It never leaves out what it could not read: it says so, by name.
4. What is in memory is bounded, whatever the size of the source and of an identity.

The suite in `millpond.testing.source_contract` checks these for any source.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Protocol, runtime_checkable

import msgspec

from millpond.core.identity_pools import IdentityPool
from millpond.stores.importing import Arrival, ImportedIdentity

Known = Callable[[Collection[str]], Awaitable[Mapping[str, ImportedIdentity]]]
"""Finds what of identities, by their ids, is here already."""


async def nothing_known(
    identity_ids: Collection[str],
) -> Mapping[str, ImportedIdentity]:
    """Find nothing here, so that everything is read."""
    return {}


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a source found.

    Args:
        position: everything up to here has been given with this; None: go on.
        unreadable: what could not be read, by name, and why.
    """

    arrivals: tuple[Arrival, ...] = ()
    position: bytes | None = None
    unreadable: Mapping[str, str] = {}


class Source(Protocol):
    """Something that can be read from beginning to end."""

    @property
    def kind(self) -> str:
        """`api`, `stream` or `files`; positions are kept by it."""
        ...

    @property
    def name(self) -> str:
        """What it is called, for people; it has no secrets in it."""
        ...

    def read(self, after: bytes | None, known: Known) -> AsyncIterator[Batch]:
        """
        Give everything behind a position of this source; None: everything.

        It ends when there is no more for now.

        Args:
            known: what was taken already; a source that can tell need not give it
                again.
        Raises:
            SourceError: it cannot be read.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections. Idempotent."""
        ...


class SourceIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """An identity as it is listed. Dates are epoch milliseconds."""

    identity_id: str
    provider_names: tuple[str, ...]
    creation_date_ms: int
    last_modified_date_ms: int


class FoundUser(msgspec.Struct, frozen=True, kw_only=True):
    """The identity of somebody who signed in, and when, by the clock of the source."""

    identity_id: str
    date_ms: int


class IdentityPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some identities, and where the next ones begin; None: these were the last."""

    identities: tuple[SourceIdentity, ...]
    token: str | None


class SourcePool(msgspec.Struct, frozen=True, kw_only=True):
    """
    A pool as it is elsewhere.

    Args:
        data_storage: bytes in all of it; None: it may not be asked.
        sync_sessions_count, last_modified_date_ms: as its usage says.
        missing: actions that are needed and not allowed, in their policies' names.
    """

    pool: IdentityPool
    data_storage: int | None = None
    sync_sessions_count: int | None = None
    last_modified_date_ms: int | None = None
    missing: tuple[str, ...] = ()


@runtime_checkable
class PoolSource(Source, Protocol):
    """A source that can be asked: the API of a pool elsewhere."""

    async def describe_pool(self) -> SourcePool:
        """
        Tell all that there is to know of the pool.

        Raises:
            SourceError: there is no such pool, or it may not be described.
        """
        ...

    async def list_identities(
        self, token: str | None, *, enabled: bool
    ) -> IdentityPage:
        """
        List a page of identities, in an order of the source's own.

        Args:
            enabled: leave out those that are disabled.
        Raises:
            SourceError: it cannot be read.
        """
        ...

    async def fetch_identity(
        self, identity_id: str, known: ImportedIdentity | None = None
    ) -> list[Arrival]:
        """
        Fetch an identity with everything in it, in parts when it is large; the last
        part has the names. Empty: there is no such identity in the pool, and no data
        under its id.

        Args:
            known: what was taken of it; what has not changed since is left out.
        Raises:
            SourceError: it cannot be read.
        """
        ...
