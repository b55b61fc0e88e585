"""
What a request claims of its signature, read from its header or its query.

Input is checked with exceptions: whatever the bytes are, the outcome is a claim or a
`ServiceException`. Error texts as dynalite and kinesalite recorded them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from millpond import limits
from millpond.errors import (
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
)
from millpond.wire.sigv4.canonical import ALGORITHM, TERMINATOR

HOST: Final = b"host"
AUTHORITY: Final = b":authority"

# Of a usual Authorization header, what stands in front of the signature, and all of it.
_USUAL: Final = ALGORITHM + r" Credential=([^\s,=]+), ?SignedHeaders=([^\s,=]+), ?"
_USUAL_HEAD: Final = re.compile(_USUAL.encode())
_USUAL_HEADER: Final = re.compile(_USUAL + r"Signature=([0-9a-f]+)", re.ASCII)
_USUAL_HEAD_BYTES_MAX: Final = 1024
_SIGNED_NAMES_MAX: Final = 128  # Ours: no client has more than twenty
_DATE_CHARS_MAX: Final = len("Sun, 09 Jun 2013 09:52:04 +0000")
_ISO_DATE: Final = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_ISO_DATE_BYTES: Final = len("20130609T095204Z")
_HTTP_DATE: Final = re.compile(
    r"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) "
    r"(?:GMT|UTC|[+-]0000)",
    re.ASCII,
)
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"
_QUERY_PARAMS: Final = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
    "X-Amz-Date",
)
_QUERY_PARAMS_OPTIONAL: Final = ("X-Amz-Expires", "X-Amz-Security-Token")


class Claim(NamedTuple):
    """What a request says of its signature, in either of the two forms."""

    algorithm: str
    credential: str
    signed_headers: str
    signature: str
    date: str
    lifetime_s: int | None  # None: as long as the window
    session_token: str | None
    query: bytes  # raw, without X-Amz-Signature


class Usual(NamedTuple):
    """What a usual Authorization header says in front of the signature."""

    access_key_id: str
    scope: str
    day: bytes
    region: str
    service: str
    names: tuple[bytes, ...]
    signed_headers: bytes  # the names, as they stand in the canonical request
    signs_target: bool
    take_values: Callable[[Mapping[bytes, bytes]], tuple[bytes, ...]]
    form: bytes  # of the canonical request: what stands around the values


def read_usual(head: bytes) -> Usual | None:
    """Read what stands in front of the signature; None unless it is as usual."""
    match = _USUAL_HEAD.fullmatch(head)
    if match is None or len(head) > _USUAL_HEAD_BYTES_MAX or not head.isascii():
        return None
    credential, signed_headers = (group.decode("ascii") for group in match.groups())
    elements = credential.split("/")
    names = tuple(signed_headers.lower().encode().split(b";"))
    if (
        len(elements) != 5
        or elements[4] != TERMINATOR
        or HOST not in names
        or AUTHORITY in names
        or len(set(names)) < len(names)
    ):
        return None
    access_key_id, day, region, service, _ = elements
    return Usual(
        access_key_id=access_key_id,
        scope=credential[len(access_key_id) + 1 :],
        day=day.encode(),
        region=region,
        service=service,
        names=names,
        signed_headers=b";".join(names),
        signs_target=b"x-amz-target" in names,
        take_values=_taker(names),
        form=b"%b\n%b\n%b\n"
        + b"".join(name.replace(b"%", b"%%") + b":%b\n" for name in names)
        + b"\n"
        + b";".join(names).replace(b"%", b"%%")
        + b"\n%b",
    )


def _taker(names: tuple[bytes, ...]) -> Callable[[Any], tuple[bytes, ...]]:
    """Make what takes the values of some headers; KeyError: there is none."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda headers: tuple(headers[name] for name in names)


def read_claim(raw_query: bytes, headers: Mapping[bytes, bytes]) -> Claim:
    authorization = headers.get(b"authorization")
    if b"&X-Amz-Algorithm=" in b"&" + raw_query:
        if authorization is not None:
            raise InvalidSignatureException(
                "Found both 'X-Amz-Algorithm' as a query-string param and "
                "'Authorization' as HTTP header."
            )
        return _read_query(raw_query)
    if authorization is None or not authorization.lstrip().startswith(b"AWS4-"):
        raise MissingAuthenticationTokenException
    return _read_header(_bounded(authorization).strip(), raw_query, headers)


def _read_header(text: str, raw_query: bytes, headers: Mapping[bytes, bytes]) -> Claim:
    usual = _USUAL_HEADER.fullmatch(text)
    date = _read_date(headers)
    if usual is None or not date:
        algorithm, credential, signed_headers, signature = _read_params(text, date)
    else:
        algorithm = ALGORITHM
        credential, signed_headers, signature = usual.groups()
    token = headers.get(b"x-amz-security-token")
    return Claim(
        algorithm=algorithm,
        credential=credential,
        signed_headers=signed_headers,
        signature=signature,
        date=date,
        lifetime_s=None,
        session_token=token.decode("latin-1") if token else None,
        query=raw_query,
    )


