"""
Large payloads in Millpond's own store, served at the address of the server.

Anyone who holds a link can fetch what it leads to until it expires, as with the
presigned links of AWS; so its last part is 128 bits that nobody can
guess, and opens nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from millpond.stores.base import StreamStore

PAYLOAD_PATH: Final = "/stream-payloads/"


class EmbeddedPayloads:
    """The payload store that is there when no other one is set."""

    def __init__(
        self,
        store: StreamStore,
        *,
        public_url: str,
        now_ms: Callable[[], int],
    ) -> None:
        """
        Args:
            public_url: at which consumers reach this server.
        """
        self._store = store
        self._prefix = f"{public_url.rstrip('/')}{PAYLOAD_PATH}"
        self._now_ms = now_ms

    async def put(self, data: bytes, *, name: str, lifetime_s: int) -> str:
        expires_ms = self._now_ms() + lifetime_s * 1000
        await self._store.put_stream_payload(name, data, expires_ms=expires_ms)
        return f"{self._prefix}{name}"

    async def aclose(self) -> None:
        """Nothing to let go of; the store is somebody else's."""
