"""Many calls of a stranger: refused in the form of each protocol, and nothing made."""

from __future__ import annotations

import contextlib
import json
import socket
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlencode
from urllib.request import urlopen
from xml.etree import ElementTree

import pytest
from botocore import UNSIGNED
from botocore.config import Config

from acceptance.raw_http import Answer, RawClient, Request, Scope, read_answer
from acceptance.sync_client import create_pool
from acceptance.users import get_credentials
from millpond.testing.server import RunningServer

RATE = 2  # GetId a second; a full bucket has 120
FULL = 120
READS = 40
PROXY = "127.0.0.1"
CONNECTIONS = 16  # asked at once: buckets gain little meanwhile, on a slow machine too


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the least limits, behind a proxy on this machine."""
    settings = {
        "rate_new_identities_max": str(RATE),
        "rate_credentials_max": "4",
        "rate_reads_max": str(READS),
        "trusted_proxies": json.dumps([PROXY]),
    }
    with RunningServer(tmp_path_factory.mktemp("rates"), settings=settings) as running:
        yield running


def get_id(pool: str, sender: str) -> Request:
    """Make the request of a device that a proxy has heard of."""
    return Request(
        method="POST",
        headers=(
            ("x-amz-target", "AWSCognitoIdentityService.GetId"),
            ("content-type", "application/x-amz-json-1.1"),
            ("x-forwarded-for", sender),
        ),
        body=json.dumps({"IdentityPoolId": pool}).encode(),
    )


def repeat(raw: RawClient, request: Request, times: int) -> list[Answer]:
    """Send one request so often, on a few connections."""
    headers = request.headers
    if headers[0][0] != "host":
        headers = (("host", raw.host), *headers)
    if request.body:
        headers = (*headers, ("content-length", str(len(request.body))))
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.target)]
    lines += [f"{name}: {value}".encode() for name, value in headers]
    data = b"\r\n".join([*lines, b"", request.body])
    answers: list[Answer] = []
    with contextlib.ExitStack() as open_until:
        connections = [
            open_until.enter_context(raw.connect())
            for _ in range(min(times, CONNECTIONS))
        ]
        for each in connections:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while len(answers) < times:
            asked = connections[: times - len(answers)]
            for each in asked:
                each.sendall(data)
            answers += [read_answer(each) for each in asked]
    return answers


def statuses(answers: list[Answer]) -> Counter[int]:
    """Count answers by status."""
    return Counter(each.status for each in answers)


def identities(server: RunningServer, pool: str) -> int:
    """Count the identities of a pool."""
    client = server.client("cognito-identity")
    count, token = 0, dict[str, str]()
    while True:
        answer = client.list_identities(IdentityPoolId=pool, MaxResults=60, **token)
        count += len(answer["Identities"])
        if "NextToken" not in answer:
            client.close()
            return count
        token = {"NextToken": answer["NextToken"]}


def test_a_stranger_makes_so_many_identities_and_no_more(server):
    """What is refused made no row; it says when to try again; others go on."""
    raw, pool = RawClient(server), create_pool(server)

    answers = repeat(raw, get_id(pool, "192.0.2.1"), 3 * FULL)

    counted = statuses(answers)
    assert FULL <= counted[200] < 2 * FULL  # and what came while we asked
    assert counted[200] + counted[429] == 3 * FULL
    assert identities(server, pool) == counted[200]
    last = find_refusal(answers)
    assert last.json["__type"] == last.error == "TooManyRequestsException"
    assert int(last.headers["retry-after"]) >= 1
    assert raw.send(get_id(pool, "192.0.2.2")).status == 200
    # What he writes to the left of the proxy's word gives him no fresh bucket.
    forged = get_id(pool, "198.51.100.7, 192.0.2.1")
    assert statuses(repeat(raw, forged, 20))[429] >= 15
    with urlopen(f"{server.endpoint}/metrics") as response:
        text = response.read().decode()
    assert 'millpond_rate_refusals_total{class="new identities"}' in text


def find_refusal(
    answers: list[Answer], *, status: int = 429, word: bytes = b""
) -> Answer:
    """
    Find the last call that was over the limit.

    Not every late call is: on a slow machine a bucket gains while they come.
    """
    return next(
        each
        for each in reversed(answers)
        if each.status == status and word in each.body
    )


def test_one_ipv6_network_is_one_peer(server):
    """Whoever has a network of 64 bits has one bucket, not 2**64."""
    raw, pool = RawClient(server), create_pool(server)
    for number in range(4):
        repeat(raw, get_id(pool, f"2001:db8:0:7::{number:x}"), FULL // 3)

    answers = repeat(raw, get_id(pool, "2001:db8:0:7:ffff::1"), 10)

    assert statuses(answers)[429] >= 5


def test_sts_refuses_in_its_own_form(server):
    """The query protocol has XML, its own name of the error, and Retry-After."""
    raw = RawClient(server)
    form = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15"}
    request = Request(
        method="POST",
        headers=(
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-forwarded-for", "192.0.2.9"),
        ),
        body=urlencode(form).encode(),
    )

    last = find_refusal(repeat(raw, request, 300), status=400, word=b"<Code>Throttling")

    code = ElementTree.fromstring(last.body).findtext(".//{*}Code")
    assert (last.status, code) == (400, "Throttling")
    assert int(last.headers["retry-after"]) >= 1


def test_an_identity_is_held_to_its_limit_and_a_developer_is_not(server):
    """Reads of one identity end in 429; the developer's of the same data go on."""
    raw = RawClient(server)
    anonymous = server.client(
        "cognito-identity", config=Config(signature_version=UNSIGNED)
    )
    pool = create_pool(server)
    guest = get_credentials(anonymous, pool)
    anonymous.close()
    path = f"/identitypools/{pool}/identities/{guest.identity_id}/datasets"
    request = Request(target=path.replace(":", "%3A").encode())
    token = (("x-amz-security-token", guest.session_token),)
    scope = Scope(access_key_id=guest.access_key_id, secret=guest.secret_key)
    by_guest = raw.signed(request.but(headers=token), scope)
    by_developer = raw.signed(request)

    times = round(READS * 60 * 1.5)
    counted = statuses(repeat(raw, by_guest, times))

    assert set(counted) == {200, 429}
    assert counted[200] >= READS * 60
    fine = repeat(raw, by_developer, times)
    assert statuses(fine) == {200: times}