def _read_params(text: str, date: str) -> tuple[str, str, str, str]:
    """Read a header of any order and spacing, and say what it lacks."""
    algorithm, _, rest = text.partition(" ")
    params: dict[str, str] = {}
    for pair in rest.split(","):
        name, equals, value = pair.strip().partition("=")
        if name and not equals:
            raise IncompleteSignatureException(
                f"'{name}' not a valid key=value pair (missing equal-sign) in "
                f"Authorization header: '{text}'."
            )
        if name in params:
            # Ours: no recording says which of the two AWS takes.
            raise IncompleteSignatureException(
                f"Authorization header has '{name}' twice. Authorization={text}"
            )
        params[name] = value
    credential = params.get("Credential", "")
    signature = params.get("Signature", "")
    signed_headers = params.get("SignedHeaders", "")
    if not (credential and signature and signed_headers and date):
        message = "".join(
            f"Authorization header requires '{name}' parameter. "
            for name in ("Credential", "Signature", "SignedHeaders")
            if not params.get(name)
        )
        if not date:
            message += (
                "Authorization header requires existence of either a 'X-Amz-Date' or "
                "a 'Date' header. "
            )
        raise IncompleteSignatureException(f"{message}Authorization={text}")
    return algorithm, credential, signed_headers, signature


def _read_query(raw_query: bytes) -> Claim:
    params = dict.fromkeys((*_QUERY_PARAMS, *_QUERY_PARAMS_OPTIONAL), b"")
    others = []
    for pair in raw_query.split(b"&"):
        raw_name, _, value = pair.partition(b"=")
        name = printable(raw_name)
        if params.get(name):
            raise IncompleteSignatureException(
                f"AWS query-string parameters must include '{name}' once only. "
                "Re-examine the query-string parameters."
            )
        if name in params:
            params[name] = unquote_to_bytes(value)
        if name != "X-Amz-Signature":
            others.append(pair)
    missing = "".join(
        f"AWS query-string parameters must include '{name}'. "
        for name in _QUERY_PARAMS
        if not params[name]
    )
    if missing:
        raise IncompleteSignatureException(
            f"{missing}Re-examine the query-string parameters."
        )
    token = params["X-Amz-Security-Token"]
    return Claim(
        algorithm=_bounded(params["X-Amz-Algorithm"]),
        credential=_bounded(params["X-Amz-Credential"]),
        signed_headers=_bounded(params["X-Amz-SignedHeaders"]),
        signature=_bounded(params["X-Amz-Signature"]),
        date=_bounded(params["X-Amz-Date"])[:_DATE_CHARS_MAX],
        lifetime_s=_read_expires_s(params["X-Amz-Expires"]),
        session_token=token.decode("latin-1") if token else None,
        query=b"&".join(others),
    )


def _read_expires_s(value: bytes) -> int | None:
    if not value:
        return None
    # The length goes first: `int` refuses thousands of digits with a ValueError.
    if len(value) <= 6 and value.isdigit():
        expires_s = int(value)
        if 1 <= expires_s <= limits.PRESIGN_EXPIRES_S_MAX:
            return expires_s
    raise IncompleteSignatureException(
        "X-Amz-Expires must be a number of seconds from 1 to "
        f"{limits.PRESIGN_EXPIRES_S_MAX}, not '{printable(value[:20])}'."
    )


def _read_date(headers: Mapping[bytes, bytes]) -> str:
    """X-Amz-Date as it is, else Date in the same form, if it can be read."""
    value = headers.get(b"x-amz-date")
    if value is not None:
        return printable(value[:_DATE_CHARS_MAX])
    text = printable(headers.get(b"date", b"")[: _DATE_CHARS_MAX + 1])
    match = _HTTP_DATE.fullmatch(text)
    if match is None:
        return text
    day, month, year, hour, minute, second = match.groups()
    number = _MONTHS.find(month) // 3 + 1
    return f"{year}{number:02}{day}T{hour}{minute}{second}Z"


@lru_cache(maxsize=1024)
def epoch_s(date: str) -> int | None:
    """Epoch seconds of a date in ISO-8601 basic format; `None` for any other."""
    if _ISO_DATE.fullmatch(date) is None:
        return None
    try:
        return int(datetime.fromisoformat(date).timestamp())
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def epoch_s_of(date: bytes) -> int | None:
    return epoch_s(date.decode("latin-1")) if len(date) == _ISO_DATE_BYTES else None


def _bounded(value: bytes) -> str:
    if len(value) > limits.AUTHORIZATION_CHARS_MAX or not value.isascii():
        raise IncompleteSignatureException(
            "A signature's parameters must be ASCII, of at most "
            f"{limits.AUTHORIZATION_CHARS_MAX} characters."
        )
    return value.decode("ascii")


def printable(value: bytes) -> str:
    return value.decode("ascii", "backslashreplace")


@lru_cache(maxsize=256)
def signed_names(signed_headers: str) -> tuple[bytes, ...]:
    names = tuple(signed_headers.lower().encode().split(b";"))
    # Each name costs a line as long as a header, so none may be repeated.
    if len(set(names)) < len(names):
        raise IncompleteSignatureException("SignedHeaders has a header twice.")
    if len(names) > _SIGNED_NAMES_MAX:
        raise IncompleteSignatureException(
            f"SignedHeaders has {len(names)} headers; the limit is {_SIGNED_NAMES_MAX}."
        )
    return names
