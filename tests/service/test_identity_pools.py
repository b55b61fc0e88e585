"""Identity pools are managed as Cognito Identity manages them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from millpond.contract import cognito_identity as contract
from millpond.core.identity_pools import (
    IdentityPool,
    PushConfiguration,
    StreamConfiguration,
)
from millpond.errors import (
    InvalidParameterException,
    LimitExceededException,
    ResourceNotFoundException,
)
from millpond.service import identity_pools
from service.stage import Operations, player

UNKNOWN = "us-east-1:00000000-0000-4000-8000-000000000000"
NOT_FOUND = f"IdentityPool '{UNKNOWN}' not found."
FULL: dict[str, Any] = {
    "identity_pool_name": "Players of the game",
    "allow_unauthenticated_identities": True,
    "allow_classic_flow": False,
    "supported_login_providers": {"accounts.google.com": "12345.apps"},
    "developer_provider_name": "login.game",
    "open_id_connect_provider_arns": ["arn:aws:iam::000000000000:oidc-provider/a"],
    "cognito_identity_providers": [
        contract.CognitoIdentityProvider(
            provider_name="cognito-idp.us-east-1.amazonaws.com/us-east-1_a",
            client_id="abc",
            server_side_token_check=False,
        ),
        contract.CognitoIdentityProvider(),
    ],
    "saml_provider_arns": [],
    "identity_pool_tags": {"team": "games", "empty": ""},
}
PLAIN: dict[str, Any] = {
    "identity_pool_name": "Plain",
    "allow_unauthenticated_identities": False,
}


class Server(Operations):
    """The operations over a store of their own."""

    contract = contract
    modules = (identity_pools,)


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Run a scene against a fresh server; settings may be named."""
    return player(Server, tmp_path)


@pytest.mark.parametrize("members", [FULL, PLAIN])
def test_a_pool_is_described_as_it_was_created(play, members):
    """Everything that was given comes back, and nothing that was not."""

    async def scene(server):
        created = await server.call("create_identity_pool", **members)
        pool_id = created.identity_pool_id
        described = await server.call(
            "describe_identity_pool", identity_pool_id=pool_id
        )

        region, _, guid = pool_id.partition(":")

        assert (region, uuid.UUID(guid).version) == ("eu-west-1", 4)
        assert described == created
        assert described == contract.IdentityPool(identity_pool_id=pool_id, **members)

    play(scene, region="eu-west-1")


def test_members_travel_under_the_names_of_the_api(play):
    """The lists of ARNs have their irregular names; what is absent is not sent."""

    async def scene(server):
        created = await server.call("create_identity_pool", **FULL)
        sent = msgspec.to_builtins(created)

        assert (
            sent["OpenIdConnectProviderARNs"] == FULL["open_id_connect_provider_arns"]
        )
        assert sent["SamlProviderARNs"] == []
        assert sent["CognitoIdentityProviders"][1] == {}
        created = await server.call("create_identity_pool", **PLAIN)

        assert set(msgspec.to_builtins(created)) == {
            "IdentityPoolId",
            "IdentityPoolName",
            "AllowUnauthenticatedIdentities",
        }

    play(scene)


def test_there_are_as_many_pools_as_the_setting_allows(play):
    """One more is refused with the limit; deleting one makes room."""

    async def scene(server):
        first = await server.call("create_identity_pool", **PLAIN)
        await server.call("create_identity_pool", **PLAIN)
        message = await server.refused(
            LimitExceededException, "create_identity_pool", **PLAIN
        )

        assert message == "There would be 3 identity pools; the limit is 2."
        await server.call(
            "delete_identity_pool", identity_pool_id=first.identity_pool_id
        )
        await server.call("create_identity_pool", **PLAIN)

    play(scene, identity_pools_max=2)


def test_a_pool_has_fifty_tags_at_most(play):
    """Fifty tags are taken, fifty-one refused with the number."""

    async def scene(server):
        tags = {f"tag-{n}": "" for n in range(50)}
        await server.call("create_identity_pool", **PLAIN, identity_pool_tags=tags)
        message = await server.refused(
            InvalidParameterException,
            "create_identity_pool",
            **PLAIN,
            identity_pool_tags={**tags, "more": ""},
        )

        assert message == "The identity pool would have 51 tags; the limit is 50."

    play(scene)


def test_an_update_replaces_the_whole_description(play):
    """What the update leaves out is gone afterwards."""

    async def scene(server):
        members = {**FULL, "developer_provider_name": None}
        pool = await server.call("create_identity_pool", **members)
        pool_id = pool.identity_pool_id
        updated = await server.call(
            "update_identity_pool", identity_pool_id=pool_id, **PLAIN
        )
        described = await server.call(
            "describe_identity_pool", identity_pool_id=pool_id
        )

        assert updated == contract.IdentityPool(identity_pool_id=pool_id, **PLAIN)
        assert described == updated

    play(scene)


def test_an_update_keeps_the_configuration_of_push_and_stream(play):
    """They are not part of the description, so they stay as they are."""

    async def scene(server):
        pool = await server.call("create_identity_pool", **PLAIN)
        pool_id = pool.identity_pool_id
        push = PushConfiguration(application_arns=[], role_arn="arn")
        stream = StreamConfiguration(stream_name="s", streaming_status="ENABLED")

        def configure(pool: IdentityPool) -> IdentityPool:
            return msgspec.structs.replace(pool, push=push, stream=stream)

        await server.store.update_identity_pool(pool_id, configure)
        await server.call("update_identity_pool", identity_pool_id=pool_id, **FULL)
        stored = await server.store.find_identity_pool(pool_id)

        assert stored.identity_pool_name == FULL["identity_pool_name"]
        assert (stored.push, stored.stream) == (push, stream)

    play(scene)


