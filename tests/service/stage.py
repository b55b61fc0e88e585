"""A stage for operations: the service functions over a store of their own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from millpond.core.session_tokens import SessionTokens
from millpond.core.tokens import PageTokens, SyncSessions
from millpond.errors import ServiceException
from millpond.hooks import Hooks
from millpond.login_providers.keys import ProviderKeys
from millpond.service.context import Caller, Context, SinkOpener, system_now_ms
from millpond.service.developer_keys import SecretSealer
from millpond.service.sync_sessions import SyncSessionCounter
from millpond.service.token_keys import TokenKeyRing
from millpond.settings import Settings
from millpond.sinks.base import Sink
from millpond.sinks.embedded import EmbeddedSink
from millpond.sinks.embedded_payloads import EmbeddedPayloads
from millpond.stores.sqlite import SqliteStore


def make_context(
    store: SqliteStore, settings: Settings, now_ms: Callable[[], int], **others: Any
) -> Context:
    """Make what the service works with, with keys of our own; parts may be named."""
    key = b"k" * 32
    parts: dict[str, Any] = {
        "sessions": SyncSessions(key, lifetime_ms=1, random_bytes=bytes),
        "pages": PageTokens(key),
        "sync_sessions": SyncSessionCounter(store),
        "session_tokens": SessionTokens(key, random_bytes=secrets.token_bytes),
        "token_keys": TokenKeyRing(
            store,
            SecretSealer(key, random_bytes=secrets.token_bytes),
            region=settings.region,
            now_ms=now_ms,
        ),
        "provider_keys": ProviderKeys(settings.login_providers),
        "hooks": Hooks(settings, secret=key),
        "payloads": EmbeddedPayloads(store, public_url="", now_ms=now_ms),
        "payload_secret": b"p" * 32,
        "open_sink": _sink_opener(store, now_ms),
    }
    return Context(store=store, settings=settings, now_ms=now_ms, **(parts | others))


def _sink_opener(store: SqliteStore, now_ms: Callable[[], int]) -> SinkOpener:
    """Make what opens embedded streams, whatever their names."""

    async def opening(stream_name: str, role_arn: str | None) -> Sink:
        sink = EmbeddedSink(stream_name, store=store, now_ms=now_ms)
        await sink.open()
        return sink

    return opening


class Operations:
    """Operations of one contract, called with the attributes of their requests."""

    contract: ModuleType
    modules: tuple[ModuleType, ...]

    def __init__(self, store: SqliteStore, settings: Settings) -> None:
        self.store = store
        self._context = make_context(store, settings, self.read_clock)

    def read_clock(self) -> int:
        """Give the time in epoch milliseconds; a subclass may stop it."""
        return system_now_ms()

    async def call(self, operation: str, **members: Any) -> Any:
        """Call an operation."""
        name = "".join(word.capitalize() for word in operation.split("_"))
        request = getattr(self.contract, f"{name}Request")(**members)
        caller = Caller("AKIAEXAMPLE", "000000000000")
        module = next(each for each in self.modules if hasattr(each, operation))
        return await getattr(module, operation)(self._context, caller, request)

    async def refused(
        self, error: type[ServiceException], operation: str, **members: Any
    ) -> str:
        """Call an operation that must be refused; return the message."""
        with pytest.raises(error) as caught:
            await self.call(operation, **members)
        return caught.value.message


def player(kind: type[Operations], place: Path) -> Callable[..., None]:
    """Make what runs a scene on a fresh stage; settings may be named."""

    def run(scene: Callable[[Any], Awaitable[None]], **settings: Any) -> None:
        async def on_stage() -> None:
            store = SqliteStore(place)
            await store.open()
            try:
                await scene(kind(store, Settings(**settings)))
            finally:
                await store.aclose()

        asyncio.run(on_stage())

    return run
