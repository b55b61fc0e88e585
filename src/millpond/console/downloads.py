"""What is to be kept: sent as a file, whole or part by part, never shown as a page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response

from millpond.console.base import Door, Download


def send_download(download: Download, door: Door) -> Response:
    """Make the answer of a download."""
    content = download.content
    if isinstance(content, bytes):
        response = Response(content, media_type=download.media_type)
    else:
        response = _Parts(content, download.media_type, door)
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in download.name)
    ascii_name = name.encode("ascii", "replace").decode().replace("?", "_")
    response.headers["content-disposition"] = f'attachment; filename="{ascii_name}"'
    return response


class _Parts(Response):
    """An answer of which nobody knows yet how long it is."""

    def __init__(
        self, parts: AsyncIterator[bytes], media_type: str, door: Door
    ) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self._parts = parts
        self._door = door

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it, no faster than it is read."""
        ended = asyncio.Event()
        await self._door.stream(self._until(ended), [*self.raw_headers], ended.set)

    async def _until(self, ended: asyncio.Event) -> AsyncIterator[bytes]:
        async for part in self._parts:
            if ended.is_set():
                return
            yield part
