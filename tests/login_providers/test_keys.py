"""The keys of login providers: when they are asked for, and when a provider fails."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from certificates import make_certificate
from login_providers.conftest import Clock
from login_providers.provider import (
    DISCOVERY,
    KEYS,
    Answer,
    Provider,
    json_key,
)
from login_providers.signing import NOW_S, claims, sign
from millpond.core.login_tokens import read_token, verify_token
from millpond.errors import LoginProviderError
from millpond.login_providers.base import LoginProviderKeys
from millpond.login_providers.keys import ProviderKeys
from millpond.settings import LoginProvider
from millpond.testing.server import wait_until

HOUR_S = 3600
HALF_A_MINUTE_S = 30


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """What is logged, which is then not printed."""
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture
def keys(provider: Provider, clock: Clock) -> ProviderKeys:
    """The keys of the provider, at a URL that is configured."""
    return keys_at(provider, clock, LoginProvider(keys=provider.url + KEYS))


def keys_at(
    provider: Provider, clock: Clock, configured: LoginProvider, **options: Any
) -> ProviderKeys:
    return ProviderKeys({provider.name: configured}, now_ms=clock, **options)


def ids(found: Any) -> list[str]:
    return [each.key_id for each in found]


def find(keys: ProviderKeys, provider: Provider, key_id: str | None) -> list[str]:
    """Find keys, in an event loop of their own."""
    return ids(asyncio.run(keys.find_keys(provider.name, key_id)))


def refused(keys: ProviderKeys, provider: Provider, key_id: str | None = "one") -> str:
    with pytest.raises(LoginProviderError) as caught:
        find(keys, provider, key_id)
    text = str(caught.value)
    assert text.startswith(
        f"The keys of login provider '{provider.name}' cannot be read: "
    )
    assert text.endswith(".")
    return text


# --- Finding keys ---------------------------------------------------------------------


def test_keys_are_found_by_their_id(provider: Provider, keys: ProviderKeys) -> None:
    """A key is found by its id, all of them without one, none by a wrong one."""
    provider.publish("one", "two")
    port: LoginProviderKeys = keys

    assert ids(asyncio.run(port.find_keys(provider.name, "two"))) == ["two"]
    assert find(keys, provider, None) == ["one", "two"]
    assert find(keys, provider, "three") == []
    assert provider.requests == {KEYS: 1}


def test_a_key_without_an_id_may_have_signed_anything(
    provider: Provider, keys: ProviderKeys
) -> None:
    """Where a provider does not name a key, it is a candidate for every token."""
    nameless = {**json_key("two"), "kid": None}
    provider.publish("one", more=[nameless])

    assert find(keys, provider, "one") == ["one", None]
    assert find(keys, provider, "three") == [None]


def test_keys_are_discovered(provider: Provider, clock: Clock) -> None:
    """With a discovery URL, the configuration there says where the keys are."""
    configured = LoginProvider(discovery_url=provider.url + DISCOVERY)
    keys = keys_at(provider, clock, configured)

    assert find(keys, provider, "one") == ["one"]
    assert provider.requests == {DISCOVERY: 1, KEYS: 1}


def test_a_provider_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any configuration, the name is where its configuration is, by TLS."""
    certificate = make_certificate(tmp_path)
    provider = Provider(certificate)
    try:
        assert "CERTIFICATE_VERIFY_FAILED" in refused(ProviderKeys({}), provider)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        assert find(ProviderKeys({}), provider, "one") == ["one"]
        provider.describe(jwks_uri=f"http://{provider.name}{KEYS}")
        assert "not https" in refused(ProviderKeys({}), provider)
    finally:
        provider.close()


