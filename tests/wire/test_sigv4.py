"""Signatures: recorded vectors, what the real clients send, and every refusal."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from millpond import limits
from millpond.errors import (
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    ServiceException,
    UnrecognizedClientException,
)
from millpond.wire.sigv4 import canonical, claims
from millpond.wire.sigv4.canonical import normal_path
from millpond.wire.sigv4.signer import presign, sign
from millpond.wire.sigv4.verifier import SignedRequest, Verified, Verifier
from wire.known import Known, finding

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
SERVICE = "cognito-sync"
NOW_S = int(datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp())
HOST = (b"host", b"sync.example.com")
TARGET = (b"x-amz-target", b"AWSCognitoIdentityService.ListIdentityPools")
SIGNATURE = "0" * 64
CREDENTIAL = f"{KEY_ID}/20150830/{REGION}/{SERVICE}/aws4_request"
DATE = (b"x-amz-date", b"20150830T123600Z")
EMPTY_OBJECT_SHA256 = hashlib.sha256(b"{}").hexdigest().encode()


def verify(request, *, now_s=NOW_S, service=SERVICE, secrets=None, **options):
    secrets = {KEY_ID: SECRET} if secrets is None else secrets
    options.setdefault("regions", frozenset({REGION}))
    verifier = Verifier(find_credentials=finding(secrets), **options)
    return verifier.verify(request, service=service, now_s=now_s)


def plain(
    method="GET", raw_path=b"/identitypools", raw_query=b"", headers=(HOST,), body=b""
):
    return SignedRequest(method, raw_path, raw_query, list(headers), body)


def signed(request, *, now_s=NOW_S, service=SERVICE, region=REGION, token=None):
    added = sign(
        request,
        access_key_id=KEY_ID,
        secret=SECRET,
        region=region,
        service=service,
        now_s=now_s,
        session_token=token,
    )
    return replace(request, headers=[*request.headers, *added])


def presigned(request, *, now_s=NOW_S, expires_s=3600, token=None):
    query = presign(
        request,
        access_key_id=KEY_ID,
        secret=SECRET,
        region=REGION,
        service=SERVICE,
        now_s=now_s,
        expires_s=expires_s,
        session_token=token,
    )
    return replace(request, raw_query=query)


def with_header(request, name, value):
    """The request with one header set anew, or without it."""
    headers = [header for header in request.headers if header[0] != name]
    return replace(
        request, headers=headers if value is None else [*headers, (name, value)]
    )


def claiming(
    *,
    algorithm="AWS4-HMAC-SHA256",
    credential=CREDENTIAL,
    signed_headers="host;x-amz-date",
    signature=SIGNATURE,
    date=DATE,
):
    """A request whose Authorization header says just this."""
    authorization = (
        f"{algorithm} Credential={credential}, SignedHeaders={signed_headers}, "
        f"Signature={signature}"
    )
    return plain(headers=[HOST, date, (b"authorization", authorization.encode())])


def authorized(authorization, *headers):
    return plain(headers=[HOST, *headers, (b"authorization", authorization)])


def refusal(expected, request, **options):
    """The message with which a request is refused."""
    with pytest.raises(ServiceException) as caught:
        verify(request, **options)

    assert expected is type(caught.value)

    return caught.value.message


VECTORS = {
    "get-vanilla": (
        plain(raw_path=b"/", headers=()),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "post-vanilla": (
        plain("POST", raw_path=b"/", headers=()),
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    "get-relative-relative-normalized": (
        plain(raw_path=b"/example1/example2/../..", headers=()),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "get-slashes-normalized": (
        plain(raw_path=b"//example//", headers=()),
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    ),
    "get-space-normalized": (
        plain(raw_path=b"/example space/", headers=()),
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
    ),
    "get-utf8": (
        plain(raw_path="/\u1234".encode(), headers=()),
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
    ),
    "get-vanilla-utf8-query": (
        plain(raw_path=b"/", raw_query="\u1234=bar".encode(), headers=()),
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    "get-vanilla-query-order-encoded": (
        plain(
            raw_path=b"/",
            raw_query=b"Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
            headers=(),
        ),
        "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
    ),
    "get-header-value-order": (
        plain(
            raw_path=b"/",
            headers=[
                (b"my-header1", b"value4"),
                (b"my-header1", b"value1"),
                (b"my-header1", b"value3"),
                (b"my-header1", b"value2"),
            ],
        ),
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    ),
    "get-header-value-trim": (
        plain(
            raw_path=b"/",
            headers=[(b"my-header1", b" value1"), (b"my-header2", b' "a   b   c"')],
        ),
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    "post-x-www-form-urlencoded": (
        plain(
            "POST",
            raw_path=b"/",
            headers=[
                (b"content-length", b"13"),
                (b"content-type", b"application/x-www-form-urlencoded"),
                (
                    b"x-amz-content-sha256",
                    b"9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
                ),
            ],
            body=b"Param1=value1",
        ),
        "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
    ),
}


@pytest.mark.parametrize(
    ("request_", "signature"), VECTORS.values(), ids=VECTORS.keys()
)
def test_published_vectors(request_, signature):
    """Requests of AWS's own signing test suite are accepted as signed there."""
    headers = [(b"host", b"example.amazonaws.com"), DATE, *request_.headers]
    names = ";".join(sorted({name.decode() for name, _ in headers}))
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20150830/us-east-1/service/aws4_request,"
        f" SignedHeaders={names}, Signature={signature}"
    )
    headers.append((b"authorization", authorization.encode()))

    verified = verify(replace(request_, headers=headers), service="service")

    assert Verified(Known(KEY_ID, SECRET, None), "us-east-1") == verified


