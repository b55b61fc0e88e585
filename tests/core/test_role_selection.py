"""The role of an identity is chosen as the developer guide says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from millpond.core.identity_pools import (
    IdentityPool,
    MappingRule,
    RoleMapping,
    RulesConfiguration,
)
from millpond.core.role_selection import select_role
from millpond.errors import (
    InvalidIdentityPoolConfigurationException,
    NotAuthorizedException,
)


def arn(name: str) -> str:
    """Make the ARN of a role."""
    return f"arn:aws:iam::000000000000:role/{name}"


USERS, GUESTS, STAFF, ADMINS = map(arn, ("Users", "Guests", "Staff", "Admins"))
ROLES = {"authenticated": USERS, "unauthenticated": GUESTS}
PROVIDER = "cognito-idp.us-east-1.amazonaws.com/us-east-1_a"


def make_pool(
    roles: dict[str, str] | None = ROLES, mapping: RoleMapping | None = None
) -> IdentityPool:
    """Make a pool with roles, and perhaps a mapping of its provider."""
    return IdentityPool(
        identity_pool_id="us-east-1:0a",
        identity_pool_name="Players",
        allow_unauthenticated_identities=True,
        roles=roles,
        role_mappings=None if mapping is None else {PROVIDER: mapping},
    )


def token_mapping(otherwise: str = "Deny") -> RoleMapping:
    """Make a mapping that takes the role from the token."""
    return RoleMapping(type="Token", ambiguous_role_resolution=otherwise)


def rules_mapping(
    *rules: tuple[str, str, str, str], otherwise: str = "Deny"
) -> RoleMapping:
    """Make a mapping from rules: claim, match type, value, role."""
    return RoleMapping(
        type="Rules",
        ambiguous_role_resolution=otherwise,
        rules_configuration=RulesConfiguration(
            rules=[
                MappingRule(claim=claim, match_type=match, value=value, role_arn=role)
                for claim, match, value, role in rules
            ]
        ),
    )


def select(
    pool: IdentityPool,
    claims: dict[str, Any] | None = None,
    *,
    authenticated: bool = True,
    provider_name: str | None = PROVIDER,
    custom: str | None = None,
) -> str | None:
    """Choose a role for somebody who signed in at the provider."""
    return select_role(
        pool,
        authenticated=authenticated,
        provider_name=provider_name,
        claims=claims,
        custom_role_arn=custom,
    )


def refused(pool: IdentityPool, *arguments: Any, **options: Any) -> str:
    """Choose a role where none may be had; return the message."""
    with pytest.raises(NotAuthorizedException) as caught:
        select(pool, *arguments, **options)
    return caught.value.message


# --- The two roles of a pool ----------------------------------------------------------


def test_users_and_guests_have_a_role_each():
    """Without mappings it depends on nothing but having signed in."""
    pool = make_pool()

    assert select(pool, {"cognito:preferred_role": ADMINS}) == USERS
    assert select(pool, None, provider_name=None) == USERS
    assert select(pool, authenticated=False, provider_name=None) == GUESTS


@pytest.mark.parametrize("roles", [None, {}])
def test_a_pool_need_not_have_roles(roles):
    """A role is only a name here; without any there is none to give."""
    assert select(make_pool(roles)) is None
    assert select(make_pool(roles), authenticated=False) is None


@pytest.mark.parametrize(
    ("roles", "authenticated"),
    [({"unauthenticated": GUESTS}, True), ({"authenticated": USERS}, False)],
)
def test_a_pool_with_roles_has_one_for_everybody_it_lets_in(roles, authenticated):
    """A kind of identity that was forgotten is refused with the text of AWS."""
    with pytest.raises(InvalidIdentityPoolConfigurationException) as caught:
        select(make_pool(roles), authenticated=authenticated)

    assert caught.value.message == (
        "Invalid identity pool configuration. Check assigned IAM roles for this pool."
    )


def test_a_mapping_alone_gives_roles_to_those_it_is_for():
    """Others find the pool without a role for them."""
    pool = make_pool(None, mapping=rules_mapping(("sub", "Equals", "u", STAFF)))

    assert select(pool, {"sub": "u"}) == STAFF
    with pytest.raises(InvalidIdentityPoolConfigurationException):
        select(pool, {"sub": "u"}, provider_name="accounts.google.com")
    with pytest.raises(InvalidIdentityPoolConfigurationException):
        select(pool, authenticated=False, provider_name=None)


# --- Roles from the token -------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"cognito:preferred_role": ADMINS}, ADMINS),
        ({"cognito:preferred_role": ADMINS, "cognito:roles": [STAFF, ADMINS]}, ADMINS),
        ({"cognito:roles": [STAFF]}, STAFF),
        ({"cognito:roles": STAFF}, STAFF),
        ({"cognito:roles": [STAFF, STAFF]}, STAFF),
        ({"cognito:preferred_role": "", "cognito:roles": [STAFF]}, STAFF),
    ],
)
def test_the_token_names_the_role(claims, role):
    """The preferred role, else the only one there is."""
    assert select(make_pool(mapping=token_mapping()), claims) == role


@pytest.mark.parametrize(
    "claims",
    [
        None,
        {},
        {"cognito:roles": []},
        {"cognito:roles": [STAFF, ADMINS]},
        {"cognito:roles": f"{STAFF},{ADMINS}"},
        {"cognito:roles": {"a": STAFF}},
        {"cognito:preferred_role": [ADMINS]},
        {"cognito:preferred_role": None},
    ],
)
def test_what_a_token_leaves_open_is_resolved_as_configured(claims):
    """Without one clear role: the authenticated role, or a refusal."""
    default = make_pool(mapping=token_mapping("AuthenticatedRole"))
    denying = make_pool(mapping=token_mapping("Deny"))

    assert select(default, claims) == USERS
    assert refused(denying, claims) == (
        f"The ambiguous role mapping rules for: {PROVIDER} denied this request."
    )


def test_a_mapping_is_for_its_provider():
    """Logins at another provider have the pool's role."""
    pool = make_pool(mapping=token_mapping())
    claims = {"cognito:preferred_role": ADMINS}

    assert select(pool, claims, provider_name="accounts.google.com") == USERS
    assert select(pool, claims, provider_name=None) == USERS