def test_a_token_is_verified_with_what_was_found(
    provider: Provider, keys: ProviderKeys
) -> None:
    """From the socket to the claims: what the provider signed is believed."""
    token = read_token(
        sign(claims(iss=f"https://{provider.name}"), algorithm="ES256", key_id="one")
    )
    found = asyncio.run(keys.find_keys(provider.name, token.key_id))

    verified = verify_token(
        token, found, provider_name=provider.name, audiences={"app"}, now_s=NOW_S
    )
    assert verified["sub"] == "alice"


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "user@host",
        "host?q",
        "host#f",
        "a b",
        "host\n",
        "host:port",
        "\u00e9.com",
    ],
)
def test_a_name_that_is_no_host_is_not_asked(name: str) -> None:
    """Nothing is fetched for a name that could lead elsewhere."""
    with pytest.raises(LoginProviderError, match="not that of a host"):
        asyncio.run(ProviderKeys({}).find_keys(name, "one"))


# --- When they are fetched ------------------------------------------------------------


def test_keys_are_kept_for_an_hour(
    provider: Provider, keys: ProviderKeys, clock: Clock
) -> None:
    """For an hour the keys are those of one fetch; then a withdrawn one is gone."""
    find(keys, provider, "one")
    provider.publish("two")
    clock.go_on(HOUR_S - 1)
    assert find(keys, provider, "one") == ["one"]
    assert provider.requests == {KEYS: 1}

    clock.go_on(1)
    assert find(keys, provider, "one") == []
    assert find(keys, provider, "two") == ["two"]
    assert provider.requests == {KEYS: 2}


def test_a_new_key_is_learned_of(
    provider: Provider, keys: ProviderKeys, clock: Clock
) -> None:
    """An unknown key id makes for a fetch, so that a rotation locks nobody out."""
    find(keys, provider, "one")
    provider.publish("one", "two")
    clock.go_on(HALF_A_MINUTE_S)

    assert find(keys, provider, "two") == ["two"]
    assert provider.requests == {KEYS: 2}


def test_a_flood_of_unknown_ids_makes_one_fetch(
    provider: Provider, keys: ProviderKeys, clock: Clock
) -> None:
    """Whatever ids strangers send, a provider is asked once in half a minute."""

    async def flood() -> None:
        await asyncio.gather(
            *(keys.find_keys(provider.name, f"made up {n}") for n in range(50))
        )

    asyncio.run(flood())
    assert provider.requests == {KEYS: 1}
    clock.go_on(HALF_A_MINUTE_S - 1)
    asyncio.run(flood())
    assert provider.requests == {KEYS: 1}
    clock.go_on(1)
    asyncio.run(flood())
    assert provider.requests == {KEYS: 2}
    assert find(keys, provider, "one") == ["one"]


@pytest.mark.parametrize("key_id", ["one", None])
def test_keys_that_are_doubted_are_fetched_again(
    provider: Provider, keys: ProviderKeys, clock: Clock, key_id: str | None
) -> None:
    """A key may change under its id, or have none; doubts fetch it, now and then."""

    def published() -> str:
        keys_there = asyncio.run(keys.find_keys(provider.name, key_id))
        return str(keys_there[0].key.public_numbers().x)

    def doubt() -> Any:
        return asyncio.run(keys.find_keys(provider.name, key_id, doubted=True))

    provider.publish(more=[{**json_key("first"), "kid": key_id}])
    before = published()
    provider.publish(more=[{**json_key("second"), "kid": key_id}])
    for _ in range(9):
        clock.go_on(3)
        doubt()
    assert published() == before
    assert provider.requests == {KEYS: 1}

    clock.go_on(HALF_A_MINUTE_S)
    doubt()
    assert published() != before
    doubt()
    assert provider.requests == {KEYS: 2}


def test_doubts_about_a_provider_that_is_down_are_not_settled(
    provider: Provider, keys: ProviderKeys, clock: Clock
) -> None:
    """A token is not called wrong while its provider cannot be asked about it."""
    find(keys, provider, "one")
    provider.answers[KEYS] = Answer(status=503)
    clock.go_on(HALF_A_MINUTE_S)

    with pytest.raises(LoginProviderError, match="503"):
        asyncio.run(keys.find_keys(provider.name, "one", doubted=True))
    assert find(keys, provider, "one") == ["one"]


def holding(provider: Provider) -> threading.Event:
    """Let the provider answer only when the event is set."""
    until = threading.Event()
    provider.answers[KEYS].until = until
    return until


async def until_asked(provider: Provider) -> None:
    await asyncio.to_thread(wait_until, lambda: provider.requests[KEYS])


