"""
The connections under the HTTP server: how many there may be, and which must end.

The HTTP server accepts them and tells nobody; only a request shows that there is one.
So the descriptors of the process are looked at, once a second or so, and compared with
what the requests have told. A connection ends when

* it is silent: no request has come within `connection_head_s`, whatever else came by
  then, a handshake or a head byte by byte,
* it is idle: it carries no request, or nothing at all, for `connection_idle_s`,
* it is one too many of its peer, or of all of them: who carries nothing gives way, or
  nothing but a body that is still to come or an answer that is still to be taken;
  first those on which nothing was signed rightly yet, those of the peer with the most.

The HTTP server closes a connection when its last answer has been taken. One whose other
end takes nothing would stay, with all that waits in its buffers; it is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import stat
import struct
import time
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from millpond.limits import SUBSCRIPTIONS_MAX
from millpond.metrics import Metrics
from millpond.server.peers import TrustedProxies, name
from millpond.server.under_way import Client, UnderWay
from millpond.settings import Settings

REQUESTS_MAX: Final = 4096  # over HTTP/1.1, beside listeners and subscriptions
OTHER_FILES: Final = 256  # that a server opens beside its connections
LOOK_S: Final = (1.0, 15.0)  # how often; less often when a look takes long
LOOK_SHARE_MAX: Final = 0.01  # of the time
FULL: Final = 0.9  # of what is allowed
ROOM: Final = 0.75  # down to which those that carry nothing give way
QUIET_S_MIN: Final = 1.0  # before one gives way: it may only just begin
SLOW_ANSWER_S: Final = 60.0  # while an answer that was sent whole may still be taken

_OPEN_FILES: Final = Path("/dev/fd")
_RESET: Final = struct.pack("ii", 1, 0)  # linger for no time: drop what waits
# Of Linux' struct tcp_info: how many ms ago data was last sent, and last received.
_TCP_INFO_BYTES: Final = 60
_LAST_SENT: Final = struct.Struct("=44xI")
_LAST_RECEIVED: Final = struct.Struct("=52xI")

_log = structlog.get_logger()


def allow_many() -> None:
    """Let the process have as many open files as it may: a connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS takes no infinity
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connections_max(settings: Settings) -> int:
    """Say how many there may be, once `allow_many` was called."""
    wanted = settings.connections_max or (
        REQUESTS_MAX + settings.live_listeners_max + SUBSCRIPTIONS_MAX
    )
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, files - min(OTHER_FILES, files // 2)))


class _Connection(NamedTuple):
    """A connection, as its descriptor and the requests tell."""

    descriptor: int
    inode: int  # of the socket; the descriptor may be that of another one by and by
    client: Client
    peer: str
    is_trusted: bool  # a proxy of ours
    since_s: float  # when it was first seen


class Connections:
    """Looks at the connections of clients, and ends those that must."""

    def __init__(
        self,
        settings: Settings,
        under_way: UnderWay,
        metrics: Metrics,
        trusted: TrustedProxies,
    ) -> None:
        self._port = settings.port
        self._under_way = under_way
        self._metrics = metrics
        self._trusted = trusted
        # A listener hears nothing for as long as the server has nothing to tell.
        self._idle_s = max(settings.connection_idle_s, 2 * settings.live_comment_s)
        self._head_s = min(settings.connection_head_s, self._idle_s)
        self._per_peer_max = settings.connections_per_peer_max
        self._max = connections_max(settings)
        self._count = 0  # as last seen
        metrics.share_gauge(metrics.connections, lambda: self._count)
        self._seen: dict[
            int, _Connection | int
        ] = {}  # a number: another socket's inode
        self._waiting_s: dict[Client, float] = {}  # when they were first seen to wait
        self._stuck: Counter[Client] = Counter()
        self._to_abort: set[Client] = set()
        self._wake = asyncio.Event()

    def end_stuck(self, client: Client) -> None:
        """
        End the connection of an answer that is not taken, if nothing else needs it.

        A second such answer shows that it is the connection that is stuck.
        """
        self._stuck[client] += 1
        if self._stuck[client] > 1 or self._under_way.requests[client] <= 1:
            self.abort({client})

    def abort(self, clients: Collection[Client]) -> None:
        """End connections with clients in a moment, and drop what waits to be sent."""
        self._to_abort.update(clients)
        self._wake.set()

    async def watch(self) -> None:
        """Look at the connections for ever."""
        pause_s = LOOK_S[0]
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self._wake.wait(), min(pause_s, self._head_s / 2)
                )
            self._wake.clear()
            aborted, self._to_abort = self._to_abort, set()
            began_s = time.monotonic()
            # In a thread, for thousands of connections take a while to look at.
            clients, used_s = await asyncio.to_thread(self.look, aborted)
            self._under_way.forget(clients, before_s=began_s)
            for gone in self._stuck.keys() - clients:
                del self._stuck[gone]
            pause_s = min(max(LOOK_S[0], used_s / LOOK_SHARE_MAX), LOOK_S[1])
            if len(clients) >= self._max * FULL:
                pause_s = LOOK_S[0]

    def look(self, aborted: Collection[Client] = ()) -> tuple[set[Client], float]:
        """
        Find the connections, and end those that must.

        Args:
            aborted: clients whose connections must end in any case.
        Returns:
            The clients that there were, and the seconds of CPU time that it took.
        """
        began_s = time.thread_time()
        found = [*self._find()]
        ended: Counter[str] = Counter()
        for connection, reason in self._choose(found, aborted):
            if _end(connection):
                ended[reason] += 1
        for reason, count in ended.items():
            self._metrics.connections_ended.labels(reason).inc(count)
            _log.info("connections.ended", reason=reason, connections=count)
        self._count = len(found) - ended.total()
        clients = {each.client for each in found}
        for gone in self._waiting_s.keys() - clients:
            del self._waiting_s[gone]
        return clients, time.thread_time() - began_s

    def _find(self) -> Iterator[_Connection]:
        """List the connections of clients; each is opened once, when it is new."""
        now_s = time.monotonic()
        seen: dict[int, _Connection | int] = {}
        for text in os.listdir(_OPEN_FILES):
            with contextlib.suppress(OSError):
                descriptor = int(text)
                status = os.fstat(descriptor)
                if not stat.S_ISSOCK(status.st_mode):
                    continue
                known = self._seen.get(descriptor)
                inode = known.inode if isinstance(known, _Connection) else known
                if inode != status.st_ino:
                    known = self._identify(descriptor, status.st_ino, now_s)
                assert known is not None
                seen[descriptor] = known
                if isinstance(known, _Connection):
                    yield known
        self._seen = seen

    def _identify(self, descriptor: int, inode: int, now_s: float) -> _Connection | int:
        """Find out whose socket it is; the inode alone when it is no client's."""
        with _open(descriptor) as copy, contextlib.suppress(OSError):
            if copy is not None and copy.getsockname()[1] == self._port:
                host, port = copy.getpeername()[:2]  # fails for the one that listens
                host = host.partition("%")[0]
                return _Connection(
                    descriptor,
                    inode,
                    (host, str(port)),
                    name(host),
                    self._trusted.trusts(host),
                    now_s,
                )
        return inode

    def _choose(
        self, found: list[_Connection], aborted: Collection[Client]
    ) -> Iterator[tuple[_Connection, str]]:
        """Choose those that must end, each with the reason."""
        now_s = time.monotonic()
        quiet: list[tuple[float, _Connection]] = []  # and for how many seconds
        strangers: Counter[str] = Counter()
        left = len(found)
        for each in found:
            reason, quiet_s = self._judge(each, now_s, each.client in aborted)
            if reason:
                left -= 1
                yield each, reason
                continue
            if each.client not in self._under_way.known and not each.is_trusted:
                strangers[each.peer] += 1
            if quiet_s >= QUIET_S_MIN:
                quiet.append((quiet_s, each))
        crowded = {
            peer: count - self._per_peer_max
            for peer, count in strangers.items()
            if count > self._per_peer_max
        }
        too_many = left - int(self._max * ROOM) if left >= self._max * FULL else 0
        if not crowded and too_many <= 0:
            return
        known = self._under_way.known
        quiet.sort(
            key=lambda one: (one[1].client in known, -strangers[one[1].peer], -one[0])
        )
        for _, each in quiet:
            is_stranger = each.client not in known and not each.is_trusted
            if is_stranger and crowded.get(each.peer, 0) > 0:
                crowded[each.peer] -= 1
                too_many -= 1
                yield each, "peer"
            elif too_many > 0:
                too_many -= 1
                yield each, "full"

    def _judge(
        self, connection: _Connection, now_s: float, is_aborted: bool
    ) -> tuple[str, float]:
        """
        Say why a connection must end, and for how many seconds it has done nothing.

        The reason is empty when it may stay, and the time 0 while we have to do with a
        request of it.
        """
        if is_aborted:
            return "stuck", 0.0
        client = connection.client
        is_busy = client in self._under_way.requests
        last_s = self._under_way.last_s.get(client)
        quiet_s = now_s - (connection.since_s if last_s is None else last_s)
        if is_busy:
            is_idle = quiet_s >= self._idle_s and _carries_nothing(
                connection, self._idle_s
            )
            return "idle" if is_idle else "", self._waits(client, now_s)
        if last_s is None:
            return "silent" if quiet_s >= self._head_s else "", quiet_s
        is_idle = quiet_s >= self._idle_s + SLOW_ANSWER_S or (
            quiet_s >= self._idle_s and _carries_nothing(connection, self._idle_s)
        )
        return "idle" if is_idle else "", quiet_s

    def _waits(self, client: Client, now_s: float) -> float:
        """Say for how many seconds its requests have waited for the client; or 0."""
        if not self._under_way.only_waits(client):
            self._waiting_s.pop(client, None)
            return 0.0
        # What it is seen to wait with may be another request than at the last look.
        since_s = self._waiting_s.setdefault(client, now_s)
        return now_s - max(since_s, self._under_way.last_s.get(client, 0.0))


