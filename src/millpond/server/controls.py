"""
What a server for tests (`serve --ephemeral`) lets tests do with it.

    GET  /testing/clock                 what time it is there, and how far ahead
    POST /testing/clock?advance_ms=N    let N ms pass: what expires by then is gone
    POST /testing/reset                 drop all data, calls, and set the clock right
    GET  /testing/calls?after=N         the calls that apps made, after the Nth

The answers are JSON. Who asks shows a developer key as HTTP Basic authorization; on
any other server these paths are nobody's. Signatures go by the system's clock all the
while, because SDKs do.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from millpond.limits import EPOCH_S_MAX
from millpond.server.ephemeral import MovableClock
from millpond.service import tombstones
from millpond.service.calls import Calls
from millpond.service.context import Context
from millpond.service.developer_keys import KeyRing
from millpond.sinks import SinkRegistry
from millpond.stores.sqlite import SqliteStore
from millpond.workers.housekeeping import PURGE_ROWS_MAX, expire_unused_guests

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

PATH: Final = "/testing/"
_BASIC: Final = "basic "
_WHO: Final = "Show a developer key that may do all, as HTTP Basic authorization."
_ASK: Final = {"www-authenticate": 'Basic realm="millpond"'}


class Controls:
    """Does what tests ask for."""

    path: Final = PATH

    def __init__(
        self,
        context: Context,
        clock: MovableClock,
        calls: Calls,
        keys: KeyRing,
        sinks: SinkRegistry,
    ) -> None:
        self._context = context
        self._clock = clock
        self._calls = calls
        self._keys = keys
        self._sinks = sinks
        self._changing = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Make the routes."""
        from starlette.routing import Route

        return [
            Route(f"{PATH}{name}", self._guarded(function), methods=[method])
            for name, method, function in (
                ("clock", "GET", self._show_clock),
                ("clock", "POST", self._move_clock),
                ("reset", "POST", self._reset),
                ("calls", "GET", self._list_calls),
            )
        ]

    async def advance(self, ms: int) -> None:
        """Let time pass, and see what expires by then off."""
        async with self._changing:
            self._clock.ahead_ms += ms
            await self._expire()

    async def reset(self) -> None:
        """Drop everything but developer keys and token keys."""
        context = self._context
        store = context.store
        assert isinstance(store, SqliteStore)
        async with self._changing:
            self._clock.ahead_ms = 0
            context.sync_sessions.take()
            context.audit.forget()
            await self._sinks.aclose()
            await store.delete_everything()
            context.triggered_pools.clear()
            context.changes.end_all()
            self._calls.clear()

    async def _expire(self) -> None:
        """Do at once what workers would do by and by."""
        context = self._context
        while await context.store.purge(
            now_ms=context.now_ms(),
            stream_retention_ms=context.settings.stream_retention_s * 1000,
            limit=PURGE_ROWS_MAX,
        ):
            pass
        while await tombstones.expire(context):
            pass
        await expire_unused_guests(context, context.metrics)

    async def _show_clock(self, request: Request) -> Any:
        return {"now_ms": self._clock(), "ahead_ms": self._clock.ahead_ms}

    async def _move_clock(self, request: Request) -> Any:
        ms = _number(request, "advance_ms")
        if self._clock() + ms > EPOCH_S_MAX * 1000:
            raise ValueError("That is later than times can be.")
        await self.advance(ms)
        return await self._show_clock(request)

    async def _reset(self, request: Request) -> Any:
        await self.reset()
        return {}

    async def _list_calls(self, request: Request) -> Any:
        after = _number(request, "after", default=0)
        return {"calls": self._calls.list_after(after)}

    def _guarded(
        self, function: Callable[[Request], Awaitable[Any]]
    ) -> Callable[[Request], Awaitable[Response]]:
        from starlette.responses import JSONResponse
        from starlette.responses import Response as PlainResponse

        async def answer(request: Request) -> Response:
            if not self._is_developer(request.headers.get("authorization", "")):
                return JSONResponse({"message": _WHO}, 401, _ASK)
            try:
                body = msgspec.json.encode(await function(request))
            except ValueError as error:
                return JSONResponse({"message": str(error)}, 400)
            return PlainResponse(body, media_type="application/json")

        return answer

    def _is_developer(self, authorization: str) -> bool:
        if authorization[: len(_BASIC)].lower() != _BASIC:
            return False
        try:
            given = base64.b64decode(authorization[len(_BASIC) :], validate=True)
        except (binascii.Error, ValueError):
            return False
        name, _, secret = given.partition(b":")
        known = self._keys.find_good(name.decode("latin-1"), self._context.now_ms())
        if known is None or known.scope.read_only or known.scope.identity_pool_id:
            return False
        return hmac.compare_digest(known.secret.encode(), secret)


def _number(request: Request, name: str, *, default: int | None = None) -> int:
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError(f"Say {name}= as a number, 0 or more.")
    return int(text)
