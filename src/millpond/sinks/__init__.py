"""
Sinks: where the stream of a pool goes, opened by URL.

The setting `streams` gives the URL of a stream by its name; a name that is not in it is
an embedded stream of that name. The registry opens each sink once and keeps it.
"""

from __future__ import annotations

import asyncio
import importlib
import shlex
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from millpond import limits
from millpond.errors import (
    SettingsError,
    SinkError,
    SinkUnavailableError,
    StreamGoneError,
)
from millpond.sinks.base import (
    EMBEDDED,
    Sink,
    SinkReader,
    demand,
    sink_url,
    without_secrets,
)
from millpond.sinks.embedded import EmbeddedSink
from millpond.sinks.embedded_reader import EmbeddedReader
from millpond.stores.base import StreamStore

CLOSE_S_MAX: Final = 10.0
_CREATE: Final = "Create it"  # how the hint of a stream begins that is not there
LOOK_AGAIN_S: Final = 30.0
"""How long a stream counts as what it was; then it is looked at again."""

SinkFactory = Callable[[str, str | None], Sink]
"""Makes a sink, not yet open, from a URL and the role of the pool, if it has one."""


class Engine(NamedTuple):
    """What is behind a scheme."""

    module: str  # has `make_sink(url, role_arn)` and `make_reader(url, from_end=...)`
    create: str  # the command that makes a stream which keeps what it acknowledges
    extra: str = ""  # of the package, with the driver; empty: nothing more is needed


ENGINES: Final[dict[str, Engine]] = {
    "kinesis": Engine(
        "millpond.sinks.kinesis",
        "aws kinesis create-stream --stream-name {name} --shard-count 4",
    ),
    "file": Engine("millpond.sinks.file", "mkdir -p {path}"),
    "kafka": Engine(
        "millpond.sinks.kafka",
        "kafka-topics.sh --bootstrap-server {host} --create --topic {name} "
        "--partitions 12 --replication-factor 3 --config min.insync.replicas=2 "
        "--config cleanup.policy=delete",
        extra="kafka",
    ),
    "nats": Engine(
        "millpond.sinks.nats",
        "nats --server {host} stream add {name} --subjects {name} --storage file "
        "--retention limits --dupe-window 10m --defaults",
        extra="nats",
    ),
}
"""The engines besides our own, by scheme. A driver is loaded when it is needed."""


def how_to_create(url: str) -> str:
    """Give the command that creates the stream of a URL; empty: there is none."""
    scheme = url.partition(":")[0].lower()
    place = without_secrets(url)
    if scheme not in ENGINES or place == f"{scheme}:":
        return ""
    _, hosts, path, _, _ = urlsplit(place)
    path = unquote(path)
    command = ENGINES[scheme].create.format(
        host=shlex.quote(hosts.partition(",")[0]),
        name=shlex.quote(path.strip("/") or hosts),
        path=shlex.quote(path),
    )
    if scheme != "kinesis":
        return command
    given = dict(parse_qsl(urlsplit(url).query))
    endpoint = given.get("endpoint", "")
    options = {
        "--region": given.get("region", ""),
        "--endpoint-url": endpoint and without_secrets(endpoint),
    }
    told = (f" {name} {shlex.quote(value)}" for name, value in options.items() if value)
    return command + "".join(told)


def sink_factories(
    *,
    store: StreamStore,
    now_ms: Callable[[], int],
    appended: Callable[[int], None] | None = None,
    retention_ms: int = limits.STREAM_RETENTION_S * 1000,
) -> dict[str, SinkFactory]:
    """
    List the kinds of sinks that there are, by the scheme of their URLs.

    Args:
        appended: is told the id of an embedded stream whenever it got records.
        retention_ms: for how long embedded streams keep their records.
    """

    def embedded(url: str, role_arn: str | None) -> Sink:
        # A stream may have any name, so nothing in it is read as a part of a URL.
        stream_name = url.partition(":")[2]
        return EmbeddedSink(
            stream_name,
            store=store,
            now_ms=now_ms,
            appended=appended,
            retention_ms=retention_ms,
        )

    def loading(scheme: str) -> SinkFactory:
        def make(url: str, role_arn: str | None) -> Sink:
            sink: Sink = load_engine(scheme).make_sink(url, role_arn)
            return sink

        return make

    return {EMBEDDED: embedded, **{scheme: loading(scheme) for scheme in ENGINES}}


def load_engine(scheme: str) -> Any:
    """
    Load the module of an engine.

    Raises:
        SettingsError: its driver is not installed.
    """
    engine = ENGINES[scheme]
    try:
        return importlib.import_module(engine.module)
    except ImportError as error:
        raise SettingsError(
            f"Streams behind {scheme}: need a driver that is not installed: "
            f"pip install 'millpond[{engine.extra}]'."
        ) from error


