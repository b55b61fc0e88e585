"""Logins are verified with the keys that their provider has now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import pytest

from login_providers.conftest import Clock
from login_providers.provider import KEYS, Answer, Provider
from login_providers.signing import NOW_S, claims, private_key, public_jwk, sign
from millpond.core.identity_pools import IdentityPool
from millpond.errors import ExternalServiceException, NotAuthorizedException
from millpond.login_providers.keys import REFRESH_PAUSE_MS, ProviderKeys
from millpond.service.logins import verify_logins
from millpond.settings import LoginProvider, Settings
from millpond.stores.sqlite import SqliteStore
from service.stage import make_context

SignIn = Callable[[str], str]


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A login provider, which publishes what a test says."""
    running = Provider()
    yield running
    running.close()


@pytest.fixture
def clock() -> Clock:
    """The clock by which keys grow old."""
    return Clock()


@pytest.fixture
def sign_in(tmp_path: Path, provider: Provider, clock: Clock) -> SignIn:
    """Verify a token, and give the user that it is for."""
    settings = Settings(
        login_providers={
            provider.name: LoginProvider(client_ids=["app"], keys=provider.url + KEYS)
        }
    )
    context = make_context(
        SqliteStore(tmp_path),  # nobody opens it: keys alone say who it is
        settings,
        lambda: NOW_S * 1000,
        provider_keys=ProviderKeys(settings.login_providers, now_ms=clock),
    )
    pool = IdentityPool(
        identity_pool_id="us-east-1:0a",
        identity_pool_name="Players",
        allow_unauthenticated_identities=True,
        supported_login_providers={provider.name: "app"},
    )

    def verify(token: str) -> str:
        found = asyncio.run(verify_logins(context, pool, {provider.name: token}))
        return found.proofs.logins[0].subject

    return verify


def publish(provider: Provider, key_id: str | None, signer: str) -> None:
    """Publish one key, under an id that is not the one it is known by in the tests."""
    provider.publish(more=[public_jwk(key_id=signer, kid=key_id)])


def token_of(provider: Provider, key_id: str | None, signer: str) -> str:
    """Sign a token, and say that it was the key of that id; or say nothing of it."""
    payload = claims(iss=f"https://{provider.name}")
    if key_id is not None:
        return sign(payload, key_id=signer, headers={"kid": key_id})
    return jwt.encode(payload, private_key(key_id=signer), "RS256")


@pytest.mark.parametrize("key_id", ["same", None])
def test_a_key_is_replaced_under_its_id(
    provider: Provider, clock: Clock, sign_in: SignIn, key_id: str | None
) -> None:
    """The first token of the new key is believed, and from then on no old one is."""
    old, new = (token_of(provider, key_id, signer) for signer in ("old", "new"))
    publish(provider, key_id, "old")
    assert sign_in(old) == "alice"
    publish(provider, key_id, "new")
    clock.go_on(REFRESH_PAUSE_MS / 1000)

    assert sign_in(new) == "alice"
    with pytest.raises(NotAuthorizedException, match="Couldn't verify"):
        sign_in(old)
    assert provider.requests == {KEYS: 2}


def test_forgeries_do_not_make_for_fetches(
    provider: Provider, clock: Clock, sign_in: SignIn
) -> None:
    """However many bad tokens come, the provider is asked once in half a minute."""
    publish(provider, "same", "old")
    sign_in(token_of(provider, "same", "old"))
    clock.go_on(REFRESH_PAUSE_MS / 1000)
    for _ in range(5):
        with pytest.raises(NotAuthorizedException, match="Couldn't verify"):
            sign_in(token_of(provider, "same", "a stranger's"))

    assert provider.requests == {KEYS: 2}
    assert sign_in(token_of(provider, "same", "old")) == "alice"


def test_other_refusals_do_not_make_for_fetches(
    provider: Provider, clock: Clock, sign_in: SignIn
) -> None:
    """A token that was verified and is for somebody else says nothing of the keys."""
    publish(provider, "same", "old")
    sign_in(token_of(provider, "same", "old"))
    clock.go_on(REFRESH_PAUSE_MS / 1000)
    payload = claims(iss=f"https://{provider.name}", aud="another")
    token = sign(payload, key_id="old", headers={"kid": "same"})

    with pytest.raises(NotAuthorizedException, match="audience"):
        sign_in(token)
    assert provider.requests == {KEYS: 1}


def test_a_new_key_waits_for_its_provider(
    provider: Provider, clock: Clock, sign_in: SignIn
) -> None:
    """While the provider is down its new token is not called wrong."""
    publish(provider, "same", "old")
    sign_in(token_of(provider, "same", "old"))
    provider.answers[KEYS] = Answer(status=503)
    clock.go_on(REFRESH_PAUSE_MS / 1000)

    with pytest.raises(ExternalServiceException):
        sign_in(token_of(provider, "same", "new"))
    assert sign_in(token_of(provider, "same", "old")) == "alice"


@pytest.mark.parametrize("end", ["\n", "\r\n", " \n\n"])
def test_a_token_from_a_file_ends_in_a_line_break(
    provider: Provider, sign_in: SignIn, end: str
) -> None:
    """What editors and mounted secrets add at the end of a token is no part of it."""
    publish(provider, "same", "old")

    assert sign_in(token_of(provider, "same", "old") + end) == "alice"
