"""What is sent is what botocore would send, and is signed as botocore would sign it."""

from __future__ import annotations

import json

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.model
import botocore.serialize
import pytest

from millpond.client.api import models, serializing, signing, times, transport
from millpond.client.api.credentials import Credentials
from millpond.client.api.model import ServiceModel
from millpond.errors import InvalidSignatureException
from millpond.wire.sigv4.verifier import SignedRequest, Verifier
from signed_at import botocore_signs_at
from wire.known import finding

SERVICE = ServiceModel.load("cognito-sync")
BOTOCORE = botocore.model.ServiceModel(models.read("cognito-sync"))
SAMPLES = {
    "string": "a/b ü%?&=+~.-_ and more",
    "integer": 5,
    "long": -1,
    "timestamp": 1.7e9,
}


def sample(shape):
    """A value for every member there is."""
    if shape.type == "structure":
        return {name: sample(each) for name, each in shape.members.items()}
    if shape.type == "list":
        return [sample(shape.member), sample(shape.member)]
    if shape.type == "map":
        return {"SyncTrigger": sample(shape.value)}
    return shape.enum[0] if shape.enum else SAMPLES[shape.type]


@pytest.mark.parametrize("command", SERVICE.commands)
@pytest.mark.parametrize("complete", [True, False])
def test_an_input_becomes_the_request_that_botocore_makes_of_it(command, complete):
    """Path, query, headers and body are botocore's, for every operation."""
    operation = SERVICE.operation(command)
    given = sample(operation.input)
    if not complete:
        given = {k: v for k, v in given.items() if k in operation.input.required}
    theirs = botocore.serialize.create_serializer("rest-json").serialize_to_request(
        given, BOTOCORE.operation_model(operation.name)
    )

    ours = serializing.serialize(operation, given)

    assert theirs["url_path"] == ours.path
    assert {k: str(v) for k, v in theirs["query_string"].items()} == ours.query
    assert dict(theirs["headers"]) == ours.headers
    assert theirs["body"] == ours.body


@pytest.mark.parametrize("token", [None, "token//=="])
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/identitypools/us-east-1%3Aa/getBulkPublishDetails",
        "https://sync.example/",
        "https://sync.example:443/a/../b//c/./d/?b=2&a=1&a=0&c",
        "http://[::1]:8080/x%2Fy",
        "https://sync.example/a?b=2&&a=1",
    ],
)
def test_a_signature_is_botocores(url, token):
    """The same request, key and time give the same Authorization header."""
    now_s = 1415212845
    headers = {"x-amz-Client-Context": " a  b ", "User-Agent": "x"}
    theirs = botocore.awsrequest.AWSRequest("POST", url, dict(headers), b'{"a": 1}')
    theirs.context["signing"] = {}
    signer = botocore.auth.SigV4Auth(
        botocore.credentials.Credentials("AKID", "secret", token),
        "cognito-sync",
        "eu-west-1",
    )
    with botocore_signs_at(now_s):
        signer.add_auth(theirs)

    ours = transport.Request("POST", url, dict(headers), b'{"a": 1}')
    signing.sign(
        ours,
        Credentials("AKID", "secret", token),
        region="eu-west-1",
        service="cognito-sync",
        now_s=now_s,
    )

    assert theirs.headers["Authorization"] == ours.headers["Authorization"]
    assert theirs.headers.get("X-Amz-Security-Token") == ours.headers.get(
        "X-Amz-Security-Token"
    )


@pytest.mark.parametrize("signed_by", ["botocore", "us"])
@pytest.mark.parametrize("blank", ["\u00a0", "\u3000", "\x1f", " \u00a0 "])
def test_the_server_takes_blanks_of_unicode_in_a_header(signed_by, blank):
    """botocore sends them and signs a space; we sign them; another text is refused."""
    now_s = 1415212845
    request = transport.Request(
        "POST", "https://sync.example/", {"x-amz-Client-Context": f"a{blank}b"}, b"{}"
    )
    if signed_by == "us":
        keys = Credentials("AKID", "secret", None)
        signing.sign(
            request, keys, region="eu-west-1", service="cognito-sync", now_s=now_s
        )
    else:
        theirs = botocore.awsrequest.AWSRequest(
            "POST", request.url, request.headers, request.body
        )
        theirs.context["signing"] = {}
        keys = botocore.credentials.Credentials("AKID", "secret")
        with botocore_signs_at(now_s):
            botocore.auth.SigV4Auth(keys, "cognito-sync", "eu-west-1").add_auth(theirs)
        request.headers = dict(theirs.headers.items())
    verifier = Verifier(find_credentials=finding({"AKID": "secret"}), regions=None)

    def verify() -> None:
        headers = {"Host": request.host, **request.headers}
        raw = [(k.lower().encode(), v.encode()) for k, v in headers.items()]
        sent = SignedRequest("POST", b"/", b"", raw, request.body)
        verifier.verify(sent, service="cognito-sync", now_s=now_s)

    verify()
    request.headers["x-amz-Client-Context"] = f"a{blank}c"
    with pytest.raises(InvalidSignatureException):
        verify()


