"""Hooks: what a developer has called for an event, by function ARN or by URL."""

from __future__ import annotations

from millpond.hooks.http import HttpHook
from millpond.hooks.lambda_api import LambdaHook
from millpond.settings import Settings


class Hooks:
    """Every hook there can be, told apart by their targets; it is a `Hook`."""

    def __init__(self, settings: Settings, *, secret: bytes) -> None:
        """
        Args:
            secret: signs what is sent to URLs.
        """
        self._http = HttpHook(secret, private_networks=settings.hook_private_networks)
        self._lambda = LambdaHook(settings.lambda_endpoint)

    async def call(self, target: str, event: bytes) -> bytes:
        """Call a hook; see `Hook`."""
        hook = self._lambda if target.startswith("arn:") else self._http
        return await hook.call(target, event)

    async def check(self, target: str) -> None:
        """Tell of a hook that can never be called; see `Hook`."""
        if not target.startswith("arn:"):
            await self._http.check(target)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()
        await self._lambda.aclose()
