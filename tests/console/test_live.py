"""What changes while somebody looks on: one look for all, within bounds, to an end."""

from __future__ import annotations

import asyncio
import http.client
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from console.visitor import Visitor
from console.windows import Watched
from millpond.console import live
from millpond.console.base import Ask, Console, Door, Fields, Page, Refused, Viewer
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer

FIGURES = {"is_whole": True, "charts": [], "failed": [], "refused": []}
NOTHING = cast(Any, None)
VIEWER = cast(Viewer, SimpleNamespace(pool=None))


class OpenDoor:
    """A door that takes all parts, and keeps them."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.end: Callable[[], None] | None = None

    async def stream(
        self, parts: AsyncIterator[bytes], headers: Any, end: Callable[[], None]
    ) -> None:
        self.end = end
        async for each in parts:
            self.parts.append(each)

    @property
    def events(self) -> list[str]:
        return [p.decode().split("\n")[0] for p in self.parts if p[:5] == b"event"]


class Stage:
    """Live parts whose function is told when to go on."""

    def __init__(self) -> None:
        self.calls = 0
        self.next: asyncio.Queue[str] = asyncio.Queue()
        self.parts = live.LiveParts(cast(Console, None))
        self.row = Page("live", "/live", self.watch, "overview_figures.html")

    async def watch(
        self, console: Console, viewer: Viewer, ask: Ask
    ) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        self.calls += 1
        while True:
            name = await self.next.get()
            if name == "fail":
                raise RuntimeError("no such thing")
            yield name, FIGURES

    def look(
        self, key: str = "part", *, is_good: Callable[[], bool] = lambda: True
    ) -> tuple[OpenDoor, asyncio.Task[None]]:
        """Begin to look."""
        door, ask = OpenDoor(), Ask({}, Fields({}))
        answer = self.parts.watch(self.row, key, VIEWER, ask, cast(Door, door), is_good)
        return door, asyncio.create_task(answer({}, NOTHING, NOTHING))


async def settle() -> None:
    """Let everything that is ready go on."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_ten_viewers_are_one_look() -> None:
    """All see the same, the function is called once; who comes later is shown it."""

    async def play() -> None:
        stage = Stage()
        looks = [stage.look() for _ in range(10)]
        stage.next.put_nowait("part")
        await settle()
        looks.append(stage.look())
        await settle()
        assert [door.events for door, _ in looks] == [["event: part"]] * 11
        stage.next.put_nowait("end")
        await asyncio.wait_for(
            asyncio.gather(*(task for _, task in looks)), seconds(20)
        )
        assert stage.calls == 1
        assert {door.events[-1] for door, _ in looks} == {"event: end"}

    asyncio.run(play())


def test_nobody_looks_any_more() -> None:
    """When the last one goes, the call ends; who comes again begins another."""

    async def play() -> None:
        stage = Stage()
        door, task = stage.look()
        await settle()
        assert door.end is not None
        door.end()
        await asyncio.wait_for(task, seconds(20))
        await settle()
        stage.look()
        await settle()
        assert stage.calls == 2
        stage.parts.close()

    asyncio.run(play())


def test_what_ends_a_look() -> None:
    """A function that fails, a session that is over, and a server that goes."""

    async def play() -> None:
        stage = Stage()
        failing, task = stage.look()
        stage.next.put_nowait("fail")
        await asyncio.wait_for(task, seconds(20))
        assert failing.events == ["event: gone"]
        good = [True]
        _, task = stage.look(is_good=lambda: good[0])
        await settle()
        good[0] = False
        stage.next.put_nowait("part")
        await asyncio.wait_for(task, seconds(20))
        _, task = stage.look()
        await settle()
        stage.parts.close()
        await asyncio.wait_for(task, seconds(20))
        with pytest.raises(Refused):
            stage.look()

    asyncio.run(play())


def test_as_many_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is one too many is refused; the others go on looking."""
    monkeypatch.setattr(live, "VIEWERS_MAX", 2)

    async def play() -> None:
        stage = Stage()
        looks = [stage.look() for _ in range(2)]
        await settle()
        with pytest.raises(Refused):
            stage.look()
        stage.next.put_nowait("part")
        await settle()
        assert [door.events for door, _ in looks] == [["event: part"]] * 2
        stage.parts.close()

    asyncio.run(play())


def test_a_server_that_stops(tmp_path: Path) -> None:
    """It does not wait for those who look on."""
    with RunningServer(tmp_path / "data", settings={"drain_s": "60"}) as server:
        visitor = Visitor(server.endpoint)
        visitor.log_in(server)
        url = urlsplit(server.endpoint)
        assert url.hostname
        connection = http.client.HTTPConnection(
            url.hostname, url.port, timeout=seconds(20)
        )
        cookie = "; ".join(f"{k}={v}" for k, v in visitor.cookies.items())
        connection.request("GET", "/console/live", headers={"cookie": cookie})
        answer = connection.getresponse()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.readline().startswith(b"retry:")
        began = time.monotonic()
        assert server.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began < seconds(30)
        connection.close()


def test_in_a_browser(signed_in: Watched, console_server: RunningServer) -> None:
    """The figures of the overview are filled in anew, with nothing reloaded."""
    page = signed_in.open("/console")
    page.evaluate("document.querySelector('[data-live] h2').textContent = 'before'")
    page.get_by_role("heading", name="The last hour of this server").wait_for()
