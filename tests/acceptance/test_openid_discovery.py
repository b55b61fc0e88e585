"""OpenID tokens for everybody: what is published verifies what the server signs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import jwt
import pytest

from acceptance.kinds import embedded_does
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until

pytestmark = embedded_does("keys of tokens are in the contract of stores")

DISCOVERY = "/.well-known/openid-configuration"
ISSUER = "https://cognito-identity.amazonaws.com"
# What a change of keys may take: a second, and another one for a busy machine.
KEYS_TIMEOUT_S = 2.0


def read(url: str) -> dict[str, Any]:
    """Read a JSON document of the server's."""
    with urlopen(url) as response:
        assert response.headers["content-type"] == "application/json"
        found: dict[str, Any] = json.load(response)
    return found


def jwks_uri(server: RunningServer) -> str:
    """Find out where the keys are, as a client does."""
    return str(read(server.endpoint + DISCOVERY)["jwks_uri"])


def new_token(server: RunningServer) -> str:
    """Have the server sign a token, for a user of the developer's."""
    client = server.client("cognito-identity")
    try:
        pool = client.create_identity_pool(
            IdentityPoolName="test",
            AllowUnauthenticatedIdentities=False,
            DeveloperProviderName="login.test",
        )["IdentityPoolId"]
        found = client.get_open_id_token_for_developer_identity(
            IdentityPoolId=pool, Logins={"login.test": "alice"}
        )
    finally:
        client.close()
    return str(found["Token"])


def verify(server: RunningServer, token: str) -> dict[str, Any]:
    """Verify a token with what the server publishes, as anybody does."""
    key = jwt.PyJWKClient(jwks_uri(server)).get_signing_key_from_jwt(token)
    audience = jwt.decode(token, options={"verify_signature": False})["aud"]
    found: dict[str, Any] = jwt.decode(
        token, key, algorithms=["RS512"], audience=audience, issuer=ISSUER
    )
    return found


def token_key(server: RunningServer, *words: str) -> str:
    """Run `millpond token-key` beside the server."""
    command = [sys.executable, "-m", "millpond", "token-key", *words]
    return subprocess.run(
        [*command, *server.store_words],
        capture_output=True,
        text=True,
        timeout=seconds(60),
        check=True,
    ).stdout


def test_the_configuration_leads_to_the_keys(server: RunningServer) -> None:
    """The configuration names the issuer, the keys and the algorithm."""
    found = read(server.endpoint + DISCOVERY)

    assert found == {
        "issuer": ISSUER,
        "jwks_uri": f"{server.endpoint}/.well-known/jwks_uri",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS512"],
    }
    (key,) = read(found["jwks_uri"])["keys"]
    assert (key["kid"], key["use"], key["alg"]) == ("us-east-1-1", "sig", "RS512")
    assert not {"d", "p", "q"} & key.keys()


def test_the_documents_may_be_cached(server: RunningServer) -> None:
    """Caches keep them, and for no longer than a key that leaked may be believed."""
    for url in (server.endpoint + DISCOVERY, jwks_uri(server)):
        with urlopen(url) as response:
            assert response.headers["cache-control"] == "public, max-age=300"


def test_the_documents_can_only_be_read(server: RunningServer) -> None:
    """They take no other method, and there is nothing else beside them."""
    for url, method, status in (
        (jwks_uri(server), "POST", 405),
        (jwks_uri(server), "DELETE", 405),
        (f"{server.endpoint}/.well-known/jwks_uri/x", "GET", 404),
    ):
        with pytest.raises(HTTPError) as caught:
            urlopen(Request(url, method=method))
        caught.value.close()
        assert caught.value.code == status


def test_the_public_url_and_the_issuer_are_settings(
    start_server: Callable[..., RunningServer],
) -> None:
    """Behind a proxy the keys are where the public URL says."""
    running = start_server(
        settings={
            "public_url": "https://sync.example.com/",
            "token_issuer": "https://sync.example.com",
        }
    )

    found = read(running.endpoint + DISCOVERY)

    assert found["issuer"] == "https://sync.example.com"
    assert found["jwks_uri"] == "https://sync.example.com/.well-known/jwks_uri"


def test_a_token_is_verified_with_what_is_published(server: RunningServer) -> None:
    """A library that knows nothing of this server believes its token."""
    token = new_token(server)

    found = verify(server, token)

    assert found["amr"][:2] == ["authenticated", "login.test"]
    assert jwt.get_unverified_header(token) == {
        "kid": "us-east-1-1",
        "typ": "JWS",
        "alg": "RS512",
    }


def test_a_rotation_keeps_what_was_signed(
    start_server: Callable[..., RunningServer],
) -> None:
    """Within a second the new key signs; tokens of the one before stay good."""
    running = start_server()
    old = new_token(running)

    token_key(running, "rotate")
    wait_until(
        lambda: jwt.get_unverified_header(new_token(running))["kid"] == "us-east-1-2",
        timeout_s=KEYS_TIMEOUT_S,
    )

    assert verify(running, old)
    assert verify(running, new_token(running))
    ids = [each["kid"] for each in read(jwks_uri(running))["keys"]]
    assert ids == ["us-east-1-2", "us-east-1-1"]


def test_a_key_that_leaked_is_worth_nothing(
    start_server: Callable[..., RunningServer],
) -> None:
    """Within a second a retired key is gone, and what it signed is refused."""
    running = start_server()
    leaked = new_token(running)

    token_key(running, "retire", "us-east-1-1")
    wait_until(
        lambda: [e["kid"] for e in read(jwks_uri(running))["keys"]] == ["us-east-1-2"],
        timeout_s=KEYS_TIMEOUT_S,
    )

    with pytest.raises(jwt.PyJWKClientError):
        verify(running, leaked)
    assert verify(running, new_token(running))


def test_keys_outlive_the_server(start_server: Callable[..., RunningServer]) -> None:
    """After a restart the same key signs, and tokens of before are good."""
    running = start_server()
    before, token = read(jwks_uri(running)), new_token(running)
    running.stop()
    running.start()

    assert read(jwks_uri(running)) == before
    assert verify(running, token)
