"""Whatever is sent, the answer is a refusal and nothing is written: never a 500."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket

import cbor2
import pytest

from acceptance import violations
from acceptance.raw_http import Request, read_answer
from acceptance.sync_client import Dataset, new_identity, replace
from acceptance.violations import APIS, right_call
from millpond import limits
from millpond.testing.deadlines import seconds

pytestmark = pytest.mark.usefixtures("unharmed_server")

ALL_OPERATIONS = [
    pytest.param(api, operation, id=f"{api.name}-{operation.name}")
    for api in APIS
    for operation in api.operations
]


def send(raw, call):
    """Send a call of an operation as signed bytes."""
    body = json.dumps(call.body).encode() if call.body else b""
    if call.api.protocol == "json":
        target = f"{call.api.target_prefix}.{call.operation.name}"
        call.headers["x-amz-target"] = target
        body = body or b"{}"
    # Headers are bytes; what is not ASCII travels as UTF-8.
    headers = tuple(call.headers.items())
    return raw.call(call.operation.method, call.target, body, headers, call.api.name)


def assert_refused(answer, why=""):
    """Check that an answer is an error of the caller, in the form of all errors."""
    assert 400 <= answer.status < 500, (why, answer.status, answer.body[:500])
    assert answer.json["__type"] == answer.error, why
    assert answer.error.endswith("Exception"), why
    assert isinstance(answer.message, str), why


class TestContract:
    """Each constraint of the contract, broken alone."""

    @pytest.mark.parametrize(("api", "operation"), ALL_OPERATIONS)
    def test_violations_are_refused(self, raw, api, operation):
        """A call that breaks one constraint is refused by status and type."""
        broken = list(violations.violations(api, operation))

        for each in broken:
            assert_refused(send(raw, each.call), each.name)

    def test_there_are_violations(self):
        """The list of violations has not become empty by mistake."""
        names = {
            operation.name: [v.name for v in violations.violations(api, operation)]
            for api in APIS
            for operation in api.operations
        }

        assert sum(map(len, names.values())) > 500
        assert "IdentityPoolId: is too long" in names["BulkPublish"]
        assert "RecordPatches.0.SyncCount: is null" in names["UpdateRecords"]
        assert (
            "CognitoStreams.StreamName: is too long"
            in (names["SetIdentityPoolConfiguration"])
        )

    def test_right_calls_are_not_refused_as_wrong(self, raw):
        """The calls that violations are made from are right in themselves."""
        for api in APIS[:1]:
            for operation in api.operations:
                answer = send(raw, right_call(api, operation))

                # The pool does not exist; some operations are not built, and some
                # are not for developers.
                assert answer.status in (400, 403, 404, 501), answer.body
                if answer.status == 400:  # nor can there be a good token
                    assert re.search("Token (is )?not valid", answer.message)

    def test_violations_name_the_member(self, raw):
        """A refusal says which value is wrong."""
        call = right_call(APIS[0], APIS[0].by_name["UpdateRecords"])
        call.body["RecordPatches"][0]["Op"] = "append"

        answer = send(raw, call)

        assert answer.error == "InvalidParameterException"
        assert "append" in answer.message
        assert "1 validation error detected" in answer.message
        assert "op" in answer.message

    def test_refused_configuration_is_not_stored(self, raw, sync, pool):
        """None of the wrong configurations of a pool that exists is stored."""
        api = APIS[0]
        operation = api.by_name["SetIdentityPoolConfiguration"]
        for each in violations.violations(api, operation):
            if "IdentityPoolId" in each.name:
                continue
            each.call.labels["IdentityPoolId"] = pool
            assert_refused(send(raw, each.call), each.name)

        found = sync.get_identity_pool_configuration(IdentityPoolId=pool)

        assert {"IdentityPoolId", "ResponseMetadata"} == set(found)

    def test_refused_updates_are_not_stored(self, raw, dataset):
        """None of the wrong updates, with a token that is good, leaves anything."""
        api = APIS[0]
        token = dataset.token()
        for each in violations.violations(api, api.by_name["UpdateRecords"]):
            if each.name.startswith(("Identity", "DatasetName", "SyncSessionToken")):
                continue
            each.call.labels = dict(
                IdentityPoolId=dataset.pool,
                IdentityId=dataset.identity,
                DatasetName=dataset.name,
            )
            each.call.body["SyncSessionToken"] = token
            assert_refused(send(raw, each.call), each.name)

        assert not dataset.list()["DatasetExists"]
        dataset.update(replace("a", "1"), token=token)


class TestBodies:
    """Bodies that are not what they should be."""

    @pytest.mark.parametrize(
        "body",
        [
            b"not json",
            b"{",
            b'{"a": }',
            b"{} {}",
            b"{'a': 1}",
            b"[]",
            b'"text"',
            b"null",
            b"true",
            b"17",
            b" ",
            b"\xff\xfe{\x00}\x00",
            b"\xef\xbb\xbf{}",
            b'{"SyncSessionToken": "\xff"}',
            b'{"SyncSessionToken": "\xed\xa0\x80"}',
            b'{"SyncSessionToken": "\xc0\x80"}',
            b'{"SyncSessionToken": "a\nb"}',
            b'{"SyncSessionToken": "\\ud800"}',
            b'{"SyncSessionToken": "\\udfff\\ud800"}',
            b'{"SyncSessionToken": "\\u0000"}',
            b'{"SyncSessionToken": "\\q"}',
            b'{"SyncSessionToken": "t", "RecordPatches": ' + b"[" * 200_000,
            b'{"SyncSessionToken": ' * 100_000,
            b'{"SyncSessionToken": "t", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            b'{"SyncSessionToken": "t", "SyncSessionToken": 5}',
            b'{"SyncSessionToken": ["t"], "SyncSessionToken": "t"}',
            b'{"SyncSessionToken": NaN}',
            b'{"SyncSessionToken": -Infinity}',
            b'{"SyncSessionToken": 1e400}',
            b'{"SyncSessionToken": "t", "DeviceId": "\\u0000"}',
        ],
    )
    def test_body_is_refused(self, raw, dataset, body):
        """A body that cannot be read, or holds the wrong thing, is refused."""
        assert_refused(raw.call("POST", dataset.path, body), body[:60])

        assert not dataset.list()["DatasetExists"]

    @pytest.mark.parametrize(
        "number",
        [
            "1e400",
            "-1e400",
            "1.5",
            "1e2000000",
            "9" * 400,
            "9" * 100_000,
            "-9223372036854775809",
            "9223372036854775808",
            "01",
            "+1",
            ".5",
            "0x1",
            "--1",
            "NaN",
            '"1"',
        ],
    )
    def test_numbers(self, raw, dataset, number):
        """A sync count that is no 64-bit integer is refused."""
        body = (
            f'{{"SyncSessionToken":"{dataset.token()}","RecordPatches":'
            f'[{{"Op":"replace","Key":"a","Value":"v","SyncCount":{number}}}]}}'
        )

        assert_refused(raw.call("POST", dataset.path, body.encode()))

        assert not dataset.list()["DatasetExists"]

    @pytest.mark.parametrize(
        "number", ["1e400", "-1e300", "1e18", "9" * 400, "1e999999"]
    )
    def test_dates_out_of_range(self, raw, dataset, number):
        """A date beyond all calendars is refused, for clients could not read it."""
        body = (
            f'{{"SyncSessionToken":"{dataset.token()}","RecordPatches":'
            f'[{{"Op":"replace","Key":"a","Value":"v","SyncCount":0,'
            f'"DeviceLastModifiedDate":{number}}}]}}'
        )

        assert_refused(raw.call("POST", dataset.path, body.encode()))

        assert not dataset.list()["DatasetExists"]

    def test_whole_number_may_be_spelled_as_a_fraction(self, raw, dataset):
        """1.0 is either one or refused; it does not break anything."""
        body = (
            f'{{"SyncSessionToken":"{dataset.token()}","RecordPatches":'
            '[{"Op":"replace","Key":"a","Value":"v","SyncCount":0.0}]}'
        )

        assert raw.call("POST", dataset.path, body.encode()).status in (200, 400)

    def test_patches_with_a_member_twice(self, raw, dataset):
        """What stands twice is taken once, whichever it is, or refused."""
        body = (
            f'{{"SyncSessionToken":"{dataset.token()}","RecordPatches":'
            '[{"Op":"replace","Op":"remove","Key":"a","Key":"b","Value":"v",'
            '"SyncCount":0}]}'
        )

        assert raw.call("POST", dataset.path, body.encode()).status in (200, 400)

        assert len(dataset.values()) <= 1

    @pytest.mark.parametrize(
        "text", ["\\u0000", "a\\u0000b", "\\ud83d", "\\ude00\\ud83d"]
    )
    @pytest.mark.parametrize("member", ["Key", "Value"])
    def test_text_that_is_none(self, raw, dataset, member, text):
        """NUL and halves of characters are refused: no client could read them back."""
        patch = {"Op": '"replace"', "Key": '"a"', "Value": '"v"', "SyncCount": "0"}
        patch[member] = f'"{text}"'
        members = ",".join(f'"{name}":{value}' for name, value in patch.items())
        token = dataset.token()
        body = f'{{"SyncSessionToken":"{token}","RecordPatches":[{{{members}}}]}}'

        assert_refused(raw.call("POST", dataset.path, body.encode()))

        assert not dataset.list()["DatasetExists"]

    def test_unknown_members_are_passed_over(self, raw, dataset):
        """Clients may send more than the contract has."""
        patch = {**replace("a", "1"), "Unknown": {"x": [1]}}
        body = {
            "SyncSessionToken": dataset.token(),
            "RecordPatches": [patch],
            "Other": None,
        }

        assert raw.call("POST", dataset.path, body).status == 200

    def test_body_cannot_name_another_dataset(self, raw, sync, dataset):
        """Members of the path and the query count where they stand, not in the body."""
        other = Dataset(sync, dataset.pool, new_identity())
        body = {
            "SyncSessionToken": dataset.token(),
            "RecordPatches": [replace("a", "1")],
            **other.ids,
        }

        assert raw.call("POST", dataset.path, body).status == 200

        assert dataset.values() == {"a": "1"}
        assert not other.list()["DatasetExists"]

    def test_very_many_patches(self, raw, dataset):
        """A request with very many patches is refused as a whole."""
        body = {
            "SyncSessionToken": dataset.token(),
            "RecordPatches": [replace(f"k{n}", "") for n in range(60_000)],
        }

        assert_refused(raw.call("POST", dataset.path, body))

        assert not dataset.list()["DatasetExists"]


class TestSize:
    """Bodies over the limit are refused, before they are read to the end."""

    LIMIT = limits.REQUEST_BODY_BYTES_MAX

    def test_announced(self, raw, dataset):
        """A content length over the limit is refused at once."""
        request = raw.signed(
            Request(
                method="POST",
                target=dataset.path.encode(),
                headers=(("content-length", str(10**12)),),
            )
        )

        answer = raw.send(request)

        assert (answer.status, answer.error) == (413, "RequestEntityTooLargeException")

    @pytest.mark.parametrize("length", ["-1", "x", "9" * 30, "1, 2", "0x10", ""])
    def test_length_that_is_none(self, raw, dataset, length):
        """A content length that makes no sense is refused."""
        request = raw.signed(
            Request(
                method="POST",
                target=dataset.path.encode(),
                headers=(("content-length", length),),
            )
        )

        assert 400 <= raw.send(request).status < 500

    def test_sent(self, raw, dataset):
        """A body that is one byte too long is refused, one that just fits is read."""
        for size, status in ((self.LIMIT, 400), (self.LIMIT + 1, 413)):
            answer = raw.call("POST", dataset.path, b" " * size)

            assert status == answer.status

    def test_chunked(self, raw, dataset):
        """A body without a length is cut off where it passes the limit."""
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        signed = raw.signed(Request(method="POST", target=dataset.path.encode()))
        lines = [f"POST {dataset.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in signed.headers]
        lines += ["transfer-encoding: chunked", "", ""]
        with raw.connect() as connection:
            connection.sendall("\r\n".join(lines).encode())
            for _ in range(self.LIMIT // 0x10000 + 2):
                connection.sendall(chunk)
            answer = read_answer(connection)

        assert (answer.status, answer.error) == (413, "RequestEntityTooLargeException")

    def test_chunked_body_is_read(self, raw, dataset):
        """A chunked body within the limit is as good as any."""
        body = json.dumps(
            {
                "SyncSessionToken": dataset.token(),
                "RecordPatches": [replace("a", "1")],
            }
        ).encode()
        signed = raw.signed(
            Request(method="POST", target=dataset.path.encode(), body=body)
        )
        chunks = b"".join(
            b"1\r\n" + body[n : n + 1] + b"\r\n" for n in range(len(body))
        )
        lines = [f"POST {dataset.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in signed.headers]
        lines += ["transfer-encoding: chunked", "", ""]

        answer = raw.send_bytes("\r\n".join(lines).encode() + chunks + b"0\r\n\r\n")

        assert answer.status == 200, answer.body
        assert dataset.values() == {"a": "1"}


class TestAddresses:
    """Paths, targets and methods that lead nowhere."""

    @pytest.mark.parametrize(
        "target",
        [
            "/nowhere",
            "//",
            "/identitypools/",
            "/identitypools//",
            "/IdentityPools",
            "/identitypools/x/y",
            "/identitypools/a:b/identities//datasets",
            "/identitypools/a:b/identities/a:b/datasets/d/records/x",
            "/identitypools/a:b/identities/a:b/datasets/d/",
            "/identitypools/%",
            "/identitypools/%zz/configuration",
            "/identitypools/%00/configuration",
            "/identitypools/a:b%00/configuration",
            "/identitypools/%ff%fe/configuration",
            "/identitypools/%2e%2e/configuration",
            "/identitypools/../configuration",
            "/identitypools/a%2Fb/configuration",
            "/identitypools?maxResults=1&nextToken=%00",
            "/identitypools?nextToken=%ff",
            "/identitypools?maxResults=%00",
            "/identitypools?maxResults=",
            "/favicon.ico",
            "/stream-payloads/",
            "/stream-payloads/../secret.key",
            "/stream-payloads/%2e%2e%2fsecret.key",
            "/metrics/../identitypools",
            "/.well-known/x",
        ],
    )
    def test_paths(self, raw, target):
        """A path that leads nowhere, or has something wrong in it, is refused."""
        answer = raw.call("GET", target)

        assert 400 <= answer.status < 500, answer.body

    @pytest.mark.parametrize(
        "method", ["PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "X"]
    )
    def test_methods(self, raw, dataset, method):
        """Other methods than those of the API are refused."""
        dataset.put(a="1")

        request = raw.signed(Request(method=method, target=dataset.path.encode()))
        with contextlib.closing(raw.connect()) as connection:
            lines = [f"{method} {dataset.path} HTTP/1.1"]
            lines += [f"{name}: {value}" for name, value in request.headers]
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            status = int(connection.recv(100).split()[1])

        assert 400 <= status < 500
        assert dataset.values() == {"a": "1"}

    @pytest.mark.parametrize(
        "target",
        [
            "",
            "Kinesis_20131202.",
            "Kinesis_20131202.NoSuchOperation",
            "Kinesis_20131202.listStreams",
            "ListStreams",
            "AWSCognitoIdentityService.ListStreams",
            "x" * 5000,
            "Kinesis_20131202.ListStreams, Kinesis_20131202.ListStreams",
        ],
    )
    @pytest.mark.parametrize(
        ("content_type", "form"),
        [
            ("", "application/x-amz-json-1.1"),
            ("application/json", "application/x-amz-json-1.1"),
            ("application/x-amz-json-1.0", "application/x-amz-json-1.1"),
            ("application/x-amz-cbor-1.1", "application/x-amz-cbor-1.1"),
        ],
    )
    def test_targets(self, raw, target, content_type, form):
        """A target that names no operation is refused in the form of its protocol."""
        headers = (("x-amz-target", target), ("content-type", content_type))

        answer = raw.call("POST", "/", b"{}", headers, "kinesis")

        assert (answer.status, answer.error) == (400, "UnknownOperationException")
        assert answer.headers["content-type"] == form
        in_cbor = "cbor" in form
        error = cbor2.loads(answer.body) if in_cbor else answer.json
        assert error["__type"] == "UnknownOperationException"
        assert f"'{target[:256]}'" in error["message"]

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_targets_are_for_post(self, raw, method):
        """A target is of no use with another method, and the refusal says so."""
        headers = (("x-amz-target", "Kinesis_20131202.ListStreams"),)

        answer = raw.call(method, "/", b"", headers, "kinesis")

        assert (answer.status, answer.error) == (400, "UnknownOperationException")
        assert "POST" in answer.message

    def test_no_target(self, raw):
        """The root without a target is no operation."""
        for method in ("GET", "POST"):
            answer = raw.call(method, "/", b"", service="kinesis")

            assert (answer.status, answer.error) == (404, "UnknownOperationException")

    @pytest.mark.parametrize(
        "content_type", ["application/x-amz-json-1.1", "application/x-amz-cbor-1.1"]
    )
    def test_no_target_in_a_protocol_with_targets(self, raw, content_type):
        """Who speaks a protocol with targets and names none is told so in it."""
        headers = (("content-type", content_type),)

        answer = raw.call("POST", "/", b"{}", headers, "kinesis")

        assert (answer.status, answer.error) == (400, "UnknownOperationException")
        assert answer.headers["content-type"] == content_type
        assert b"X-Amz-Target" in answer.body

    @pytest.mark.parametrize("size", [8_000, 8_193, 20_000, 70_000])
    def test_long_paths(self, raw, size):
        """A path of any length is refused without harm."""
        answer = raw.call("GET", "/identitypools/" + "a" * size)

        assert 400 <= answer.status < 500

    def test_long_query(self, raw):
        """A query of any length is refused without harm, or passed over."""
        for query in ("x=" + "a" * 20_000, "&".join(f"p{n}=1" for n in range(3000))):
            assert raw.call("GET", f"/identitypools?{query}").status < 500


class TestHeaders:
    """Headers that are too many, too long or not headers at all."""

    def test_many_headers(self, raw):
        """Very many headers are served or refused."""
        for count in (90, 500, 5000):
            headers = tuple((f"x-h{n}", "v") for n in range(count))
            answer = raw.send(Request(target=b"/identitypools", headers=headers))

            assert 400 <= answer.status < 500

    def test_long_header(self, raw):
        """A very long header is served or refused."""
        for size in (9_000, 100_000):
            request = Request(
                target=b"/identitypools", headers=(("authorization", "A" * size),)
            )

            assert 400 <= raw.send(request).status < 500

    @pytest.mark.parametrize(
        "authorization",
        [
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA256 ",
            "AWS4-HMAC-SHA256 ,,,,",
            "AWS4-HMAC-SHA256 =",
            "AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=",
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/e,SignedHeaders=host,Signature=x",
            "AWS4-HMAC-SHA256 Credential=////,SignedHeaders=;;,Signature=;",
            "AWS4-HMAC-SHA256 Credential=é,SignedHeaders=host,Signature=x",
            "AWS4-" + "," * 5000,
            "AWS4-HMAC-SHA256 " + "Credential=x," * 500,
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/e,SignedHeaders="
            + ";".join(f"h{n}" for n in range(1500))
            + ",Signature=x",
        ],
    )
    def test_garbage_for_a_signature(self, raw, authorization):
        """Whatever stands in the Authorization header, it is refused."""
        for date in ("20130609T095204Z", "", "é"):
            headers = (("authorization", authorization), ("x-amz-date", date))

            assert_refused(raw.send(Request(target=b"/identitypools", headers=headers)))

    @pytest.mark.parametrize(
        "data",
        [
            b"\r\n\r\n\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: a\r\nx: a\x00b\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: a\r\n folded: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: a\r\nh\xc3\xa9: b\r\n\r\n",
            b"GET /\x00 HTTP/1.1\r\nhost: a\r\n\r\n",
            b"GET /\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n",
            b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n",
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n"
            b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n"
            b"content-length: 6\r\n\r\n",
            b"GET http://elsewhere/identitypools HTTP/1.1\r\nhost: a\r\n\r\n",
            b"CONNECT elsewhere:443 HTTP/1.1\r\nhost: elsewhere:443\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            bytes(range(256)) * 40,
        ],
    )
    def test_garbage_for_a_request(self, raw, data):
        """Bytes that are no request get an error or a closed connection."""
        status = first_status(raw, data)

        assert status is None or 400 <= status < 500

    def test_connection_that_is_cut_off(self, raw, dataset):
        """A client that goes away amid its request leaves nothing behind."""
        head = f"POST {dataset.path} HTTP/1.1\r\nhost: {raw.host}\r\n"
        for data in (
            head,
            head + "content-length: 100\r\n\r\n{",
            head + "transfer-encoding: chunked\r\n\r\n5\r\n{",
        ):
            with raw.connect() as connection:
                connection.sendall(data.encode())

        assert not dataset.list()["DatasetExists"]


def first_status(raw, data):
    """Send bytes and read the status of the answer; None when there is none."""
    with raw.connect() as connection:
        with contextlib.suppress(OSError):  # it may be closed already
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            line = connection.recv(4096).split(b"\r\n")[0].split()
            if len(line) > 1 and line[0].startswith(b"HTTP/"):
                return int(line[1])
    return None


def test_connection_stays_usable(raw, dataset):
    """After a refusal the next request on the same connection is answered rightly."""
    token = dataset.token()
    requests = [
        Request(target=b"/nowhere"),
        Request(method="POST", target=dataset.path.encode(), body=b"not json"),
        Request(method="POST", target=b"/nowhere", body=b"x" * 1000),
        Request(
            method="POST",
            target=dataset.path.encode(),
            body=json.dumps(
                {
                    "SyncSessionToken": token,
                    "RecordPatches": [replace("a", "1")],
                }
            ).encode(),
        ),
        Request(target=f"{dataset.path}/records".encode()),
    ]
    host, port = raw.address
    connection = http.client.HTTPConnection(host, port, timeout=seconds(20))
    statuses = []
    with contextlib.closing(connection):
        for request in requests:
            signed = raw.signed(request)
            connection.request(
                signed.method,
                signed.target.decode(),
                signed.body or None,
                dict(signed.headers),
            )
            response = connection.getresponse()
            statuses.append(response.status)
            body = response.read()

    assert statuses == [404, 400, 404, 200, 200]
    assert json.loads(body)["Records"][0]["Key"] == "a"


def test_requests_sent_ahead(raw, dataset):
    """Requests that are sent without waiting are answered one by one, in order."""
    dataset.put(a="1")
    data = b""
    calls = [("GET", "/records"), ("GET", ""), ("DELETE", ""), ("GET", "")]
    for method, suffix in calls:
        request = raw.signed(
            Request(method=method, target=f"{dataset.path}{suffix}".encode())
        )
        lines = [f"{method} {dataset.path}{suffix} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers]
        data += "\r\n".join([*lines, "", ""]).encode()

    with raw.connect() as connection:
        connection.sendall(data)
        received = b""
        while received.count(b"HTTP/1.1 ") < 4:
            received += connection.recv(65_536)

    statuses = re.findall(rb"HTTP/1\.1 (\d+)", received)
    assert statuses == [b"200", b"200", b"200", b"404"]
