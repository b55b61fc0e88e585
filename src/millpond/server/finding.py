"""
Which operation a request means.

Where a target leads is remembered once somebody known has called it, and what it says,
too, where no body says more: devices ask the same again and again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from millpond.contract.shapes import Api
from millpond.errors import (
    InvalidSignatureException,
    SerializationException,
    UnknownOperationException,
)
from millpond.server.requests import Request
from millpond.wire.query import PARAMETERS_MAX, QueryRoute, QueryRouter, read_form
from millpond.wire.routing import Route, Router
from millpond.wire.sigv4.canonical import normal_path

_TARGETS_MAX: Final = 4096  # that are remembered; an entry has some 2,000 bytes
_TARGET_BYTES_REMEMBERED: Final = 512
_QUERY_BYTES_PLAIN: Final = 1024  # a query that is no longer costs little in any case
_TARGET_CHARS_MAX: Final = 256  # of a target that is repeated in a message


@dataclass(slots=True)
class Found:
    """A request whose operation is known."""

    route: Route | QueryRoute
    labels: dict[str, str] | None = None
    form: dict[str, str] | None = None
    body: bytes | None = None  # where it had to be read to know the operation
    is_remembered: bool = False
    canonical_path: bytes = b""  # as a signature covers it, where one was verified
    decoded: Any = None  # where the target is all there is to decode


class Finder:
    """Finds the operations of requests."""

    def __init__(self, apis: Iterable[Api]) -> None:
        apis = list(apis)
        self._router = Router([api for api in apis if api.protocol != "query"])
        self._query_router = QueryRouter(apis)
        self._targets: dict[tuple[str, bytes, bytes], Found] = {}

    def find(self, request: Request) -> Found:
        """
        Find where the path, or the X-Amz-Target, of a request leads.

        Raises:
            UnknownOperationException: nowhere.
            InvalidSignatureException: to two places, for one signature.
        """
        if len(request.raw_query) > _QUERY_BYTES_PLAIN:
            _check_query(request.raw_query)
        method, raw_path = request.method, request.raw_path
        if raw_path == b"/":
            target = request.headers.get(b"x-amz-target")
            if target is None:
                raise UnknownOperationException(
                    "A request to '/' names its operation in X-Amz-Target; this one "
                    "has none."
                )
            name = target.decode("latin-1")
            route = self._router.by_target(name)
            if route is None or method != "POST":
                raise UnknownOperationException(
                    f"There is no operation '{name[:_TARGET_CHARS_MAX]}'"
                    f"{'.' if route is None else ' but by POST.'}"
                )
            return Found(route)
        known = self._targets.get((method, raw_path, request.raw_query))
        if known is not None:
            return known
        found = self._router.by_path(method, raw_path)
        if found is None:
            raise UnknownOperationException
        if raw_path.find(b"/.") >= 0:  # none that is found has an empty segment
            self._refuse_ambiguous(method, raw_path)
        return Found(*found)

    def remember(
        self, route: Route, found: Found, request: Request, decoded: Any
    ) -> None:
        """
        Remember where a target leads, and what it says when no body says more.

        Only those of callers who are known come here: strangers take no room.
        """
        target = (request.method, request.raw_path, request.raw_query)
        size = len(request.raw_path) + len(request.raw_query)
        if found.labels is None or size > _TARGET_BYTES_REMEMBERED:
            return
        if len(self._targets) >= _TARGETS_MAX:
            self._targets.clear()
        found.is_remembered = True
        if route.decoder.reads_target_alone:
            found.decoded = decoded
        self._targets[target] = found

    def find_by_form(self, request: Request, body: bytes) -> Found:
        """
        Find where a request of the AWS Query protocol leads, by its form.

        Raises:
            ServiceException: nowhere, or the form cannot be read.
        """
        _check_query(request.raw_query)
        form = read_form(body or request.raw_query)
        route = self._query_router.by_action(
            form.get("Action", ""), form.get("Version")
        )
        return Found(route, form=form, body=body)

    def _refuse_ambiguous(self, method: str, raw_path: bytes) -> None:
        """
        Refuse a path whose normal form leads to another operation.

        Clients sign the normal form, so a signature for `datasets/records` also fits
        `datasets/./records`. A dataset may be called '.', but not at that price.
        """
        normal = normal_path(raw_path)
        if normal != raw_path and self._router.by_path(method, normal) is not None:
            raise InvalidSignatureException(
                "The path has segments '.' or '..' that make its signature ambiguous."
            )


def _check_query(raw_query: bytes) -> None:
    """
    Refuse a query of very many parameters, before anybody sorts and spells them.

    Raises:
        SerializationException: it has too many.
    """
    number = raw_query.count(b"&") + 1
    if number > PARAMETERS_MAX:
        raise SerializationException(
            f"The query has {number} parameters; the limit is {PARAMETERS_MAX}."
        )
