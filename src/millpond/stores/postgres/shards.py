"""
Looks at what is spread over several servers, one server at a time.

Background work looks for rows of any identity: what waits in the outbox, which pushes
are due. One statement over all shards would fail when one server is away, and ask each
shard by itself. So each server is asked once, about the shards that it has, by a
function that Citus runs over there (`look_here_1`), and one that does not answer is
passed over for a while: what it has can wait, what the others have need not.

The function is told which shards are meant, and refuses when one is not there any more.
So rebalancing never hides a row; we learn where the shards are now and ask again.

Of a database that is not spread, all of this is one statement.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

import asyncpg
import structlog

from millpond.core.bulk_publish import HashRange
from millpond.errors import StoreError, StoreUnavailableError
from millpond.stores.postgres.database import Database
from millpond.stores.postgres.queries import Queries

_log = structlog.get_logger()

SQL: Final = Queries("shards.sql")
LOOK_S_MAX: Final = 15.0  # the first one over a connection takes its time
# So long a server is not asked that refused, and one that kept us waiting.
ASIDE_S: Final = 2.0
ASIDE_SILENT_S: Final = 20.0
SERVERS_AT_ONCE: Final = 4
LOOKS_MAX: Final = 5  # while shards move about
# What the look says of a shard that is not there, or is dropped under its eyes.
_MOVED: Final = (asyncpg.ObjectNotInPrerequisiteStateError, asyncpg.UndefinedTableError)
_ALL: Final = HashRange(-(2**31), 2**31 - 1)
_PARAMETER: Final = re.compile(r"\$(\d+)")


class Question(NamedTuple):
    """A statement that reads tables of identities, and names columns by their types."""

    name: str
    sql: str
    tables: tuple[str, ...]  # that it reads; the first one is distributed
    columns: str  # of the answer, `name type, ...`


class Shard(NamedTuple):
    """A shard of the tables of identities."""

    number: int
    lowest: int  # hash
    highest: int
    node: str
    near: str  # a text whose hash is in it


class _Moved(Exception):
    """A shard is not where it was."""


class Shards:
    """Where the shards are, and what is in them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: list[Shard] = []
        self._aside: dict[str, float] = {}  # node -> until when it is passed over

    async def look(self, question: Question, *args: Any) -> list[Any]:
        """
        Ask all servers and give the rows of those that answer, server by server.

        Raises:
            StoreUnavailableError: none of them answers.
        """
        if not self._database.is_spread:
            return await self._look_plainly(question, args)
        return await self._look_again(question, args, None)

    async def look_at(
        self, hashes: HashRange | None, question: Question, *args: Any
    ) -> list[Any]:
        """
        Ask about the identities whose hashes are in a range; None: about all of them.

        Raises:
            StoreUnavailableError: a server that has some of them does not answer.
        """
        if not self._database.is_spread:
            return await self._look_plainly(question, args)
        return await self._look_again(question, args, hashes or _ALL)

    async def look_on(self, node: str, question: Question, *args: Any) -> list[Any]:
        """
        Ask one of `nodes()`.

        Raises:
            StoreUnavailableError: it does not answer, or has none of them any more.
        """
        shards = [each for each in await self.find_all() if each.node == node]
        try:
            return await self._ask(question, args, shards)
        except _Moved as error:
            self._known.clear()
            raise StoreUnavailableError(
                "Shards are being moved.", op=question.name
            ) from error

    async def find_all(self) -> Sequence[Shard]:
        """List the shards, by their hashes."""
        if not self._known:
            async with self._database.session("list_shards") as db:
                if not await db.value(SQL.has_look):
                    raise StoreError(
                        "The tables were spread by an older version.",
                        op="list_shards",
                        hint="Run 'millpond migrate --distribute' once more.",
                    )
                rows = await db.rows(SQL.list_shards)
            self._known = [Shard(*row) for row in rows]
        return self._known

    async def nodes(self) -> Sequence[str]:
        """List the servers that have shards, in order."""
        return sorted({each.node for each in await self.find_all()})

    async def group(
        self, identity_ids: Iterable[str], *, by_shard: bool = False
    ) -> list[list[str]]:
        """Group ids by the server, or the shard, that their rows are on."""
        ids = [*identity_ids]
        if not self._database.is_spread or not ids:
            return [ids] if ids else []
        node_of = {each.number: each.node for each in await self.find_all()}
        async with self._database.session("list_shards_of") as db:
            rows = await db.rows(SQL.list_shards_of, ids)
        groups: dict[object, list[str]] = {}
        for number, identity_id in rows:
            place = number if by_shard else node_of.get(number, number)
            groups.setdefault(place, []).append(identity_id)
        return [*groups.values()]

    async def _look_plainly(self, question: Question, args: Sequence[Any]) -> list[Any]:
        async with self._database.session(question.name) as db:
            return await db.rows(question.sql, *args)

    async def _look_again(
        self, question: Question, args: Sequence[Any], hashes: HashRange | None
    ) -> list[Any]:
        """Ask, and again when shards were moved meanwhile."""
        for left in reversed(range(LOOKS_MAX)):
            shards = _within(await self.find_all(), hashes)
            try:
                return await self._look_once(
                    question,
                    args,
                    shards,
                    all_of_them=hashes is not None,
                    is_last=left == 0,
                )
            except _Moved:
                self._known.clear()
        raise AssertionError("unreachable")

    async def _look_once(
        self,
        question: Question,
        args: Sequence[Any],
        shards: Sequence[Shard],
        *,
        all_of_them: bool,
        is_last: bool,
    ) -> list[Any]:
        by_node: dict[str, list[Shard]] = {}
        for each in shards:
            by_node.setdefault(each.node, []).append(each)
        few = asyncio.Semaphore(SERVERS_AT_ONCE)

        async def ask(there: list[Shard]) -> list[Any]:
            try:
                async with few:
                    return await self._ask(question, args, there)
            except _Moved as error:
                if not is_last:
                    raise
                refused = error.__cause__
                if isinstance(refused, StoreError) and isinstance(
                    refused.__cause__, asyncpg.UndefinedTableError
                ):
                    raise refused from refused.__cause__  # it has left for good
                # Or its server does not know of shards yet: it was away for long.
                self._put_aside(there[0].node, "shards are being moved", ASIDE_S)
                raise StoreUnavailableError(
                    "Shards are being moved.", op=question.name
                ) from error

        now_s = time.monotonic()
        asked = [
            each for node, each in by_node.items() if self._aside.get(node, 0) <= now_s
        ]
        if all_of_them and len(asked) < len(by_node):
            asked = []  # it takes time to ask one that is away
        found: list[Any] = []
        answered = False
        away: BaseException | None = None
        for result in await asyncio.gather(*map(ask, asked), return_exceptions=True):
            if isinstance(result, StoreUnavailableError) and not all_of_them:
                away = result
            elif isinstance(result, BaseException):
                raise result
            else:
                answered = True
                found += result
        if not answered:
            raise away or StoreUnavailableError(
                "No server that has identities answers.", op=question.name
            )
        return found

    async def _ask(
        self, question: Question, args: Sequence[Any], shards: Sequence[Shard]
    ) -> list[Any]:
        """Ask a server about some of its shards."""
        if not shards:
            raise _Moved
        node = shards[0].node
        sql = f"{SQL.look} AS ({question.columns})"
        call = (
            shards[0].near,
            [each.lowest for each in shards] + [each.highest for each in shards],
            list(question.tables),
            _with_texts(question.sql, args),
            [_as_text(each) for each in args],
        )
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                async with self._database.session(question.name) as db:
                    rows = await db.rows(sql, *call)
        except TimeoutError as error:
            self._put_aside(node, "no answer in time", ASIDE_SILENT_S)
            raise StoreUnavailableError(
                f"The server {node} does not answer.", op=question.name
            ) from error
        except StoreError as error:
            if isinstance(error.__cause__, _MOVED):
                raise _Moved from error
            if isinstance(error, StoreUnavailableError):
                self._put_aside(node, str(error), ASIDE_S)
            raise
        if self._aside.pop(node, None) is not None:
            _log.info("store.shards_back", node=node)
        return rows

    def _put_aside(self, node: str, error: str, for_s: float) -> None:
        if node not in self._aside:
            _log.warning("store.shards_away", node=node, error=error)
        self._aside[node] = time.monotonic() + for_s