def test_a_mapping_can_be_for_one_app_of_a_user_pool():
    """Its key has the client id behind it, and it goes before the other one."""
    pool = IdentityPool(
        identity_pool_id="us-east-1:0a",
        identity_pool_name="Players",
        allow_unauthenticated_identities=False,
        roles=ROLES,
        role_mappings={
            PROVIDER: rules_mapping(("sub", "Contains", "u", STAFF)),
            f"{PROVIDER}:app": rules_mapping(("sub", "Contains", "u", ADMINS)),
        },
    )

    assert select(pool, {"sub": "u", "aud": "app"}) == ADMINS
    assert select(pool, {"sub": "u", "aud": ["other", "app"]}) == ADMINS
    assert select(pool, {"sub": "u", "aud": "other"}) == STAFF
    assert select(pool, {"sub": "u"}) == STAFF


def test_the_party_a_token_was_issued_to_chooses_the_mapping():
    """`azp` counts before `aud`, as it does for whether the token is accepted."""
    pool = make_pool(mapping=rules_mapping(("sub", "Contains", "u", STAFF)))
    mappings = pool.role_mappings or {}
    pool = msgspec.structs.replace(
        pool,
        role_mappings={
            **mappings,
            f"{PROVIDER}:app": rules_mapping(("sub", "Contains", "u", ADMINS)),
        },
    )

    assert select(pool, {"sub": "u", "azp": "app", "aud": "server"}) == ADMINS
    assert select(pool, {"sub": "u", "azp": "server", "aud": "app"}) == STAFF


def test_a_mapping_can_be_keyed_by_the_arn_of_its_provider():
    """So OpenID Connect providers are listed in a pool."""
    key = "arn:aws:iam::000000000000:oidc-provider/login.example.com"
    pool = msgspec.structs.replace(
        make_pool(),
        open_id_connect_provider_arns=[f"{key}.other", key],
        role_mappings={key: token_mapping()},
    )
    claims = {"cognito:preferred_role": ADMINS}

    assert select(pool, claims, provider_name="login.example.com") == ADMINS
    assert select(pool, claims, provider_name="login.example.com.other") == USERS


def test_a_guest_has_no_mapping():
    """Who did not sign in gets the role of guests, whatever else is said."""
    pool = make_pool(mapping=token_mapping())
    claims = {"cognito:preferred_role": ADMINS}

    assert select(pool, claims, authenticated=False) == GUESTS


