"""
Errors on the wire: the one place where an exception becomes a response.

The form is what every known client can read (rulings 14): the status of the API, the
type in a header and in the body, the message in both. What is not an exception of the
API becomes InternalErrorException; its detail is for the log.
"""

from __future__ import annotations

from typing import Final

import msgspec

from millpond.errors import (
    InternalErrorException,
    ServiceException,
    ServiceUnavailableException,
    StoreUnavailableError,
)
from millpond.wire.codecs import Codec

HEADER_CHARS_MAX: Final = 1024  # a longer message is cut in the header, not in the body


class _Body(msgspec.Struct, gc=False):
    type: str = msgspec.field(name="__type")
    message: str


def as_service_exception(error: BaseException) -> ServiceException:
    """Say what the caller is told about an error."""
    if isinstance(error, ServiceException):
        return error
    if isinstance(error, StoreUnavailableError):
        return ServiceUnavailableException(
            "The store cannot answer for the moment; nothing was changed. Try again."
        )
    return InternalErrorException("An internal error occurred; the log says more.")


# Under their own status in every protocol: proxies and SDKs act on it, whatever they
# make of the body. Ruling 26 for 429.
_STATUS_KEPT: Final = frozenset((413, 429))


def encode_error(
    error: ServiceException, codec: Codec
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """
    Encode an error.

    Returns:
        Status, the headers that describe the error, and the body.
    """
    status = error.http_status
    if codec.uniform_status and 400 <= status < 500 and status not in _STATUS_KEPT:
        status = 400
    headers = [
        (b"x-amzn-errortype", error.code.encode()),
        (b"x-amzn-errormessage", _header_text(error.message)),
    ]
    return status, headers, codec.encode(_Body(error.code, error.message))


def _header_text(message: str) -> bytes:
    """Make a text fit for a header: one line of printable ASCII, not too long."""
    printable = "".join(c if " " <= c <= "~" else " " for c in message)
    return printable[:HEADER_CHARS_MAX].encode()
