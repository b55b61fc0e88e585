"""
The API of a pool elsewhere: at AWS, or of another Millpond.

Theory of operation
-------------------
ListIdentities gives the identities, page by page; some of them are fetched at a time,
each with its datasets, and given as soon as they are whole. A position is the token
behind a page of which everything was given. What was taken before is known, so only
datasets with another date are read again.

What is fetched and not given yet is bounded: who wants to read a dataset waits until
there is room for it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any, Final

from millpond.core import claims
from millpond.core.identity_pools import COGNITO_PROVIDERS
from millpond.core.sync import SyncLimits
from millpond.errors import SourceError, SourceRefusedError
from millpond.sources import api_datasets
from millpond.sources.api_answers import (
    Dataset,
    Datasets,
    DeveloperUsers,
    GetIdAnswer,
    Identities,
    IdentityDescription,
    Records,
    read,
    to_ms,
)
from millpond.sources.api_calls import ApiCalls, ApiRefusedError
from millpond.sources.api_pool import describe
from millpond.sources.base import (
    Batch,
    FoundUser,
    IdentityPage,
    Known,
    SourceIdentity,
    SourcePool,
)
from millpond.sources.room import Room
from millpond.stores.copying import IdentityRow
from millpond.stores.importing import Arrival, ArrivingDataset, ImportedIdentity

PAGE_IDENTITIES: Final = 60  # AWS: the most
PARALLEL: Final = 16
ROOM_BYTES: Final = 24 * 1024 * 1024
PART_BYTES: Final = 1024 * 1024
RECORD_BYTES: Final = 600  # of memory that a record takes beside its texts
_NOT_FOUND: Final = "ResourceNotFoundException"
# What a merge puts beside a dataset: `<name>.<merged identity id>`, perhaps a number.
_MERGED: Final = re.compile(r"(.+)\.([\w-]+:[0-9a-f-]{36})(?:\.\d+)?")
_IDENTITY_ID: Final = re.compile(r"[a-z0-9-]+:[0-9a-f-]{1,55}")


class ApiSource:
    """A pool that is asked through the APIs."""

    kind = "api"

    def __init__(
        self,
        identity_pool_id: str,
        calls: ApiCalls,
        *,
        limits: SyncLimits,
        parallel: int = PARALLEL,
    ) -> None:
        """
        Args:
            limits: of the store it goes into; what is over them is not given, but told.
            parallel: how many identities are fetched at a time.
        """
        self.identity_pool_id = identity_pool_id
        self.calls = calls
        self._limits = limits
        self.parallel = parallel
        self._described: SourcePool | None = None
        self._describing = asyncio.Lock()

    @property
    def name(self) -> str:
        """Where it is, for people."""
        return self.calls.name

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        await self.calls.aclose()

    async def describe_pool(self) -> SourcePool:
        """
        Tell all that there is to know of the pool.

        Raises:
            SourceError: there is no such pool, or it may not be described.
        """
        async with self._describing:
            self._described = await describe(self.calls, self.identity_pool_id)
            return self._described

    async def list_identities(
        self, token: str | None, *, enabled: bool
    ) -> IdentityPage:
        """
        List a page of identities.

        Raises:
            SourceError: it cannot be read.
        """
        answer = await self.calls.identity(
            "ListIdentities",
            IdentityPoolId=self.identity_pool_id,
            MaxResults=PAGE_IDENTITIES,
            NextToken=token,
            HideDisabled=enabled,
        )
        page = read(answer.body, Identities, "ListIdentities")
        return IdentityPage(
            identities=tuple(_listed(each) for each in page.identities or ()),
            token=page.next_token or None,
        )

    async def fetch_identity(
        self, identity_id: str, known: ImportedIdentity | None = None
    ) -> list[Arrival]:
        """
        Fetch an identity with everything in it; see the port.

        Raises:
            SourceError: it cannot be read.
        """
        reason = self._why_not(identity_id)
        if reason:
            raise SourceError(f"Identity '{identity_id}' cannot be fetched: {reason}.")
        try:
            answer = await self.calls.identity(
                "DescribeIdentity", IdentityId=identity_id
            )
            listed = _listed(read(answer.body, IdentityDescription, "DescribeIdentity"))
        except ApiRefusedError as error:
            if error.code != _NOT_FOUND:
                raise
            listed = None
        room = Room(ROOM_BYTES)
        arrivals = []
        try:
            async for part, held in self._parts(identity_id, listed, known, room):
                arrivals.append(part)
                room.release(held)
        except ApiRefusedError as error:
            if error.code != _NOT_FOUND or arrivals:
                raise
            return []  # there is one, but in another pool
        if listed is None and not any(each.datasets for each in arrivals):
            return []
        return arrivals

    async def find_developer_user(self, user: str) -> str | None:
        """
        Find the identity of a developer's user; None: there is none.

        Raises:
            SourceError: it cannot be read.
        """
        try:
            answer = await self.calls.identity(
                "LookupDeveloperIdentity",
                IdentityPoolId=self.identity_pool_id,
                DeveloperUserIdentifier=user,
                MaxResults=1,
            )
        except ApiRefusedError as error:
            if error.code != _NOT_FOUND:
                raise
            return None
        found = read(answer.body, DeveloperUsers, "LookupDeveloperIdentity")
        return found.identity_id

    async def find_user(self, logins: Mapping[str, str]) -> FoundUser | None:
        """
        Find the identity that logins lead to; None: the source does not take them.

        A user whom the source does not know gets an identity there, as with every
        sign-in there.

        Args:
            logins: tokens by provider.
        Raises:
            SourceError: it cannot be asked.
        """
        try:
            # AWS: anybody may call it; what counts are the tokens.
            answer = await self.calls.identity(
                "GetId",
                signed=False,
                IdentityPoolId=self.identity_pool_id,
                Logins=dict(logins),
            )
        except SourceRefusedError:
            return None  # a provider that the pool does not have there
        except ApiRefusedError as error:
            if error.code != _NOT_FOUND:
                raise
            return None  # the pool is gone there
        found = read(answer.body, GetIdAnswer, "GetId").identity_id
        reason = self._why_not(found)
        if reason:
            raise SourceError(f"GetId gives an identity that is not kept: {reason}.")
        return FoundUser(identity_id=found, date_ms=int(answer.date_s * 1000))

    async def read(self, after: bytes | None, known: Known) -> AsyncIterator[Batch]:
        """
        Give every identity behind a position.

        Raises:
            SourceError: it cannot be read.
        """
        reading = _Reading(self.parallel)
        producing = asyncio.create_task(self._produce(after, known, reading))
        try:
            while True:
                batch, held = await reading.found.get()
                if batch is None:
                    await producing
                    return
                yield batch
                reading.room.release(held)
        finally:
            await _cancel(producing)

    async def _produce(
        self, after: bytes | None, known: Known, reading: _Reading
    ) -> None:
        """Put what is found into the queue, and in the end None."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._list_all(after, known, reading, group)
        except* SourceError as failed:
            raise _first(failed) from failed
        finally:
            await reading.found.put((None, 0))

    async def _list_all(
        self,
        after: bytes | None,
        known: Known,
        reading: _Reading,
        group: asyncio.TaskGroup,
    ) -> None:
        """List identities, and have each put into the queue when it is whole."""
        token = after.decode() if after is not None else None
        tokens: set[int] = set()
        before: asyncio.Task[None] | None = None
        while True:
            page = await self._list_from(token, first=not tokens)
            ids = [each.identity_id for each in page.identities]
            marks = await known(ids)
            fetching = []
            for each in page.identities:
                await reading.slots.acquire()
                mark = marks.get(each.identity_id)
                fetching.append(group.create_task(self._put(each, mark, reading)))
            token = page.token
            closing = _close_page(fetching, before, token, reading)
            before = group.create_task(closing)
            if token is None:
                return
            if hash(token) in tokens:
                raise SourceError("The pages of ListIdentities go in a circle.")
            tokens.add(hash(token))

    async def _list_from(self, token: str | None, *, first: bool) -> IdentityPage:
        try:
            return await self.list_identities(token, enabled=False)
        except ApiRefusedError:
            if token is None or not first:
                raise
            # A position of long ago: tokens do not last for ever.
            return await self.list_identities(None, enabled=False)

    async def _put(
        self,
        listed: SourceIdentity,
        known: ImportedIdentity | None,
        reading: _Reading,
    ) -> None:
        identity_id = listed.identity_id
        reason = self._why_not(identity_id)
        try:
            if not reason:
                parts = self._parts(identity_id, listed, known, reading.room)
                async for part, held in parts:
                    await reading.found.put((Batch(arrivals=(part,)), held))
        except SourceRefusedError:
            raise
        except SourceError as error:
            reason = str(error)
        finally:
            reading.slots.release()
        if reason:
            await reading.found.put((Batch(unreadable={identity_id: reason}), 0))

    async def _parts(
        self,
        identity_id: str,
        listed: SourceIdentity | None,
        known: ImportedIdentity | None,
        room: Room,
    ) -> AsyncIterator[tuple[Arrival, int]]:
        """Give an identity in parts, each with the room that it takes."""
        identity = None if listed is None else await self._row(listed)
        datasets, asked_s = await self._list_datasets(identity_id)
        taken = {} if known is None else known.datasets
        roots: dict[str, str] = {}
        part = _Part(self.identity_pool_id, identity_id, identity)
        over = self._over(datasets)
        # Roots first: they tell what was put beside them.
        for each in sorted(datasets, key=_is_merged_name):
            name = each.dataset_name
            mark = taken.get(name)
            if name in over:
                part.asides[name] = over[name]
                continue
            if mark is not None and mark.seen_date_ms == to_ms(each.last_modified_date):
                continue
            size = (each.data_storage or 0) + RECORD_BYTES * (each.num_records or 0)
            if part.datasets and (part.held + size > PART_BYTES or not room.has(size)):
                yield part.take()
            part.held += await room.acquire(size)
            what = f"Dataset '{name}' of '{identity_id}'"
            fetched = await api_datasets.fetch(self._lister(identity_id, name), what)
            if fetched is None:
                part.gone.add(name)
                continue
            roots |= dict.fromkeys(fetched.merged_names, name)
            root = await self._root_of(identity_id, name, roots)
            dataset = api_datasets.arriving(
                self.identity_pool_id, identity_id, each, fetched, root
            )
            reason = api_datasets.why_not(dataset, self._limits)
            if reason:
                part.asides[name] = reason
            else:
                part.datasets.append(dataset)
        names = {each.dataset_name for each in datasets} - part.gone
        merged = {
            match[2]
            for each in datasets
            if (match := _MERGED.fullmatch(each.dataset_name))
        }
        as_of_ms = int(asked_s * 1000)
        yield part.take(names=names, merged=merged, as_of_ms=as_of_ms)

    async def _description(self) -> SourcePool:
        """Give what was described before; many may ask at the same time."""
        if self._described is None:
            async with self._describing:
                if self._described is None:
                    self._described = await describe(self.calls, self.identity_pool_id)
        return self._described

    async def _row(self, listed: SourceIdentity) -> IdentityRow:
        pool = (await self._description()).pool
        logins: list[tuple[str, str]] = []
        developer = pool.developer_provider_name
        if developer is not None and developer in listed.provider_names:
            logins = [(developer, user) async for user in self._users(listed)]
        known = COGNITO_PROVIDERS | {developer}
        public = [each for each in listed.provider_names if each not in known]
        guest = not listed.provider_names and pool.allow_unauthenticated_identities
        return IdentityRow(
            identity_id=listed.identity_id,
            identity_pool_id=self.identity_pool_id,
            creation_date_ms=listed.creation_date_ms,
            last_modified_date_ms=listed.last_modified_date_ms,
            guest=guest,
            merged_into=None,
            logins=tuple(sorted(logins)),
            origin=claims.told(public),
        )

    async def _users(self, listed: SourceIdentity) -> AsyncIterator[str]:
        token: str | None = None
        while True:
            answer = await self.calls.identity(
                "LookupDeveloperIdentity",
                IdentityPoolId=self.identity_pool_id,
                IdentityId=listed.identity_id,
                MaxResults=PAGE_IDENTITIES,
                NextToken=token,
            )
            page = read(answer.body, DeveloperUsers, "LookupDeveloperIdentity")
            for each in page.developer_user_identifier_list or ():
                yield each
            if not page.next_token or page.next_token == token:
                return
            token = page.next_token

    async def list_datasets(self, identity_id: str) -> list[Dataset]:
        """
        List the datasets of an identity.

        Raises:
            SourceError: they cannot be read.
        """
        datasets, _ = await self._list_datasets(identity_id)
        return datasets

    async def _list_datasets(self, identity_id: str) -> tuple[list[Dataset], float]:
        """List them, with the date of the first page by the clock of the source."""
        found: dict[str, Dataset] = {}
        token: str | None = None
        asked_s = 0.0
        while True:
            try:
                answer = await self.calls.sync(
                    "ListDatasets",
                    *("identitypools", self.identity_pool_id),
                    *("identities", identity_id, "datasets"),
                    maxResults=PAGE_IDENTITIES,
                    nextToken=token,
                )
            except ApiRefusedError as error:
                if error.code == _NOT_FOUND and token is None:
                    return [], asked_s
                raise
            asked_s = asked_s or answer.date_s
            page = read(answer.body, Datasets, "ListDatasets")
            found |= {each.dataset_name: each for each in page.datasets or ()}
            if not page.next_token or page.next_token == token:
                return list(found.values()), asked_s
            token = page.next_token

    def _lister(self, identity_id: str, name: str) -> api_datasets.List:
        return partial(self._list_records, identity_id, name)

    async def _list_records(
        self, identity_id: str, name: str, after: int, limit: int, token: str | None
    ) -> tuple[Records, float]:
        answer = await self.calls.sync(
            "ListRecords",
            *("identitypools", self.identity_pool_id, "identities", identity_id),
            *("datasets", name, "records"),
            lastSyncCount=after,
            maxResults=limit,
            nextToken=token,
        )
        return read(answer.body, Records, "ListRecords"), answer.date_s

    async def _root_of(
        self, identity_id: str, name: str, roots: Mapping[str, str]
    ) -> str | None:
        """Find what a merge put a dataset beside, if one did."""
        if name in roots:
            return roots[name]
        match = _MERGED.fullmatch(name)
        if match is None:
            return None
        page, _ = await self._list_records(identity_id, match[1], 0, 1, None)
        return match[1] if name in (page.merged_dataset_names or ()) else None

    def _over(self, datasets: list[Dataset]) -> Mapping[str, str]:
        """Name the datasets that are more than an identity may have here."""
        most = self._limits.datasets_per_identity
        own = [each for each in datasets if not _is_merged_name(each)]
        own.sort(key=lambda each: (each.creation_date, each.dataset_name))
        reason = (
            f"the identity has {len(own)} datasets; the setting "
            f"datasets_per_identity_max is {most}"
        )
        return {each.dataset_name: reason for each in own[most:]}

    def _why_not(self, identity_id: str) -> str:
        """Say why an identity is none that can be kept; empty: it can."""
        region = self.identity_pool_id.partition(":")[0]
        if not _IDENTITY_ID.fullmatch(identity_id):
            return "its id is not of the form REGION:UUID in lower case"
        if identity_id.partition(":")[0] != region:
            return f"it is in another region than the pool, which is in {region}"
        return ""