def _carries_nothing(connection: _Connection, idle_s: float) -> bool:
    """Say whether nothing came or went for a while; no, where systems do not tell."""
    if not hasattr(socket, "TCP_INFO"):
        return False
    with _open(connection.descriptor) as copy, contextlib.suppress(OSError):
        if copy is None:
            return False
        info = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        (sent_ms,) = _LAST_SENT.unpack_from(info)
        (received_ms,) = _LAST_RECEIVED.unpack_from(info)
        return bool(min(sent_ms, received_ms) >= idle_s * 1000)
    return False


def _end(connection: _Connection) -> bool:
    """End a connection, if it is still there, and drop what waits to be sent."""
    with _open(connection.descriptor) as copy, contextlib.suppress(OSError):
        if copy is None or os.fstat(copy.fileno()).st_ino != connection.inode:
            return False
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        copy.shutdown(socket.SHUT_RDWR)
        return True
    return False


@contextlib.contextmanager
def _open(descriptor: int) -> Iterator[socket.socket | None]:
    """Open a TCP socket of this process once more; None when it is no such."""
    copy = _duplicate(descriptor)
    if copy is None:
        yield None
        return
    with copy:
        yield copy


def _duplicate(descriptor: int) -> socket.socket | None:
    # Only sockets are opened: to close a second descriptor of a database file would
    # drop the locks that this process has on it.
    try:
        if not _is_socket(descriptor):
            return None
        duplicate = os.dup(descriptor)
    except OSError:
        return None
    try:
        copy = socket.socket(fileno=duplicate)
    except OSError:
        if _is_socket(duplicate):
            os.close(duplicate)
        return None
    if copy.family in (socket.AF_INET, socket.AF_INET6):
        return copy
    copy.close()
    return None


def _is_socket(descriptor: int) -> bool:
    return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