class TestClients:
    """What each client library sends is accepted."""

    def test_android_signs_few_headers(self):
        """Android leaves content type and user agent unsigned."""
        request = signed(plain("POST", body=b"{}"), token="session+token/=")
        extra = [
            (b"content-type", b"application/x-amz-json-1.1"),
            (b"user-agent", b"aws-sdk-android/2.8.5 Linux/3.18 Dalvik/2.1.0/0 en_US"),
            (b"accept-encoding", b"identity"),
        ]
        request = replace(request, headers=[*request.headers, *extra])

        assert Verified(Known(KEY_ID, SECRET, "session+token/="), REGION) == verify(
            request
        )

    def test_session_token_need_not_be_signed(self):
        """A session token that is added after signing is handed back all the same."""
        request = with_header(signed(plain()), b"x-amz-security-token", b"token")

        assert verify(request).credentials.session_token == "token"

    def test_ios_signs_the_host_without_its_port(self):
        """A signature over the bare host fits a Host header with a port."""
        request = signed(plain())

        verify(with_header(request, b"host", HOST[1] + b":8443"))

    @pytest.mark.parametrize("port", [b":443", b":80"])
    def test_proxy_drops_the_default_port(self, port):
        """A signature over a default port fits a Host header without it."""
        request = signed(plain(headers=[(b"host", HOST[1] + port)]))

        verify(with_header(request, *HOST))

    @pytest.mark.parametrize(
        ("signed_host", "received_host"),
        [
            (b"[::1]", b"[::1]:8080"),
            (b"[::1]:8080", b"[::1]:8080"),
            (b"[::1]:443", b"[::1]"),
        ],
    )
    def test_host_is_an_ipv6_address(self, signed_host, received_host):
        """The colons inside an IPv6 address do not count as a port's."""
        request = signed(plain(headers=[(b"host", signed_host)]))

        verify(with_header(request, b"host", received_host))

    def test_another_port_is_another_host(self):
        """A signature over one port does not fit another."""
        request = signed(plain(headers=[(b"host", HOST[1] + b":8443")]))

        refusal(
            InvalidSignatureException,
            with_header(request, b"host", HOST[1] + b":9443"),
        )

    @pytest.mark.parametrize(
        ("signed_authority", "received_host"),
        [
            (b"sync.example.com", b"sync.example.com"),
            (b"sync.example.com:8443", b"sync.example.com:8443"),
            (b"sync.example.com", b"sync.example.com:8443"),
            (b"sync.example.com:443", b"sync.example.com"),
            (b"[::1]:8014", b"[::1]:8014"),
        ],
    )
    @pytest.mark.parametrize("query", [b"", b"k=%3A"])
    def test_over_http_2_the_authority_is_signed(
        self, signed_authority, received_host, query
    ):
        """It is the host, whatever there is between client and server made of it."""
        authority = (b":authority", signed_authority)
        request = signed(plain(headers=[authority], raw_query=query))
        headers = [(b"host", received_host), *request.headers[1:]]

        verify(replace(request, headers=headers, raw_query=query.replace(b"%3A", b":")))

    def test_another_authority(self):
        """A signature over one authority does not fit another."""
        request = signed(plain(headers=[(b":authority", b"other.example.com")]))

        for host in (HOST, (b"host", b""), (b"x-other", b"other.example.com")):
            headers = [host, *request.headers[1:]]
            refusal(InvalidSignatureException, replace(request, headers=headers))

    def test_unity_delete_comes_as_post(self):
        """Unity signs DELETE with the override among the headers and sends '{}'."""
        headers = [
            HOST,
            (b"x-http-method-override", b"DELETE"),
            (b"content-type", b"application/x-amz-json-1.1"),
            (b"x-amz-content-sha256", EMPTY_OBJECT_SHA256),
        ]
        path = b"/identitypools/us-east-1:a/identities/us-east-1:b/datasets/d"
        request = signed(plain("DELETE", path, headers=headers, body=b"{}"))

        verify(request)
        refusal(InvalidSignatureException, replace(request, method="POST"))

    def test_unity_get_signs_an_empty_object(self):
        """A GET without a body may carry the hash of '{}'."""
        headers = [HOST, (b"x-amz-content-sha256", EMPTY_OBJECT_SHA256)]
        request = signed(plain(headers=headers, body=b"{}"))

        verify(replace(request, body=b""))

    def test_canonical_string_of_unity(self):
        """A bare colon is encoded once: aws-sdk-unity#44 quotes the server on it."""
        path = (
            b"/identitypools/us-east-1:5a/identities/us-east-1:f2/datasets/ab/records"
        )
        headers = [
            HOST,
            (b"user-agent", b"aws-sdk-unity/1.0.5  .NET_Runtime/4.0"),
            (b"x-amz-content-sha256", EMPTY_OBJECT_SHA256),
        ]
        request = plain("GET", path, b"lastSyncCount=0", headers, b"{}")
        request = replace(signed(request), body=b"")
        request.headers[-1] = (
            b"authorization",
            request.headers[-1][1].replace(b"Signature=", b"Signature=x"),
        )

        message = refusal(InvalidSignatureException, request, explain=True)

        canonical = (
            "GET\n"
            "/identitypools/us-east-1%3A5a/identities/us-east-1%3Af2/datasets/ab/records\n"
            "lastSyncCount=0\n"
            "host:sync.example.com\n"
            "user-agent:aws-sdk-unity/1.0.5 .NET_Runtime/4.0\n"
            f"x-amz-content-sha256:{EMPTY_OBJECT_SHA256.decode()}\n"
            "x-amz-date:20150830T123600Z\n"
            "\n"
            "host;user-agent;x-amz-content-sha256;x-amz-date\n"
            f"{EMPTY_OBJECT_SHA256.decode()}"
        )
        digest = hashlib.sha256(canonical.encode()).hexdigest()

        assert message.endswith(
            f"\n\nThe Canonical String for this request should have been\n'{canonical}'"
            "\n\nThe String-to-Sign should have been\n'AWS4-HMAC-SHA256\n"
            f"20150830T123600Z\n20150830/us-east-1/cognito-sync/aws4_request\n{digest}'\n"
        )

    def test_encoded_colon_is_encoded_again(self):
        """'%3A' on the wire is '%253A' in the canonical path (aws-sdk-android#3515)."""
        request = plain(raw_path=b"/identitypools/us-east-1%3A5a")
        request = with_header(
            signed(request), b"authorization", claiming().headers[-1][1]
        )

        message = refusal(InvalidSignatureException, request, explain=True)

        assert "\n/identitypools/us-east-1%253A5a\n" in message

    @pytest.mark.parametrize("separator", [b",", b", ", b" , ", b",  "])
    def test_space_around_commas_is_free(self, separator):
        """The parts of the Authorization header may have space around the comma."""
        request = signed(plain())
        authorization = request.headers[-1][1].replace(b", ", separator)

        verify(with_header(request, b"authorization", authorization))

    def test_space_around_the_header(self):
        """White space around the Authorization header does not count."""
        request = signed(plain())
        authorization = b" " + request.headers[-1][1] + b"\t"

        verify(with_header(request, b"authorization", authorization))

    def test_parts_come_in_any_order(self):
        """The parts of the Authorization header may come in any order."""
        request = signed(plain())
        algorithm, _, parts = request.headers[-1][1].partition(b" ")
        authorization = b", ".join(reversed(parts.split(b", ")))

        verify(with_header(request, b"authorization", algorithm + b" " + authorization))

    def test_query_order_is_free(self):
        """Query parameters are sorted by name, then value; '-' sorts after the end."""
        request = signed(plain(raw_query=b"a=1&a-b=0&b=1&b=2&c="))

        verify(replace(request, raw_query=b"c&b=2&a-b=0&b=1&a=1"))

    @pytest.mark.parametrize(
        ("signed_query", "received_query"),
        [
            (b"k=us-east-1%3A5", b"k=us-east-1:5"),
            (b"k=us-east-1%3A5", b"k=us-east-1%3a5"),
            (b"k=a%3Db", b"k=a=b"),
            (b"k=%2B", b"k=+"),
            (b"k=A&l=%25zz", b"l=%zz&k=%41"),
            (b"k%5B%5D=%C3%A9", "k[]=\u00e9".encode()),
        ],
    )
    def test_query_may_be_signed_in_canonical_encoding(
        self, signed_query, received_query
    ):
        """What reads the same as the canonical encoding may be signed as that."""
        request = signed(plain(raw_query=signed_query))

        verify(replace(request, raw_query=received_query))

    def test_host_and_query_differ_at_once(self):
        """The host without its port goes with a query in canonical encoding."""
        request = signed(plain(raw_query=b"k=%3A"))
        request = with_header(request, b"host", HOST[1] + b":8443")

        verify(replace(request, raw_query=b"k=:"))

    def test_plus_is_not_a_space(self):
        """A signature over a space does not fit a plus."""
        request = signed(plain(raw_query=b"k=%20"))

        refusal(InvalidSignatureException, replace(request, raw_query=b"k=+"))

    def test_any_region(self):
        """Without a list of regions every region will do, the empty one too."""
        assert verify(signed(plain(), region=""), regions=None).region == ""

    def test_repeated_header_is_joined(self):
        """Values of a repeated header are trimmed and joined with commas."""
        request = signed(plain(headers=[HOST, (b"x-a", b"1,2 3")]))
        request = with_header(request, b"x-a", None)
        twice = [(b"x-a", b" 1 "), (b"x-a", b"2   3")]

        verify(replace(request, headers=[*request.headers, *twice]))

    def test_signed_header_may_be_utf8(self):
        """A header value beyond ASCII is signed as the bytes that it is."""
        context = (b"x-amz-client-context", "d\u00e9vice".encode())

        verify(signed(plain(headers=[HOST, context])))

    def test_capitals_in_signed_headers(self):
        """SignedHeaders count in lower case."""
        request = signed(plain())
        authorization = request.headers[-1][1].replace(b"=host;", b"=Host;")

        verify(with_header(request, b"authorization", authorization))


