"""
How bodies are spelled: one row for each of the protocols that share the same shapes.

An API of protocol "json" speaks AWS JSON 1.1, and CBOR to those who send CBOR, when its
`cbor` says so. The Content-Type of a request chooses, also when the request leads to no
operation: a client can read its own form alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from millpond.contract.shapes import Api
from millpond.wire import cbor_shapes


class Codec(NamedTuple):
    """
    A spelling of bodies.

    Args:
        encode: a contract object, or the body of an error, to bytes.
        empty: the body of an answer that has no shape.
        uniform_status: every error of the caller is a 400, but 413 and 429.
    """

    content_type: tuple[bytes, bytes]
    encode: Callable[[msgspec.Struct], bytes]
    empty: bytes
    uniform_status: bool


_encode_json = msgspec.json.Encoder().encode
_TYPE: Final = b"content-type"
_JSON_TYPE: Final = b"application/x-amz-json-1.1"
_CBOR_TYPE: Final = b"application/x-amz-cbor-1.1"

REST_JSON: Final = Codec((_TYPE, b"application/json"), _encode_json, b"{}", False)
JSON: Final = Codec((_TYPE, _JSON_TYPE), _encode_json, b"", True)
CBOR: Final = Codec((_TYPE, _CBOR_TYPE), cbor_shapes.encode, b"", True)


def choose(headers: Mapping[bytes, bytes], api: Api | None) -> Codec:
    """
    Choose the codec of a request and of its answer.

    Args:
        headers: of the request; names in lower case.
        api: that the request leads to; None when it leads to none.
    """
    if api is not None:
        if api.protocol != "json":
            return REST_JSON
        return CBOR if api.cbor and _media_type(headers) == _CBOR_TYPE else JSON
    media_type = _media_type(headers)
    if media_type == _CBOR_TYPE:
        return CBOR
    if b"x-amz-target" in headers or media_type.startswith(b"application/x-amz-json-"):
        return JSON
    return REST_JSON


def _media_type(headers: Mapping[bytes, bytes]) -> bytes:
    value = headers.get(_TYPE, b"")
    if value != _CBOR_TYPE and value != _JSON_TYPE:
        value = value.partition(b";")[0].strip().lower()
    return value
