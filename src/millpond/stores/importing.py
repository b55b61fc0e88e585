"""
What a store can do for a pool that moves in from elsewhere, while it is being served.

Theory of operation
-------------------
A source gives identities with what is in them, as rows of `stores.copying`: an
`Arrival`. `arrive` writes some of them in one transaction, whole or not at all, through
the statements that `store copy` uses. Beside each identity it keeps a mark of what was
taken (`ImportedIdentity`), in that transaction too. Whoever was killed thus finds what
is done, and a dataset that was written to here since is told from one that was not
(`core.ownership`).

What is written goes to no stream and no device: nothing has changed for those who know
it from the source.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from millpond.core.identity_pools import IdentityPool
from millpond.core.ownership import Decision, Standing, Taken
from millpond.stores.copying import DatasetRow, IdentityRow, RecordRow

Decide = Callable[[Standing], Decision]


class ArrivingDataset(msgspec.Struct, frozen=True, kw_only=True):
    """
    A dataset as the source has it now.

    Args:
        row: one that is not live was deleted there.
        records: all of them; or, when it is not `whole`, those that changed, of which
            each is written that is newer than what is here. Then the size and number in
            the row do not count, they are counted.
        settled: the date of the row tells every later change.
    """

    row: DatasetRow
    records: Sequence[RecordRow] = ()
    whole: bool = True
    settled: bool = True


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """
    An identity, or a part of what it has, as the source has it now.

    Args:
        identity: None: the source does not tell, or it came with another part.
        datasets: those that are new or have changed since they were taken.
        names: of all datasets that the source has; those that were taken and are not
            among them are gone there. With it the identity is done. None: the source
            does not tell, or further parts follow.
        asides: datasets that cannot be taken, and why, by name.
        merged: identities that were merged into this one, as far as the names of
            its datasets tell.
        disabled: whether the identity was merged into another one; None: what was
            known of that stands.
        as_of_ms: when the source was asked, by its own clock or one like it; what is
            known from later is not gone because its name is missing. 0: not known.
    """

    identity_pool_id: str
    identity_id: str
    identity: IdentityRow | None = None
    datasets: Sequence[ArrivingDataset] = ()
    names: Collection[str] | None = None
    asides: Mapping[str, str] = {}
    merged: Collection[str] = ()
    disabled: bool | None = None
    as_of_ms: int = 0


class ImportedIdentity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    The mark of an identity that came from a source.

    Args:
        pass_number: in which pass over the source it was done last; 0: in none.
        identity_date_ms: the date of the last change of the identity that was taken;
            None: the identity itself did not come.
        disabled: it was merged into another one there.
        datasets: what was taken, by name.
    """

    pass_number: int = 0
    identity_date_ms: int | None = None
    disabled: bool = False
    datasets: dict[str, Taken] = {}

    @property
    def is_done(self) -> bool:
        """Whether everything that it had at some moment is here."""
        return self.pass_number > 0

    @property
    def datasets_taken(self) -> int:
        """How many live datasets came."""
        return sum(each.sync_count > 0 and each.live for each in self.datasets.values())

    @property
    def datasets_aside(self) -> int:
        """How many were not taken, or not as they are now."""
        return sum(bool(each.aside) for each in self.datasets.values())


