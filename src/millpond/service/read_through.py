"""
Read-through: an identity that is not here yet is fetched when somebody calls for it.

Theory of operation
-------------------
While a pool moves in, its apps may already call here. Before an operation is done for
an identity of such a pool, whoever does it makes sure that the identity is here, with
all that it has at the source; then it is an identity like any other. What is known to
be here costs a look into a set.

However many calls wait for an identity, its source is asked once. Two servers may ask
at a time; what arrives twice is taken once (`core.ownership`). A caller waits for a
while only, but what is under way is brought to its end.

A source that does not answer makes the caller try again (503) and changes nothing; it
never looks as if there were no such identity, for clients then throw away what they
have. What the source does not know either is remembered for a while. A stranger may
invent ids without end: so only so many ids a second are asked for in vain, and then
none until some time has passed.

Who the users of public providers are a source shows to nobody, but who signs in there
is told the identity. So when somebody signs in here whom nobody here knows, the source
is asked with the same tokens, once they were verified.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Hashable,
    Mapping,
    Sequence,
)
from typing import Any, Final, NamedTuple, Protocol

import structlog

from millpond.contract import cognito_identity, cognito_sync
from millpond.contract.shapes import Api, Operation
from millpond.core.identities import Login
from millpond.core.ownership import decide
from millpond.core.sync import SyncLimits
from millpond.errors import ServiceUnavailableException, SourceError
from millpond.sources.base import FoundUser, PoolSource
from millpond.stores.base import Store
from millpond.stores.importing import Arrival, ImportStore

_log = structlog.get_logger()

HERE_MAX: Final = 200_000  # identities that are known to be here; about 150 bytes each
UNKNOWN_MAX: Final = 20_000
UNKNOWN_S: Final = 60.0  # an identity may be made at the source meanwhile
IN_VAIN_PER_S: Final = 5.0  # ids that the source does not know
IN_VAIN_MAX: Final = 100.0  # of them at once
FETCHES_MAX: Final = 16  # at a time, and so many more ...
WAITING_MAX: Final = 1024  # ... wait for their turn
NEW_MS: Final = 5000  # dates of answers are whole seconds
NOBODY: Final = "00000000-0000-4000-8000-000000000000"  # nobody's id
DOWN_S: Final = 1.0  # a source that did not answer is not asked again before
_APIS: Final = (cognito_sync.API, cognito_identity.API)


class DeveloperUsers(Protocol):
    """A source that knows the developer's users."""

    async def find_developer_user(self, user: str) -> str | None:
        """
        Find the identity of a developer's user; None: there is none.

        Raises:
            SourceError: it cannot be read.
        """
        ...


class PublicUsers(Protocol):
    """A source at which users of public providers sign in."""

    async def find_user(self, logins: Mapping[str, str]) -> FoundUser | None:
        """
        Find the identity that tokens, by provider, lead to; None: it takes them not.

        Raises:
            SourceError: it cannot be asked.
        """
        ...


class ImportedPool(NamedTuple):
    """A pool that is read through, where from, and how long a caller waits."""

    source: PoolSource
    timeout_s: float


class Wanted(NamedTuple):
    """Who has to be here before an operation is done."""

    identity_pool_id: str | None  # None: that of the identities
    identity_ids: Sequence[str] = ()
    users: Sequence[str] = ()  # the developer's