class TestPresigned:
    """The signature may stand in the query string."""

    def test_accepted(self):
        """A presigned request is as good as one with a header, token included."""
        request = presigned(
            plain(raw_query=b"maxResults=3&lastSyncCount=0"), token="to/ken="
        )

        assert Verified(Known(KEY_ID, SECRET, "to/ken="), REGION) == verify(request)

    def test_parameters_in_another_order(self):
        """The signature may stand anywhere in the query string."""
        request = presigned(plain(raw_query=b"a=1"))
        pairs = request.raw_query.split(b"&")

        verify(replace(request, raw_query=b"&".join(reversed(pairs))))

    def test_body_is_signed(self):
        """The body is part of the signature."""
        request = presigned(plain("POST", body=b"{}"))

        verify(request)
        refusal(InvalidSignatureException, replace(request, body=b"[]"))

    @pytest.mark.parametrize("now_s", [NOW_S - 300, NOW_S, NOW_S + 60])
    def test_good_until_it_expires(self, now_s):
        """It is good from the window before its date until its expiry."""
        verify(presigned(plain(), expires_s=60), now_s=now_s)

    def test_expired(self):
        """A second after the expiry it is refused."""
        request = presigned(plain(), expires_s=60)

        assert refusal(InvalidSignatureException, request, now_s=NOW_S + 61) == (
            "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z "
            "(20150830T123701Z - 1 min.)"
        )

    def test_not_yet_current(self):
        """More than the window before its date it is refused."""
        message = refusal(
            InvalidSignatureException, presigned(plain()), now_s=NOW_S - 301
        )

        assert message.startswith("Signature not yet current: 20150830T123600Z is ")

    @pytest.mark.parametrize("expires_s", [1, limits.PRESIGN_EXPIRES_S_MAX])
    def test_expiry_at_its_bounds(self, expires_s):
        """The expiry goes from one second to seven days."""
        verify(presigned(plain(), expires_s=expires_s), now_s=NOW_S + expires_s)

    @pytest.mark.parametrize(
        "expires",
        [
            b"0",
            b"-1",
            b"1.5",
            b"604801",
            b"9" * 5000,
            b"x",
            b"%C2%B2",
            b"%D9%A1",
            b"+1",
        ],
    )
    def test_expiry_out_of_bounds(self, expires):
        """Any other expiry is refused."""
        request = presigned(plain())
        query = request.raw_query.replace(b"Expires=3600", b"Expires=" + expires)

        message = refusal(
            IncompleteSignatureException, replace(request, raw_query=query)
        )

        assert message.startswith(
            "X-Amz-Expires must be a number of seconds from 1 to 604800, not '"
        )

    def test_without_expiry_the_window_applies(self):
        """One that names no expiry lives as long as the window."""
        request = presigned(plain())
        query = request.raw_query.replace(b"X-Amz-Expires=3600&", b"")
        request = replace(request, raw_query=query)

        message = refusal(InvalidSignatureException, request, now_s=NOW_S + 301)

        assert message.startswith("Signature expired: ")
        assert refusal(InvalidSignatureException, request).startswith("The request ")

    def test_parts_are_missing(self):
        """Each part that is missing is named."""
        assert refusal(
            IncompleteSignatureException,
            plain(raw_query=b"X-Amz-Algorithm=AWS4-HMAC-SHA256"),
        ) == (
            "AWS query-string parameters must include 'X-Amz-Credential'. "
            "AWS query-string parameters must include 'X-Amz-Signature'. "
            "AWS query-string parameters must include 'X-Amz-SignedHeaders'. "
            "AWS query-string parameters must include 'X-Amz-Date'. "
            "Re-examine the query-string parameters."
        )

    def test_part_stands_twice(self):
        """A part that stands twice is refused."""
        request = presigned(plain())
        request = replace(
            request, raw_query=request.raw_query + b"&X-Amz-Date=20150830T123600Z"
        )

        assert refusal(IncompleteSignatureException, request) == (
            "AWS query-string parameters must include 'X-Amz-Date' once only. "
            "Re-examine the query-string parameters."
        )

    def test_both_forms_at_once(self):
        """A signature in the query and one in a header do not go together."""
        assert refusal(InvalidSignatureException, signed(presigned(plain()))) == (
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' "
            "as HTTP header."
        )

    def test_name_inside_a_value(self):
        """A value that holds the name of a part does not make a request presigned."""
        verify(signed(plain(raw_query=b"a=X-Amz-Algorithm=1")))