def test_one_fetch_serves_all_who_wait(provider: Provider, keys: ProviderKeys) -> None:
    """Who comes while a fetch is under way gets what it brings."""
    answering = holding(provider)

    async def scene() -> None:
        waiting = [
            asyncio.create_task(keys.find_keys(provider.name, "one")) for _ in range(9)
        ]
        await until_asked(provider)
        answering.set()

        for each in await asyncio.gather(*waiting):
            assert ids(each) == ["one"]
        assert provider.requests == {KEYS: 1}

    asyncio.run(scene())


def test_a_caller_who_leaves_does_not_end_the_fetch(
    provider: Provider, keys: ProviderKeys
) -> None:
    """When the one who began a fetch is cancelled, the others still get the keys."""
    answering = holding(provider)

    async def scene() -> None:
        first = asyncio.create_task(keys.find_keys(provider.name, "one"))
        await until_asked(provider)
        second = asyncio.create_task(keys.find_keys(provider.name, "one"))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        answering.set()

        assert ids(await second) == ["one"]
        assert provider.requests == {KEYS: 1}

    asyncio.run(scene())


def test_providers_do_not_wait_for_each_other(provider: Provider, clock: Clock) -> None:
    """While one provider is slow, the keys of another one are found."""
    quick = Provider()
    keys = ProviderKeys(
        {
            provider.name: LoginProvider(keys=provider.url + KEYS),
            quick.name: LoginProvider(keys=quick.url + KEYS),
        },
        now_ms=clock,
    )
    answering = holding(provider)

    async def scene() -> None:
        slow = asyncio.create_task(keys.find_keys(provider.name, "one"))
        await until_asked(provider)
        assert ids(await keys.find_keys(quick.name, "one")) == ["one"]
        assert not slow.done()
        answering.set()
        assert ids(await slow) == ["one"]

    try:
        asyncio.run(scene())
    finally:
        quick.close()


def test_the_number_of_providers_is_bounded(clock: Clock) -> None:
    """Keys that were not asked for for longest are forgotten, and fetched again."""
    providers = [Provider() for _ in range(3)]
    keys = ProviderKeys(
        {each.name: LoginProvider(keys=each.url + KEYS) for each in providers},
        now_ms=clock,
        providers_max=2,
    )
    first, second, third = providers
    try:
        for each in (first, second, first, third, first):
            assert find(keys, each, "one") == ["one"]
        assert [each.requests[KEYS] for each in providers] == [1, 1, 1]
        find(keys, second, "one")
        assert second.requests[KEYS] == 2
    finally:
        for each in providers:
            each.close()


# --- When a provider fails ------------------------------------------------------------


def test_a_provider_that_is_down_locks_nobody_out(
    provider: Provider, keys: ProviderKeys, clock: Clock
) -> None:
    """When the keys cannot be fetched again, those of before are used, for days."""
    find(keys, provider, "one")
    provider.answers[KEYS] = Answer(status=503)

    for _ in range(3):
        clock.go_on(24 * HOUR_S)
        assert find(keys, provider, "one") == ["one"]
        assert find(keys, provider, None) == ["one"]
    assert provider.requests[KEYS] == 4


def test_a_new_key_of_a_provider_that_is_down_is_not_called_wrong(
    provider: Provider, keys: ProviderKeys, clock: Clock
) -> None:
    """An unknown key is an error while the provider cannot be asked about it."""
    find(keys, provider, "one")
    provider.answers[KEYS] = Answer(status=503)
    clock.go_on(HALF_A_MINUTE_S)

    for _ in range(3):
        assert "answers 503" in refused(keys, provider, "two")
    assert provider.requests == {KEYS: 2}
    provider.publish("one", "two")
    clock.go_on(HALF_A_MINUTE_S)
    assert find(keys, provider, "two") == ["two"]
    assert find(keys, provider, "three") == []