class _Reading:
    """What was found and not given yet, and the bounds of it."""

    def __init__(self, parallel: int) -> None:
        self.found: asyncio.Queue[tuple[Batch | None, int]] = asyncio.Queue(parallel)
        self.slots = asyncio.Semaphore(parallel)
        self.room = Room(ROOM_BYTES)


class _Part:
    """What was fetched of an identity and not given yet."""

    def __init__(
        self, pool: str, identity_id: str, identity: IdentityRow | None
    ) -> None:
        self._ids = (pool, identity_id)
        self._identity = identity
        self.datasets: list[ArrivingDataset] = []
        self.asides: dict[str, str] = {}
        self.gone: set[str] = set()
        self.held = 0

    def take(self, **others: Any) -> tuple[Arrival, int]:
        """Give it, with the room that it takes, and begin anew."""
        pool, identity_id = self._ids
        arrival = Arrival(
            identity_pool_id=pool,
            identity_id=identity_id,
            identity=self._identity,
            datasets=self.datasets,
            asides=self.asides,
            **others,
        )
        held, self.held = self.held, 0
        self.datasets, self.asides = [], {}
        return arrival, held


async def _close_page(
    fetching: list[asyncio.Task[None]],
    before: asyncio.Task[None] | None,
    token: str | None,
    reading: _Reading,
) -> None:
    """Give the position behind a page when all of it, and of those before, is given."""
    if before is not None:
        await before
    if fetching:
        await asyncio.wait(fetching)
    if token is not None:
        await reading.found.put((Batch(position=token.encode()), 0))


def _first(failed: BaseExceptionGroup[SourceError]) -> SourceError:
    """Give one of the reasons; the others are mostly the same."""
    for each in failed.exceptions:
        return _first(each) if isinstance(each, BaseExceptionGroup) else each
    raise AssertionError("a group has members")


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _listed(identity: IdentityDescription) -> SourceIdentity:
    return SourceIdentity(
        identity_id=identity.identity_id,
        provider_names=tuple(identity.logins or ()),
        creation_date_ms=to_ms(identity.creation_date),
        last_modified_date_ms=to_ms(identity.last_modified_date),
    )


def _is_merged_name(dataset: Dataset) -> bool:
    return _MERGED.fullmatch(dataset.dataset_name) is not None
