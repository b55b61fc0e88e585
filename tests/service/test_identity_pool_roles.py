"""Roles of identity pools are set and got as Cognito Identity does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from millpond.contract import cognito_identity as contract
from millpond.errors import InvalidParameterException, ResourceNotFoundException
from millpond.service import identity_pool_roles, identity_pools
from millpond.settings import LoginProvider
from service.stage import Operations, player

UNKNOWN = "us-east-1:00000000-0000-4000-8000-000000000000"
USERS = "arn:aws:iam::000000000000:role/Users"
GUESTS = "arn:aws:iam::123456789012:role/service-role/Guests+1"
USER_POOL = "cognito-idp.us-east-1.amazonaws.com/us-east-1_a"
PROVIDER = f"{USER_POOL}:app"
OIDC_ARN = "arn:aws:iam::000000000000:oidc-provider/login.example.com"
SAML_ARN = "arn:aws:iam::000000000000:saml-provider/staff"
PROVIDERS: dict[str, Any] = {
    "supported_login_providers": {"accounts.google.com": "web"},
    "cognito_identity_providers": [
        contract.CognitoIdentityProvider(provider_name=USER_POOL, client_id="app"),
        contract.CognitoIdentityProvider(client_id="nameless"),
    ],
    "open_id_connect_provider_arns": [OIDC_ARN],
    "saml_provider_arns": [SAML_ARN],
    "developer_provider_name": "login.game",
}


class Server(Operations):
    """The operations over a store of their own."""

    contract = contract
    modules = (identity_pools, identity_pool_roles)

    async def make_pool(self) -> str:
        """Create a pool with providers of each kind, and give its id."""
        pool = await self.call(
            "create_identity_pool",
            identity_pool_name="Players",
            allow_unauthenticated_identities=True,
            **PROVIDERS,
        )
        pool_id: str = pool.identity_pool_id
        return pool_id


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    """Run a scene against a fresh server; settings may be named."""
    return player(Server, tmp_path)


def rules(*role_arns: str) -> contract.RulesConfigurationType:
    """Make rules, one for each role."""
    return contract.RulesConfigurationType(
        rules=[
            contract.MappingRule(
                claim="dept", match_type="Equals", value=f"d{n}", role_arn=role_arn
            )
            for n, role_arn in enumerate(role_arns)
        ]
    )


def mapping(**members: Any) -> contract.RoleMapping:
    """Make a mapping by rules that is good, but for what is named."""
    good: dict[str, Any] = {
        "type": "Rules",
        "ambiguous_role_resolution": "Deny",
        "rules_configuration": rules(USERS, GUESTS),
    }
    return contract.RoleMapping(**{**good, **members})


TOKEN = mapping(type="Token", rules_configuration=None)


def test_roles_and_mappings_come_back(play):
    """What was set is got, member by member and in the order of the rules."""

    async def scene(server):
        pool_id = await server.make_pool()
        given: dict[str, Any] = {
            "roles": {"authenticated": USERS, "unauthenticated": GUESTS},
            "role_mappings": {PROVIDER: mapping(), "accounts.google.com": TOKEN},
        }
        answer = await server.call(
            "set_identity_pool_roles", identity_pool_id=pool_id, **given
        )
        got = await server.call("get_identity_pool_roles", identity_pool_id=pool_id)

        assert answer is None
        assert got == contract.GetIdentityPoolRolesResponse(
            identity_pool_id=pool_id, **given
        )
        sent = msgspec.to_builtins(got)["RoleMappings"][PROVIDER]
        assert sent["RulesConfiguration"]["Rules"][1] == {
            "Claim": "dept",
            "MatchType": "Equals",
            "Value": "d1",
            "RoleARN": GUESTS,
        }

    play(scene)


def test_a_new_pool_has_no_roles(play):
    """What was never set is absent from the answer."""

    async def scene(server):
        pool_id = await server.make_pool()
        got = await server.call("get_identity_pool_roles", identity_pool_id=pool_id)

        assert msgspec.to_builtins(got) == {"IdentityPoolId": pool_id}

    play(scene)


def test_setting_replaces_all_that_was_there(play):
    """Roles and mappings that a request leaves out are gone."""

    async def scene(server):
        pool_id = await server.make_pool()
        for given in (
            {
                "roles": {"authenticated": USERS, "unauthenticated": GUESTS},
                "role_mappings": {PROVIDER: mapping()},
            },
            {"roles": {"unauthenticated": USERS}},
            {"roles": {}, "role_mappings": {PROVIDER: TOKEN}},
        ):
            await server.call(
                "set_identity_pool_roles", identity_pool_id=pool_id, **given
            )
            got = await server.call("get_identity_pool_roles", identity_pool_id=pool_id)

            assert got == contract.GetIdentityPoolRolesResponse(
                identity_pool_id=pool_id, **given
            )

    play(scene)


def test_roles_are_no_part_of_the_description(play):
    """An update of the pool keeps them, and no description shows them."""

    async def scene(server):
        pool_id = await server.make_pool()
        given = {
            "roles": {"authenticated": USERS},
            "role_mappings": {PROVIDER: mapping()},
        }
        await server.call("set_identity_pool_roles", identity_pool_id=pool_id, **given)
        updated = await server.call(
            "update_identity_pool",
            identity_pool_id=pool_id,
            identity_pool_name="Renamed",
            allow_unauthenticated_identities=False,
            developer_provider_name="login.game",
        )
        described = await server.call(
            "describe_identity_pool", identity_pool_id=pool_id
        )
        got = await server.call("get_identity_pool_roles", identity_pool_id=pool_id)

        assert (got.roles, got.role_mappings) == tuple(given.values())
        assert updated == described
        assert set(msgspec.to_builtins(described)) == {
            "IdentityPoolId",
            "IdentityPoolName",
            "AllowUnauthenticatedIdentities",
            "DeveloperProviderName",
        }

    play(scene)


def test_an_unknown_pool_has_no_roles(play):
    """Setting and getting are refused with the text of Cognito Identity."""

    async def scene(server):
        calls: dict[str, dict[str, Any]] = {
            "set_identity_pool_roles": {"roles": {}},
            "get_identity_pool_roles": {},
        }
        for operation, members in calls.items():
            message = await server.refused(
                ResourceNotFoundException,
                operation,
                identity_pool_id=UNKNOWN,
                **members,
            )

            assert message == f"IdentityPool '{UNKNOWN}' not found."

    play(scene)


@pytest.mark.parametrize(
    "role_arn",
    [
        "my-stack-SomeRole-KBKHTR8P6UC2",
        "arn:aws:iam::000000000000:user/Users",
        "arn:aws:iam::000000000000:role/",
        "arn:aws:iam:us-east-1:000000000000:role/x",
        "arn:aws:iam::account:role/Users-of-it",
        "arn:aws:iam::000000000000:role/a b",
        f"{USERS}\n",
        f" {USERS}",
    ],
)
def test_a_role_is_named_by_its_arn(play, role_arn):
    """What is not the ARN of a role is refused by name, and nothing is changed."""

    async def scene(server):
        pool_id = await server.make_pool()
        bad_rule = mapping(rules_configuration=rules(USERS, role_arn))
        places: dict[str, dict[str, Any]] = {
            "roles.authenticated": {"roles": {"authenticated": role_arn}},
            f"roleMappings.{PROVIDER}.rulesConfiguration.rules.2": {
                "roles": {},
                "role_mappings": {PROVIDER: bad_rule},
            },
        }
        for at, members in places.items():
            message = await server.refused(
                InvalidParameterException,
                "set_identity_pool_roles",
                identity_pool_id=pool_id,
                **members,
            )

            assert message.startswith(f"'{role_arn}' at '{at}' is not the ARN of a ")
        got = await server.call("get_identity_pool_roles", identity_pool_id=pool_id)

        assert (got.roles, got.role_mappings) == (None, None)

    play(scene)


def test_roles_of_other_partitions_are_taken(play):
    """China and GovCloud have ARNs of their own."""

    async def scene(server):
        pool_id = await server.make_pool()
        for partition in ("aws-cn", "aws-us-gov"):
            roles = {"authenticated": f"arn:{partition}:iam::000000000000:role/x"}
            await server.call(
                "set_identity_pool_roles", identity_pool_id=pool_id, roles=roles
            )

    play(scene)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (
            mapping(ambiguous_role_resolution=None),
            f"AmbiguousRoleResolution is required at 'roleMappings.{PROVIDER}': "
            "AuthenticatedRole or Deny.",
        ),
        (
            mapping(
                type="Token", ambiguous_role_resolution=None, rules_configuration=None
            ),
            f"AmbiguousRoleResolution is required at 'roleMappings.{PROVIDER}': "
            "AuthenticatedRole or Deny.",
        ),
        (
            mapping(rules_configuration=None),
            f"RulesConfiguration is required at 'roleMappings.{PROVIDER}', whose type "
            "is Rules.",
        ),
        (
            mapping(type="Token"),
            f"RulesConfiguration is not allowed at 'roleMappings.{PROVIDER}', whose "
            "type is Token.",
        ),
    ],
)
def test_a_mapping_says_what_its_type_needs(play, bad, complaint):
    """A mapping that could not decide is refused when it is set, not in its use."""

    async def scene(server):
        pool_id = await server.make_pool()
        message = await server.refused(
            InvalidParameterException,
            "set_identity_pool_roles",
            identity_pool_id=pool_id,
            roles={"authenticated": USERS},
            role_mappings={"accounts.google.com": TOKEN, PROVIDER: bad},
        )

        assert message == complaint

    play(scene)


@pytest.mark.parametrize(
    "key",
    [
        "accounts.google.com",
        "accounts.google.com:web",
        PROVIDER,
        USER_POOL,
        OIDC_ARN,
        "login.example.com",
        SAML_ARN,
        "login.example.com:configured",
    ],
)
def test_a_mapping_names_a_provider_of_the_pool(play, key):
    """Name, ARN and application are known; applications from the settings, too."""

    async def scene(server):
        pool_id = await server.make_pool()
        await server.call(
            "set_identity_pool_roles",
            identity_pool_id=pool_id,
            roles={},
            role_mappings={key: TOKEN},
        )
        got = await server.call("get_identity_pool_roles", identity_pool_id=pool_id)

        assert list(got.role_mappings) == [key]

    play(
        scene,
        login_providers={"login.example.com": LoginProvider(client_ids=["configured"])},
    )


@pytest.mark.parametrize(
    "key",
    [
        f"https://{USER_POOL}",
        f"https://{PROVIDER}",
        "https://accounts.google.com",
        "MyKey",
        f"{USER_POOL}:another",
        f"{USER_POOL}:",
        f"{USER_POOL}/:app",
        "cognito-idp.us-east-1.amazonaws.com/us-east-1_b:app",
        "app",
        ":nameless",
        "accounts.google.com:app",
        "graph.facebook.com",
        f"{OIDC_ARN}/more",
        "arn:aws:iam::000000000000:saml-provider/others",
        "login.game",  # developers sign in without claims, so it would never apply
        "Accounts.Google.com",
    ],
)
def test_a_mapping_that_could_never_apply_is_refused(play, key):
    """The key is named, and the roles stay as they were."""

    async def scene(server):
        pool_id = await server.make_pool()
        kept: dict[str, Any] = {
            "roles": {"authenticated": USERS},
            "role_mappings": {PROVIDER: TOKEN},
        }
        await server.call("set_identity_pool_roles", identity_pool_id=pool_id, **kept)
        message = await server.refused(
            InvalidParameterException,
            "set_identity_pool_roles",
            identity_pool_id=pool_id,
            roles={},
            role_mappings={PROVIDER: TOKEN, key: TOKEN},
        )
        got = await server.call("get_identity_pool_roles", identity_pool_id=pool_id)

        assert message == (
            f"{key} is not a valid RoleMapping ProviderName or is not a configured "
            "provider."
        )
        assert got == contract.GetIdentityPoolRolesResponse(
            identity_pool_id=pool_id, **kept
        )

    play(scene)


def test_a_mapping_outlives_its_provider(play):
    """It waits for the provider to come back, so that nobody gets past it then."""

    async def scene(server):
        pool_id = await server.make_pool()
        roles = {"roles": {"authenticated": USERS}, "role_mappings": {PROVIDER: TOKEN}}
        await server.call("set_identity_pool_roles", identity_pool_id=pool_id, **roles)
        for providers in ({}, PROVIDERS):
            await server.call(
                "update_identity_pool",
                identity_pool_id=pool_id,
                identity_pool_name="Players",
                allow_unauthenticated_identities=True,
                **providers,
            )
            got = await server.call("get_identity_pool_roles", identity_pool_id=pool_id)

            assert (got.roles, got.role_mappings) == tuple(roles.values())

    play(scene)
