"""Command lines that ours and the AWS CLI run side by side, with the same outcome."""

from __future__ import annotations

import json
import ssl
import sys
from pathlib import Path

import pytest

from certificates import make_certificate
from cli.side_by_side import run
from cli.stub import Stub
from millpond.client.api.configuration import Configuration
from millpond.client.api.retries import Policy

AWS = Path(sys.executable).with_name("aws")
PROGRAMS = ([sys.executable, "-m", "millpond"], [str(AWS)])
POOL = "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f"
DETAILS = ("cognito-sync", "get-bulk-publish-details", "--identity-pool-id", POOL)
LIST = ("cognito-sync", "list-identity-pool-usage")
UPDATE = (
    *("cognito-sync", "update-records", "--identity-pool-id", POOL),
    *("--identity-id", POOL, "--dataset-name", "d", "--sync-session-token", "t"),
)
POOLS = (
    *("cognito-identity", "list-identity-pools"),
    *("--cli-input-json", '{"MaxResults": 2}'),
)
HERE = ("--endpoint-url", "{stub}")

pytestmark = pytest.mark.skipif(
    not AWS.is_file(), reason="the AWS CLI is not installed: pip install awscli"
)


@pytest.fixture
def beside(home, stub):
    """Run a command line with both programs; give back what ours and theirs did."""

    def run_both(*words: str, answers: list | None = None, **variables: str):
        done = []
        for program in PROGRAMS:
            stub.answers.clear()
            for each in answers or [{}]:
                stub.will_answer(each)
            done.append(run(program, words, stub, **variables))
        return done

    return run_both


def page(number: int, token: str | None = None) -> dict:
    """A page of two pools."""
    pools = [
        {"IdentityPoolId": f"{number}{each}", "IdentityPoolName": "n"} for each in "ab"
    ]
    return {"IdentityPools": pools, **({"NextToken": token} if token else {})}


THREE_PAGES = [page(1, "t1"), page(2, "t2"), page(3)]
SECOND_OF_FIRST = "eyJOZXh0VG9rZW4iOiBudWxsLCAiYm90b190cnVuY2F0ZV9hbW91bnQiOiAxfQ=="


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--output", "text"),
        ("--output", "table"),
        ("--max-items", "3"),
        ("--max-items", "3", "--output", "text"),
        ("--max-items", "4"),
        ("--max-items", "0"),
        ("--page-size", "1", "--max-items", "1"),
        ("--starting-token", "t0"),
        ("--starting-token", "t0___1", "--max-items", "1"),
        ("--starting-token", "a___b___1"),
        ("--starting-token", SECOND_OF_FIRST, "--max-items", "2"),
        ("--query", "IdentityPools[].IdentityPoolId", "--output", "text"),
        ("--no-paginate",),
        ("--no-paginate", "--max-items", "1"),
        ("--next-token", "t0"),
        ("--max-results", "5", "--page-size", "1"),
        ("--max-items", "x"),
    ],
)
def test_pages_are_put_together(beside, words):
    """What is listed, in which form, with which token to go on, after which calls."""
    ours, theirs = beside(*POOLS, *words, *HERE, answers=THREE_PAGES)

    assert theirs == ours


@pytest.mark.parametrize(
    "answers",
    [
        [{}],
        [{"IdentityPools": []}],
        [page(1, "same"), page(2, "same")],
    ],
)
def test_odd_pages(beside, answers):
    """Pages without items, and a token that leads nowhere."""
    ours, theirs = beside(*POOLS, *HERE, answers=answers)

    assert theirs == ours


@pytest.mark.parametrize("region", ["fips-us-east-1", "us-east-1-fips"])
def test_a_region_with_the_mark_of_fips(beside, region):
    """The region without its mark is signed for."""
    ours, theirs = beside(*LIST, "--region", region, *HERE)

    assert theirs == ours
    assert ours.sent[0][3].startswith("us-east-1/")


@pytest.mark.parametrize(
    "region", ["fips-us-east-1", "eu-isoe-west-1", "us-iso-east-1"]
)
def test_the_endpoints_of_aws(beside, region):
    """A region's own endpoint, for dual stack, as a proxy is asked for it."""
    ours, theirs = beside(
        *(*LIST, "--region", region),
        HTTPS_PROXY="{stub}",
        AWS_USE_DUALSTACK_ENDPOINT="true",
    )

    assert [each[:2] for each in theirs.sent] == [each[:2] for each in ours.sent]
    assert (theirs.code, theirs.out) == (ours.code, ours.out)
    if not ours.sent:
        assert theirs.err == ours.err


@pytest.mark.parametrize(
    "words",
    [
        # JSON in the first word makes JSON of all.
        (*UPDATE, "--record-patches", '{"Op": "remove"}', "Op=remove,Key=k"),
        (*LIST, "--next-token", "http://"),
        (*LIST, "--next-token", "http://["),
        (*LIST, "--query", "&IdentityPoolUsages"),
    ],
)
def test_values(beside, words):
    """Values that cannot be read, or cannot be shown."""
    ours, theirs = beside(*words, *HERE)

    assert theirs == ours
    assert ours.code == 255