class TestDate:
    """Requests are good for five minutes either way."""

    @pytest.mark.parametrize("now_s", [NOW_S - 300, NOW_S + 300, NOW_S + 300.9])
    def test_at_the_edge(self, now_s):
        """Exactly five minutes is near enough; the second is the unit."""
        verify(signed(plain()), now_s=now_s)

    def test_expired(self):
        """An old date is refused with the server's time in parentheses."""
        assert refusal(
            InvalidSignatureException, signed(plain()), now_s=NOW_S + 301
        ) == (
            "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z "
            "(20150830T124101Z - 5 min.)"
        )

    def test_not_yet_current(self):
        """A date in the future is refused with the server's time in parentheses."""
        assert refusal(
            InvalidSignatureException, signed(plain()), now_s=NOW_S - 301
        ) == (
            "Signature not yet current: 20150830T123600Z is still later than "
            "20150830T123559Z (20150830T123059Z + 5 min.)"
        )

    @pytest.mark.parametrize(
        ("window_s", "text"), [(900, "15 min."), (60, "1 min."), (90, "90 sec.")]
    )
    def test_window_is_a_setting(self, window_s, text):
        """The message names the window in force."""
        request = signed(plain())

        verify(request, now_s=NOW_S + window_s, window_s=window_s)
        message = refusal(
            InvalidSignatureException,
            request,
            now_s=NOW_S + window_s + 1,
            window_s=window_s,
        )

        assert message.endswith(f" - {text})")

    @pytest.mark.parametrize(
        "date",
        [
            b"Sun, 30 Aug 2015 12:36:00 GMT",
            b"Sun, 30 Aug 2015 12:36:00 -0000",
            b"20150830T123600Z",
        ],
    )
    def test_date_header(self, date):
        """Without X-Amz-Date the Date header counts, in HTTP's form or ISO's."""
        request = signed(plain(headers=[HOST, (b"date", date)]))
        message = refusal(
            InvalidSignatureException,
            with_header(request, b"x-amz-date", None),
            explain=True,
        )

        assert "'AWS4-HMAC-SHA256\n20150830T123600Z\n" in message

    @pytest.mark.parametrize(
        ("name", "date", "text"),
        [
            (b"x-amz-date", b"201", "201"),
            (b"x-amz-date", b"2015-08-30T12:36:00Z", "2015-08-30T12:36:00Z"),
            (b"x-amz-date", b"20150230T123600Z", "20150230T123600Z"),
            (b"x-amz-date", b"00000101T000000Z", "00000101T000000Z"),
            (b"x-amz-date", b"20150830T123660Z", "20150830T123660Z"),
            (b"x-amz-date", b"20150830T12360\xd9\xa1Z", "20150830T12360\\xd9\\xa1Z"),
            (b"x-amz-date", b"1" * 5000, "1" * 31),
            (b"date", b"1" * 5000, "1" * 32),
            (b"date", b"Sun Aug 30 12:36:00 2015", "Sun Aug 30 12:36:00 2015"),
            (b"date", b"Sun, 30 Abc 2015 12:36:00 GMT", "20150030T123600Z"),
        ],
    )
    def test_form(self, name, date, text):
        """A date in any other form is refused."""
        assert (
            f"Date must be in ISO-8601 'basic format'. Got '{text}'. "
            "See http://en.wikipedia.org/wiki/ISO_8601"
        ) == refusal(IncompleteSignatureException, claiming(date=(name, date)))

    def test_x_amz_date_wins(self):
        """X-Amz-Date counts where both headers stand."""
        verify(with_header(signed(plain()), b"date", b"nonsense"))


