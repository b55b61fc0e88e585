"""An error on the wire: what every known client can read, and nothing of ours."""

from __future__ import annotations

import json

import cbor2
import pytest

from millpond import errors
from millpond.errors import (
    InternalErrorException,
    InvalidParameterException,
    ResourceConflictException,
    ServiceException,
    StoreError,
    StoreUnavailableError,
    StoreVersionError,
)
from millpond.wire.codecs import CBOR, JSON, REST_JSON
from millpond.wire.errors import HEADER_CHARS_MAX, as_service_exception, encode_error

EXCEPTIONS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type)
    and issubclass(each, ServiceException)
    and each is not ServiceException
]


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda each: each.__name__)
def test_an_error_names_its_type_and_message(kind: type[ServiceException]) -> None:
    """Status of the API, type in header and body, message in both."""
    status, headers, body = encode_error(kind("What is wrong."), REST_JSON)

    assert status == kind.http_status
    assert dict(headers) == {
        b"x-amzn-errortype": kind.__name__.encode(),
        b"x-amzn-errormessage": b"What is wrong.",
    }
    assert list(json.loads(body).items()) == [
        ("__type", kind.__name__),
        ("message", "What is wrong."),
    ]


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda each: each.__name__)
def test_json_apis_have_one_status_for_callers(kind: type[ServiceException]) -> None:
    """What is the caller's fault is a 400 there; too large and too many keep theirs."""
    status, _, _ = encode_error(kind(), JSON)
    is_kept = kind.http_status >= 500 or kind.http_status in (413, 429)

    assert status == (kind.http_status if is_kept else 400)


def test_an_error_in_cbor() -> None:
    """The same members as in JSON; the type is also in a header, as in JSON."""
    error = ResourceConflictException("Ä conflict.")

    status, headers, body = encode_error(error, CBOR)

    assert status == 400
    assert dict(headers)[b"x-amzn-errortype"] == b"ResourceConflictException"
    assert cbor2.loads(body) == {
        "__type": "ResourceConflictException",
        "message": "Ä conflict.",
    }


def test_the_docstring_is_the_message_where_none_is_given() -> None:
    """An exception without a text still says something."""
    for kind in EXCEPTIONS:
        assert kind().message == kind.__doc__
        assert kind().message


@pytest.mark.parametrize(
    ("message", "header"),
    [
        ("two\r\nlines: injected", b"two  lines: injected"),
        ("caf\u00e9 \u2603", b"caf   "),
        ("\x00\x1f\x7f", b"   "),
        ("x" * 5000, b"x" * HEADER_CHARS_MAX),
    ],
)
def test_a_message_is_made_fit_for_a_header(message: str, header: bytes) -> None:
    """One line of printable ASCII, not too long; the body has it as it is."""
    _, headers, body = encode_error(InvalidParameterException(message), REST_JSON)

    assert dict(headers)[b"x-amzn-errormessage"] == header
    assert json.loads(body)["message"] == message


def test_exceptions_of_the_api_stay_what_they_are() -> None:
    """They are what the caller is to see."""
    error = ResourceConflictException("Current SyncCount for: k is: 1 not: 0")

    assert as_service_exception(error) is error


def test_a_store_out_of_reach_is_worth_a_repeat() -> None:
    """It is a 503, which all clients try again."""
    shown = as_service_exception(StoreUnavailableError("/secret/path", op="write"))

    assert (shown.code, shown.http_status) == ("ServiceUnavailableException", 503)
    assert "/secret/path" not in shown.message


@pytest.mark.parametrize(
    "error",
    [
        StoreError("/secret/path"),
        StoreVersionError("/secret/path"),
        KeyError("/secret/path"),
        RecursionError("/secret/path"),
        KeyboardInterrupt(),
    ],
)
def test_what_is_ours_is_not_shown(error: BaseException) -> None:
    """Anything else is an InternalErrorException without a word of its own."""
    shown = as_service_exception(error)

    assert type(shown) is InternalErrorException
    assert shown.http_status == 500
    assert "/secret/path" not in shown.message