def test_a_call_reaches_the_server_signed(details, stub, pool):
    """A plain call is one signed POST without a body."""
    result = details()

    (request,) = stub.received
    assert (result.code, result.err) == (0, "")
    assert request.method == "POST"
    assert request.target == (
        f"/identitypools/{pool.replace(':', '%3A')}/getBulkPublishDetails"
    )
    assert "Credential=AKIDTEST/" in request.headers["authorization"]
    assert "/eu-west-1/cognito-sync/aws4_request" in request.headers["authorization"]
    assert request.headers["content-length"] == "0"
    assert "content-type" not in request.headers


def test_an_unsigned_call_needs_no_credentials(details, stub, monkeypatch):
    """With --no-sign-request nothing is signed and no keys are looked for."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")

    result = details("--no-sign-request")

    assert result.code == 0
    assert "authorization" not in stub.received[0].headers


def test_members_go_where_the_model_says(sync, stub, pool):
    """Path, query, header and body members each arrive in their place."""
    sync(
        "update-records",
        *("--identity-pool-id", pool, "--identity-id", "i:1", "--dataset-name", "d"),
        *("--sync-session-token", "tok", "--client-context", "ctx"),
        *("--record-patches", "Op=replace,Key=a,Value=b,SyncCount=0"),
    )
    sync(
        "list-datasets",
        *("--identity-pool-id", pool, "--identity-id", "i:1"),
        *("--max-results", "5", "--next-token", "a b&c"),
    )

    update, listing = stub.received
    assert update.target.endswith("/identities/i%3A1/datasets/d")
    assert update.headers["x-amz-client-context"] == "ctx"
    assert update.headers["content-type"] == "application/json"
    assert json.loads(update.body) == {
        "RecordPatches": [{"Op": "replace", "Key": "a", "Value": "b", "SyncCount": 0}],
        "SyncSessionToken": "tok",
    }
    assert listing.target.endswith("?nextToken=a%20b%26c&maxResults=5")


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("2014-11-05T18:40:45Z", 1415212845),
        ("2014-11-05T18:40:45.678Z", 1415212845),
        ("2014-11-05T18:40:45+05:30", 1415193045),
        ("2014-11-05 18:40:45", 1415212845),
        ("1415212845.9", 1415212845),
        ("-1.5", -2),
    ],
)
def test_a_time_is_sent_as_whole_epoch_seconds(written, sent):
    """Whole seconds are sent of any time; one without a zone is UTC."""
    assert sent == times.whole_epoch_s(written)


def test_the_path_and_the_query_of_an_endpoint_are_kept(run, stub, pool):
    """An endpoint below a path, with a query, is called there."""
    run(
        *("cognito-sync", "get-cognito-events", "--identity-pool-id", pool),
        *("--endpoint-url", f"{stub.url}/base/?k=v"),
    )

    assert stub.received[0].target.startswith("/base/identitypools/")
    assert stub.received[0].target.endswith("/events?k=v")


def test_a_json_api_sends_its_target():
    """The protocol of the other APIs is one path, a target header and a JSON body."""
    model = {
        "metadata": {"protocol": "json", "targetPrefix": "T", "jsonVersion": "1.1"},
        "operations": {
            "Do": {
                "name": "Do",
                "http": {"method": "POST", "requestUri": "/"},
                "input": {"shape": "DoInput"},
                "errors": [],
            }
        },
        "shapes": {
            "DoInput": {
                "type": "structure",
                "members": {"Blob": {"shape": "B"}, "On": {"shape": "O"}},
            },
            "B": {"type": "blob"},
            "O": {"type": "boolean"},
        },
    }
    operation = ServiceModel("x", model).operation("do")

    parts = serializing.serialize(operation, {"Blob": b"\x00\x01", "On": True})

    assert (parts.path, parts.headers["X-Amz-Target"]) == ("/", "T.Do")
    assert parts.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert json.loads(parts.body) == {"Blob": "AAE=", "On": True}
