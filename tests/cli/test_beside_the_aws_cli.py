"""Command lines that ours and the AWS CLI run side by side, with the same outcome."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import millpond
from certificates import make_certificate
from cli.stub import Stub
from millpond.cli.api.configuration import Configuration
from millpond.cli.api.retries import Policy
from millpond.testing.deadlines import seconds

AWS = Path(sys.executable).with_name("aws")
PROGRAMS = ([sys.executable, "-m", "millpond"], [str(AWS)])
SOURCE = str(Path(millpond.__file__).parent.parent)
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
_USAGE = re.compile(r"usage:.*?<command> <subcommand> help\n", re.DOTALL)

pytestmark = pytest.mark.skipif(
    not AWS.is_file(), reason="the AWS CLI is not installed: pip install awscli"
)


@dataclass
class Done:
    """What one program did: its result, its messages, and what it sent."""

    code: int
    out: str
    err: str
    sent: list[tuple[str, str, str, str]]


def run(program: list[str], words: tuple[str, ...], stub: Stub, **variables) -> Done:
    """Run a program against a stub that begins anew."""
    stub.received.clear()
    done = subprocess.run(
        [*program, *(each.replace("{stub}", stub.url) for each in words)],
        env={
            **os.environ,
            "PYTHONPATH": SOURCE,
            **{k: v.replace("{stub}", stub.url) for k, v in variables.items()},
        },
        capture_output=True,
        text=True,
        timeout=seconds(60),
        check=False,
    )
    message = _USAGE.sub("", done.stderr).replace("aws: error:", "millpond: error:")
    sent = [
        (each.method, each.target, each.body.decode(), _scope(each.headers))
        for each in stub.received
    ]
    return Done(done.returncode, done.stdout, " ".join(message.split()), sent)


def _scope(headers: dict[str, str]) -> str:
    """The region and the service of a signature."""
    found = re.search(
        r"Credential=[^/]+/\d+/([^,]+),", headers.get("authorization", "")
    )
    return found[1] if found else ""


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
