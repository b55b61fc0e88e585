"""Signatures of any request: botocore as the oracle, and what no request may do."""

from __future__ import annotations

import string
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import assume, given
from hypothesis import strategies as st

from millpond.errors import ServiceException
from millpond.wire.sigv4 import verifier as verifying
from millpond.wire.sigv4.canonical import normal_path
from millpond.wire.sigv4.signer import presign, sign
from millpond.wire.sigv4.verifier import SignedRequest, Verifier
from signed_at import botocore_signs_at
from wire.known import Known, finding

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
SERVICE = "cognito-sync"
NOW_S = int(datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp())
ORIGIN = "http://sync.example.com:8080"
WHO: dict[str, Any] = {
    "access_key_id": KEY_ID,
    "secret": SECRET,
    "region": REGION,
    "service": SERVICE,
    "now_s": NOW_S,
}

UNRESERVED = string.ascii_letters + string.digits + "-._~"
ESCAPES = ["%3A", "%3a", "%2F", "%25", "%20", "%2B", "%E1%88%B4", "%F0%9F%A6%86", "%41"]

methods = st.sampled_from(["GET", "POST", "PUT", "DELETE"])
pieces = st.text(UNRESERVED + ":@!$'()*,;=+", min_size=1, max_size=5)
segments = st.one_of(
    st.sampled_from(["", ".", "..", "...", ".a", "%2E%2E", "us-east-1%3A5-a", "a:b"]),
    st.lists(st.one_of(pieces, st.sampled_from(ESCAPES)), max_size=4).map("".join),
)
paths = st.lists(segments, max_size=6).map(lambda parts: "/" + "/".join(parts))
components = st.lists(
    st.one_of(
        st.text(UNRESERVED, max_size=4),
        st.sampled_from(ESCAPES),
        st.sampled_from([":", "/", "+", "@", "'", "*"]),
    ),
    max_size=3,
).map("".join)
pairs = st.one_of(
    st.tuples(components, components).map("=".join),
    st.sampled_from(["k", "a=b=c", "=", "maxResults=5", "lastSyncCount=0"]),
)
queries = st.lists(pairs, max_size=5).map("&".join)
header_names = st.text(string.ascii_lowercase, min_size=1, max_size=6).map(
    lambda name: f"x-test-{name}"
)
header_values = st.text(string.printable[:95] + "\t", max_size=12)
headers_ = st.dictionaries(header_names, header_values, max_size=3)
bodies = st.binary(max_size=40)
tokens = st.one_of(st.none(), st.text(UNRESERVED + "/+=", min_size=1, max_size=9))


SECRETS = {KEY_ID: SECRET, "AKIDOTHER": "other"}
# It remembers what it has verified, from one example to the next.
EXPERIENCED = Verifier(find_credentials=finding(SECRETS), regions=frozenset({REGION}))


def outcome(verify_it, request, **options):
    """What came of it: who signed, or why not."""
    try:
        return verify_it(request, **options)
    except ServiceException as error:
        return type(error), error.http_status, str(error)


def verify(request, *, service=SERVICE, now_s=NOW_S, region=REGION):
    """Verify exactly; the quick way never says anything else."""
    new = Verifier(find_credentials=finding(SECRETS), regions=frozenset({region}))
    asked = {"service": service, "now_s": now_s}
    exact = outcome(new.verify_exactly, request, **asked)
    assert outcome(new.verify, request, **asked) == exact
    if region == REGION:
        assert outcome(EXPERIENCED.verify, request, **asked) == exact
    return new.verify_exactly(request, **asked)


def is_refused(request, **options):
    try:
        verify(request, **options)
    except ServiceException as error:
        return 400 <= error.http_status < 500
    return False


def signed_by_botocore(method, target, headers, body, token=None, *, presigned=False):
    """The request as botocore puts it on the wire."""
    request = AWSRequest(method, ORIGIN + target, headers=dict(headers), data=body)
    signer = SigV4QueryAuth if presigned else SigV4Auth
    with botocore_signs_at(NOW_S):
        signer(Credentials(KEY_ID, SECRET, token), SERVICE, REGION).add_auth(request)
    prepared = request.prepare()
    url = urlsplit(prepared.url)
    received = [(b"host", url.netloc.encode())]
    for name, value in prepared.headers.items():
        text = value if isinstance(value, bytes) else str(value).encode()
        received.append((name.lower().encode(), text))
    return SignedRequest(
        method, url.path.encode(), url.query.encode(), received, prepared.body or b""
    )


