"""Fetching the records of a stream record from behind its link."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import Final

LINK_TIMEOUT_S: Final = 30.0
PAYLOAD_BYTES_MAX: Final = 256 * 1024 * 1024


def fetch_payload(url: str) -> bytes | None:
    """
    Fetch what is behind a link, on this thread; None: it is not there any more.

    The link signs itself, so no credentials go along.
    """
    if not url.startswith(("http://", "https://")):
        return None
    try:
        with urllib.request.urlopen(url, timeout=LINK_TIMEOUT_S) as answer:
            data: bytes = answer.read(PAYLOAD_BYTES_MAX + 1)
    except urllib.error.HTTPError as error:
        error.close()
        return None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return data if len(data) <= PAYLOAD_BYTES_MAX else None
