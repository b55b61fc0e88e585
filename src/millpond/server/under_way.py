"""What is under way on which connection, as the requests tell."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Hashable, Iterator
from typing import TypeVar

Client = tuple[str, str]
"""Address and port of the other end of a connection, as a request has it."""
K = TypeVar("K", bound=Hashable)


class UnderWay:
    """What is under way on the connection with each client."""

    def __init__(self) -> None:
        self.requests: Counter[Client] = Counter()
        """Over HTTP/2 there may be several, and some of them streams."""
        self.streams: Counter[Client] = Counter()
        """Answers that are sent part by part for as long as both sides want."""
        self.at_client: Counter[Client] = Counter()
        """Requests that can only go on when their client sends, or takes, something."""
        self.http2: Counter[str] = Counter()
        """Requests over HTTP/2 alone, by peer."""
        self.http2_total = 0
        self.last_s: dict[Client, float] = {}
        """When the last request of a connection was done, on the monotonic clock."""
        self.known: set[Client] = set()
        """Those of whom a signature was right."""

    def forget(self, clients: Collection[Client], *, before_s: float) -> None:
        """
        Forget connections that are gone.

        Args:
            clients: that are still there.
            before_s: later requests may be of connections that came since.
        """
        gone = [
            each
            for each, last_s in [*self.last_s.items()]
            if last_s < before_s and each not in clients
        ]
        for each in gone:
            del self.last_s[each]
            self.known.discard(each)

    @contextlib.contextmanager
    def waiting_for(self, client: Client) -> Iterator[None]:
        """Have it seen that a request waits for its client."""
        self.at_client[client] += 1
        try:
            yield
        finally:
            take_one(self.at_client, client)

    def only_waits(self, client: Client) -> bool:
        """Say whether all that a connection carries waits for its client."""
        return 0 < self.requests[client] <= self.at_client[client]

    def only_streams(self, client: Client) -> bool:
        """Say whether all that a connection carries are streams."""
        return self.requests[client] <= self.streams[client]


def take_one(count: Counter[K], key: K) -> None:
    """Count one less; what is not there any more is not kept."""
    if count[key] > 1:
        count[key] -= 1
    else:
        count.pop(key, None)  # `del` of a Counter is Python