@pytest.mark.parametrize(
    "name",
    [
        "accounts.google.com",
        "a",
        "login.example",
        "cognito-identity.amazonaws.com",
    ],
)
def test_a_developer_provider_is_no_login_provider(play, name):
    """The developer's provider has a name of its own, in any pool."""
    providers = [contract.CognitoIdentityProvider(provider_name="login.example")]
    described = {
        **FULL,
        "developer_provider_name": name,
        "cognito_identity_providers": providers,
    }

    async def scene(server: Server) -> None:
        pool = await server.call("create_identity_pool", **PLAIN)
        await server.refused(
            InvalidParameterException, "create_identity_pool", **described
        )
        await server.refused(
            InvalidParameterException,
            "update_identity_pool",
            identity_pool_id=pool.identity_pool_id,
            **described,
        )

    play(scene)


def test_an_update_keeps_the_developers_name(play):
    """Left out, as Terraform does, it stays, and nothing else does."""

    async def scene(server):
        pool = await server.call("create_identity_pool", **FULL)
        pool_id = pool.identity_pool_id
        updated = await server.call(
            "update_identity_pool", identity_pool_id=pool_id, **PLAIN
        )

        assert updated == contract.IdentityPool(
            identity_pool_id=pool_id,
            developer_provider_name=FULL["developer_provider_name"],
            **PLAIN,
        )

    play(scene)


def test_a_login_provider_cannot_take_the_name_that_is_kept(play):
    """The name that an update leaves out is compared with its providers as well."""

    async def scene(server):
        pool = await server.call("create_identity_pool", **FULL)
        message = await server.refused(
            InvalidParameterException,
            "update_identity_pool",
            identity_pool_id=pool.identity_pool_id,
            supported_login_providers={FULL["developer_provider_name"]: "app"},
            **PLAIN,
        )

        assert message == (
            "DeveloperProviderName 'login.game' is the name of a login provider."
        )

    play(scene)


@pytest.mark.parametrize("name", ["login.other", "Login.game"])
def test_a_developer_provider_name_stays_once_it_is_set(play, name):
    """It can be added, but not changed; a refusal changes nothing."""

    async def scene(server):
        pool = await server.call("create_identity_pool", **PLAIN)
        pool_id = pool.identity_pool_id
        await server.call("update_identity_pool", identity_pool_id=pool_id, **FULL)
        message = await server.refused(
            InvalidParameterException,
            "update_identity_pool",
            identity_pool_id=pool_id,
            developer_provider_name=name,
            **PLAIN,
        )

        assert message == (
            f"DeveloperProviderName of identity pool '{pool_id}' is 'login.game' and "
            "cannot be changed; send it as it is."
        )
        described = await server.call(
            "describe_identity_pool", identity_pool_id=pool_id
        )

        assert described.identity_pool_name == FULL["identity_pool_name"]

    play(scene)


def test_pools_are_listed_in_pages(play):
    """Pages follow each other without repeats; the last one has no token."""

    async def scene(server):
        created = set()
        for number in range(5):
            pool = await server.call(
                "create_identity_pool",
                identity_pool_name=f"Pool {number}",
                allow_unauthenticated_identities=True,
            )
            created.add((pool.identity_pool_id, pool.identity_pool_name))
        sizes: list[int] = []
        found, token = [], None
        while token or not sizes:
            answer = await server.call(
                "list_identity_pools", max_results=2, next_token=token
            )
            sizes.append(len(answer.identity_pools))
            found += answer.identity_pools
            token = answer.next_token

        assert sizes == [2, 2, 1]
        assert created == {(p.identity_pool_id, p.identity_pool_name) for p in found}
        answer = await server.call("list_identity_pools", max_results=5)

        assert (len(answer.identity_pools), answer.next_token) == (5, None)

    play(scene)


def test_a_token_that_is_not_ours_is_refused(play):
    """A NextToken that this listing did not give out is an invalid parameter."""

    async def scene(server):
        message = await server.refused(
            InvalidParameterException,
            "list_identity_pools",
            max_results=1,
            next_token="nonsense",
        )

        assert message == "NextToken is not valid for these inputs"

    play(scene)


def test_a_deleted_pool_is_gone(play):
    """It cannot be described, updated, deleted again or found in the list."""

    async def scene(server):
        pool = await server.call("create_identity_pool", **PLAIN)
        pool_id = pool.identity_pool_id
        await server.call("delete_identity_pool", identity_pool_id=pool_id)
        for operation, members in (
            ("describe_identity_pool", {}),
            ("delete_identity_pool", {}),
            ("update_identity_pool", PLAIN),
        ):
            message = await server.refused(
                ResourceNotFoundException,
                operation,
                identity_pool_id=pool_id,
                **members,
            )

            assert message == f"IdentityPool '{pool_id}' not found."
        answer = await server.call("list_identity_pools", max_results=60)

        assert answer.identity_pools == []

    play(scene)


def test_an_unknown_pool_is_not_found(play):
    """A pool that never existed is refused in the words of Cognito Identity."""

    async def scene(server):
        message = await server.refused(
            ResourceNotFoundException,
            "describe_identity_pool",
            identity_pool_id=UNKNOWN,
        )

        assert message == NOT_FOUND

    play(scene)
