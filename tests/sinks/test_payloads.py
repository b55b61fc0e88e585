"""Large payloads: what a link opens, for how long, and what goes wrong."""

from __future__ import annotations

import asyncio
import secrets
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from millpond.errors import SettingsError, SinkError, SinkUnavailableError
from millpond.sinks.embedded_payloads import EmbeddedPayloads
from millpond.sinks.s3_payloads import S3Payloads
from millpond.stores.sqlite import SqliteStore
from sinks.faulty_kinesis import CREDENTIALS
from sinks.moto_server import Moto
from sinks.plain_http import answering, sts_error

DATA = b'[{"key":"k","value":"\xc3\xa9"}]'
BUCKET = "payloads"
NOW_MS = 1_750_000_000_000


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials, for all that signs."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[Moto]:
    """An S3 with a bucket, and an STS."""
    running = Moto()
    client = running.client("s3")
    client.create_bucket(Bucket=BUCKET)
    client.close()
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", running.url)
    yield running
    running.close()


def bucket_url(moto: Moto, path: str = "some/prefix", bucket: str = BUCKET) -> str:
    return f"s3://{bucket}/{path}?region=us-east-1&endpoint={moto.url}"


def play(url: str, scene: Callable[[S3Payloads], Coroutine[Any, Any, None]]) -> None:
    """Run a scene with a payload store."""

    async def main() -> None:
        payloads = S3Payloads(url)
        try:
            await scene(payloads)
        finally:
            await payloads.aclose()
            await payloads.aclose()

    asyncio.run(main())


def put(url: str, lifetime_s: int = 86_700) -> str:
    """Put the data; give the link."""
    links: list[str] = []

    async def scene(payloads: S3Payloads) -> None:
        name = secrets.token_hex(16)
        links.append(await payloads.put(DATA, name=name, lifetime_s=lifetime_s))

    play(url, scene)
    return links[0]


# --- A bucket -------------------------------------------------------------------------


def test_a_link_gives_the_payload_to_whoever_holds_it(moto):
    """Nothing is asked for but the link."""
    with urllib.request.urlopen(put(bucket_url(moto))) as answer:
        assert answer.read() == DATA
        assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", ["", "/", "some/prefix", "some/prefix/"])
def test_the_key_is_below_the_prefix_and_cannot_be_guessed(moto, path):
    """The bucket is in the path, as custom endpoints expect; 128 bits are random."""
    first, second = (urlsplit(put(bucket_url(moto, path))).path for _ in range(2))
    head = f"/{BUCKET}/some/prefix/" if path.strip("/") else f"/{BUCKET}/"

    assert first != second
    assert first.startswith(head)
    name, _, ending = first.removeprefix(head).partition(".")
    assert (len(bytes.fromhex(name)), ending) == (16, "json")


def test_a_link_is_presigned_for_reading_one_object_for_a_time(moto):
    """Method, host, key and expiry are signed; the secret is not in it."""
    link = put(bucket_url(moto), lifetime_s=4000)
    parts = urlsplit(link)
    query = dict(parse_qsl(parts.query))
    signature = query.pop("X-Amz-Signature")
    request = AWSRequest(
        method="GET",
        url=f"{parts.scheme}://{parts.netloc}{parts.path}?"
        + "&".join(f"{k}={v.replace('/', '%2F')}" for k, v in query.items()),
    )
    auth = S3SigV4QueryAuth(
        Credentials(
            CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
        ),
        "s3",
        "us-east-1",
    )
    request.context["timestamp"] = query["X-Amz-Date"]
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))

    assert query["X-Amz-Expires"] == "4000"
    assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert query["X-Amz-SignedHeaders"] == "host"
    assert signature == auth.signature(to_sign, request)
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in link


def test_a_link_lasts_seven_days_at_most(moto):
    """More than that, SigV4 does not sign for."""
    assert "X-Amz-Expires=604800&" in put(bucket_url(moto), lifetime_s=604_800 + 300)


def test_links_in_aws_name_the_host_of_the_region(moto, monkeypatch):
    """Without an endpoint the bucket is in the name of the host, unless it has dots."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "")
    seen: list[str] = []

    async def link(payloads: S3Payloads) -> None:
        def sign(client: Any) -> str:
            url: str = client.generate_presigned_url(
                "get_object", Params={"Bucket": payloads._bucket, "Key": "k"}
            )
            return url

        seen.append(await payloads._clients.call(payloads._place, sign))

    play("s3://plain?region=eu-central-1", link)
    play("s3://with.dots?region=eu-central-1", link)

    assert seen[0].startswith("https://plain.s3.eu-central-1.amazonaws.com/k?")
    assert seen[1].startswith("https://s3.eu-central-1.amazonaws.com/with.dots/k?")


def test_a_role_signs_the_link(moto):
    """The link then names the role's temporary key, and ends with it at the latest."""
    role_arn = "arn:aws:iam::123456789012:role/payloads"
    query = dict(
        parse_qsl(urlsplit(put(f"{bucket_url(moto)}&role_arn={role_arn}")).query)
    )

    assert query["X-Amz-Credential"].startswith("ASIA")
    assert query["X-Amz-Security-Token"]


