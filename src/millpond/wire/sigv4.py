"""
AWS Signature Version 4: check a signature, or make one.

Rules of this file:

1. No sockets, no clock, no state. Caches hold results of pure functions, bounded.
2. Input is checked with exceptions: whatever the bytes are, the outcome is a
   `Verified` or a `ServiceException`.
3. One copy of the canonical form serves the verifier and the signer.

Theory of operation. A signature is an HMAC over a *string to sign* (date, scope, hash
of the *canonical request*); its key is derived from the secret and the scope. The
verifier builds the same strings from what came over the wire, and compares:

    method              the overriding one, where X-HTTP-Method-Override is honoured
    path                the raw target in normal form, percent-encoded once more
    query               the raw pairs, sorted, without X-Amz-Signature
    name:value          one line for each of SignedHeaders
    (an empty line)
    signed;headers
    hash of the body

The checks run in the order of the real front end: form, date, signed headers,
algorithm, scope, access key, signature. Of two mistakes both report the same one. All
but the signature needs no body: `check_head` comes before anybody waits for one.

Nearly all requests are signed in one way: a usual Authorization header, X-Amz-Date,
each header once, host and query as they were sent. *The quick way* verifies those in
one pass and remembers what stands in front of the signature. It says yes or nothing at
all; *the exact way* then says what is wrong, or that nothing is. So there is one place
that makes messages, and the quick way says yes only where the exact way would.

Clients differ a little in what they sign. A request is compared with up to six
candidates, all of which mean the same request: the host with and without its port, the
query as received and in canonical encoding. Over HTTP/2 some sign `:authority`, which
stands there in place of the host; what is in front of the server may have made a host
of it.

A signature covers the *normal form* of a path: one made for `/a` also fits `/b/../a`.
Whoever routes a request must route by `normal_path`, or refuse a path that differs
from it; otherwise a signature made for one operation opens another.

Source: "Create a signed AWS API request", IAM user guide; error texts as dynalite and
kinesalite recorded them; clients: aws-sdk-android#3515, aws-sdk-unity#44, aws-sdk-ios
AWSSignature.m.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from operator import methodcaller
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

from millpond import limits
from millpond.errors import (
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)

if TYPE_CHECKING:
    from _hashlib import HASH

ALGORITHM: Final = "AWS4-HMAC-SHA256"
TERMINATOR: Final = "aws4_request"

_HOST: Final = b"host"
_AUTHORITY: Final = b":authority"
_CONTENT_SHA256: Final = b"x-amz-content-sha256"
_EMPTY_SHA256: Final = sha256(b"").hexdigest().encode()
_EMPTY_OBJECT_SHA256: Final = sha256(b"{}").hexdigest().encode()
_PATH_CHARS_PLAIN: Final = (
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/%"
)
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))
_PARTITION: Final = methodcaller("partition", b"=")
# Of a usual Authorization header, what stands in front of the signature, and all of it.
_USUAL: Final = ALGORITHM + r" Credential=([^\s,=]+), ?SignedHeaders=([^\s,=]+), ?"
_USUAL_HEAD: Final = re.compile(_USUAL.encode())
_USUAL_HEADER: Final = re.compile(_USUAL + r"Signature=([0-9a-f]+)", re.ASCII)
_SIGNATURE: Final = b"Signature="
_USUAL_HEAD_BYTES_MAX: Final = 1024
_KNOWN_MAX: Final = 8192  # one for each user and day; an entry has some 1,500 bytes
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
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. Consult the service "
    "documentation for details."
)


@dataclass(slots=True)
class SignedRequest:
    """
    A request as it came over the wire.

    Args:
        method: the method that X-HTTP-Method-Override names, where a POST has it.
        raw_path: the request target up to the '?', exactly as received.
        raw_query: what follows the '?', exactly as received.
        headers: names in lower case, in the order received (the form of ASGI).
        body_sha256: of the body, in hex, when somebody has worked it out already.
        by_name: the headers by name, the last of each, when somebody has them already.
    """

    method: str
    raw_path: bytes
    raw_query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes = b""
    body_sha256: bytes = b""
    by_name: Mapping[bytes, bytes] | None = None


class HasSecret(Protocol):
    """Credentials, of which only the secret matters here."""

    @property
    def secret(self) -> str: ...


C = TypeVar("C", bound=HasSecret)


class Verified(NamedTuple, Generic[C]):
    """Who signed a request."""

    credentials: C
    region: str


class _Claim(NamedTuple):
    """What a request says of its signature, in either of the two forms."""

    algorithm: str
    credential: str
    signed_headers: str
    signature: str
    date: str
    lifetime_s: int | None  # None: as long as the window
    session_token: str | None
    query: bytes  # raw, without X-Amz-Signature


class _Usual(NamedTuple):
    """What a usual Authorization header says in front of the signature."""

    access_key_id: str
    scope: str
    day: bytes
    region: str
    service: str
    names: tuple[bytes, ...]
    signed_headers: bytes  # the names, as they stand in the canonical request
    signs_target: bool


@dataclass(slots=True)
class SignedHead(Generic[C]):
    """
    A request whose head is in order, while its body is still to come.

    Args:
        headers: joined, with the authority in its place.
        names: of the signed headers.
        scope: what stands behind the access key id in the credential.
        verified: who signed it, when the signature turns out to be right.
    """

    request: SignedRequest
    claim: _Claim
    headers: Mapping[bytes, bytes]
    names: tuple[bytes, ...]
    scope: str
    verified: Verified[C]


class Verifier(Generic[C]):
    """
    Checks signatures against the credentials that `find_credentials` knows.

    Args:
        find_credentials: those of an access key id and the session token that came
            with it (None: there was none), at a time in epoch seconds; `None` if there
            are none. It may raise what the caller of `verify` is to see.
        regions: the regions that a scope may name; `None` for any.
        window_s: how far the date of a request may be from now, either way.
        explain: have the message of a mismatch show the strings that were compared.
            For debugging only, as they hold what the caller sent.
    """

    def __init__(
        self,
        *,
        find_credentials: Callable[[str, str | None, float], C | None],
        regions: frozenset[str] | None,
        window_s: int = limits.SIGNATURE_WINDOW_S,
        explain: bool = False,
    ) -> None:
        self._find_credentials = find_credentials
        self._regions = regions
        self._window_s = window_s
        self._explain = explain
        self._known: dict[bytes, _Usual] = {}  # by what stands before the signature

    def verify(
        self, request: SignedRequest, *, service: str, now_s: float
    ) -> Verified[C]:
        """
        Say who signed a request.

        Args:
            service: the service that the scope must name, such as 'cognito-sync'.
        Raises:
            MissingAuthenticationTokenException: the request is not signed.
            IncompleteSignatureException: a part is missing or cannot be read.
            InvalidSignatureException: wrong clock, scope or signature.
            UnrecognizedClientException: there is no such access key.
            ExpiredTokenException: its session is over.
        """
        verified = self._verify_usual(request, service, now_s)
        return verified or self.verify_exactly(request, service=service, now_s=now_s)

    def verify_exactly(
        self, request: SignedRequest, *, service: str, now_s: float
    ) -> Verified[C]:
        """Say the same step by step; for what is unusual, and for all that is wrong."""
        head = self.check_head(request, service=service, now_s=now_s)
        payload_hash = _check_payload_hash(request, head.headers)
        self._check_signature(head, payload_hash)
        return head.verified

    def knows(self, headers: Mapping[bytes, bytes]) -> bool:
        """Say whether a request of the same day and key was signed rightly before."""
        head, _, _ = headers.get(b"authorization", b"").rpartition(_SIGNATURE)
        return head in self._known

    def check_head(
        self, request: SignedRequest, *, service: str, now_s: float
    ) -> SignedHead[C]:
        """
        Check whatever comes before the body, so that nobody has to wait for that.

        `request.body` is not looked at. Raises as `verify` does.
        """
        headers = _join_headers(request.headers)
        claim = _read_claim(request.raw_query, headers)
        self._check_date(claim, int(now_s))
        names = _signed_names(claim.signed_headers)
        _check_required(names, headers)
        if _AUTHORITY in names:
            headers = _with_host(headers, headers.get(_HOST, b""), _AUTHORITY)
        if claim.algorithm != ALGORITHM:
            raise IncompleteSignatureException(
                f"Unsupported AWS 'algorithm': '{claim.algorithm}' "
                f"(only {ALGORITHM} for now). "
            )
        access_key_id, region = self._check_scope(claim, service)
        credentials = self._find_credentials(access_key_id, claim.session_token, now_s)
        if credentials is None:
            raise UnrecognizedClientException(access_key_id=access_key_id)
        scope = claim.credential[len(access_key_id) + 1 :]
        verified = Verified(credentials, region)
        return SignedHead(request, claim, headers, names, scope, verified)

    def check_claimed_hash(self, head: SignedHead[C]) -> None:
        """
        Refuse a signature that is wrong whatever the body turns out to be.

        It says the hash of a body that it covers, if it has one in its head. Raises as
        `verify` does; of two mistakes it may report the other one.
        """
        claimed = head.headers.get(_CONTENT_SHA256)
        if claimed is not None:
            self._check_signature(head, claimed)

    def _check_signature(self, head: SignedHead[C], payload_hash: bytes) -> None:
        claim = head.claim
        secret = head.verified.credentials.secret
        explanation = ""
        signed_headers = b";".join(head.names)
        for query, variant in _candidates(claim.query, head.headers):
            canonical = _canonical_request(
                head.request, query, variant, head.names, payload_hash, signed_headers
            )
            signature = _signature(secret, head.scope, claim.date, canonical)
            if hmac.compare_digest(signature, claim.signature):
                return
            if self._explain and not explanation:
                explanation = _explain(head.scope, claim.date, canonical)
        raise InvalidSignatureException(_MISMATCH + explanation)

    def _verify_usual(
        self, request: SignedRequest, service: str, now_s: float
    ) -> Verified[C] | None:
        """Go the quick way; None wherever it does not lead to a yes."""
        headers = request.by_name or dict(request.headers)
        authorization = headers.get(b"authorization", b"")
        head, _, signature = authorization.rpartition(_SIGNATURE)
        known = self._known.get(head)
        usual = known or _read_usual(head)
        date = headers.get(b"x-amz-date", b"")
        if (
            usual is None
            or len(headers) != len(request.headers)
            or usual.service != service
            or (self._regions is not None and usual.region not in self._regions)
            or usual.day != date[:8]
            or (b"x-amz-target" in headers and not usual.signs_target)
            or request.raw_query.find(b"X-Amz-Algorithm") >= 0
        ):
            return None
        date_s = _epoch_s_of(date)
        if date_s is None or abs(date_s - int(now_s)) > self._window_s:
            return None
        token = headers.get(b"x-amz-security-token")
        credentials = self._find_credentials(
            usual.access_key_id, token.decode("latin-1") if token else None, now_s
        )
        if credentials is None:
            return None
        payload_hash = _body_hash(request)
        if headers.get(b"x-amz-content-sha256", payload_hash) != payload_hash:
            return None
        canonical = _canonical_request(
            request,
            _canonical_query(request.raw_query),
            headers,
            usual.names,
            payload_hash,
            usual.signed_headers,
        )
        expected = _signature(
            credentials.secret, usual.scope, date.decode("ascii"), canonical
        )
        if not hmac.compare_digest(expected.encode(), signature):
            return None
        if known is None:  # only now: what strangers send takes no room
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[head] = usual
        return Verified(credentials, usual.region)

    def _check_date(self, claim: _Claim, now_s: int) -> None:
        date_s = _epoch_s(claim.date)
        if date_s is None:
            raise IncompleteSignatureException(
                f"Date must be in ISO-8601 'basic format'. Got '{claim.date}'. "
                "See http://en.wikipedia.org/wiki/ISO_8601"
            )
        ahead_s = self._window_s
        behind_s = ahead_s if claim.lifetime_s is None else claim.lifetime_s
        # AWS: SDKs read the server's time out of these parentheses (Android, iOS).
        if date_s < now_s - behind_s:
            raise InvalidSignatureException(
                f"Signature expired: {claim.date} is now earlier than "
                f"{_stamp(now_s - behind_s)} ({_stamp(now_s)} - {_minutes(behind_s)})"
            )
        if date_s > now_s + ahead_s:
            raise InvalidSignatureException(
                f"Signature not yet current: {claim.date} is still later than "
                f"{_stamp(now_s + ahead_s)} ({_stamp(now_s)} + {_minutes(ahead_s)})"
            )

    def _check_scope(self, claim: _Claim, service: str) -> tuple[str, str]:
        """The access key id and the region that the credential names."""
        elements = claim.credential.split("/")
        if len(elements) != 5:
            raise IncompleteSignatureException(
                "Credential must have exactly 5 slash-delimited elements, e.g. "
                f"keyid/date/region/service/term, got '{claim.credential}'"
            )
        access_key_id, day, region, named_service, terminator = elements
        faults = ""
        if self._regions is not None and region not in self._regions:
            faults += f"Credential should be scoped to a valid region, not '{region}'. "
        if named_service != service:
            faults += f"Credential should be scoped to correct service: '{service}'. "
        if terminator != TERMINATOR:
            faults += (
                "Credential should be scoped with a valid terminator: "
                f"'{TERMINATOR}', not '{terminator}'. "
            )
        if day != claim.date[:8]:
            faults += (
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 "
                f"version of date from HTTP: '{day}' != '{claim.date[:8]}', "
                f"from '{claim.date}'."
            )
        if faults:
            raise InvalidSignatureException(faults.rstrip())
        return access_key_id, region


def _explain(scope: str, date: str, canonical: bytes) -> str:
    return (
        "\n\nThe Canonical String for this request should have been"
        f"\n'{_printable(canonical)}'"
        "\n\nThe String-to-Sign should have been"
        f"\n'{_string_to_sign(scope, date, canonical)}'\n"
    )


# --- Read what a request claims -----------------------------------------------------


def _read_usual(head: bytes) -> _Usual | None:
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
        or _HOST not in names
        or _AUTHORITY in names
        or len(set(names)) < len(names)
    ):
        return None
    access_key_id, day, region, service, _ = elements
    return _Usual(
        access_key_id=access_key_id,
        scope=credential[len(access_key_id) + 1 :],
        day=day.encode(),
        region=region,
        service=service,
        names=names,
        signed_headers=b";".join(names),
        signs_target=b"x-amz-target" in names,
    )


def _read_claim(raw_query: bytes, headers: Mapping[bytes, bytes]) -> _Claim:
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


def _read_header(text: str, raw_query: bytes, headers: Mapping[bytes, bytes]) -> _Claim:
    usual = _USUAL_HEADER.fullmatch(text)
    date = _read_date(headers)
    if usual is None or not date:
        algorithm, credential, signed_headers, signature = _read_params(text, date)
    else:
        algorithm = ALGORITHM
        credential, signed_headers, signature = usual.groups()
    token = headers.get(b"x-amz-security-token")
    return _Claim(
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


def _read_query(raw_query: bytes) -> _Claim:
    params = dict.fromkeys((*_QUERY_PARAMS, *_QUERY_PARAMS_OPTIONAL), b"")
    others = []
    for pair in raw_query.split(b"&"):
        raw_name, _, value = pair.partition(b"=")
        name = _printable(raw_name)
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
    return _Claim(
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
        f"{limits.PRESIGN_EXPIRES_S_MAX}, not '{_printable(value[:20])}'."
    )


def _read_date(headers: Mapping[bytes, bytes]) -> str:
    """X-Amz-Date as it is, else Date in the same form, if it can be read."""
    value = headers.get(b"x-amz-date")
    if value is not None:
        return _printable(value[:_DATE_CHARS_MAX])
    text = _printable(headers.get(b"date", b"")[: _DATE_CHARS_MAX + 1])
    match = _HTTP_DATE.fullmatch(text)
    if match is None:
        return text
    day, month, year, hour, minute, second = match.groups()
    number = _MONTHS.find(month) // 3 + 1
    return f"{year}{number:02}{day}T{hour}{minute}{second}Z"


@lru_cache(maxsize=1024)
def _epoch_s(date: str) -> int | None:
    """Epoch seconds of a date in ISO-8601 basic format; `None` for any other."""
    if _ISO_DATE.fullmatch(date) is None:
        return None
    try:
        return int(datetime.fromisoformat(date).timestamp())
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _epoch_s_of(date: bytes) -> int | None:
    return _epoch_s(date.decode("latin-1")) if len(date) == _ISO_DATE_BYTES else None


def _stamp(epoch_s: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(epoch_s))


def _minutes(seconds: int) -> str:
    return f"{seconds} sec." if seconds % 60 else f"{seconds // 60} min."


def _bounded(value: bytes) -> str:
    if len(value) > limits.AUTHORIZATION_CHARS_MAX or not value.isascii():
        raise IncompleteSignatureException(
            "A signature's parameters must be ASCII, of at most "
            f"{limits.AUTHORIZATION_CHARS_MAX} characters."
        )
    return value.decode("ascii")


def _printable(value: bytes) -> str:
    return value.decode("ascii", "backslashreplace")


@lru_cache(maxsize=256)
def _signed_names(signed_headers: str) -> tuple[bytes, ...]:
    names = tuple(signed_headers.lower().encode().split(b";"))
    # Each name costs a line as long as a header, so none may be repeated.
    if len(set(names)) < len(names):
        raise IncompleteSignatureException("SignedHeaders has a header twice.")
    if len(names) > _SIGNED_NAMES_MAX:
        raise IncompleteSignatureException(
            f"SignedHeaders has {len(names)} headers; the limit is {_SIGNED_NAMES_MAX}."
        )
    return names


def _check_required(names: tuple[bytes, ...], headers: Mapping[bytes, bytes]) -> None:
    if _HOST not in names and _AUTHORITY not in names:
        raise InvalidSignatureException(
            "'Host' must be a 'SignedHeader' in the AWS Authorization."
        )
    # Ours: where all operations share one path, a signature that leaves the target out
    # would open every operation that takes the same body.
    if b"x-amz-target" in headers and b"x-amz-target" not in names:
        raise InvalidSignatureException(
            "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."
        )


def _check_payload_hash(
    request: SignedRequest, headers: Mapping[bytes, bytes]
) -> bytes:
    """The hash of the body as the client signed it."""
    computed = _body_hash(request)
    claimed = headers.get(_CONTENT_SHA256, computed)
    # AWS: Unity 1.0.5 signs a GET without a body with the hash of '{}'
    # (aws-sdk-unity#44).
    unity = claimed == _EMPTY_OBJECT_SHA256 and request.method == "GET"
    if claimed == computed or (unity and not request.body):
        return claimed
    # Ours: UNSIGNED-PAYLOAD is refused as well; no client of these services sends it.
    raise InvalidSignatureException(
        "The provided 'x-amz-content-sha256' header does not match what was computed."
    )


# --- The canonical form -------------------------------------------------------------


def _canonical_request(
    request: SignedRequest,
    query: bytes,
    headers: Mapping[bytes, bytes],
    names: Sequence[bytes],
    payload_hash: bytes,
    signed_headers: bytes,
) -> bytes:
    lines = [
        request.method.encode("ascii", "backslashreplace"),
        _canonical_path(request.raw_path),
        query,
    ]
    for name in names:
        lines.append(name + b":" + b" ".join(headers.get(name, b"").split()))
    lines += (b"", signed_headers, payload_hash)
    canonical = b"\n".join(lines)
    # HTTP keeps line breaks out of all of these. If one came in nevertheless, a line
    # could pass for two, and this request for another.
    if canonical.count(b"\n") != len(lines) - 1:
        raise InvalidSignatureException("The request has a line break where none fits.")
    return canonical


def _candidates(
    raw_query: bytes, headers: Mapping[bytes, bytes]
) -> Iterator[tuple[bytes, Mapping[bytes, bytes]]]:
    """What a client may have signed as query and headers, the likeliest first."""
    query = _canonical_query(raw_query)
    yield query, headers
    # AWS: the iOS client signs the host without its port (AWSSignature.m). A proxy may
    # have dropped a default port that the client signed.
    host = headers.get(_HOST, b"")
    name, colon, port = host.rpartition(b":")
    hosts = [name] if colon and port.isdigit() else [host + b":443", host + b":80"]
    variants = [headers, *(_with_host(headers, other) for other in hosts)]
    for variant in variants[1:]:
        yield query, variant
    # A '+' is a plus, as it is to `wire.decoding`, which reads the values. Were it a
    # space to one and a plus to the other, a signature would fit two requests.
    encoded = _canonical_query(_encode_query(query))
    if encoded != query:
        for variant in variants:
            yield encoded, variant


def _with_host(
    headers: Mapping[bytes, bytes], host: bytes, *names: bytes
) -> Mapping[bytes, bytes]:
    """Put another host wherever it stands, and under further names."""
    named = {_HOST, *names, *headers.keys() & {_AUTHORITY}}
    return {**headers, **dict.fromkeys(named, host)}


def normal_path(raw_path: bytes) -> bytes:
    """
    A path without dot segments and empty segments: the path that a signature covers.

    Source:
        RFC 3986, 5.2.4; AWS signers, S3's excepted, drop empty segments as well.
    """
    # Not `in`, which asks whether the bytes are a number first: an exception each time.
    is_normal = raw_path.find(b"/.") < 0 and raw_path.find(b"//") < 0
    if is_normal and raw_path[:1] == b"/":
        return raw_path
    segments: list[bytes] = []
    for segment in raw_path.split(b"/"):
        if segment == b"..":
            del segments[-1:]
        elif segment not in (b"", b"."):
            segments.append(segment)
    first = b"/" if raw_path[:1] in (b"", b"/") else b""
    last = b"/" if raw_path[-1:] == b"/" and segments else b""
    return first + b"/".join(segments) + last


def _canonical_path(raw_path: bytes) -> bytes:
    # '%3A' becomes '%253A' and a bare ':' becomes '%3A'. Most paths need at most the
    # first of the two.
    path = normal_path(raw_path)
    if not path.translate(None, _PATH_CHARS_PLAIN):
        return path.replace(b"%", b"%25")
    return quote_from_bytes(path).encode()


def _canonical_query(raw_query: bytes) -> bytes:
    """The pairs sorted by name, then by value."""
    if raw_query.find(b"&") < 0:
        is_bare = raw_query and raw_query.find(b"=") < 0
        return raw_query + b"=" if is_bare else raw_query
    pairs = [pair if b"=" in pair else pair + b"=" for pair in raw_query.split(b"&")]
    # By name and value, not by the whole: 'a=' goes before 'a-b=', though '-' < '='.
    pairs.sort(key=_PARTITION)
    return b"&".join(pairs)


def _encode_query(raw_query: bytes) -> bytes:
    """The pairs in canonical percent-encoding."""
    if not raw_query:
        return b""
    pairs = [pair.partition(b"=") for pair in raw_query.split(b"&")]
    return b"&".join(
        f"{_encode(name)}={_encode(value)}".encode() for name, _, value in pairs
    )


def _encode(component: bytes) -> str:
    return quote_from_bytes(unquote_to_bytes(component), safe="")


def _join_headers(headers: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """Headers by name; the values of a repeated one are joined with commas."""
    single = dict(headers)
    if len(single) == len(headers):
        return single
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(b" ".join(value.split()))
    return {name: b",".join(several) for name, several in values.items()}


def body_sha256(body: bytes) -> bytes:
    """Hash a body, in hex."""
    return sha256(body).hexdigest().encode() if body else _EMPTY_SHA256


def _body_hash(request: SignedRequest) -> bytes:
    return request.body_sha256 or body_sha256(request.body)


def _string_to_sign(scope: str, date: str, canonical: bytes) -> str:
    return f"{ALGORITHM}\n{date}\n{scope}\n{sha256(canonical).hexdigest()}"


def _signature(secret: str, scope: str, date: str, canonical: bytes) -> str:
    keyed_inner, keyed_outer = _signing_states(secret, scope)
    inner, outer = keyed_inner.copy(), keyed_outer.copy()
    inner.update(_string_to_sign(scope, date, canonical).encode())
    outer.update(inner.digest())
    return outer.hexdigest()


@lru_cache(maxsize=8192)
def _signing_states(secret: str, scope: str) -> tuple[HASH, HASH]:
    """
    The two hashes of an HMAC, each with its padded key in it already.

    OpenSSL 3 looks up the hash anew in every HMAC, which costs four times as much as
    the HMAC itself.

    Source:
        RFC 2104.
    """
    key = _signing_key(secret, scope).ljust(64, b"\0")
    return sha256(key.translate(_INNER_PAD)), sha256(key.translate(_OUTER_PAD))


@lru_cache(maxsize=8192)  # every user has a secret; an entry has some 300 bytes
def _signing_key(secret: str, scope: str) -> bytes:
    # The secret is a part of the cache's key, so a changed secret counts at once.
    key = f"AWS4{secret}".encode()
    for element in scope.split("/"):
        key = hmac.digest(key, element.encode(), "sha256")
    return key


# --- Sign ---------------------------------------------------------------------------


def sign(
    request: SignedRequest,
    *,
    access_key_id: str,
    secret: str,
    region: str,
    service: str,
    now_s: float,
    session_token: str | None = None,
) -> list[tuple[bytes, bytes]]:
    """The headers to add to a request; signs those it has, 'host' among them."""
    date = _stamp(int(now_s))
    scope = f"{date[:8]}/{region}/{service}/{TERMINATOR}"
    added = [(b"x-amz-date", date.encode())]
    if session_token is not None:
        added.append((b"x-amz-security-token", session_token.encode()))
    headers = _join_headers([*request.headers, *added])
    names = sorted(headers)
    query = _canonical_query(request.raw_query)
    body_hash = _body_hash(request)
    signed_headers = b";".join(names)
    canonical = _canonical_request(
        request, query, headers, names, body_hash, signed_headers
    )
    authorization = (
        f"{ALGORITHM} Credential={access_key_id}/{scope}, "
        f"SignedHeaders={signed_headers.decode()}, "
        f"Signature={_signature(secret, scope, date, canonical)}"
    )
    return [*added, (b"authorization", authorization.encode())]


def presign(
    request: SignedRequest,
    *,
    access_key_id: str,
    secret: str,
    region: str,
    service: str,
    now_s: float,
    expires_s: int = 3600,
    session_token: str | None = None,
) -> bytes:
    """The query to send in place of the request's own; signs the headers it has."""
    date = _stamp(int(now_s))
    scope = f"{date[:8]}/{region}/{service}/{TERMINATOR}"
    headers = _join_headers(request.headers)
    names = sorted(headers)
    params = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{access_key_id}/{scope}",
        "X-Amz-Date": date,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": b";".join(names).decode(),
    }
    if session_token is not None:
        params["X-Amz-Security-Token"] = session_token
    pairs = [request.raw_query] if request.raw_query else []
    pairs += [f"{name}={quote(params[name], safe='')}".encode() for name in params]
    query = b"&".join(pairs)
    body_hash = _body_hash(request)
    canonical = _canonical_request(
        request, _canonical_query(query), headers, names, body_hash, b";".join(names)
    )
    signature = _signature(secret, scope, date, canonical)
    return query + f"&X-Amz-Signature={signature}".encode()