@pytest.mark.parametrize("mode", ["nope", "", "Standard", "legacy"])
def test_the_defaults_mode(beside, mode):
    """A mode that there is not is refused; another one changes how often is tried."""
    ours, theirs = beside(
        *DETAILS,
        *HERE,
        answers=[{"__type": "X", "message": "m"}],
        AWS_DEFAULTS_MODE=mode,
    )

    assert theirs == ours


def test_the_defaults_mode_sets_the_retry_mode(home):
    """ "standard" counts attempts in its own way: three of them by default."""

    def policy(**variables: str) -> tuple[str, int]:
        found = Policy.configured(Configuration(environment=variables))
        return found.mode, found.attempts_max

    assert policy() == ("legacy", 5)
    assert policy(AWS_DEFAULTS_MODE="in-region") == ("standard", 3)
    assert policy(AWS_DEFAULTS_MODE="mobile", AWS_RETRY_MODE="legacy") == ("legacy", 5)


def test_the_password_of_a_proxy_is_not_shown(beside):
    """Who the proxy is, is told; how one gets in, is not."""
    ours, theirs = beside(*DETAILS, *HERE, HTTP_PROXY="http://me:secret@127.0.0.1:1")

    assert theirs == ours
    assert "secret" not in ours.err


def test_a_listing_by_hand(beside):
    """With a limit on the line, one call is one page."""
    words = ("cognito-identity", "list-identity-pools", "--max-results", "2")
    ours, theirs = beside(*words, *HERE, answers=THREE_PAGES)

    assert theirs == ours
    assert json.loads(ours.out)["NextToken"] == "t1"
    assert len(ours.sent) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The files of a certificate and its key."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def stub_with_tls(certificate):
    """A stub that speaks TLS, with a certificate of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    stub = Stub(tls=context)
    yield stub
    stub.close()


@pytest.mark.parametrize(
    ("words", "works"),
    [
        ((), False),
        (("--ca-bundle", "{certificate}"), True),
        (("--ca-bundle", "{key}"), False),
        (("--ca-bundle", "/nowhere.pem"), False),
        (("--ca-bundle", "/"), False),
    ],
)
def test_certificates(home, stub_with_tls, certificate, words, works):
    """What is trusted, and what is said when it is not."""
    chain, key = map(str, certificate)
    filled = [each.format(certificate=chain, key=key) for each in words]

    ours, theirs = (
        run(program, (*DETAILS, *filled, *HERE), stub_with_tls) for program in PROGRAMS
    )

    assert theirs == ours
    assert ours.code == (0 if works else 255)


STREAMS = ("kinesis", "list-streams")
STREAM_PAGES = [
    {"StreamNames": ["a", "b"], "HasMoreStreams": True, "NextToken": "t1"},
    {"StreamNames": ["c"], "HasMoreStreams": True, "NextToken": "t2"},
    {"StreamNames": ["d"], "HasMoreStreams": False, "NextToken": "t3"},
]


def described(*shards: str, more: bool) -> dict:
    """A page of a description."""
    return {
        "StreamDescription": {
            "StreamName": "s",
            "StreamStatus": "ACTIVE",
            "StreamCreationTimestamp": 1415212845.5,
            "Shards": [{"ShardId": each} for each in shards],
            "HasMoreShards": more,
        }
    }


@pytest.mark.parametrize(
    "words",
    [
        STREAMS,
        (*STREAMS, "--output", "text"),
        (*STREAMS, "--max-items", "3"),
        (*STREAMS, "--max-items", "1", "--output", "text"),
        (*STREAMS, "--starting-token", "t0___1", "--max-items", "2"),
        (*STREAMS, "--page-size", "2", "--max-items", "2"),
        (*STREAMS, "--limit", "2"),
        (*STREAMS, "--exclusive-start-stream-name", "a"),
        (*STREAMS, "--exclusive-start-stream-name", "a", "--max-items", "1"),
        (*STREAMS, "--no-paginate", "--output", "table"),
        (*STREAMS, "--next-token", "t0"),
    ],
)
def test_streams_are_listed_page_by_page(beside, words):
    """The token goes on while there are more; one page when that is asked for."""
    ours, theirs = beside(*words, *HERE, answers=STREAM_PAGES)

    assert theirs == ours


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--output", "text"),
        ("--output", "table"),
        ("--max-items", "1"),
        ("--max-items", "3"),
        ("--starting-token", "s0"),
        ("--query", "StreamDescription.Shards[].ShardId", "--output", "text"),
        ("--query", "StreamDescription.KeyId"),
        ("--limit", "1"),
    ],
)
def test_a_stream_is_described_page_by_page(beside, words):
    """The shards of all pages, and once what is said of the stream itself."""
    answers = [described("s1", "s2", more=True), described("s3", more=False)]
    line = ("kinesis", "describe-stream", "--stream-name", "s", *words)

    ours, theirs = beside(*line, *HERE, answers=answers)

    assert theirs == ours


PUT = ("kinesis", "put-record", "--stream-name", "s", "--partition-key", "p")


@pytest.mark.parametrize(
    "words",
    [
        (*PUT, "--data", "hello"),
        (*PUT, "--data", "aGVsbG8="),
        (*PUT, "--data", "é"),
        (*PUT, "--data", ""),
        (*PUT, "--data", "file://text"),
        (*PUT, "--data", "fileb://text"),
        (*PUT, "--data", "file://nowhere"),
        (*PUT[:2], "--cli-input-json", '{"Data": "x", "PartitionKey": "p"}'),
        PUT,
        (
            *("kinesis", "put-records", "--stream-name", "s", "--records"),
            *("Data=one,PartitionKey=1", "Data=two,PartitionKey=2"),
        ),
        (
            *("kinesis", "put-records", "--stream-name", "s", "--records"),
            '[{"Data": "one", "PartitionKey": "1"}]',
        ),
        ("kinesis", "get-shard-iterator", "--stream-name", "s", "--shard-id", "x"),
        (
            *("kinesis", "get-shard-iterator", "--stream-name", "s", "--shard-id"),
            *("x", "--shard-iterator-type", "AT_TIMESTAMP"),
            *("--timestamp", "2014-11-05T18:40:45.7Z"),
        ),
        ("kinesis", "create-stream", "--stream-name", "s", "--shard-count", "x"),
        ("kinesis", "create-stream", "--stream-name", "s", "--tags", "a=b,c=d"),
        ("kinesis", "delete-stream", "--no-enforce-consumer-deletion"),
        ("kinesis", "list-shards", "--shard-filter", "Type=AT_LATEST"),
    ],
)
def test_what_is_sent_to_a_stream(beside, home, words):
    """Bytes are taken as they are, and travel as base64."""
    (home / "text").write_text("from a file\n")

    ours, theirs = beside(*words, *HERE)

    assert theirs == ours


@pytest.mark.parametrize("output", ["json", "text", "table"])
def test_the_bytes_of_records_stay_base64(beside, output):
    """What cannot be shown on a terminal is shown as it travels."""
    record = {
        "SequenceNumber": "1",
        "ApproximateArrivalTimestamp": 1415212845.121,
        "Data": "aGVsbG8A/w==",
        "PartitionKey": "p",
    }
    line = ("kinesis", "get-records", "--shard-iterator", "i", "--output", output)

    ours, theirs = beside(*line, *HERE, answers=[{"Records": [record]}])

    assert theirs == ours
    assert "aGVsbG8A/w==" in ours.out


WHO = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>arn:aws:iam::0:user/é</Arn><UserId>U</UserId>
<Account>000000000000</Account><More>m</More></GetCallerIdentityResult>
<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>"""
ASSUMED = """<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey>
<SessionToken>T</SessionToken><Expiration>2014-11-05T18:40:45Z</Expiration>
</Credentials><PackedPolicySize>6</PackedPolicySize><Provider/>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
ASSUME = (
    *("sts", "assume-role-with-web-identity", "--role-session-name", "me"),
    *("--role-arn", "arn:aws:iam::000000000000:role/sync"),
    *("--web-identity-token", "a token & more"),
)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("sts", "get-caller-identity"), WHO),
        (("sts", "get-caller-identity", "--output", "text"), WHO),
        (("sts", "get-caller-identity", "--query", "Arn"), WHO),
        (("sts", "get-caller-identity", "--generate-cli-skeleton"), ""),
        (("sts", "get-caller-identity", "--generate-cli-skeleton", "output"), ""),
        (ASSUME, ASSUMED),
        ((*ASSUME, "--policy-arns", "arn=arn:aws:iam::1:policy/a", "arn=x"), ASSUMED),
        ((*ASSUME, "--policy-arns", "[]", "--duration-seconds", "900"), ASSUMED),
        ((*ASSUME, "--output", "table"), ASSUMED),
        ((*ASSUME, "--duration-seconds", "1"), ASSUMED),
        (ASSUME[:-2], ASSUMED),
    ],
)
def test_the_security_token_service(beside, words, answer):
    """A form goes out, XML comes back; what anybody may ask is not signed."""
    ours, theirs = beside(*words, *HERE, answers=[answer])

    assert theirs == ours


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (
            403,
            "<ErrorResponse xmlns='x'><Error><Type>Sender</Type><Code>AccessDenied"
            "</Code><Message>no</Message></Error></ErrorResponse>",
        ),
        (400, "<ErrorResponse><Error><Code>C</Code></Error></ErrorResponse>"),
        (400, "<Error><Code>C</Code><Message>m</Message></Error>"),
        (503, ""),
        (503, "<html>busy</html>"),
    ],
)
def test_errors_in_xml(home, stub, status, answer):
    """The code and the message stand in elements, with or without a namespace."""
    done = []
    for program in PROGRAMS:
        stub.answers.clear()
        stub.will_answer(answer, status)
        done.append(run(program, ("sts", "get-caller-identity", *HERE), stub))

    assert done[1] == done[0]
    assert done[0].code == 255
