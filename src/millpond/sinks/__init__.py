"""
Sinks: where the stream of a pool goes, opened by URL.

The setting `streams` gives the URL of a stream by its name; a name that is not in it is
an embedded stream of that name. The registry opens each sink once and keeps it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping

from millpond.errors import SettingsError
from millpond.sinks.base import EMBEDDED, Sink, sink_url
from millpond.sinks.embedded import EmbeddedSink
from millpond.stores.base import StreamStore

SinkFactory = Callable[[str], Sink]
"""Makes a sink, not yet open, from a URL."""


def sink_factories(
    *, store: StreamStore, now_ms: Callable[[], int]
) -> dict[str, SinkFactory]:
    """List the kinds of sinks that there are, by the scheme of their URLs."""

    def embedded(url: str) -> Sink:
        # A stream may have any name, so nothing in it is read as a part of a URL.
        stream_name = url.partition(":")[2]
        return EmbeddedSink(stream_name, store=store, now_ms=now_ms)

    return {EMBEDDED: embedded}


def make_sink(url: str, factories: Mapping[str, SinkFactory]) -> Sink:
    """
    Make the sink of a URL, not yet open.

    Raises:
        SettingsError: there is no such kind of sink; the message does not repeat the
            URL, which may hold a password.
    """
    scheme, colon, _ = url.partition(":")
    factory = factories.get(scheme.lower()) if colon else None
    if factory is None:
        known = ", ".join(sorted(factories))
        given = f"not '{scheme}'" if colon else "and this one has no scheme"
        raise SettingsError(f"The URL of a sink begins with {known}, {given}.")
    return factory(url)


async def open_sink(url: str, factories: Mapping[str, SinkFactory]) -> Sink:
    """Make and open the sink of a URL."""
    sink = make_sink(url, factories)
    try:
        await sink.open()
    except BaseException:
        await sink.aclose()
        raise
    return sink


class SinkRegistry:
    """The open sinks, by stream name."""

    def __init__(
        self, streams: Mapping[str, str], factories: Mapping[str, SinkFactory]
    ) -> None:
        """
        Args:
            streams: the setting `streams`.
        Raises:
            SettingsError: an entry names a kind of sink that there is not.
        """
        for stream_name, url in streams.items():
            try:
                make_sink(url, factories)
            except SettingsError as error:
                raise SettingsError(
                    f"Setting 'streams', entry '{stream_name}': {error}"
                ) from error
        self._streams = streams
        self._factories = factories
        self._sinks: dict[str, Sink] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def __repr__(self) -> str:
        return f"<SinkRegistry open: {', '.join(sorted(self._sinks)) or 'none'}>"

    async def get(self, stream_name: str) -> Sink:
        """
        Give the open sink of a stream.

        Raises:
            StreamGoneError, SinkUnavailableError: as `Sink.open` does.
        """
        async with self._locks[stream_name]:
            sink = self._sinks.get(stream_name)
            if sink is None:
                url = sink_url(self._streams, stream_name)
                sink = await open_sink(url, self._factories)
                self._sinks[stream_name] = sink
            return sink

    async def discard(self, stream_name: str) -> None:
        """Close the sink of a stream, if it is open; `get` opens it anew."""
        async with self._locks[stream_name]:
            sink = self._sinks.pop(stream_name, None)
            if sink is not None:
                await sink.aclose()

    async def aclose(self) -> None:
        """Close all sinks. Idempotent."""
        for stream_name in list(self._sinks):
            await self.discard(stream_name)