def test_a_bucket_that_is_not_there_is_an_error(moto):
    """It needs somebody; the streams stay on, because it is not they that are gone."""
    with pytest.raises(SinkError, match=r"'missing' .* NoSuchBucket") as caught:
        put(bucket_url(moto, bucket="missing"))

    assert type(caught.value) is SinkError
    assert "stream_payload_store" in str(caught.value)


def test_a_bucket_out_of_reach_is_worth_another_try(moto):
    """What does not answer may come back."""
    moto.go_down()
    with pytest.raises(SinkUnavailableError, match="'payloads'"):
        put(bucket_url(moto))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(403, "AccessDenied", SinkError), (500, "Internal", SinkUnavailableError)],
)
def test_a_role_that_is_refused_does_not_end_the_stream(
    moto, monkeypatch, status, code, kind
):
    """It is not the stream that is gone, which would be switched off."""
    with answering(status, sts_error(code)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        with pytest.raises(SinkError, match=f"AssumeRole answers {code}") as caught:
            put(f"{bucket_url(moto)}&role_arn=arn:aws:iam::123456789012:role/r")

    assert type(caught.value) is kind


def test_an_answer_of_somebody_else_is_not_taken_for_one_of_s3():
    """A payload is there only when S3 says so."""
    with (
        answering(200, "<html>Please log in.</html>") as url,
        pytest.raises(SinkUnavailableError, match="not one of S3"),
    ):
        put(f"s3://{BUCKET}?region=us-east-1&endpoint={url}")


def test_a_missing_region_is_said(moto):
    """A link is signed for a region, so it is not guessed."""
    with pytest.raises(SinkError, match="No region is known"):
        put(bucket_url(moto).replace("region=us-east-1&", ""))


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("s3://", "s3://BUCKET"),
        ("s3:///secret", "s3://BUCKET"),
        ("s3://Secret", "s3://BUCKET"),
        ("s3://one,two", "s3://BUCKET"),
        ("s3://bucket/a%20secret", "path"),
        (f"s3://bucket/{'x' * 513}", "512"),
        ("s3://key:secret@bucket", "no user and no password"),
        ("s3://bucket?endpoint=secret", "'endpoint'"),
        ("s3://bucket?secret=1", "no option"),
    ],
)
def test_a_url_that_cannot_be_right_is_refused(url, complaint):
    """The message says what is wrong and does not repeat the URL."""
    with pytest.raises(SettingsError, match=complaint) as caught:
        S3Payloads(url)

    assert "secret" not in str(caught.value).replace("no option 'secret'", "")


def test_a_payload_store_says_where_it_is():
    """Its repr names bucket and prefix, and nothing that is not for everybody."""
    payloads = S3Payloads("s3://bucket/a/b?region=x&external_id=hidden")

    assert repr(payloads) == "<S3Payloads s3://bucket/a/b>"
    asyncio.run(payloads.aclose())


# --- The embedded store ---------------------------------------------------------------


def test_an_embedded_link_ends_and_opens_one_payload(tmp_path: Path) -> None:
    """Each link opens what it is of; behind it there is nothing after its time."""

    async def main() -> None:
        store = SqliteStore(tmp_path)
        await store.open()
        try:
            payloads = EmbeddedPayloads(
                store, public_url="http://pond.test/", now_ms=lambda: NOW_MS
            )
            ids = ["a" * 32, "b" * 32]
            links = [await payloads.put(DATA, name=each, lifetime_s=60) for each in ids]

            assert links == [f"http://pond.test/stream-payloads/{e}" for e in ids]
            find = store.find_stream_payload
            assert await find(ids[0], now_ms=NOW_MS + 59_999) == DATA
            assert await find(ids[0], now_ms=NOW_MS + 60_000) is None
            assert await find(ids[0][:-1], now_ms=NOW_MS) is None
            assert await find("%", now_ms=NOW_MS) is None
            await payloads.aclose()
        finally:
            await store.aclose()

    asyncio.run(main())