def test_a_failure_is_repeated_for_some_seconds(
    provider: Provider, keys: ProviderKeys, clock: Clock
) -> None:
    """A provider that fails from the start is asked again after five seconds."""
    provider.answers[KEYS] = Answer(status=500)
    for _ in range(3):
        assert "answers 500" in refused(keys, provider)
    assert provider.requests == {KEYS: 1}

    clock.go_on(4.9)
    assert "answers 500" in refused(keys, provider)
    provider.publish("one")
    clock.go_on(0.1)
    assert find(keys, provider, "one") == ["one"]
    assert provider.requests == {KEYS: 2}


def test_a_failure_is_logged_once(
    provider: Provider, keys: ProviderKeys, logs: list[Any]
) -> None:
    """The log tells of a failed fetch, and not of each request that runs into it."""
    provider.answers[KEYS] = Answer(status=500)

    for _ in range(3):
        refused(keys, provider)

    (entry,) = logs
    assert entry["event"] == "login_provider.unreadable"
    assert entry["provider_name"] == provider.name


def test_nobody_listens(provider: Provider, keys: ProviderKeys) -> None:
    """A provider that does not exist is an error, not a fault."""
    provider.close()

    assert "refused" in refused(keys, provider)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    provider: Provider, keys: ProviderKeys, status: int
) -> None:
    """A provider cannot send this server elsewhere."""
    elsewhere = {"Location": f"{provider.url}/elsewhere"}
    provider.answers["/elsewhere"] = provider.answers[KEYS]
    provider.answers[KEYS] = Answer(status=status, headers=elsewhere)

    assert f"answers {status}, and redirects are not" in refused(keys, provider)
    assert provider.requests["/elsewhere"] == 0


def test_a_huge_answer_is_not_read(provider: Provider, keys: ProviderKeys) -> None:
    """Reading ends at one MiB, whatever the provider goes on to send."""
    sent = 0

    def without_end() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    provider.answers[KEYS] = Answer(pieces=without_end)

    assert "is over 1048576 bytes" in refused(keys, provider)
    assert sent < 64 * 1_048_576


def test_the_largest_answer_is_read(provider: Provider, keys: ProviderKeys) -> None:
    """A key set of exactly one MiB is read."""
    body = provider.answers[KEYS].body
    provider.answers[KEYS] = Answer(body.ljust(1_048_576))

    assert find(keys, provider, "one") == ["one"]


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[]}', b"[" * 99_999],
)
def test_an_answer_that_is_no_key_set_is_refused(
    provider: Provider, keys: ProviderKeys, body: bytes
) -> None:
    """What cannot be read as a key set, or has no key for us, is a failure."""
    provider.answers[KEYS] = Answer(body)

    assert "its key set" in refused(keys, provider)


def test_an_empty_key_set_does_not_replace_a_full_one(
    provider: Provider, keys: ProviderKeys, clock: Clock
) -> None:
    """A provider that publishes nothing by mistake locks nobody out."""
    find(keys, provider, "one")
    provider.publish()
    clock.go_on(HOUR_S)

    assert find(keys, provider, "one") == ["one"]


def test_a_slow_answer_is_not_waited_for(provider: Provider, clock: Clock) -> None:
    """A provider that does not answer in time is a failure."""
    configured = LoginProvider(keys=provider.url + KEYS)
    keys = keys_at(provider, clock, configured, fetch_s_max=0.1)
    holding(provider)

    assert "does not answer" in refused(keys, provider)


def test_an_answer_that_trickles_is_not_waited_for(
    provider: Provider, clock: Clock
) -> None:
    """A byte now and then does not keep a fetch alive."""
    configured = LoginProvider(keys=provider.url + KEYS)
    keys = keys_at(provider, clock, configured, fetch_s_max=0.2)
    pause = threading.Event()

    def trickle() -> Iterator[bytes]:
        while not pause.wait(0.02):
            yield b" "

    provider.answers[KEYS] = Answer(pieces=trickle)
    try:
        assert "does not answer" in refused(keys, provider)
    finally:
        pause.set()


