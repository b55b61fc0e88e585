"""
From a request line to an operation: by method and path, or by X-Amz-Target.

Paths are matched on their percent-decoded segments; ids arrive as `us-east-1%3A...`
from most SDKs and as `us-east-1:...` from old .NET ones. A route is found by the
method, the number of segments and the literal segments at their places.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from millpond.contract.shapes import Api, Operation
from millpond.wire.decoding import RequestDecoder, percent_decode

PATH_BYTES_MAX: Final = 8192


class Route:
    """An operation with what it takes to decode a request of it."""

    def __init__(self, api: Api, operation: Operation) -> None:
        self.api: Final = api
        self.operation: Final = operation

    @functools.cached_property
    def decoder(self) -> RequestDecoder:
        """Decodes its requests; made for the first one, as most are never called."""
        return RequestDecoder(self.api, self.operation)


_Segments = Sequence[bytes]


class _Pattern(NamedTuple):
    take_literals: Callable[[_Segments], _Segments]
    literals: tuple[bytes, ...]
    take_labels: Callable[[_Segments], _Segments]
    names: tuple[str, ...]  # of the labels
    route: Route


class Router:
    """Finds the route of a request."""

    def __init__(self, apis: Iterable[Api]) -> None:
        self._patterns: dict[tuple[str, int], list[_Pattern]] = {}
        self._targets: dict[str, Route] = {}
        for api in apis:
            for operation in api.operations:
                route = Route(api, operation)
                if api.protocol == "json":
                    self._targets[f"{api.target_prefix}.{operation.name}"] = route
                else:
                    self._add_pattern(operation, route)

    def by_target(self, target: str) -> Route | None:
        """Find the operation that an X-Amz-Target header names."""
        return self._targets.get(target)

    def by_path(
        self, method: str, raw_path: bytes
    ) -> tuple[Route, dict[str, str]] | None:
        """Find the operation of a path, with its labels decoded."""
        if len(raw_path) > PATH_BYTES_MAX:
            return None
        # A colon is all that is encoded in ids; no literal has one.
        path = raw_path.replace(b"%3A", b":")
        segments = path.split(b"/")
        for pattern in self._patterns.get((method, len(segments)), ()):
            if pattern.take_literals(segments) == pattern.literals:
                labels = pattern.take_labels(segments)
                if path.find(b"%") < 0:
                    decoded = [label.decode("utf-8", "replace") for label in labels]
                else:
                    decoded = [percent_decode(label) for label in labels]
                # An empty label is another path, not an empty value.
                if not all(decoded):
                    return None
                return pattern.route, dict(zip(pattern.names, decoded, strict=True))
        return None

    def _add_pattern(self, operation: Operation, route: Route) -> None:
        segments = operation.uri.split("/")
        places = range(len(segments))
        labels = [place for place in places if segments[place].startswith("{")]
        literals = [place for place in places if place not in labels]
        pattern = _Pattern(
            _taker(literals),
            tuple(segments[place].encode() for place in literals),
            _taker(labels),
            tuple(segments[place].strip("{}") for place in labels),
            route,
        )
        key = (operation.method, len(segments))
        self._patterns.setdefault(key, []).append(pattern)


def _taker(places: Sequence[int]) -> Callable[[_Segments], _Segments]:
    """Make what takes the segments at some places, without a loop in Python."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda segments: tuple(segments[place] for place in places)
