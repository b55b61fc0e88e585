"""
Parts of pages that change while somebody looks on: server-sent events.

One call of a part's function serves everybody who looks at the same part: ten viewers
cost the store one look. What it yields is rendered once and handed to each of them; who
comes later gets the last one at once, and who is slow gets the newest and misses those
between, for each is the part as a whole. When nobody looks any more, the call ends.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Hashable
from typing import Any, Final

import structlog
from starlette.responses import Response

from millpond.console.base import Ask, Console, Door, Page, Refused, Viewer
from millpond.console.rendering import render
from millpond.errors import ServiceException

_log = structlog.get_logger()

END: Final = "end"
VIEWERS_MAX: Final = 200  # of all parts; each is a connection
PARTS_MAX: Final = 50
COMMENT_S: Final = 15.0  # proxies end what says nothing for longer
RETRY_MS: Final = (1000, 4000)  # when a browser comes back; not all of them at once


class _Part:
    """A part that somebody looks at."""

    def __init__(self) -> None:
        self.viewers = 0
        self.last = b""
        self.is_over = False
        self.changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def show(self, event: bytes, *, is_over: bool = False) -> None:
        """Hand an event to all who look, and to those who come later."""
        self.last, self.is_over = event or self.last, is_over or self.is_over
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class LiveParts:
    """All parts that somebody looks at."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._parts: dict[Hashable, _Part] = {}
        self._viewers = 0
        self._is_closed = False

    def close(self) -> None:
        """End them; browsers come back, to another server or to this one's next."""
        self._is_closed = True
        for part in [*self._parts.values()]:
            if part.task is not None:
                part.task.cancel()
            part.show(b"", is_over=True)

    def watch(
        self,
        row: Page,
        key: Hashable,
        viewer: Viewer,
        ask: Ask,
        door: Door,
        is_good: Callable[[], bool],
    ) -> Response:
        """
        Make the answer that shows a part for as long as both sides want.

        Args:
            key: the same for all who see the same.
            is_good: says whether its viewer may still look.
        Raises:
            Refused: too many look already.
        """
        is_new = key not in self._parts
        if (
            self._is_closed
            or self._viewers >= VIEWERS_MAX
            or (is_new and len(self._parts) >= PARTS_MAX)
        ):
            raise Refused(503, "Too many look at what changes. Look again later.")

        async def parts(ended: asyncio.Event) -> AsyncIterator[bytes]:
            part = self._join(row, key, viewer, ask)
            try:
                yield b"retry: %d\n\n" % random.randint(*RETRY_MS)
                async for each in _events(part, ended, is_good):
                    yield each
            finally:
                self._leave(key, part)

        return _Stream(parts, door)

    def _join(self, row: Page, key: Hashable, viewer: Viewer, ask: Ask) -> _Part:
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = _Part()
            part.task = asyncio.create_task(self._follow(row, part, viewer, ask))
        part.viewers += 1
        self._viewers += 1
        return part

    def _leave(self, key: Hashable, part: _Part) -> None:
        part.viewers -= 1
        self._viewers -= 1
        if part.viewers == 0 or part.is_over:
            if self._parts.get(key) is part:
                del self._parts[key]
            if part.task is not None:
                part.task.cancel()

    async def _follow(self, row: Page, part: _Part, viewer: Viewer, ask: Ask) -> None:
        """Show what the function of a part yields."""
        try:
            async for name, data in row.function(self._console, viewer, ask):
                html = render(row.template, data=data, event=name)
                part.show(spell(name, html), is_over=name == END)
                if name == END:
                    return
            part.show(b"", is_over=True)
        except (Refused, ServiceException) as error:
            part.show(spell("gone", str(error)), is_over=True)
        except Exception as error:
            _log.error("console.live_failed", path=row.path, exc_info=error)
            part.show(spell("gone", "The log of the server says more."), is_over=True)


async def _events(
    part: _Part, ended: asyncio.Event, is_good: Callable[[], bool]
) -> AsyncIterator[bytes]:
    last = b""
    leaving = asyncio.ensure_future(ended.wait())
    try:
        while is_good():
            changed = part.changed
            if part.last != last:
                last = part.last
                yield last
            if part.is_over or ended.is_set():
                return
            if changed.is_set():
                continue  # while it was being sent
            waiting = asyncio.ensure_future(changed.wait())
            await asyncio.wait(
                {waiting, leaving},
                timeout=COMMENT_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not waiting.done():
                waiting.cancel()
                if not ended.is_set():
                    yield b":\n\n"
    finally:
        leaving.cancel()


def spell(name: str, html: str) -> bytes:
    """Spell an event."""
    lines = "".join(f"data: {line}\n" for line in html.splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode()


class _Stream(Response):
    """An answer that goes on."""

    media_type = "text/event-stream"

    def __init__(
        self,
        parts: Callable[[asyncio.Event], AsyncIterator[bytes]],
        door: Door,
    ) -> None:
        super().__init__()
        del self.headers["content-length"]
        self.headers["cache-control"] = "no-store"
        self.headers["x-accel-buffering"] = "no"  # nginx would hold events back
        self._parts = parts
        self._door = door

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it."""
        ended = asyncio.Event()
        parts = self._parts(ended)
        try:
            await self._door.stream(parts, [*self.raw_headers], ended.set)
        finally:
            await parts.aclose()  # type: ignore[attr-defined]