class TestForm:
    """A request that is not whole is refused with the text of the real front end."""

    @pytest.mark.parametrize(
        "headers",
        [
            [],
            [(b"authorization", b"")],
            [(b"authorization", b"Bearer abc")],
            [(b"authorization", b"AWS AKID:signature")],
            [(b"authorization", b"\xff\xfe")],
        ],
    )
    def test_not_signed(self, headers):
        """A request without a version 4 signature is not signed."""
        assert (
            refusal(
                MissingAuthenticationTokenException, plain(headers=[HOST, *headers])
            )
            == "Missing Authentication Token"
        )

    def test_everything_is_missing(self):
        """Each part that is missing is named, and the header is repeated."""
        assert refusal(
            IncompleteSignatureException, authorized(b"AWS4-HMAC-SHA256")
        ) == (
            "Authorization header requires 'Credential' parameter. "
            "Authorization header requires 'Signature' parameter. "
            "Authorization header requires 'SignedHeaders' parameter. "
            "Authorization header requires existence of either a 'X-Amz-Date' or a "
            "'Date' header. Authorization=AWS4-HMAC-SHA256"
        )

    @pytest.mark.parametrize("name", ["Credential", "Signature", "SignedHeaders"])
    def test_one_part_is_missing(self, name):
        """A part that is missing is named alone."""
        authorization = b"AWS4-X Credential=a, Signature=b, SignedHeaders=c".replace(
            name.encode(), b"Other"
        )

        assert (
            f"Authorization header requires '{name}' parameter. "
            f"Authorization={authorization.decode()}"
        ) == refusal(IncompleteSignatureException, authorized(authorization, DATE))

    def test_equal_sign_is_missing(self):
        """A part without a value is named first of all."""
        authorization = b"AWS4-HMAC-SHA256 Signature=b,    Credential,    SignedHeaders"

        assert (
            "'Credential' not a valid key=value pair (missing equal-sign) in "
            f"Authorization header: '{authorization.decode()}'."
        ) == refusal(IncompleteSignatureException, authorized(authorization))

    def test_part_stands_twice(self):
        """A part that stands twice is refused."""
        authorization = b"AWS4-X Credential=a, Credential=a"

        assert (
            "Authorization header has 'Credential' twice. "
            f"Authorization={authorization.decode()}"
        ) == refusal(IncompleteSignatureException, authorized(authorization))

    def test_two_authorization_headers(self):
        """Two signatures are refused, even if both are good."""
        request = signed(plain())
        request = replace(request, headers=[*request.headers, request.headers[-1]])

        assert "'SignedHeaders' twice" in refusal(IncompleteSignatureException, request)

    @pytest.mark.parametrize(
        "authorization",
        [
            b"AWS4-HMAC-SHA256 Credential=\xc3\xa9",
            b"AWS4-" + b"x" * limits.AUTHORIZATION_CHARS_MAX,
        ],
    )
    def test_out_of_bounds(self, authorization):
        """A header too long or beyond ASCII is refused without being repeated."""
        assert refusal(
            IncompleteSignatureException, authorized(authorization, DATE)
        ) == ("A signature's parameters must be ASCII, of at most 8192 characters.")

    def test_host_must_be_signed(self):
        """The host must be among SignedHeaders."""
        assert (
            refusal(InvalidSignatureException, claiming(signed_headers="x-amz-date"))
            == "'Host' must be a 'SignedHeader' in the AWS Authorization."
        )

    def test_target_must_be_signed(self):
        """A target must be among SignedHeaders, whether the signature fits or not."""
        assert refusal(
            InvalidSignatureException, with_header(signed(plain()), *TARGET)
        ) == ("'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.")

    def test_header_is_named_twice(self):
        """SignedHeaders may name a header once only."""
        assert (
            refusal(IncompleteSignatureException, claiming(signed_headers="host;a;A"))
            == "SignedHeaders has a header twice."
        )

    @pytest.mark.parametrize("algorithm", ["AWS4-HMAC-SHA25", "AWS4-ECDSA-P256-SHA256"])
    def test_algorithm(self, algorithm):
        """There is one algorithm."""
        assert (
            f"Unsupported AWS 'algorithm': '{algorithm}' "
            "(only AWS4-HMAC-SHA256 for now). "
        ) == refusal(IncompleteSignatureException, claiming(algorithm=algorithm))

    @pytest.mark.parametrize("credential", ["a", "a/b/c/d", CREDENTIAL + "/"])
    def test_credential(self, credential):
        """A credential has five elements."""
        assert (
            "Credential must have exactly 5 slash-delimited elements, e.g. "
            f"keyid/date/region/service/term, got '{credential}'"
        ) == refusal(IncompleteSignatureException, claiming(credential=credential))

    def test_scope(self):
        """Everything that is wrong with a scope is said at once."""
        assert refusal(InvalidSignatureException, claiming(credential="a/b/c/d/e")) == (
            "Credential should be scoped to a valid region, not 'c'. "
            "Credential should be scoped to correct service: 'cognito-sync'. "
            "Credential should be scoped with a valid terminator: 'aws4_request', "
            "not 'e'. "
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of "
            "date from HTTP: 'b' != '20150830', from '20150830T123600Z'."
        )

    def test_scope_of_another_region(self):
        """One fault is one sentence."""
        credential = CREDENTIAL.replace(REGION, "eu-west-1")

        assert refusal(InvalidSignatureException, claiming(credential=credential)) == (
            "Credential should be scoped to a valid region, not 'eu-west-1'."
        )

    @pytest.mark.parametrize("secrets", [{}, {KEY_ID: ""}])
    def test_unknown_key(self, secrets):
        """A key that is unknown, or has no secret, is refused."""
        assert (
            refusal(UnrecognizedClientException, signed(plain()), secrets=secrets)
            == "The security token included in the request is invalid."
        )

    @pytest.mark.parametrize("signature", ["0" * 64, "x", "0" * 5000])
    def test_signature(self, signature):
        """A wrong signature is refused; the strings stay out of the message."""
        assert refusal(InvalidSignatureException, claiming(signature=signature)) == (
            "The request signature we calculated does not match the signature you "
            "provided. Check your AWS Secret Access Key and signing method. Consult "
            "the service documentation for details."
        )

    def test_order_of_checks(self):
        """Of several mistakes the one that the real front end checks first is told."""
        steps: list[dict[str, Any]] = [
            {"date": (b"x-amz-date", b"201")},
            {"date": (b"x-amz-date", b"20140830T123600Z")},
            {"signed_headers": "x-amz-date"},
            {"algorithm": "AWS4-X"},
            {"credential": "a/b/c/d"},
            {"credential": CREDENTIAL.replace("sync", "x")},
            {"credential": CREDENTIAL.replace(KEY_ID, "AKIDOTHER")},
            {},
        ]
        told = []
        for number in range(len(steps)):
            mistakes: dict[str, Any] = {}
            for step in reversed(steps[number:]):
                mistakes |= step
            with pytest.raises(ServiceException) as caught:
                verify(claiming(**mistakes))
            told.append(caught.value.message[:20])

        assert told == [
            "Date must be in ISO-",
            "Signature expired: 2",
            "'Host' must be a 'Si",
            "Unsupported AWS 'alg",
            "Credential must have",
            "Credential should be",
            "The security token i",
            "The request signatur",
        ]


