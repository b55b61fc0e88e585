"""
What the server offers beside the APIs: health, metrics, large stream payloads, and the
keys that verify its OpenID tokens.

These are not on the path of a sync, so a framework serves them.
"""

from __future__ import annotations

import asyncio
import platform
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from millpond import __version__
from millpond.errors import DamagedStoreError, StoreError
from millpond.metrics import Metrics
from millpond.server.beside import Message, Receive, Send
from millpond.server.stores import kind_of
from millpond.server.welcome import HEADERS, page
from millpond.service.context import Context
from millpond.service.patience import within
from millpond.service.token_keys import ALGORITHM
from millpond.sinks.embedded_payloads import PAYLOAD_PATH
from millpond.stores.base import OutboxUsage, Store, Verification
from millpond.stores.importing import ImportState, ImportStore

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from millpond.server.controls import Controls

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
JWKS_PATH: Final = "/.well-known/jwks_uri"  # AWS: so the real service has it
PATHS: Final = (
    *("/healthz", "/readyz", "/version", "/metrics", PAYLOAD_PATH),
    *(DISCOVERY_PATH, JWKS_PATH),
)
# Whoever asks waits for 10 s or less; a database that is frozen says nothing at all.
STORE_S_MAX: Final = 4.0
AsgiApp = Callable[[Message, Receive, Send], Coroutine[Any, Any, None]]
# A key that leaked is not believed for longer than this by those who cache the keys.
_CACHED: Final = {"cache-control": "public, max-age=300"}


def make_pages(
    context: Context,
    metrics: Metrics,
    *,
    is_draining: Callable[[], bool],
    gather: Callable[[], Awaitable[None]] | None = None,
    controls: Controls | None = None,
) -> AsgiApp:
    """
    Make the application that serves `PATHS`, and `/` to people.

    It is put together at the first request for one of them.

    Args:
        gather: adds up what other processes of this server have counted.
        controls: what tests do with the server that is theirs; None: it is nobody's.
    """
    made: list[Starlette] = []

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if not made:
            made.append(_make_pages(context, metrics, is_draining, gather, controls))
        await made[0](scope, receive, send)

    return serve


def _make_pages(
    context: Context,
    metrics: Metrics,
    is_draining: Callable[[], bool],
    gather: Callable[[], Awaitable[None]] | None,
    controls: Controls | None,
) -> Starlette:
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
    from starlette.responses import Response as PlainResponse
    from starlette.routing import Route

    async def welcome(request: Request) -> Response:
        settings = context.settings
        html = page(settings.public_url, has_console=settings.console != "off")
        return HTMLResponse(html, headers=dict(HEADERS))

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        if is_draining():
            return PlainTextResponse("draining\n", 503)
        try:
            await within(STORE_S_MAX, context.store.ping())
        except DamagedStoreError:
            return PlainTextResponse("the store is damaged\n", 503)
        except (StoreError, TimeoutError):
            return PlainTextResponse("the store does not answer\n", 503)
        # The others must go on being served: a node is ready that meets single rows
        # which cannot be read. Of a store that cannot be read, `ping` tells.
        damage = context.damage.sentence
        return PlainTextResponse(f"ok\n{damage}\n" if damage else "ok\n")

    async def version(request: Request) -> Response:
        return JSONResponse(
            {
                "version": __version__,
                "python": platform.python_version(),
                "store": kind_of(context.settings),
            }
        )

    async def show_metrics(request: Request) -> Response:
        if gather is not None:
            await gather()
        free = await asyncio.to_thread(_free_bytes, context.settings.data)
        metrics.data_free_bytes.set(free)
        await read_store(context, metrics)
        return PlainResponse(
            generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST
        )

    async def payload(request: Request) -> Response:
        data = await context.store.find_stream_payload(
            request.path_params["payload_id"], now_ms=context.now_ms()
        )
        if data is None:
            return JSONResponse({"message": "No such payload, or expired."}, 404)
        return PlainResponse(data, media_type="application/json")

    async def refuse(request: Request, error: Exception) -> Response:
        if isinstance(error, DamagedStoreError):
            context.damage.note()
            return JSONResponse({"message": "What is stored is damaged."}, 500)
        return JSONResponse(
            {"message": "The store does not answer."}, 503, {"retry-after": "1"}
        )

    async def openid_configuration(request: Request) -> Response:
        settings = context.settings
        return JSONResponse(
            {
                "issuer": settings.token_issuer,
                "jwks_uri": f"{settings.public_url.rstrip('/')}{JWKS_PATH}",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
            },
            headers=_CACHED,
        )

    async def jwks(request: Request) -> Response:
        await context.token_keys.ready()
        return JSONResponse(context.token_keys.jwks(), headers=_CACHED)

    pages = Starlette(
        routes=[
            Route("/", welcome),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/version", version),
            Route("/metrics", show_metrics),
            Route(PAYLOAD_PATH + "{payload_id}", payload),
            Route(DISCOVERY_PATH, openid_configuration),
            Route(JWKS_PATH, jwks),
            *(controls.routes() if controls is not None else ()),
        ],
        exception_handlers={StoreError: refuse},
    )
    # It would send whoever asks for `/healthz/` to whatever host the request names.
    pages.router.redirect_slashes = False
    return pages