# --- Rules ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "value", "claim", "matches"),
    [
        ("Equals", "paid", "paid", True),
        ("Equals", "paid", "Paid", False),
        ("Equals", "paid", "paid ", False),
        ("Equals", "true", True, True),
        ("Equals", "True", True, False),
        ("Equals", "7", 7, True),
        ("Equals", "admins", ["users", "admins"], True),
        ("Equals", "admins", [], False),
        ("NotEqual", "paid", "free", True),
        ("NotEqual", "paid", "paid", False),
        ("NotEqual", "admins", ["users", "admins"], False),
        ("NotEqual", "admins", ["users"], True),
        ("NotEqual", "admins", {"a": "b"}, False),
        ("NotEqual", "paid", None, False),
        ("StartsWith", "arn:", "arn:aws", True),
        ("StartsWith", "arn:", "an arn:", False),
        ("StartsWith", "adm", ["users", "admins"], True),
        ("Contains", "@example.", "a@example.com", True),
        ("Contains", "@example.", "a@elsewhere.com", False),
        ("Contains", "admins", ["users", "admins"], True),
        ("Contains", "users, admins", ["users", "admins"], False),
    ],
)
def test_a_rule_compares_a_claim(match, value, claim, matches):
    """Each match type means what its name says, for texts, lists and numbers."""
    mapping = rules_mapping(("c", match, value, STAFF), otherwise="AuthenticatedRole")

    assert select(make_pool(mapping=mapping), {"c": claim}) == (
        STAFF if matches else USERS
    )


@pytest.mark.parametrize("match", ["Equals", "NotEqual", "StartsWith", "Contains"])
def test_a_rule_on_an_absent_claim_does_not_match(match):
    """NotEqual does not either: the guide says that it is not evaluated."""
    mapping = rules_mapping(("c", match, "x", STAFF))
    pool = make_pool(mapping=mapping)

    assert "denied this request" in refused(pool, {"other": "x"})
    assert "denied this request" in refused(pool, None)


def test_the_first_rule_that_matches_wins():
    """Rules are tried in order, and those behind it have no say."""
    mapping = rules_mapping(
        ("dept", "Equals", "sales", GUESTS),
        ("dept", "StartsWith", "dev", STAFF),
        ("dept", "Equals", "devops", ADMINS),
    )

    assert select(make_pool(mapping=mapping), {"dept": "devops"}) == STAFF


def test_rules_do_not_look_at_roles_in_the_token():
    """The token's own roles are for mappings of the type Token."""
    mapping = rules_mapping(("c", "Equals", "x", STAFF), otherwise="AuthenticatedRole")
    pool = make_pool(mapping=mapping)

    assert select(pool, {"cognito:preferred_role": ADMINS}) == USERS


# --- The role that the caller asks for ------------------------------------------------


def test_a_custom_role_is_one_of_the_token():
    """It goes before the preferred role; another one is refused by its name."""
    pool = make_pool(mapping=token_mapping())
    claims = {"cognito:preferred_role": ADMINS, "cognito:roles": [ADMINS, STAFF]}

    assert select(pool, claims, custom=STAFF) == STAFF
    assert refused(pool, claims, custom=USERS) == (
        f"Access to Role '{USERS}' is forbidden."
    )


def test_a_custom_role_chooses_among_the_rules_that_match():
    """It overrides their order, but a rule that does not match gives nothing."""
    mapping = rules_mapping(
        ("dept", "StartsWith", "dev", STAFF),
        ("dept", "Equals", "devops", ADMINS),
    )
    pool = make_pool(mapping=mapping)

    assert select(pool, {"dept": "devops"}, custom=ADMINS) == ADMINS
    assert "forbidden" in refused(pool, {"dept": "develop"}, custom=ADMINS)


@pytest.mark.parametrize(
    ("claims", "options"),
    [
        (None, {}),
        ({"cognito:roles": []}, {}),
        ({"cognito:roles": [ADMINS]}, {"authenticated": False}),
        ({"cognito:preferred_role": STAFF}, {}),
        ({"cognito:roles": [f"{STAFF}2"]}, {}),
    ],
)
def test_a_custom_role_that_no_login_offers_is_refused(claims, options):
    """The pool's own roles cannot be asked for, and guests cannot ask at all."""
    pool = make_pool(mapping=token_mapping("AuthenticatedRole"))

    for role in (STAFF, USERS, GUESTS):
        assert "forbidden" in refused(pool, claims, custom=role, **options)


def test_a_custom_role_is_refused_where_there_are_no_roles():
    """It would be a name that nobody gave."""
    claims = {"cognito:roles": [STAFF]}

    assert "forbidden" in refused(make_pool(None), claims, custom=STAFF)