class ImportState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    How the import of a pool stands. Dates are epoch milliseconds.

    Args:
        source: where it comes from, for people.
        pass_number: which pass over the source is under way, or was the last one.
        step: what the pass is doing; empty: it is over.
        began_ms, ended_ms: of that pass.
        listed: identities that the source has listed in it.
        identities, datasets, records, data_bytes: taken in it.
        requests, throttled: calls of the source in it, and those it put off.
        rate: calls a second, of late.
        aside: what was kept aside in it.
        updated_ms: when this was written.
        expected: identities, as far as it is known.
        complete_ms: when the last pass began that is over; 0: there was none.
        unclaimed: identities listed in it with a login provider of whose users nobody
            here knows who they are (`core.claims`).
    """

    identity_pool_id: str
    source: str
    pass_number: int = 0
    step: str = ""
    began_ms: int = 0
    ended_ms: int | None = None
    listed: int = 0
    identities: int = 0
    datasets: int = 0
    records: int = 0
    data_bytes: int = 0
    requests: int = 0
    throttled: int = 0
    rate: float = 0.0
    aside: int = 0
    updated_ms: int = 0
    expected: int | None = None
    complete_ms: int = 0
    unclaimed: int = 0
    follower: dict[str, float] = {}
    """What a follower says of itself, by name: lag, changes and so on."""


class Aside(msgspec.Struct, frozen=True, gc=False):
    """What the source has and was not taken."""

    identity_id: str
    dataset_name: str  # empty: the identity itself
    reason: str
    sync_count: int = 0  # at the source


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """What became of arrivals."""

    identities: int = 0  # written
    datasets: int = 0
    records: int = 0
    data_bytes: int = 0  # UTF-8, keys and values
    asides: Sequence[Aside] = ()
    unclaimed: int = 0  # identities that are done, with unclaimed logins

    def plus(self, other: Arrived) -> Arrived:
        """Add up two."""
        return Arrived(
            identities=self.identities + other.identities,
            datasets=self.datasets + other.datasets,
            records=self.records + other.records,
            data_bytes=self.data_bytes + other.data_bytes,
            asides=[*self.asides, *other.asides],
            unclaimed=self.unclaimed + other.unclaimed,
        )


class ImportMeasure(msgspec.Struct, frozen=True, kw_only=True):
    """What came in all, counted."""

    identities: int
    done: int
    datasets: int
    aside: int  # datasets and identities


@runtime_checkable
class ImportStore(Protocol):
    """What `arrive` and the commands of `millpond import` need of a store."""

    async def begin_import(
        self, pool: IdentityPool, state: ImportState, *, pools_max: int
    ) -> ImportState | None:
        """
        Begin the import of a pool, or find the one that was begun; the pool is made, or
        is given that configuration when it is here and holds nothing.

        None: it is here, holds something, and did not come from an import.
        """
        ...

    async def find_import(self, identity_pool_id: str) -> ImportState | None:
        """Find how the import of a pool stands."""
        ...

    async def list_imports(self) -> list[ImportState]:
        """List the imports there are, by pool; they are few."""
        ...

    async def change_import(
        self, identity_pool_id: str, change: Callable[[ImportState], ImportState]
    ) -> ImportState | None:
        """Change how an import stands, and return that. None: there is none."""
        ...

    async def find_import_position(
        self, identity_pool_id: str, name: str
    ) -> bytes | None:
        """Find up to where something was read, as its source tells it."""
        ...

    async def put_import_position(
        self, identity_pool_id: str, name: str, position: bytes | None
    ) -> None:
        """Note up to where everything is here; None: from the beginning."""
        ...

    async def find_imported(
        self, identity_pool_id: str, identity_ids: Collection[str]
    ) -> dict[str, ImportedIdentity]:
        """Find the marks of identities, of those that have one."""
        ...

    async def arrive(
        self,
        identity_pool_id: str,
        arrivals: Sequence[Arrival],
        decide: Decide,
        *,
        pass_number: int,
        now_ms: int,
        position: tuple[str, bytes] | None = None,
    ) -> Arrived | None:
        """
        Write what `decide` takes of arrivals, the marks, and a position, by its name.
        None: there is no such pool.

        An identity that is not here yet is written; one that is and was not written to
        since it came is replaced; one that was deleted here stays deleted. Logins that
        another identity has stay with that one. One that is disabled points to the one
        in whose datasets it was seen, and to none ('') while that is not known.

        Args:
            pass_number: at least 1.
        """
        ...

    async def note_enabled(
        self, identity_pool_id: str, identity_ids: Collection[str], *, pass_number: int
    ) -> None:
        """Note in a pass that the source has listed identities as not disabled."""
        ...

    async def list_not_enabled(
        self, identity_pool_id: str, *, pass_number: int, after: str, limit: int
    ) -> list[str]:
        """
        List identities that were done in a pass and not noted as enabled in it, by id
        behind `after`.
        """
        ...

    async def list_imported(
        self, identity_pool_id: str, *, after: str, limit: int, aside: bool = False
    ) -> list[tuple[str, ImportedIdentity]]:
        """
        List marks by identity id, those behind `after`.

        Args:
            aside: only of those with something that was not taken.
        """
        ...

    async def measure_import(self, identity_pool_id: str) -> ImportMeasure:
        """Count what came; it takes its time in a large pool."""
        ...

    async def find_arrival(
        self, identity_pool_id: str, identity_id: str
    ) -> Arrival | None:
        """
        Read everything of an identity as it is here, as of one moment, in the form in
        which a source gives it. None: there is nothing.
        """
        ...