def test_a_slow_fetch_brings_its_keys_in_the_end(
    provider: Provider, clock: Clock
) -> None:
    """What comes after the callers have left is there for the next one."""
    configured = LoginProvider(keys=provider.url + KEYS)
    keys = keys_at(provider, clock, configured, fetch_s_max=20)
    answering = holding(provider)

    async def scene() -> None:
        impatient = asyncio.create_task(keys.find_keys(provider.name, "one"))
        await until_asked(provider)
        clock.go_on(20)
        with pytest.raises(LoginProviderError, match="in time"):
            await keys.find_keys(provider.name, "one")
        answering.set()

        assert ids(await impatient) == ["one"]
        assert ids(await keys.find_keys(provider.name, "one")) == ["one"]
        assert provider.requests == {KEYS: 1}

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"issuer": "https://evil.example.com"}, "is that of 'https://evil"),
        ({"issuer": None}, "cannot be read"),
        ({"jwks_uri": 7}, "cannot be read"),
        ({"jwks_uri": "file:///etc/passwd"}, "not https"),
        ({"jwks_uri": "ftp://localhost/keys"}, "not https"),
    ],
)
def test_a_configuration_that_is_not_the_providers_is_refused(
    provider: Provider, clock: Clock, changes: dict[str, Any], reason: str
) -> None:
    """The configuration must be of this issuer and lead to keys on the web."""
    configured = LoginProvider(discovery_url=provider.url + DISCOVERY)
    provider.describe(**changes)

    assert reason in refused(keys_at(provider, clock, configured), provider)
    assert provider.requests[KEYS] == 0


# --- Keys in a file -------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path, provider: Provider) -> Path:
    """A file with the key set of the provider."""
    path = tmp_path / "keys.json"
    path.write_bytes(provider.answers[KEYS].body)
    return path


def replace(file: Path, body: bytes) -> None:
    """Put another file in the place of one, as careful programs do."""
    draft = file.with_suffix(".draft")
    draft.write_bytes(body)
    os.replace(draft, file)


def test_a_file_is_read_again_when_it_changes(
    provider: Provider, clock: Clock, file: Path
) -> None:
    """The keys are those of the file as it is, without waiting for any time."""
    keys = keys_at(provider, clock, LoginProvider(keys=str(file)))
    assert find(keys, provider, "one") == ["one"]
    provider.publish("two")
    replace(file, provider.answers[KEYS].body)

    assert find(keys, provider, "one") == []
    assert find(keys, provider, "two") == ["two"]
    assert not provider.requests


@pytest.mark.parametrize("body", [b"", b"no json", b'{"keys":[]}', b" " * 1_048_577])
def test_a_file_that_breaks_leaves_the_keys_of_before(
    provider: Provider, clock: Clock, file: Path, body: bytes, logs: list[Any]
) -> None:
    """A bad edit locks nobody out, and is logged once; mended, it counts."""
    keys = keys_at(provider, clock, LoginProvider(keys=str(file)))
    find(keys, provider, "one")
    replace(file, body)
    for _ in range(3):
        assert find(keys, provider, "one") == ["one"]
    file.unlink()
    assert find(keys, provider, "one") == ["one"]
    assert len(logs) == 2

    provider.publish("two")
    replace(file, provider.answers[KEYS].body)
    assert find(keys, provider, "two") == ["two"]


@pytest.mark.parametrize("gone", [False, True])
def test_doubts_about_a_file_that_broke_are_not_settled(
    provider: Provider, clock: Clock, file: Path, gone: bool
) -> None:
    """Who asks whether the keys are still those of the file is told why not."""
    keys = keys_at(provider, clock, LoginProvider(keys=str(file)))
    find(keys, provider, "one")
    if gone:
        file.unlink()
    else:
        replace(file, b"no json")

    with pytest.raises(LoginProviderError, match=str(file) if gone else "no JSON"):
        asyncio.run(keys.find_keys(provider.name, "one", doubted=True))
    assert find(keys, provider, "one") == ["one"]


def test_a_file_that_is_not_there_is_an_error(
    provider: Provider, clock: Clock, tmp_path: Path
) -> None:
    """Without any keys there is nothing to verify with, and the file is named."""
    for path in (tmp_path / "absent", tmp_path):
        keys = keys_at(provider, clock, LoginProvider(keys=str(path)))
        assert str(path) in refused(keys, provider)
