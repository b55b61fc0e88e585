"""Hooks: what a developer has called for an event, by function ARN or by URL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.hooks.http import Around, HttpHook
    from millpond.hooks.lambda_api import LambdaHook


class Hooks:
    """
    Every hook there can be, told apart by their targets; it is a `Hook`.

    What calls them is loaded with the first call, beside the event loop: the libraries
    take a third of a server's start and 20 MB, and most servers have no hook.
    """

    def __init__(
        self, settings: Settings, *, secret: bytes, around: Around | None = None
    ) -> None:
        """
        Args:
            secret: signs what is sent to URLs.
            around: is put around what posts to URLs.
        """
        self._settings = settings
        self._around = around
        self._secret = secret
        self._http: HttpHook | None = None
        self._lambda: LambdaHook | None = None

    async def call(self, target: str, event: bytes) -> bytes:
        """Call a hook; see `Hook`."""
        if target.startswith("arn:"):
            return await (await self._functions()).call(target, event)
        return await (await self._urls()).call(target, event)

    async def check(self, target: str) -> None:
        """Tell of a hook that can never be called; see `Hook`."""
        if target.startswith("arn:"):
            await self._functions()
        else:
            await (await self._urls()).check(target)

    async def aclose(self) -> None:
        """Close all connections."""
        for each in (self._http, self._lambda):
            if each is not None:
                await each.aclose()

    async def _urls(self) -> HttpHook:
        if self._http is None:
            load = await asyncio.to_thread(_load_http)
            # Another call may have come first while this one waited.
            self._http = self._http or load(
                self._secret,
                private_networks=self._settings.hook_private_networks,
                around=self._around,
            )
        return self._http

    async def _functions(self) -> LambdaHook:
        if self._lambda is None:
            load = await asyncio.to_thread(_load_lambda)
            self._lambda = self._lambda or load(self._settings.lambda_endpoint)
        return self._lambda


def _load_http() -> type[HttpHook]:
    from millpond.hooks.http import HttpHook

    return HttpHook


def _load_lambda() -> type[LambdaHook]:
    import botocore.session  # noqa: F401, by which credentials are found

    from millpond.hooks.lambda_api import LambdaHook

    return LambdaHook