class TestBody:
    """The hash of the body is part of the signature."""

    @pytest.mark.parametrize(
        "content_hash",
        [
            b"UNSIGNED-PAYLOAD",
            b"",
            b"\xff",
            hashlib.sha256(b"other").hexdigest().encode(),
        ],
    )
    def test_header_must_match(self, content_hash):
        """A content hash that is not the body's is refused, signed or not."""
        request = signed(plain("POST", body=b"[]"))

        assert refusal(
            InvalidSignatureException,
            with_header(request, b"x-amz-content-sha256", content_hash),
        ) == (
            "The provided 'x-amz-content-sha256' header does not match what was "
            "computed."
        )

    @pytest.mark.parametrize(("method", "body"), [("POST", b""), ("GET", b"[]")])
    def test_hash_of_an_empty_object(self, method, body):
        """The hash of '{}' is excused in a GET without a body only."""
        headers = [HOST, (b"x-amz-content-sha256", EMPTY_OBJECT_SHA256)]
        request = signed(plain(method, headers=headers, body=b"{}"))

        message = refusal(InvalidSignatureException, replace(request, body=body))

        assert "'x-amz-content-sha256'" in message


def test_line_break_cannot_forge_a_line():
    """A line break in what HTTP keeps free of it does not make a line pass for two."""
    request = signed(plain(raw_query=b"a=1"))
    method_and_more = plain(
        "GET\n/identitypools", b"a", b"a=1", headers=request.headers
    )
    path_in_query = replace(request, raw_query=b"a=1\nhost:sync.example.com")

    for forged in (method_and_more, path_in_query):
        assert (
            refusal(InvalidSignatureException, forged)
            == "The request has a line break where none fits."
        )