def _within(shards: Sequence[Shard], hashes: HashRange | None) -> Sequence[Shard]:
    """Give the shards that have any of the hashes; one or, once it was split, more."""
    if hashes is None:
        return shards
    return [
        each
        for each in shards
        if each.lowest <= hashes.highest and hashes.lowest <= each.highest
    ]


def _with_texts(sql: str, args: Sequence[Any]) -> str:
    """Let a statement take its parameters from an array of texts, which is `$1`."""

    def name(match: re.Match[str]) -> str:
        number = int(match[1])
        match args[number - 1]:
            case int():
                return f"($1[{number}])::bigint"
            case bytes():
                return f"decode($1[{number}], 'hex')"
            case _:
                return f"($1[{number}])"

    return _PARAMETER.sub(name, sql)


def _as_text(value: Any) -> str | None:
    match value:
        case None | str():
            return value
        case bytes():
            return value.hex()
        case list():  # of texts
            quoted = (re.sub(r'(["\\])', r"\\\1", each) for each in value)
            return "{" + ",".join(f'"{each}"' for each in quoted) + "}"
        case _:
            return str(value)


def pick(rows: Collection[Any], key: str, limit: int) -> list[Any]:
    """Give the first rows of several servers as if it were one."""
    return sorted(rows, key=lambda row: row[key])[:limit]
