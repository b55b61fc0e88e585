"""What meets the clients of a server: its connections, the door, the console, pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from millpond.metrics import Metrics
from millpond.server import connections
from millpond.server.connections import Connections
from millpond.server.console import LazyConsole, make_console
from millpond.server.door import Door, make_door
from millpond.server.ephemeral import MovableClock
from millpond.server.pages import PATHS, make_pages
from millpond.server.peers import TrustedProxies
from millpond.server.under_way import UnderWay
from millpond.service.context import Context
from millpond.service.developer_keys import KeyRing
from millpond.settings import Settings
from millpond.sinks import SinkRegistry
from millpond.stores.base import Neighbours, Store

if TYPE_CHECKING:
    from millpond.server.controls import Controls
    from millpond.server.readers.intake import Intake
    from millpond.tracing.sdk import Tracing


class Front(NamedTuple):
    """What meets the clients of a server."""

    sockets: Connections
    console: LazyConsole | None
    door: Door

    def end_streams(self) -> None:
        """End the answers that go on."""
        self.door.end_streams()
        if self.console is not None:
            self.console.close()


def make_front(
    context: Context,
    keys: KeyRing,
    origins: Mapping[str, str],
    intake: Intake | None,
    tracing: Tracing | None,
    *,
    sinks: SinkRegistry,
    stopping: asyncio.Event,
) -> Front:
    """
    Make what meets the clients of a server.

    Args:
        origins: where each setting that is not at its default comes from.
        intake: of the writer behind readers; None: the server has the port itself.
        stopping: is set when the server is about to end.
    """
    metrics = context.metrics
    under_way = UnderWay()
    trusted = TrustedProxies.of(context.settings)
    connections.allow_many()
    sockets = _make_connections(context.settings, under_way, metrics, trusted, intake)
    count_servers = _server_counter(context.store)
    if intake is not None:
        intake.join(metrics, context.sync_sessions, keys, under_way, count_servers)
        context.keys_changed.listen(intake.tell_news)
    controls = _make_controls(context, keys, sinks)
    console = make_console(context, keys, origins)
    door = make_door(
        context,
        keys,
        under_way,
        trusted,
        sockets,
        count_servers=count_servers,
        cells=None if intake is None else intake.cells,
        beside=make_pages(
            context,
            metrics,
            is_draining=stopping.is_set,
            gather=None if intake is None else intake.gather,
            controls=controls,
        ),
        beside_paths=PATHS if controls is None else (*PATHS, controls.path),
        console=console,
        tracing=tracing,
    )
    return Front(sockets, console, door)


def _make_controls(
    context: Context, keys: KeyRing, sinks: SinkRegistry
) -> Controls | None:
    """Make what tests of apps do with their server; None: it is not theirs."""
    if not isinstance(context.now_ms, MovableClock) or context.calls is None:
        return None
    from millpond.server.controls import Controls

    return Controls(context, context.now_ms, context.calls, keys, sinks)


def _make_connections(
    settings: Settings,
    under_way: UnderWay,
    metrics: Metrics,
    trusted: TrustedProxies,
    intake: Intake | None,
) -> Connections:
    if intake is None:
        return Connections(settings, under_way, metrics, trusted)
    from millpond.server.readers.intake import RelayedConnections

    return RelayedConnections(settings, under_way, metrics, trusted, intake)


def _server_counter(store: Store) -> Callable[[], int]:
    """Make what tells how many servers share a store, without asking the store."""
    if isinstance(store, Neighbours):
        return lambda: 1 + store.others
    return lambda: 1
