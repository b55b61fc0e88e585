"""
Check signatures.

Rules of this module:

1. No sockets, no clock, no state. Caches hold results of pure functions, bounded.
2. Input is checked with exceptions: whatever the bytes are, the outcome is a
   `Verified` or a `ServiceException`.

The verifier builds the strings of `canonical` from what came over the wire.
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
query as received and in canonical encoding; with as many again where a header has
blanks of Unicode. Over HTTP/2 some sign `:authority`, which stands there in place of
the host; what is in front of the server may have made a host of it.

Source: "Create a signed AWS API request", IAM user guide; error texts as dynalite and
kinesalite recorded them; clients: aws-sdk-android#3515, aws-sdk-unity#44, aws-sdk-ios
AWSSignature.m.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from millpond import limits
from millpond.errors import (
    IncompleteSignatureException,
    InvalidSignatureException,
    UnrecognizedClientException,
)
from millpond.wire.sigv4.canonical import (
    ALGORITHM,
    TERMINATOR,
    body_sha256,
    canonical_path,
    canonical_query,
    canonical_request,
    encode_query,
    hash_payload,
    join_headers,
    make_signature,
    stamp,
    string_to_sign,
)
from millpond.wire.sigv4.claims import (
    AUTHORITY,
    HOST,
    Claim,
    Usual,
    epoch_s,
    epoch_s_of,
    printable,
    read_claim,
    read_usual,
    signed_names,
)

_CONTENT_SHA256: Final = b"x-amz-content-sha256"
_EMPTY_OBJECT_SHA256: Final = sha256(b"{}").hexdigest().encode()
_SIGNATURE: Final = b"Signature="
_KNOWN_MAX: Final = 8192  # one for each user and day; an entry has some 1,500 bytes
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. Consult the service "
    "documentation for details."
)

C = TypeVar("C", bound="HasSecret")


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
        canonical_path: as the signature covers it, when somebody has worked it out; the
            quick way notes it here.
    """

    method: str
    raw_path: bytes
    raw_query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes = b""
    body_sha256: bytes = b""
    by_name: Mapping[bytes, bytes] | None = None
    canonical_path: bytes = b""


class HasSecret(Protocol):
    """Credentials, of which only the secret matters here."""

    @property
    def secret(self) -> str: ...


class Verified(NamedTuple, Generic[C]):
    """Who signed a request."""

    credentials: C
    region: str


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
    claim: Claim
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
        self._known: dict[bytes, Usual] = {}  # by what stands before the signature

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
        headers = join_headers(request.headers)
        claim = read_claim(request.raw_query, headers)
        self._check_date(claim, int(now_s))
        names = signed_names(claim.signed_headers)
        _check_required(names, headers)
        if AUTHORITY in names:
            headers = _with_host(headers, headers.get(HOST, b""), AUTHORITY)
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
            canonical = canonical_request(
                head.request, query, variant, head.names, payload_hash, signed_headers
            )
            signature = make_signature(secret, head.scope, claim.date, canonical)
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
        usual = known or read_usual(head)
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
        date_s = epoch_s_of(date)
        if date_s is None or abs(date_s - int(now_s)) > self._window_s:
            return None
        token = headers.get(b"x-amz-security-token")
        credentials = self._find_credentials(
            usual.access_key_id, token.decode("latin-1") if token else None, now_s
        )
        if credentials is None:
            return None
        payload_hash = request.body_sha256 or body_sha256(request.body)
        if headers.get(b"x-amz-content-sha256", payload_hash) != payload_hash:
            return None
        canonical = _usual_canonical(request, headers, usual, payload_hash)
        expected = make_signature(
            credentials.secret, usual.scope, date.decode("ascii"), canonical
        )
        if not hmac.compare_digest(expected.encode(), signature):
            return None
        if known is None:  # only now: what strangers send takes no room
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[head] = usual
        # As `Verified(...)` makes it, which is a function in Python.
        return tuple.__new__(Verified, (credentials, usual.region))

    def _check_date(self, claim: Claim, now_s: int) -> None:
        date_s = epoch_s(claim.date)
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
                f"{stamp(now_s - behind_s)} ({stamp(now_s)} - {_minutes(behind_s)})"
            )
        if date_s > now_s + ahead_s:
            raise InvalidSignatureException(
                f"Signature not yet current: {claim.date} is still later than "
                f"{stamp(now_s + ahead_s)} ({stamp(now_s)} + {_minutes(ahead_s)})"
            )

    def _check_scope(self, claim: Claim, service: str) -> tuple[str, str]:
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


