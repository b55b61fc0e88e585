"""Signatures: what is let in, what is not, and in which words."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import replace as changed
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest

from acceptance.kinds import embedded_does
from acceptance.raw_http import (
    RawClient,
    Request,
    canonical_request,
    presigned,
    sign,
)
from acceptance.sync_client import replace

pytestmark = embedded_does("what is not signed well reaches no store")

POOLS = Request(target=b"/identitypools")
HASH_OF_EMPTY_OBJECT = hashlib.sha256(b"{}").hexdigest()
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. Consult the service "
    "documentation for details."
)
STAMP = r"\d{8}T\d{6}Z"


def assert_refused(answer, status, code):
    """Check status and type of a refusal, and give its message."""
    assert (status, code) == (answer.status, answer.error), answer.body
    return answer.message


@pytest.fixture
def with_host(raw):
    """Add the host header, which a signature must cover."""

    def add(request, host=None):
        return request.but(headers=(("host", host or raw.host), *request.headers))

    return add


@pytest.fixture
def filled(dataset):
    """A dataset with a record in it."""
    dataset.put(a="1")
    return dataset


class TestWho:
    """The caller must hold a key."""

    def test_unsigned(self, raw):
        """A request without a signature is told so."""
        message = assert_refused(
            raw.send(POOLS), 403, "MissingAuthenticationTokenException"
        )

        assert message == "Missing Authentication Token"

    @pytest.mark.parametrize("value", ["Basic YTpi", "Bearer x", "AWS a:b", "", "x"])
    def test_other_schemes(self, raw, value):
        """Other ways of authorization are no signature."""
        request = POOLS.but(headers=(("Authorization", value),))

        assert_refused(raw.send(request), 403, "MissingAuthenticationTokenException")

    def test_unknown_key(self, raw):
        """A key that does not exist is not recognized."""
        scope = changed(raw.scope, access_key_id="AKIAIOSFODNN7EXAMPLE")

        message = assert_refused(
            raw.send(raw.signed(POOLS, scope)), 403, "UnrecognizedClientException"
        )

        assert message == "The security token included in the request is invalid."

    def test_wrong_secret(self, raw):
        """A signature made with another secret does not match, and nothing is shown."""
        scope = changed(raw.scope, secret=raw.scope.secret[::-1])

        message = assert_refused(
            raw.send(raw.signed(POOLS, scope)), 403, "InvalidSignatureException"
        )

        assert message == MISMATCH

    @pytest.mark.parametrize("api", ["cognito-identity", "kinesis"])
    def test_other_apis_want_signatures_too(self, raw, api):
        """No API is open: AWS JSON errors of the caller have status 400."""
        targets = {
            "cognito-identity": "AWSCognitoIdentityService.ListIdentityPools",
            "kinesis": "Kinesis_20131202.ListStreams",
        }
        request = Request(
            method="POST", headers=(("x-amz-target", targets[api]),), body=b"{}"
        )

        answer = raw.send(request)

        assert_refused(answer, 400, "MissingAuthenticationTokenException")


class TestWhen:
    """A signature is good for five minutes."""

    @pytest.mark.parametrize("minutes", [-4, 0, 4])
    def test_clock_within_the_window(self, raw, with_host, minutes):
        """Clocks may differ by some minutes."""
        at = datetime.now(UTC) + timedelta(minutes=minutes)

        answer = raw.send(sign(with_host(POOLS), raw.scope, at=at))

        assert answer.status == 200

    def test_old(self, raw, with_host):
        """An old signature is refused with the server's time, which clients read."""
        at = datetime.now(UTC) - timedelta(minutes=6)

        message = assert_refused(
            raw.send(sign(with_host(POOLS), raw.scope, at=at)),
            403,
            "InvalidSignatureException",
        )

        match = re.fullmatch(
            rf"Signature expired: ({STAMP}) is now earlier than "
            rf"({STAMP}) \(({STAMP}) - 5 min\.\)",
            message,
        )
        assert match
        assert at.strftime("%Y%m%dT%H%M%SZ") == match[1]
        earliest, now = (
            datetime.strptime(s, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            for s in match.group(2, 3)
        )
        assert timedelta(minutes=5) == now - earliest
        assert abs(now - datetime.now(UTC)) < timedelta(seconds=30)

    def test_future(self, raw, with_host):
        """A signature of the future is refused as well."""
        at = datetime.now(UTC) + timedelta(minutes=6)

        message = assert_refused(
            raw.send(sign(with_host(POOLS), raw.scope, at=at)),
            403,
            "InvalidSignatureException",
        )

        assert re.fullmatch(
            rf"Signature not yet current: {STAMP} is still later than "
            rf"{STAMP} \({STAMP} \+ 5 min\.\)",
            message,
        )

    def test_http_date(self, raw, with_host):
        """The Date header does where there is no X-Amz-Date."""
        now = datetime.now(UTC)
        signed = sign(with_host(POOLS), raw.scope, at=now)
        date = ("date", format_datetime(now, usegmt=True))
        headers = [h for h in signed.headers if h[0] != "x-amz-date"]
        request = POOLS.but(headers=(("host", raw.host), date))
        # The signature covers the Date header in place of the other.
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        wanted = _signature_with(raw.scope, stamp, request)
        authorization = dict(headers)["Authorization"]
        authorization = re.sub(
            r"SignedHeaders=[^,]*", "SignedHeaders=date;host", authorization
        )
        authorization = re.sub(r"Signature=.*", f"Signature={wanted}", authorization)

        answer = raw.send(
            request.but(headers=(*request.headers, ("Authorization", authorization)))
        )

        assert answer.status == 200, answer.body

    @pytest.mark.parametrize("date", ["", "yesterday", "20130609", "99999999T999999Z"])
    def test_date_that_is_none(self, raw, date):
        """A date that cannot be read makes the signature incomplete."""
        signed = raw.signed(POOLS)
        headers = [(n, date if n == "x-amz-date" else v) for n, v in signed.headers]

        answer = raw.send(signed.but(headers=tuple(headers)))

        assert_refused(answer, 400, "IncompleteSignatureException")


def _signature_with(scope, stamp, request):
    """Sign a request whose headers name their date themselves."""
    credential = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    digest = hashlib.sha256(canonical_request(request, None).encode()).hexdigest()
    key = f"AWS4{scope.secret}".encode()
    for element in (
        *credential.split("/"),
        f"AWS4-HMAC-SHA256\n{stamp}\n{credential}\n{digest}",
    ):
        key = hmac.digest(key, element.encode(), "sha256")
    return key.hex()


class TestScope:
    """A signature is for one service and region."""

    @pytest.mark.parametrize("service", ["kinesis", "cognito-identity", "s3", ""])
    def test_wrong_service(self, raw, service):
        """A signature for another service does not open this one."""
        scope = changed(raw.scope, service=service)

        message = assert_refused(
            raw.send(raw.signed(POOLS, scope)), 403, "InvalidSignatureException"
        )

        assert (
            message == "Credential should be scoped to correct service: 'cognito-sync'."
        )

    def test_wrong_region(self, raw):
        """A signature for a region that is not accepted is refused by name."""
        scope = changed(raw.scope, region="eu-west-1")

        message = assert_refused(
            raw.send(raw.signed(POOLS, scope)), 403, "InvalidSignatureException"
        )

        assert (
            message == "Credential should be scoped to a valid region, not 'eu-west-1'."
        )

    def test_accepted_regions(self, start_server):
        """Further regions can be accepted, or any."""
        server = start_server(settings={"accepted_regions": '["eu-west-1"]'})
        raw = RawClient(server)

        statuses = [
            raw.send(raw.signed(POOLS, changed(raw.scope, region=region))).status
            for region in ("us-east-1", "eu-west-1", "eu-central-1")
        ]

        assert statuses == [200, 200, 403]

    @pytest.mark.parametrize(
        ("pattern", "replacement", "status"),
        [
            (r"aws4_request", "aws5_request", 403),
            (r"/\d{8}/", "/20130609/", 403),
            (r"/aws4_request", "", 400),
            (r"AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA512 ", 400),
            (r"Credential=[^,]*, ", "", 400),
            (r"SignedHeaders=[^,]*, ", "", 400),
            (r", Signature=.*", "", 400),
            (r"Signature=.*", "Signature=", 400),
            (r"Signature=.*", "Signature=" + "0" * 64, 403),
            (r"Signature=.*", "Signature=zz", 403),
            (r"Credential=", "Credential", 400),
            (r"SignedHeaders=host;", "SignedHeaders=", 403),
            (r"SignedHeaders=host;", "SignedHeaders=host;no-such-header;", 403),
        ],
    )
    def test_broken_authorization(self, raw, pattern, replacement, status):
        """Whatever is missing or wrong in the header, the request is refused."""
        signed = raw.signed(POOLS)
        *others, (name, value) = signed.headers
        broken = re.sub(pattern, replacement, value)
        assert broken != value

        answer = raw.send(signed.but(headers=(*others, (name, broken))))

        assert status == answer.status
        assert answer.error in (
            "InvalidSignatureException",
            "IncompleteSignatureException",
        )

    @pytest.mark.parametrize("separator", [",", " , ", ",  "])
    def test_separators(self, raw, separator):
        """The parts of the header may be separated by a comma alone."""
        signed = raw.signed(POOLS)
        *others, (name, value) = signed.headers

        answer = raw.send(
            signed.but(headers=(*others, (name, value.replace(", ", separator))))
        )

        assert answer.status == 200


class TestWhat:
    """A signature covers the request; whoever alters one is refused."""

    def test_tampered_body(self, raw, filled):
        """Another body needs another signature."""
        body = f'{{"SyncSessionToken":"{filled.token()}","RecordPatches":[]}}'
        signed = raw.signed(
            Request(method="POST", target=filled.path.encode(), body=body.encode())
        )

        answer = raw.send(signed.but(body=signed.body.replace(b"[]", b"[ ]")))

        assert_refused(answer, 403, "InvalidSignatureException")

    def test_tampered_path(self, raw, filled):
        """A signature for one dataset does not open another."""
        signed = raw.signed(Request(target=filled.path.encode()))

        answer = raw.send(signed.but(target=signed.target[:-1]))

        assert_refused(answer, 403, "InvalidSignatureException")

    def test_tampered_query(self, raw, filled):
        """Parameters cannot be changed, added or dropped."""
        path = f"{filled.path}/records".encode()
        signed = raw.signed(Request(target=path + b"?maxResults=1"))

        for query in (b"", b"?maxResults=2", b"?maxResults=1&lastSyncCount=0"):
            answer = raw.send(signed.but(target=path + query))
            assert_refused(answer, 403, "InvalidSignatureException")

    def test_tampered_method(self, raw, filled):
        """A signature for reading does not delete."""
        signed = raw.signed(Request(target=filled.path.encode()))

        answer = raw.send(signed.but(method="DELETE"))

        assert_refused(answer, 403, "InvalidSignatureException")
        assert filled.values() == {"a": "1"}

    def test_tampered_header(self, raw, filled):
        """A header that was signed cannot be changed."""
        signed = raw.signed(
            Request(target=filled.path.encode(), headers=(("x-custom", "one"),))
        )
        headers = tuple((n, "two" if n == "x-custom" else v) for n, v in signed.headers)

        answer = raw.send(signed.but(headers=headers))

        assert_refused(answer, 403, "InvalidSignatureException")

    def test_target_must_be_signed(self, raw):
        """Where all operations share one path, the target belongs to the signature."""
        signed = raw.signed(
            Request(method="POST", body=b"{}"), changed(raw.scope, service="kinesis")
        )
        target = ("x-amz-target", "Kinesis_20131202.ListStreams")

        answer = raw.send(signed.but(headers=(*signed.headers, target)))

        assert_refused(answer, 400, "InvalidSignatureException")

    def test_dot_segments_do_not_lead_elsewhere(self, raw, filled):
        """A signature of a normal path opens no other operation."""
        base = filled.path.rpartition("/")[0].encode()
        signed = raw.signed(Request(target=base + b"/records"))

        answer = raw.send(signed.but(target=base + b"/./records"))

        assert_refused(answer, 403, "InvalidSignatureException")


class TestClients:
    """What existing clients do differently, and must be able to go on doing."""

    def test_paths_with_a_colon(self, raw, filled):
        """Ids may stand in the path escaped, in capitals or not, or as they are."""
        for colon in (":", "%3A", "%3a"):
            target = filled.path.replace(":", colon).encode()

            answer = raw.send(raw.signed(Request(target=target)))

            assert answer.status == 200, answer.body
            assert filled.name == answer.json["Dataset"]["DatasetName"]

    def test_host_without_port(self, raw, with_host):
        """The iOS client signs the host without its port and sends it with it."""
        name = raw.host.partition(":")[0]
        signed = sign(with_host(POOLS, name), raw.scope)
        headers = tuple((n, raw.host if n == "host" else v) for n, v in signed.headers)

        assert raw.send(signed.but(headers=headers)).status == 200

    def test_other_host_is_refused(self, raw, with_host):
        """A signature for another host does not do."""
        signed = sign(with_host(POOLS, "example.com"), raw.scope)
        headers = tuple((n, raw.host if n == "host" else v) for n, v in signed.headers)

        answer = raw.send(signed.but(headers=headers))

        assert_refused(answer, 403, "InvalidSignatureException")

    def test_unsigned_headers(self, raw):
        """Android adds headers that it does not sign."""
        signed = raw.signed(POOLS)
        extra = (("content-type", "application/x-amz-json-1.1"), ("x-other", "1"))

        assert raw.send(signed.but(headers=(*signed.headers, *extra))).status == 200

    def test_signed_headers_with_spaces(self, raw):
        """iOS and Unity sign all headers; runs of spaces count as one."""
        headers = (("user-agent", "aws-sdk-iOS/2   iPhone  OS "), ("x-a", " b  c "))

        assert raw.send(raw.signed(POOLS.but(headers=headers))).status == 200

    def test_query_in_any_order(self, raw, filled):
        """Parameters are sorted for the signature, not for the request."""
        target = f"{filled.path}/records?maxResults=5&lastSyncCount=0&a=%20b".encode()

        assert raw.send(raw.signed(Request(target=target))).status == 200

    def test_unity_get(self, raw, filled):
        """Unity signs a GET with the hash of an empty object and sends no body."""
        request = Request(
            target=f"{filled.path}/records".encode(),
            headers=(
                ("host", raw.host),
                ("x-amz-content-sha256", HASH_OF_EMPTY_OBJECT),
            ),
        )

        answer = raw.send(sign(request, raw.scope, payload_hash=HASH_OF_EMPTY_OBJECT))

        assert answer.status == 200, answer.body

    def test_content_hash_must_match(self, raw, filled):
        """A signed hash that is not the body's is refused."""
        other = hashlib.sha256(b"other").hexdigest()
        for method, body, claimed in (
            ("GET", b"", other),
            ("POST", b"[]", HASH_OF_EMPTY_OBJECT),
            ("POST", b"", HASH_OF_EMPTY_OBJECT),
            ("DELETE", b"", HASH_OF_EMPTY_OBJECT),
        ):
            request = Request(
                method=method,
                target=filled.path.encode(),
                headers=(("host", raw.host), ("x-amz-content-sha256", claimed)),
                body=body,
            )

            answer = raw.send(sign(request, raw.scope, payload_hash=claimed))

            assert_refused(answer, 403, "InvalidSignatureException")
        assert filled.values() == {"a": "1"}

    def test_content_hash_of_the_body(self, raw, filled):
        """The JavaScript client sends the hash of its body along."""
        body = f'{{"SyncSessionToken":"{filled.token()}"}}'.encode()
        request = Request(
            method="POST",
            target=filled.path.encode(),
            headers=(("x-amz-content-sha256", hashlib.sha256(body).hexdigest()),),
            body=body,
        )

        assert raw.send(raw.signed(request)).status == 200


class TestMethodOverride:
    """Unity sends a POST and signs the method that a header names."""

    def unity(self, raw, dataset, method, body=b"{}"):
        """Sign as the Unity SDK does, and send a POST."""
        request = Request(
            method=method,
            target=dataset.path.encode(),
            headers=(
                ("content-type", "application/x-amz-json-1.1"),
                ("x-amz-content-sha256", hashlib.sha256(body).hexdigest()),
                ("X-HTTP-Method-Override", method),
            ),
            body=body,
        )
        return raw.send(raw.signed(request).but(method="POST"))

    def test_delete(self, raw, filled):
        """A dataset can be deleted by a POST in Unity's form."""
        answer = self.unity(raw, filled, "DELETE")

        assert answer.status == 200, answer.body
        assert filled.name == answer.json["Dataset"]["DatasetName"]
        assert not filled.list()["DatasetExists"]

    def test_signed_as_post_is_refused(self, raw, filled):
        """The signature must be for the method that is meant."""
        request = Request(
            method="POST",
            target=filled.path.encode(),
            headers=(("X-HTTP-Method-Override", "DELETE"),),
            body=b"{}",
        )

        answer = raw.send(raw.signed(request))

        assert_refused(answer, 403, "InvalidSignatureException")
        assert filled.values() == {"a": "1"}

    def test_added_override_is_refused(self, raw, filled):
        """Nobody turns a signed update into a deletion by adding the header."""
        body = f'{{"SyncSessionToken":"{filled.token()}"}}'.encode()
        signed = raw.signed(
            Request(method="POST", target=filled.path.encode(), body=body)
        )
        override = ("X-HTTP-Method-Override", "DELETE")

        answer = raw.send(signed.but(headers=(*signed.headers, override)))

        assert_refused(answer, 403, "InvalidSignatureException")
        assert filled.values() == {"a": "1"}

    def test_override_counts_on_a_post_alone(self, raw, filled):
        """On any other method the header means nothing."""
        signed = raw.signed(
            Request(
                target=filled.path.encode(),
                headers=(("X-HTTP-Method-Override", "DELETE"),),
            )
        )

        answer = raw.send(signed)

        assert answer.status == 200
        assert filled.values() == {"a": "1"}

    @pytest.mark.parametrize("method", ["PATCH", "delete", "", "GET POST", "é"])
    def test_override_with_something_else(self, raw, filled, method):
        """A method that there is not leads nowhere."""
        signed = raw.signed(
            Request(
                method="POST",
                target=filled.path.encode(),
                headers=(("X-HTTP-Method-Override", method),),
                body=b"{}",
            )
        )

        assert 400 <= raw.send(signed).status < 500
        assert filled.values() == {"a": "1"}


class TestPresigned:
    """A signature may travel in the query."""

    def test_presigned_get(self, raw, with_host, filled):
        """A presigned link is read without any header."""
        request = Request(target=f"{filled.path}/records?maxResults=5".encode())

        answer = raw.send(presigned(with_host(request), raw.scope))

        assert answer.status == 200, answer.body
        assert answer.json["Records"][0]["Key"] == "a"

    def test_tampered_link(self, raw, with_host, filled):
        """A presigned link is for what it was made for."""
        request = presigned(
            with_host(Request(target=f"{filled.path}/records?maxResults=5".encode())),
            raw.scope,
        )

        for old, new in (
            (b"maxResults=5", b"maxResults=6"),
            (b"/records", b""),
            (b"Expires=300", b"Expires=600"),
        ):
            answer = raw.send(request.but(target=request.target.replace(old, new)))
            assert_refused(answer, 403, "InvalidSignatureException")

    @pytest.mark.parametrize("expires_s", [0, -1, 604_801, 10**400])
    def test_life_out_of_range(self, raw, with_host, expires_s):
        """A link lives from a second to a week."""
        request = presigned(with_host(POOLS), raw.scope, expires_s=expires_s)

        assert_refused(raw.send(request), 400, "IncompleteSignatureException")

    def test_both_forms_at_once(self, raw, with_host):
        """A signature in the query and one in the header contradict each other."""
        request = presigned(with_host(POOLS), raw.scope)
        header = raw.signed(POOLS).headers[-1]

        answer = raw.send(request.but(headers=(*request.headers, header)))

        assert_refused(answer, 403, "InvalidSignatureException")


class TestErrorForm:
    """Errors have the form that every client can read."""

    def test_error_has_every_form_of_its_type(self, raw, filled):
        """Type and message are in headers and body, with an id and the right time."""
        path = filled.path + "-not-there"

        answer = raw.call("GET", path)

        assert (answer.status, answer.reason) == (404, "Not Found")
        assert answer.headers["x-amzn-errortype"] == "ResourceNotFoundException"
        assert {"__type", "message"} == set(answer.json)
        assert answer.json["__type"] == "ResourceNotFoundException"
        assert answer.message == answer.headers["x-amzn-errormessage"]
        assert answer.headers["x-amzn-requestid"]
        assert answer.headers["content-type"].startswith("application/json")
        date = parsedate_to_datetime(answer.headers["date"])
        assert abs(date - datetime.now(UTC)) < timedelta(seconds=10)
        assert re.fullmatch(
            r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT",
            answer.headers["date"],
        )
        assert "x-amz-crc32" not in answer.headers

    def test_reason_phrases(self, raw, filled):
        """Unity reads the status from its standard name."""
        stale = {
            "SyncSessionToken": filled.token(),
            "RecordPatches": [replace("a", "2", 9)],
        }

        conflict = raw.call("POST", filled.path, stale)
        invalid = raw.call("POST", filled.path, {})
        forbidden = raw.send(POOLS)

        assert [each.reason for each in (conflict, invalid, forbidden)] == [
            "Conflict",
            "Bad Request",
            "Forbidden",
        ]

    def test_message_of_any_text_fits_the_header(self, raw, filled):
        """A key with line breaks or other scripts does not break the headers."""
        key = "line\r\nx-injected: 1\nö 😀 " + "k" * 900
        stale = {
            "SyncSessionToken": filled.token(),
            "RecordPatches": [replace(key, "2", 9)],
        }

        answer = raw.call("POST", filled.path, stale)

        assert answer.status == 409
        assert f"Current SyncCount for: {key} is: 0 not: 9" == answer.message
        assert "x-injected" not in answer.headers

    def test_request_ids_differ(self, raw, filled):
        """Every answer has an id of its own, whatever it says."""
        ids = {
            raw.call("GET", path).headers["x-amzn-requestid"]
            for path in (filled.path, filled.path, "/nowhere", "/identitypools")
        }

        assert len(ids) == 4

    def test_bodies_are_objects(self, raw, filled):
        """Even a deletion answers a JSON object."""
        answer = raw.call("DELETE", filled.path)

        assert isinstance(answer.json, dict)
        assert answer.headers["content-type"].startswith("application/json")


def test_explanations_are_for_debugging(start_server):
    """The strings that were compared are shown with the setting, and only then."""
    server = start_server(settings={"explain_signatures": "true"})
    raw = RawClient(server)
    scope = changed(raw.scope, secret="wrong")
    signed = raw.signed(Request(target=b"/identitypools?maxResults=1"), scope)

    message = assert_refused(raw.send(signed), 403, "InvalidSignatureException")

    assert message.startswith(MISMATCH)
    unsigned = signed.but(headers=signed.headers[:-1])
    canonical = canonical_request(unsigned, None)
    assert f"The Canonical String for this request should have been\n'{canonical}'" in (
        message
    )
    assert "The String-to-Sign should have been\n'AWS4-HMAC-SHA256\n" in message
    assert raw.scope.secret not in message


def test_server_behind_another_name(server, filled):
    """The host that counts is the one that the client signed and sent."""
    raw = RawClient(server)
    raw.host = "sync.example.com"

    assert raw.call("GET", filled.path).status == 200