@st.composite
def plain_requests(draw):
    headers = [(b"host", b"sync.example.com:8080")]
    for name, value in draw(headers_).items():
        headers.append((name.encode(), value.encode()))
    return SignedRequest(
        draw(methods),
        draw(paths).encode(),
        draw(queries).encode(),
        headers,
        draw(bodies),
    )


def signed(request):
    return replace(request, headers=[*request.headers, *sign(request, **WHO)])


def presigned(request):
    return replace(request, raw_query=presign(request, **WHO))


signed_requests = plain_requests().map(signed)
either_form = st.one_of(signed_requests, plain_requests().map(presigned))


def meaning(raw_query):
    """What a query says: its pairs, decoded; a signature does not cover their order."""
    decoded = []
    for pair in raw_query.split(b"&") if raw_query else ():
        name, _, value = pair.partition(b"=")
        decoded.append((unquote_to_bytes(name), unquote_to_bytes(value)))
    return sorted(decoded)


class TestOracle:
    """botocore and we agree."""

    @given(methods, paths, queries, headers_, bodies, tokens)
    def test_verifies_what_botocore_signs(
        self, method, path, query, headers, body, token
    ):
        """A request that botocore signed is accepted."""
        request = signed_by_botocore(method, f"{path}?{query}", headers, body, token)

        verified = verify(request)

        assert verified == (Known(KEY_ID, SECRET, token), REGION)

    @given(methods, paths, queries, headers_, tokens)
    def test_verifies_what_botocore_presigns(self, method, path, query, headers, token):
        """A request that botocore presigned is accepted."""
        request = signed_by_botocore(
            method, f"{path}?{query}", headers, b"", token, presigned=True
        )

        verified = verify(request)

        assert verified == (Known(KEY_ID, SECRET, token), REGION)

    @given(methods, paths, queries, headers_, bodies, tokens)
    def test_signs_like_botocore(self, method, path, query, headers, body, token):
        """The same request gets the same Authorization header."""
        expected = signed_by_botocore(method, f"{path}?{query}", headers, body, token)
        added = (b"x-amz-date", b"x-amz-security-token", b"authorization")
        unsigned = [header for header in expected.headers if header[0] not in added]
        # botocore signs before it knows the length of the body.
        unsigned = [h for h in unsigned if h[0] != b"content-length"]

        headers = sign(replace(expected, headers=unsigned), session_token=token, **WHO)

        assert dict(headers) == {
            name: value for name, value in expected.headers if name in added
        }

    @given(paths, st.sampled_from(["", "a=1", "b=%3A&a="]), tokens)
    def test_presigns_like_botocore(self, path, query, token):
        """The same request gets the same query string."""
        expected = signed_by_botocore(
            "GET", f"{path}?{query}", {}, b"", token, presigned=True
        )
        request = replace(
            expected, raw_query=query.encode(), headers=expected.headers[:1]
        )

        assert presign(request, session_token=token, **WHO) == expected.raw_query

    @given(st.one_of(st.just(""), st.integers(0, 10**10).map(str)))
    def test_date_header(self, extra):
        """A Date header that botocore writes and signs is accepted."""
        request = signed_by_botocore(
            "GET", "/", {"Date": "now", "x-test-a": extra}, b""
        )

        assert b"x-amz-date" not in dict(request.headers)

        verify(request)


