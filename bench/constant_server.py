"""
The server's constant answer: our HTTP server with nothing behind it.

    python bench/constant_server.py

It runs the very function that `millpond serve` listens with, so that loop, server and
parameters are the same ones. What is left is what the program would cost if everything
that Millpond does took no time; it is the yardstick of the other figures. It prints
its port when it answers.
"""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from typing import Any, Final

import uvloop

from millpond.server import listening
from millpond.settings import Settings

BODY: Final = b'{"Count":0}'
HEADERS: Final = [(b"content-type", b"application/json")]


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer any request with the same bytes."""
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


async def main() -> None:
    """Serve until SIGTERM."""
    settings = Settings(port=0)
    settings = dataclasses.replace(
        settings, port=listening.claim_port(settings), drain_s=0
    )
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    await listening.listen(
        answer,  # type: ignore[arg-type]
        settings,
        stopping,
        lambda: print(settings.port, flush=True),
        lambda: None,
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
