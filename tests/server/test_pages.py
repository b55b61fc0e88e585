"""The pages beside the APIs, when the store has trouble."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from millpond.errors import DamagedStoreError, StoreError, StoreUnavailableError
from millpond.server.pages import make_pages
from millpond.settings import Settings
from millpond.sinks.embedded_payloads import PAYLOAD_PATH
from millpond.stores.sqlite import SqliteStore
from service.stage import make_context


@pytest.mark.parametrize(
    ("error", "status"),
    [(StoreUnavailableError("down"), 503), (DamagedStoreError("torn"), 500)],
)
def test_a_payload_of_a_store_in_trouble(
    tmp_path: Path, error: StoreError, status: int
) -> None:
    """Who fetches it is told to come again, or that it is lost; damage is counted."""

    class Troubled(SqliteStore):
        async def find_stream_payload(self, payload_id: str, *, now_ms: int) -> Any:
            raise error

    context = make_context(Troubled(tmp_path), Settings(), lambda: 1)
    pages = make_pages(context, context.metrics, is_draining=lambda: False)
    answer: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        answer.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": f"{PAYLOAD_PATH}x",
        "raw_path": f"{PAYLOAD_PATH}x".encode(),
        "query_string": b"",
        "headers": [],
    }
    asyncio.run(pages(scope, receive, send))

    assert answer[0]["status"] == status
    assert context.damage.count == (status == 500)
