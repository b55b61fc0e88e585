"""
Fetching a small public document from a login provider, warily.

What a provider answers comes from outside: it may be huge, slow, or lead elsewhere.
"""

from __future__ import annotations

import http.client
import time
import urllib.request
from http import HTTPStatus
from typing import Final
from urllib.error import HTTPError, URLError

from millpond import __version__
from millpond.errors import LoginProviderError

DOCUMENT_BYTES_MAX: Final = 1024 * 1024
_CHUNK_BYTES: Final = 64 * 1024
_HEADERS: Final = {
    "Accept": "application/json",
    "User-Agent": f"millpond/{__version__}",
}


def fetch(url: str, *, deadline_s: float) -> bytes:
    """
    Fetch a document. It blocks, so call it on a thread.

    Args:
        url: http or https; a redirect is not followed.
        deadline_s: when to give up, by the monotonic clock.
    Raises:
        LoginProviderError: there is no such document, or not in time, or it is over
            1 MiB.
    """
    try:
        request = urllib.request.Request(url, headers=_HEADERS)
        timeout_s = max(deadline_s - time.monotonic(), 0.001)  # 0 would mean for ever
        with _opener().open(request, timeout=timeout_s) as response:
            return _read(response, url, deadline_s)
    except HTTPError as error:
        error.close()
        raise LoginProviderError(f"'{url}' answers {_describe(error.code)}.") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise LoginProviderError(f"'{url}' does not answer: {reason}.") from error


def _opener() -> urllib.request.OpenerDirector:
    """Make an opener that knows HTTP, and neither redirects nor files nor FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _read(response: http.client.HTTPResponse, url: str, deadline_s: float) -> bytes:
    """Read a body piece by piece, as one that trickles never runs into a timeout."""
    body = b""
    while piece := response.read1(_CHUNK_BYTES):
        body += piece
        if len(body) > DOCUMENT_BYTES_MAX:
            raise LoginProviderError(f"'{url}' is over {DOCUMENT_BYTES_MAX} bytes.")
        if time.monotonic() > deadline_s:
            raise LoginProviderError(f"'{url}' does not answer in time.")
    return body


def _describe(status: int) -> str:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"{status}, and redirects are not followed"
    return str(status)