def make_sink(
    url: str, factories: Mapping[str, SinkFactory], role_arn: str | None = None
) -> Sink:
    """
    Make the sink of a URL, not yet open.

    Raises:
        SettingsError: there is no such kind of sink, its driver is missing, or the URL
            says too little or too much; the message does not repeat the URL, which may
            hold a password.
    """
    scheme, colon, _ = url.partition(":")
    factory = factories.get(scheme.lower()) if colon else None
    if factory is None:
        known = ", ".join(sorted(factories))
        given = f"not '{scheme}'" if colon else "and this one has no scheme"
        raise SettingsError(f"The URL of a sink begins with {known}, {given}.")
    return factory(url, role_arn)


def make_reader(url: str, *, store: StreamStore, from_end: bool) -> SinkReader:
    """
    Make the reader of a URL, not yet open.

    Args:
        from_end: begin with what comes after it is opened, not with the oldest record.
    Raises:
        SettingsError: as `make_sink` does.
    """
    scheme, colon, stream_name = url.partition(":")
    scheme = scheme.lower()
    if colon and scheme == EMBEDDED:
        return EmbeddedReader(stream_name, store=store, from_end=from_end)
    if colon and scheme in ENGINES:
        reader: SinkReader = load_engine(scheme).make_reader(url, from_end=from_end)
        return reader
    known = ", ".join(sorted((EMBEDDED, *ENGINES)))
    raise SettingsError(f"The URL of a sink that can be read begins with {known}.")


async def open_sink(
    url: str, factories: Mapping[str, SinkFactory], role_arn: str | None = None
) -> Sink:
    """Make and open the sink of a URL."""
    sink = make_sink(url, factories, role_arn)
    try:
        await sink.open()
    except BaseException as error:
        await sink.aclose()
        if isinstance(error, StreamGoneError):
            error.hint = _how_to_mend(url, error.hint)
        raise
    return sink


def _how_to_mend(url: str, hint: str) -> str:
    """Complete what a sink says, who knows its tool, by where the stream is to be."""
    create = how_to_create(url)
    if not create or (hint and not hint.startswith(_CREATE)):
        return hint
    return f"{_CREATE}: `{create}`."


class Destination(NamedTuple):
    """A stream, and the role in whose name it is written, if there is one."""

    stream_name: str
    role_arn: str | None = None


class SinkRegistry:
    """The open sinks, by destination."""

    def __init__(
        self,
        streams: Mapping[str, str],
        factories: Mapping[str, SinkFactory],
        *,
        look_again_s: float = LOOK_AGAIN_S,
    ) -> None:
        """
        Args:
            streams: the setting `streams`.
            look_again_s: how long an open stream counts as what it was.
        Raises:
            SettingsError: an entry cannot be the URL of a sink.
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
        self._look_again_s = look_again_s
        self._sinks: dict[Destination, Sink] = {}
        self._looked_s: dict[Destination, float] = {}
        self._locks: defaultdict[Destination, asyncio.Lock] = defaultdict(asyncio.Lock)

    def __repr__(self) -> str:
        names = ", ".join(sorted(each.stream_name for each in self._sinks))
        return f"<SinkRegistry open: {names or 'none'}>"

    async def get(self, destination: Destination) -> Sink:
        """
        Give the open sink of a destination.

        Raises:
            StreamGoneError, StreamUnfitError, SinkUnavailableError: as `Sink.open`
                does; also when an open stream has become so.
        """
        async with self._locks[destination]:
            sink = self._sinks.get(destination)
            if sink is None:
                url = sink_url(self._streams, destination.stream_name)
                sink = await open_sink(url, self._factories, destination.role_arn)
                self._sinks[destination] = sink
                self._looked_s[destination] = time.monotonic()
            else:
                await self._look_again(destination, sink)
            return sink

    async def _look_again(self, destination: Destination, sink: Sink) -> None:
        """See now and then whether an open stream still keeps what it acknowledges."""
        now_s = time.monotonic()
        if now_s - self._looked_s[destination] < self._look_again_s:
            return
        self._looked_s[destination] = now_s
        try:
            demand(await sink.look())
        except SinkUnavailableError:
            return  # the put that follows tells of it
        except SinkError:
            await self.discard(destination, sink)
            raise

    async def discard(self, destination: Destination, sink: Sink) -> None:
        """
        Close a sink, so that `get` opens another one.

        Whoever shares it finds it closed; one that was opened since stays. A sink that
        does not close in time is left to itself.
        """
        if self._sinks.get(destination) is sink:
            del self._sinks[destination]
            await _close(sink)

    async def aclose(self) -> None:
        """Close all sinks. Idempotent."""
        for destination, sink in list(self._sinks.items()):
            await self.discard(destination, sink)


async def _close(sink: Sink) -> None:
    closing = asyncio.ensure_future(sink.aclose())
    # Not cancelled after the time: it may be on a thread that a disk holds up.
    await asyncio.wait({closing}, timeout=CLOSE_S_MAX)
