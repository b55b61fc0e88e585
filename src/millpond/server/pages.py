"""
What the server offers beside the APIs: health, metrics, and large stream payloads.

These are not on the path of a sync, so a framework serves them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from millpond.errors import StoreError
from millpond.metrics import Metrics
from millpond.service.context import Context
from millpond.service.stream_payloads import PAYLOAD_PATH

PATHS: Final = ("/healthz", "/readyz", "/metrics", PAYLOAD_PATH)


def make_pages(
    context: Context, metrics: Metrics, *, is_draining: Callable[[], bool]
) -> Starlette:
    """Make the application that serves `PATHS`."""

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        if is_draining():
            return PlainTextResponse("draining\n", 503)
        try:
            await context.store.ping()
        except StoreError:
            return PlainTextResponse("the store does not answer\n", 503)
        return PlainTextResponse("ok\n")

    async def show_metrics(request: Request) -> Response:
        metrics.outbox_entries.set(await context.store.count_outbox())
        return Response(
            generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST
        )

    async def payload(request: Request) -> Response:
        data = await context.store.find_stream_payload(
            request.path_params["payload_id"], now_ms=context.now_ms()
        )
        if data is None:
            return JSONResponse({"message": "No such payload, or expired."}, 404)
        return Response(data, media_type="application/json")

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", show_metrics),
            Route(PAYLOAD_PATH + "{payload_id}", payload),
        ]
    )
