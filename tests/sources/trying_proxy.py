"""
A proxy before a source that does what makes a move hard: it throttles, cuts, fails,
answers nonsense, and pages oddly. What it asks for behind itself it signs anew.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from typing import Any, Final

import aiohttp
from aiohttp import web
from yarl import URL

from millpond.testing.server import RunningServer
from millpond.wire.sigv4.signer import Outgoing, sign

_TARGET: Final = "X-Amz-Target"
_EMPTY_PAGE: Final = "empty-page-before-"


class TryingProxy:
    """
    Stands before a server, in a thread of its own.

    Args:
        rate: calls a second that are let through; None: all.
        trouble: the share of calls that get something else than an answer.
        denied: operations that are refused.
        page: how many identities are on a page at most, some pages being empty;
            None: as they are.
        down: nothing is answered at all.
    """

    def __init__(self, server: RunningServer, *, seed: int = 1) -> None:
        self._server = server
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tokens = 0.0
        self._filled_s = time.monotonic()
        self.endpoint = ""
        self.rate: float | None = None
        self.trouble = 0.0
        self.denied: frozenset[str] = frozenset()
        self.page: int | None = None
        self.down = False
        self.rewrite: Any = None  # operation, answer as JSON -> answer
        self.seen = 0
        self.answered: list[tuple[float, str]] = []
        self.troubles: set[str] = set()

    def __enter__(self) -> TryingProxy:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), auto_decompress=False
        )
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{rest:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        sockets = self._runner.addresses
        self.endpoint = f"http://127.0.0.1:{sockets[0][1]}"

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen += 1
        body = await request.read()
        operation = _operation_of(request)
        if self.down:
            _cut(request)
        if operation in self.denied:
            message = f"User: x is not authorized to perform: {operation}"
            return _refusal(400, "AccessDeniedException", message)
        if not self._let_through():
            # AWS: each of these was seen from one service or another.
            return self._random.choice(
                [
                    _refusal(429, "TooManyRequestsException", "Rate exceeded"),
                    _refusal(400, "ThrottlingException", "Rate exceeded"),
                    _refusal(503, "", ""),
                ]
            )
        if self._random.random() < self.trouble:
            kind = self._random.choice(["cut", "500", "half", "html", "slow"])
            self.troubles.add(kind)
            if kind == "500":
                return _refusal(500, "InternalErrorException", "oh")
            if kind == "html":
                return web.Response(status=200, text="<html>a proxy says no</html>")
            if kind == "cut":
                _cut(request)
            if kind == "slow":
                await asyncio.sleep(0.2)
            if kind == "half":
                status, content = await self._forward(request, operation, body)
                response = web.StreamResponse(status=status)
                response.content_length = len(content)
                await response.prepare(request)
                await response.write(content[: len(content) // 2])
                _cut(request)
        if self.page is not None and operation == "ListIdentities":
            return await self._odd_page(request, body)
        status, content = await self._forward(request, operation, body)
        self.answered.append((time.monotonic(), operation))
        return _answer(status, content)

    async def _odd_page(self, request: web.Request, body: bytes) -> web.Response:
        """Give small pages, and now and then one with nothing but a token."""
        asked = json.loads(body)
        token = asked.get("NextToken") or ""
        if not token.startswith(_EMPTY_PAGE) and self._random.random() < 0.3:
            empty = {
                "IdentityPoolId": asked["IdentityPoolId"],
                "Identities": [],
                "NextToken": _EMPTY_PAGE + token,
            }
            return _answer(200, json.dumps(empty).encode())
        asked["NextToken"] = token.removeprefix(_EMPTY_PAGE) or None
        asked["MaxResults"] = self.page
        given = {name: each for name, each in asked.items() if each is not None}
        status, content = await self._forward(
            request, "ListIdentities", json.dumps(given).encode()
        )
        return _answer(status, content)

    async def _forward(
        self, request: web.Request, operation: str, body: bytes
    ) -> tuple[int, bytes]:
        path, _, query = request.raw_path.partition("?")
        headers = [
            (name.lower().encode(), value.encode())
            for name, value in request.headers.items()
            if name.lower() in ("content-type", "x-amz-target")
        ]
        headers.append((b"host", self._server.endpoint.partition("//")[2].encode()))
        signed = Outgoing(
            method=request.method,
            raw_path=path.encode(),
            raw_query=query.encode(),
            headers=headers,
            body=body,
        )
        identity = _TARGET in request.headers
        headers += sign(
            signed,
            access_key_id=self._server.access_key_id,
            secret=self._server.secret_access_key,
            region=self._server.region,
            service="cognito-identity" if identity else "cognito-sync",
            now_s=time.time(),
        )
        async with self._session.request(
            request.method,
            URL(self._server.endpoint + request.raw_path, encoded=True),
            data=body or None,
            headers={k.decode(): v.decode() for k, v in headers},
        ) as response:
            content = await response.read()
        if self.rewrite is not None and response.status == 200 and content:
            changed = self.rewrite(operation, json.loads(content))
            content = json.dumps(changed).encode()
        return response.status, content

    def _let_through(self) -> bool:
        if self.rate is None:
            return True
        now_s = time.monotonic()
        self._tokens += (now_s - self._filled_s) * self.rate
        self._tokens = min(self._tokens, max(self.rate, 1.0))  # a second of them
        self._filled_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _operation_of(request: web.Request) -> str:
    target = request.headers.get(_TARGET)
    if target:
        return target.partition(".")[2]
    parts = request.path.strip("/").split("/")
    return {2: "DescribeIdentityPoolUsage", 5: "ListDatasets", 7: "ListRecords"}.get(
        len(parts), parts[-1]
    )


def _cut(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()
    raise ConnectionResetError


def _answer(status: int, content: bytes) -> web.Response:
    return web.Response(status=status, body=content, content_type="application/json")


def _refusal(status: int, code: str, message: str) -> web.Response:
    content = json.dumps({"__type": code, "message": message}).encode() if code else b""
    return _answer(status, content)