class ReadThrough:
    """Brings identities here, from the sources of their pools."""

    def __init__(
        self,
        pools: Mapping[str, ImportedPool],
        store: Store,
        imports: ImportStore,
        *,
        limits: SyncLimits,
        now_ms: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            pools: by id; at least one.
            imports: the same store, as the one that data moves into.
        """
        self._pools = {
            pool_id: _Pool(pool_id, imported, store, imports, limits, now_ms, clock)
            for pool_id, imported in pools.items()
        }

    async def bring(self, wanted: Wanted) -> None:
        """
        Make sure that identities are here, if there are such identities at all.

        Raises:
            ServiceUnavailableException: a source does not tell in time.
        """
        pools = self._pools_of(wanted)
        sure = wanted.identity_pool_id is not None or len(pools) == 1
        for identity_id in wanted.identity_ids:
            for pool in pools:
                if identity_id not in pool.here:
                    await pool.bring(identity_id, sure=sure)
                if identity_id in pool.here:
                    break
        for pool in pools:
            for user in wanted.users:
                await pool.bring_user(user)

    async def find_user(
        self, identity_pool_id: str, logins: Sequence[Login], tokens: Mapping[str, str]
    ) -> str | None:
        """
        Find the identity of a user whom nobody here knows yet, and bring it.

        Args:
            logins: what the tokens prove.
            tokens: by provider.
        Returns:
            None: the user is known here, or is as new there as here.
        Raises:
            ServiceUnavailableException: the source does not tell in time.
        """
        pool = self._pools.get(identity_pool_id)
        if pool is None or not logins:
            return None
        return await pool.find_user(tuple(sorted(logins)), tokens)

    @property
    def pool_ids(self) -> Collection[str]:
        """The pools that are read through."""
        return self._pools

    async def ask_for_nobody(self, identity_pool_id: str) -> None:
        """
        Ask the source of a pool for an identity that nobody has, to see how it answers.

        Raises:
            SourceError: it does not, or not as it should.
        """
        await self._pools[identity_pool_id].ask_for_nobody()

    async def aclose(self) -> None:
        """Give up what is under way, and let go of the sources."""
        for pool in self._pools.values():
            await pool.aclose()

    def _pools_of(self, wanted: Wanted) -> Collection[_Pool]:
        if wanted.identity_pool_id is None:
            return self._pools.values()
        pool = self._pools.get(wanted.identity_pool_id)
        return () if pool is None else (pool,)


class _Pool:
    """What is known of the identities of one pool."""

    def __init__(
        self,
        identity_pool_id: str,
        imported: ImportedPool,
        store: Store,
        imports: ImportStore,
        limits: SyncLimits,
        now_ms: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self.here = _Recent(HERE_MAX)
        self._id = identity_pool_id
        self._region = identity_pool_id.partition(":")[0]
        self._source, self._timeout_s = imported
        self._store = store
        self._imports = imports
        self._limits = limits
        self._now_ms = now_ms
        self._clock = clock
        self._unknown = _Recent(UNKNOWN_MAX)
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}
        self._room = asyncio.Semaphore(FETCHES_MAX)
        self._down_until_s = 0.0
        self._in_vain_left = IN_VAIN_MAX
        self._in_vain_at_s = clock()

    async def bring(self, identity_id: str, *, sure: bool) -> None:
        """
        Bring an identity.

        Args:
            sure: it is one of this pool if of any. AWS tells of no identity which pool
                it is in; one of several is known by what it has there.
        """
        # AWS: an identity has the region of its pool in its id.
        if identity_id.partition(":")[0] == self._region:
            await self._once(identity_id, lambda: self._bring(identity_id, sure=sure))

    async def ask_for_nobody(self) -> None:
        await self._source.fetch_identity(f"{self._region}:{NOBODY}")

    async def bring_user(self, user: str) -> None:
        key = (user,)  # no identity id
        if key not in self.here and hasattr(self._source, "find_developer_user"):
            await self._once(key, lambda: self._bring_user(user))

    async def find_user(
        self, logins: tuple[Login, ...], tokens: Mapping[str, str]
    ) -> str | None:
        if logins in self.here or not hasattr(self._source, "find_user"):
            return None
        found: str | None = await self._once(
            logins, lambda: self._find_user(logins, tokens)
        )
        return found

    async def aclose(self) -> None:
        tasks = [*self._under_way.values()]
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._source.aclose()

    async def _once(
        self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, Any]]
    ) -> Any:
        """Wait for what is under way for a key, or begin it; None: it is unknown."""
        if self._unknown.since(key) > self._clock() - UNKNOWN_S:
            return None
        task = self._under_way.get(key)
        if task is None:
            if len(self._under_way) >= WAITING_MAX:
                raise _not_now("Too many identities are being fetched.")
            task = asyncio.create_task(begin())
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._end(key, done))
        done, _ = await asyncio.wait([task], timeout=self._timeout_s)
        if not done:
            raise _not_now("It takes longer than usual to fetch the identity.")
        try:
            return task.result()
        except SourceError as error:
            raise _not_now("The identity cannot be fetched for now.") from error

    def _end(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        """Note how a fetch ended; those who wanted it may all have gone."""
        self._under_way.pop(key, None)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, SourceError):
            self._down_until_s = self._clock() + DOWN_S
            _log.warning(
                "read_through.failed", identity_pool_id=self._id, error=str(error)
            )

    async def _bring(self, identity_id: str, *, sure: bool) -> None:
        if await self._is_here(identity_id):
            self.here.add(identity_id, 0.0)
            return
        async with self._turn():
            arrivals = await self._source.fetch_identity(identity_id)
        if not arrivals or not (sure or any(map(_has_something, arrivals))):
            self._note_unknown(identity_id)
            return
        await self._keep(identity_id, arrivals)

    async def _keep(self, identity_id: str, arrivals: Sequence[Arrival]) -> None:
        for each in arrivals:  # each may be as large as memory allows
            arrived = await self._imports.arrive(
                self._id,
                [each],
                lambda standing: decide(standing, limits=self._limits),
                pass_number=1,
                now_ms=self._now_ms(),
            )
            if arrived is None:
                return  # the pool is not here
        self.here.add(identity_id, 0.0)

    async def _bring_user(self, user: str) -> None:
        pool = await self._store.find_identity_pool(self._id)
        if pool is None or pool.developer_provider_name is None:
            return
        login = Login(pool.developer_provider_name, user)
        stored = await self._store.find_identities(
            self._id, identity_ids=[], logins=[login]
        )
        if stored is None or stored.owner(login) is None:
            source: Any = self._source
            async with self._turn():
                identity_id = await source.find_developer_user(user)
            if identity_id is None:
                self._note_unknown((user,))
                return
            await self._bring(identity_id, sure=True)
        self.here.add((user,), 0.0)

    async def _find_user(
        self, logins: tuple[Login, ...], tokens: Mapping[str, str]
    ) -> str | None:
        stored = await self._store.find_identities(
            self._id, identity_ids=[], logins=logins
        )
        if stored is None:
            return None  # the pool is not here
        if any(stored.owner(each) is not None for each in logins):
            self.here.add(logins, 0.0)
            return None
        self._check_down()
        source: Any = self._source
        async with self._room:
            self._check_down()  # those in front may have found that out meanwhile
            found: FoundUser | None = await source.find_user(tokens)
            if found is None:
                self._unknown.add(logins, self._clock())
                return None
            if await self._is_here(found.identity_id):
                return found.identity_id
            arrivals = await self._source.fetch_identity(found.identity_id)
        if all(_is_new(each, found.date_ms) for each in arrivals):
            # It was made by our asking: who is new there is new here.
            return None
        await self._keep(found.identity_id, arrivals)
        return found.identity_id

    async def _is_here(self, identity_id: str) -> bool:
        """Say whether an identity came, was made here, or was deleted here."""
        marks = await self._imports.find_imported(self._id, [identity_id])
        mark = marks.get(identity_id)
        if mark is not None:
            return mark.is_done
        return await self._store.find_identity(identity_id) is not None

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for a turn at the source, while it is to be asked at all."""
        self._check_budget()
        async with self._room:
            self._check_budget()  # those in front may have used it up meanwhile
            yield

    def _check_down(self) -> None:
        if self._clock() < self._down_until_s:
            raise _not_now("The identity cannot be fetched for now.")

    def _check_budget(self) -> None:
        self._check_down()
        now_s = self._clock()
        gained = (now_s - self._in_vain_at_s) * IN_VAIN_PER_S
        self._in_vain_left = min(self._in_vain_left + gained, IN_VAIN_MAX)
        self._in_vain_at_s = now_s
        if self._in_vain_left < 1:
            raise _not_now("Too many unknown identities were asked for.")

    def _note_unknown(self, key: Hashable) -> None:
        self._in_vain_left -= 1
        self._unknown.add(key, self._clock())


class _Recent:
    """What was seen of late, so many things."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: OrderedDict[Hashable, float] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._seen

    def add(self, key: Hashable, at_s: float) -> None:
        self._seen[key] = at_s
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)

    def since(self, key: Hashable) -> float:
        """Say when something was seen; long ago if it was not."""
        return self._seen.get(key, float("-inf"))


def _has_something(arrival: Arrival) -> bool:
    """Say whether what arrives shows that the identity is one of the pool."""
    logins = arrival.identity.logins if arrival.identity is not None else ()
    return bool(arrival.datasets or arrival.asides or logins)


def _is_new(arrival: Arrival, date_ms: int) -> bool:
    """Say whether an identity was made at about a date, and has nothing yet."""
    if arrival.identity is None or arrival.datasets or arrival.names:
        return False
    return arrival.identity.creation_date_ms >= date_ms - NEW_MS


def _not_now(reason: str) -> ServiceUnavailableException:
    return ServiceUnavailableException(f"{reason} Try again.")


Finder = Callable[[Any], Wanted]


def make_finder(api: Api, operation: Operation) -> Finder | None:
    """Make what says who a request is about; None: it is about no identity."""
    if api not in _APIS:
        return None
    members = {each for each in dir(operation.request) if not each.startswith("_")}
    if "identity_ids_to_delete" in members:
        # What is deleted must not come back with the copy.
        return lambda request: Wanted(None, request.identity_ids_to_delete)
    users = members & {
        "developer_user_identifier",
        "source_user_identifier",
        "destination_user_identifier",
    }
    if operation.name == "GetOpenIdTokenForDeveloperIdentity":
        return lambda request: Wanted(
            request.identity_pool_id,
            [request.identity_id] if request.identity_id else [],
            list(request.logins.values()),
        )
    if "identity_id" not in members and not users:
        return None
    names_pool = "identity_pool_id" in members
    names_identity = "identity_id" in members

    def find(request: Any) -> Wanted:
        found = getattr(request, "identity_id", None) if names_identity else None
        named = [getattr(request, each) for each in users]
        return Wanted(
            request.identity_pool_id if names_pool else None,
            [found] if found else [],
            [each for each in named if each],
        )

    return find