def _usual_canonical(
    request: SignedRequest,
    headers: Mapping[bytes, bytes],
    usual: Usual,
    payload_hash: bytes,
) -> bytes:
    """What `canonical_request` gives, with less to do where values have no blanks."""
    query = canonical_query(request.raw_query)
    try:
        values = usual.take_values(headers)
    except KeyError:
        values = ()
    # Where a value has a blank, or is nothing else, there are other pieces.
    pieces = tuple(b"\n".join(values).split())
    method = request.method
    if not pieces or pieces != values or query.find(b"\n") >= 0 or "\n" in method:
        return canonical_request(
            request, query, headers, usual.names, payload_hash, usual.signed_headers
        )
    path = request.canonical_path
    if not path:
        path = request.canonical_path = canonical_path(request.raw_path)
    name = method.encode("ascii", "backslashreplace")
    return usual.form % (name, path, query, *values, payload_hash)


def _explain(scope: str, date: str, canonical: bytes) -> str:
    return (
        "\n\nThe Canonical String for this request should have been"
        f"\n'{printable(canonical)}'"
        "\n\nThe String-to-Sign should have been"
        f"\n'{string_to_sign(scope, date, canonical)}'\n"
    )


def _minutes(seconds: int) -> str:
    return f"{seconds} sec." if seconds % 60 else f"{seconds // 60} min."


def _check_required(names: tuple[bytes, ...], headers: Mapping[bytes, bytes]) -> None:
    if HOST not in names and AUTHORITY not in names:
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
    computed = hash_payload(request)
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


def _candidates(
    raw_query: bytes, headers: Mapping[bytes, bytes]
) -> Iterator[tuple[bytes, Mapping[bytes, bytes]]]:
    """What a client may have signed as query and headers, the likeliest first."""
    yield from _variants(raw_query, headers)
    # AWS: botocore sends a no-break space as it is, and signs an ordinary one, because
    # Python's `split` parts at every blank (findings/botocore-signs-another-space.sh).
    plain = {name: b" ".join(value.split()) for name, value in headers.items()}
    folded = {name: _fold(value) for name, value in headers.items()}
    if folded != plain:
        yield from _variants(raw_query, folded)


def _fold(value: bytes) -> bytes:
    text = value.decode("utf-8", "surrogateescape")
    return " ".join(text.split()).encode("utf-8", "surrogateescape")


def _variants(
    raw_query: bytes, headers: Mapping[bytes, bytes]
) -> Iterator[tuple[bytes, Mapping[bytes, bytes]]]:
    """The same for headers whose values are settled."""
    query = canonical_query(raw_query)
    yield query, headers
    # AWS: the iOS client signs the host without its port (AWSSignature.m). A proxy may
    # have dropped a default port that the client signed.
    host = headers.get(HOST, b"")
    name, colon, port = host.rpartition(b":")
    hosts = [name] if colon and port.isdigit() else [host + b":443", host + b":80"]
    variants = [headers, *(_with_host(headers, other) for other in hosts)]
    for variant in variants[1:]:
        yield query, variant
    # A '+' is a plus, as it is to `wire.decoding`, which reads the values. Were it a
    # space to one and a plus to the other, a signature would fit two requests.
    encoded = canonical_query(encode_query(query))
    if encoded != query:
        for variant in variants:
            yield encoded, variant


def _with_host(
    headers: Mapping[bytes, bytes], host: bytes, *names: bytes
) -> Mapping[bytes, bytes]:
    """Put another host wherever it stands, and under further names."""
    named = {HOST, *names, *headers.keys() & {AUTHORITY}}
    return {**headers, **dict.fromkeys(named, host)}