class TestOneSignatureOneRequest:
    """A signature made for one request does not open another."""

    @given(either_form)
    def test_the_request_itself(self, request):
        """Unchanged, the request is accepted."""
        verify(request)

    @given(either_form, methods)
    def test_method(self, request, method):
        """Another method is refused."""
        assume(method != request.method)

        assert is_refused(replace(request, method=method))

    @given(either_form, paths)
    def test_path(self, request, path):
        """Another path is refused, unless both have the same normal form."""
        assume(normal_path(path.encode()) != normal_path(request.raw_path))

        assert is_refused(replace(request, raw_path=path.encode()))

    @given(either_form, st.data())
    def test_path_by_one_character(self, request, data):
        """A path with one character changed is refused."""
        place = data.draw(st.integers(0, len(request.raw_path) - 1))
        byte = data.draw(st.integers(0x21, 0xFF).map(lambda code: bytes([code])))
        path = request.raw_path[:place] + byte + request.raw_path[place + 1 :]
        assume(normal_path(path) != normal_path(request.raw_path))

        assert is_refused(replace(request, raw_path=path))

    @given(signed_requests, queries)
    def test_query(self, request, query):
        """Another query is refused, unless both say the same."""
        assume(meaning(query.encode()) != meaning(request.raw_query))

        assert is_refused(replace(request, raw_query=query.encode()))

    @given(either_form, st.data())
    def test_query_by_one_character(self, request, data):
        """A query with one character changed is refused, unless it says the same."""
        assume(request.raw_query)
        place = data.draw(st.integers(0, len(request.raw_query) - 1))
        byte = data.draw(st.integers(0x21, 0xFF).map(lambda code: bytes([code])))
        query = request.raw_query[:place] + byte + request.raw_query[place + 1 :]
        assume(meaning(query) != meaning(request.raw_query))

        assert is_refused(replace(request, raw_query=query))

    @given(either_form, pairs)
    def test_further_parameter(self, request, pair):
        """One more parameter is refused."""
        joined = b"&".join(filter(None, [request.raw_query, pair.encode()]))

        assert is_refused(replace(request, raw_query=joined))

    @given(either_form, st.data())
    def test_signed_header(self, request, data):
        """A signed header that changes, goes or comes twice is refused."""
        place = data.draw(st.integers(0, len(request.headers) - 1))
        name, value = request.headers[place]
        assume(name != b"authorization")
        other = data.draw(header_values).encode()
        rest = [*request.headers[:place], *request.headers[place + 1 :]]

        assert is_refused(
            replace(request, headers=[*request.headers, (name, other + b"x")])
        )
        if value.split() != other.split() and name != b"host":
            assert is_refused(replace(request, headers=[*rest, (name, other)]))
        if value.strip():
            assert is_refused(replace(request, headers=rest))

    @given(either_form, bodies)
    def test_body(self, request, body):
        """Another body is refused."""
        assume(body != request.body)

        assert is_refused(replace(request, body=body))

    @given(either_form, st.sampled_from(["A.One", "A.Two", ""]))
    def test_target(self, request, target):
        """A target that was not signed, or another one, is refused."""
        header = (b"x-amz-target", b"A.Three")
        with_target = signed(
            replace(request, headers=[(b"host", b"h"), header], raw_query=b"")
        )
        changed = [
            (name, target.encode()) if name == b"x-amz-target" else (name, value)
            for name, value in with_target.headers
        ]

        assert is_refused(replace(request, headers=[*request.headers, header]))
        assert is_refused(replace(with_target, headers=changed))

    @given(
        either_form,
        st.sampled_from(
            [
                (b"20150830T123600Z", b"20150830T123601Z"),
                (b"20150830", b"20150831"),
                (b"us-east-1", b"eu-west-1"),
                (b"cognito-sync", b"cognito-identity"),
                (b"AKIDEXAMPLE", b"AKIDOTHER"),
                (b"Expires=3600", b"Expires=3601"),
            ]
        ),
    )
    def test_scope(self, request, change):
        """Another date, region, service, key or expiry is refused, and so told."""
        old, new = change
        changed = replace(
            request,
            headers=[
                (name, value.replace(old, new)) for name, value in request.headers
            ],
            raw_query=request.raw_query.replace(old, new),
        )
        assume(changed != request)

        for region in (REGION, "eu-west-1"):
            for service in (SERVICE, "cognito-identity"):
                assert is_refused(changed, region=region, service=service)

    @given(either_form)
    def test_other_service(self, request):
        """A service takes no signature made for another one."""
        assert is_refused(request, service="cognito-identity")
        assert is_refused(request, region="eu-west-1")

    @given(either_form, st.integers(0, 63), st.sampled_from("0123456789abcdefF"))
    def test_signature(self, request, place, digit):
        """A signature with one digit changed is refused."""
        head, mark, tail = (
            dict(request.headers).get(b"authorization", request.raw_query)
        ).partition(b"Signature=")
        assume(tail[place : place + 1] != digit.encode())
        changed = head + mark + tail[:place] + digit.encode() + tail[place + 1 :]
        headers = [
            (name, changed if name == b"authorization" else value)
            for name, value in request.headers
        ]
        if headers == request.headers:
            request = replace(request, raw_query=changed)

        assert is_refused(replace(request, headers=headers))