def test_caches_are_bounded():
    """No cache grows with what callers send."""
    for module in (canonical, claims):
        caches = [each for each in vars(module).values() if hasattr(each, "cache_info")]

        assert caches
        assert all(cache.cache_info().maxsize for cache in caches)


def test_changed_secret_counts_at_once():
    """A signature with a secret that was replaced is refused, the new one accepted."""
    secrets = {KEY_ID: SECRET}
    request = signed(plain())
    verify(request, secrets=secrets)
    secrets[KEY_ID] = "another"

    refusal(InvalidSignatureException, request, secrets=secrets)


@pytest.mark.parametrize(
    ("raw_path", "normal"),
    [
        (b"", b"/"),
        (b"/", b"/"),
        (b"/a/b", b"/a/b"),
        (b"/a/b/", b"/a/b/"),
        (b"//a//b//", b"/a/b/"),
        (b"/a/./b/.", b"/a/b"),
        (b"/a/../b", b"/b"),
        (b"/a/..", b"/"),
        (b"/../..", b"/"),
        (b"/a/../", b"/"),
        (b"/.a/..b/...", b"/.a/..b/..."),
        (b"/a/%2E%2E/b", b"/a/%2E%2E/b"),
        (b"a/../b", b"b"),
    ],
)
def test_normal_path(raw_path, normal):
    """Dot segments and empty segments go; encoded dots are not dot segments."""
    assert normal == normal_path(raw_path)