async def read_store(context: Context, metrics: Metrics) -> None:
    """Read the figures that are cheap to read; what is not is counted by a worker."""
    try:
        outbox, pushes, pools, size, imports, verified, runs = await within(
            STORE_S_MAX, _figures(context.store)
        )
    except (StoreError, TimeoutError):
        # What the process itself tells is worth the more.
        metrics.store_up.set(0)
        for each in metrics.of_the_store:
            each.set(float("nan"))
        return
    metrics.store_up.set(1)
    metrics.outbox_entries.set(outbox.entries)
    metrics.outbox_parked_entries.set(outbox.parked)
    oldest_ms = outbox.oldest_ms or context.now_ms()
    metrics.outbox_lag.set(max(context.now_ms() - oldest_ms, 0) / 1000)
    metrics.pushes_waiting.set(pushes)
    metrics.identity_pools.set(pools)
    metrics.store_bytes.set(size)
    metrics.verified.set(verified.ended_ms / 1000 if verified else 0)
    metrics.bulk_publishes_in_progress.set(runs)
    metrics.store_faults.set(verified.faults if verified else 0)
    show_imports(metrics, imports, context.now_ms())


def _free_bytes(folder: Path) -> float:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return float("nan")


def show_imports(metrics: Metrics, imports: Sequence[ImportState], now_ms: int) -> None:
    """Set the figures of the imports there are, and of no others."""
    for each in metrics.imports:
        each.clear()
    for state in imports:
        pool = state.identity_pool_id
        metrics.import_identities.labels(pool).set(state.listed)
        metrics.import_rate.labels(pool).set(state.rate if state.step else 0)
        metrics.import_throttled.labels(pool).set(state.throttled)
        metrics.import_aside.labels(pool).set(state.aside)
        remaining = 0.0
        if state.step == "copy":
            remaining = float("nan")
            if state.expected is not None:
                remaining = max(state.expected - state.listed, 0)
        metrics.import_remaining.labels(pool).set(remaining)
        lag_s = state.follower.get("lag_seconds")
        if lag_s is None:
            began_ms = state.complete_ms
            lag_s = (now_ms - began_ms) / 1000 if began_ms else float("nan")
        metrics.import_lag.labels(pool).set(lag_s)


async def _figures(
    store: Store,
) -> tuple[OutboxUsage, int, int, int, Sequence[ImportState], Verification | None, int]:
    importing = cast("ImportStore", store)
    return (
        await store.measure_outbox(None),
        await store.count_pushes(),
        await store.count_identity_pools(),
        await store.measure_bytes(),
        await importing.list_imports(),
        await store.find_verification(),
        await store.count_bulk_publishes(),
    )
