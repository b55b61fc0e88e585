"""The maps of principal tags are set and got as Cognito Identity does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from millpond.contract import cognito_identity as contract
from millpond.errors import InvalidParameterException, ResourceNotFoundException
from millpond.service import identity_pools, principal_tags
from service.stage import Operations, player

UNKNOWN = "us-east-1:00000000-0000-4000-8000-000000000000"
ARN = "arn:aws:iam::000000000000:oidc-provider/login.example.com"
PLAIN: dict[str, Any] = {
    "identity_pool_name": "Players",
    "allow_unauthenticated_identities": True,
}
PROVIDERS: dict[str, Any] = {
    "supported_login_providers": {"accounts.google.com": "web"},
    "developer_provider_name": "login.game",
    "open_id_connect_provider_arns": [ARN],
}


class Server(Operations):
    """The operations over a store of their own."""

    contract = contract
    modules = (identity_pools, principal_tags)


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Run a scene against a fresh server."""
    return player(Server, tmp_path)


@pytest.mark.parametrize(
    "name", ["accounts.google.com", "login.example.com", ARN, "login.game"]
)
@pytest.mark.parametrize(
    "members",
    [
        {"use_defaults": True},
        {"use_defaults": False, "principal_tags": {"tenant": "custom:tenant"}},
        {"principal_tags": {}},
        {},
    ],
)
def test_a_map_comes_back(play, name, members):
    """What was set is answered and got; the next one replaces it."""

    async def scene(server):
        pool = await server.call("create_identity_pool", **PLAIN, **PROVIDERS)
        at = {
            "identity_pool_id": pool.identity_pool_id,
            "identity_provider_name": name,
        }
        for given in ({"principal_tags": {"a": "b"}}, members):
            answer = await server.call("set_principal_tag_attribute_map", **at, **given)
            got = await server.call("get_principal_tag_attribute_map", **at)

            assert msgspec.to_builtins(answer) == msgspec.to_builtins(got)
            assert got == contract.GetPrincipalTagAttributeMapResponse(**at, **given)

    play(scene)


def test_a_map_is_no_part_of_the_description(play):
    """An update of the pool keeps it, and no description shows it."""

    async def scene(server):
        pool = await server.call("create_identity_pool", **PLAIN, **PROVIDERS)
        at = {
            "identity_pool_id": pool.identity_pool_id,
            "identity_provider_name": "login.game",
        }
        await server.call("set_principal_tag_attribute_map", **at, use_defaults=True)
        updated = await server.call(
            "update_identity_pool", identity_pool_id=pool.identity_pool_id, **PLAIN
        )
        got = await server.call("get_principal_tag_attribute_map", **at)

        assert set(msgspec.to_builtins(updated)) == {
            "IdentityPoolId",
            "IdentityPoolName",
            "AllowUnauthenticatedIdentities",
            "DeveloperProviderName",
        }
        assert got.use_defaults is True

    play(scene)


@pytest.mark.parametrize(
    "name", ["https://accounts.google.com", "accounts.google.com:web", "graph.facebook"]
)
def test_a_map_names_a_provider_of_the_pool(play, name):
    """Another one would never apply: it is refused by name, and nothing is kept."""

    async def scene(server):
        pool = await server.call("create_identity_pool", **PLAIN, **PROVIDERS)
        at = {
            "identity_pool_id": pool.identity_pool_id,
            "identity_provider_name": name,
        }
        message = await server.refused(
            InvalidParameterException,
            "set_principal_tag_attribute_map",
            **at,
            use_defaults=True,
        )

        assert message.startswith(f"'{name}' is not a provider of identity pool ")
        await server.refused(
            ResourceNotFoundException, "get_principal_tag_attribute_map", **at
        )

    play(scene)


def test_an_unknown_pool_has_no_maps(play):
    """Setting and getting are refused with the text of Cognito Identity."""

    async def scene(server):
        for operation in ("set", "get"):
            message = await server.refused(
                ResourceNotFoundException,
                f"{operation}_principal_tag_attribute_map",
                identity_pool_id=UNKNOWN,
                identity_provider_name="accounts.google.com",
            )

            assert message == f"IdentityPool '{UNKNOWN}' not found."

    play(scene)