# Ways to write a header that mean the same to a reader, or nearly.
respellings = st.sampled_from(
    [
        (b", SignedHeaders", b",SignedHeaders"),
        (b", SignedHeaders", b",  SignedHeaders"),
        (b", Signature", b",\tSignature"),
        (b"SignedHeaders=", b"SignedHeaders = "),
        (b"SignedHeaders=", b"signedheaders="),
        (b"SignedHeaders=host", b"SignedHeaders=HOST"),
        (b"SignedHeaders=host", b"SignedHeaders=host;host"),
        (b"SignedHeaders=host", b"SignedHeaders=:authority"),
        (b"SignedHeaders=host;", b"SignedHeaders="),
        (b"AWS4-HMAC", b" AWS4-HMAC"),
        (b"AWS4-HMAC-SHA256 ", b"AWS4-HMAC-SHA256  "),
        (b"AWS4-HMAC-SHA256", b"AWS4-HMAC-SHA512"),
        (b"Signature=", b"Signature=Signature="),
        (b"Signature=", b"Signature=00,Signature="),
        (b"aws4_request", b"aws4_requests"),
        (b"/aws4_request", b"/aws4_request/"),
        (b"us-east-1", b"us-east-2"),
        (b"20150830", b"20150831"),
        (KEY_ID.encode(), b"AKIDOTHER"),
        (KEY_ID.encode(), b"AKIDNOBODY"),
        (KEY_ID.encode(), "AKIDÉ".encode()),
        (b"Credential=", b"Credential=" + b"/" * 3000),
    ]
)


class TestTwoWays:
    """The quick way and the exact way agree, also on what the quick way remembers."""

    @given(plain_requests(), respellings)
    def test_respelled(self, request, respelling):
        """A header in another spelling means to both what it means to one."""
        request = signed(request)
        verify(request)
        headers = [
            (name, value.replace(*respelling) if name == b"authorization" else value)
            for name, value in request.headers
        ]

        same = {"service": SERVICE, "now_s": NOW_S}
        respelled = replace(request, headers=headers)
        exact = outcome(EXPERIENCED.verify_exactly, respelled, **same)
        assert outcome(EXPERIENCED.verify, respelled, **same) == exact

    @given(
        signed_requests,
        st.sampled_from(
            [
                (b"x-amz-date", b"20150830T123600Z"),
                (b"x-amz-date", b"20150830T123601Z"),
                (b"x-amz-date", b"20150830T1236009Z"),
                (b"date", b"Sun, 30 Aug 2015 12:36:00 GMT"),
                (b"x-amz-target", b"A.One"),
                (b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"),
                (b"x-amz-content-sha256", b""),
                (b"x-amz-security-token", b""),
                (b"x-amz-security-token", b"other"),
                (b"host", b"other"),
                (b"authorization", b"AWS4-HMAC-SHA256 "),
            ]
        ),
        st.booleans(),
    )
    def test_one_header_more(self, request, header, first):
        """A header that comes besides, or twice, means the same to both."""
        headers = [header, *request.headers] if first else [*request.headers, header]

        outcome(verify, replace(request, headers=headers))

    @given(signed_requests, st.integers(-400, 400))
    def test_clock(self, request, seconds):
        """Both have the same window."""
        outcome(verify, request, now_s=NOW_S + seconds)

    @given(st.lists(signed_requests, min_size=2, max_size=2, unique_by=str))
    def test_signature_of_another(self, requests):
        """A head that is remembered opens nothing with the signature of another."""
        one, other = requests
        verify(one)
        verify(other)
        authorization = dict(one.headers)[b"authorization"]
        headers = [
            (name, authorization if name == b"authorization" else value)
            for name, value in other.headers
        ]
        same = dict(other.headers)[b"authorization"] == authorization

        assert is_refused(replace(other, headers=headers)) is not same


def test_what_is_remembered_is_bounded():
    """Neither users nor strangers can make the verifier remember without end."""
    verifier = Verifier(
        find_credentials=lambda key, token, now_s: Known(key, SECRET, token),
        regions=None,
    )
    for number in range(verifying._KNOWN_MAX + 10):
        stranger = {**WHO, "access_key_id": f"AKID{number}", "secret": "wrong"}
        if number % 2:
            stranger["secret"] = SECRET
        request = SignedRequest("GET", b"/", b"", [(b"host", b"h")], b"")
        request.headers = [*request.headers, *sign(request, **stranger)]
        outcome(verifier.verify, request, service=SERVICE, now_s=NOW_S)

    assert 0 < len(verifier._known) <= verifying._KNOWN_MAX
    assert all(b"AKID0/" not in head for head in verifier._known)


words = st.one_of(
    st.sampled_from(
        [
            *(
                "AWS4-HMAC-SHA256",
                "AWS4-",
                " ",
                ",",
                ", ",
                "=",
                "&",
                ";",
                "/",
                "%",
                "\n",
            ),
            *("Credential", "Signature", "SignedHeaders", "host", "x-amz-date"),
            f"Credential={KEY_ID}/20150830/{REGION}/{SERVICE}/aws4_request",
            *("SignedHeaders=host;x-amz-date", "Signature=00", "20150830T123600Z"),
            *("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Date=20150830T123600Z"),
            f"X-Amz-Credential={KEY_ID}%2F20150830%2F{REGION}%2F{SERVICE}%2Faws4_request",
            *("X-Amz-SignedHeaders=host", "X-Amz-Signature=00", "X-Amz-Expires=9"),
        ]
    ).map(str.encode),
    st.binary(max_size=5),
)
garbage = st.lists(words, max_size=12).map(b"".join)
good_date = st.just(b"20150830T123600Z")


class TestGarbage:
    """Nothing that comes in leads to anything but a refusal."""

    @given(
        garbage.map(lambda rest: b"AWS4-HMAC-SHA256 " + rest),
        st.one_of(good_date, garbage),
        st.sampled_from([b"x-amz-date", b"date"]),
        garbage,
    )
    def test_authorization_header(self, authorization, date, date_name, token):
        """Any Authorization header, with any date, is refused with a 4xx."""
        headers = [
            (b"host", b"h"),
            (date_name, date),
            (b"x-amz-security-token", token),
            (b"authorization", authorization),
        ]

        assert is_refused(SignedRequest("GET", b"/", b"", headers, b""))

    @given(garbage, garbage)
    def test_query_string(self, before, after):
        """Any presigned query is refused with a 4xx."""
        query = before + b"&X-Amz-Algorithm=AWS4-HMAC-SHA256&" + after

        assert is_refused(SignedRequest("GET", b"/", query, [(b"host", b"h")], b""))

    @given(
        st.text(max_size=4),
        garbage,
        garbage,
        st.lists(st.tuples(garbage, garbage), max_size=4),
        bodies,
    )
    def test_everything_else(self, method, path, query, headers, body):
        """Any bytes around a signature that can be read are refused with a 4xx."""
        authorization = (
            f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20150830/{REGION}/{SERVICE}"
            "/aws4_request, SignedHeaders=host, Signature=00"
        ).encode()
        headers += [(b"x-amz-date", b"20150830T123600Z"), (b"host", path)]
        headers += [(b"authorization", authorization)]

        assert is_refused(SignedRequest(method, path, query, headers, body))

    @pytest.mark.parametrize("surrogate", ["\udc80", "G\ud800T"])
    def test_method_that_cannot_be_encoded(self, surrogate):
        """A method with half a surrogate pair is refused as any other."""
        request = signed(SignedRequest("GET", b"/", b"", [(b"host", b"h")], b""))

        assert is_refused(replace(request, method=surrogate))
