"""
The roles of an identity pool: which one goes with the credentials of an identity.

A role is only a name here. Which one it is follows from the pool's two default roles
and from the mapping of the login provider; `core.role_selection` has the rules.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from millpond import limits
from millpond.contract.cognito_identity.identity_pools import (
    ARNString,
    IdentityProviderName,
)
from millpond.contract.cognito_sync import IdentityPoolId
from millpond.contract.shapes import Shape, about, text

# --- Strings ------------------------------------------------------------------------

RoleType = Annotated[
    str,
    text(
        "RoleType",
        "The kind of identity: authenticated or unauthenticated.",
        length=(1, 128),  # AWS: model, RoleType
        pattern=r"(un)?authenticated",
    ),
]
RoleMappingType = Annotated[
    Literal["Token", "Rules"],
    Meta(
        title="RoleMappingType",
        description="Token: the claims cognito:preferred_role and cognito:roles of the "
        "login choose the role. Rules: the first rule that matches chooses it.",
    ),
]
AmbiguousRoleResolutionType = Annotated[
    Literal["AuthenticatedRole", "Deny"],
    Meta(
        title="AmbiguousRoleResolutionType",
        description="What happens when the mapping chooses no role: the pool's "
        "authenticated role is taken, or the request is refused. Required.",
    ),
]
MappingRuleMatchType = Annotated[
    Literal["Equals", "Contains", "StartsWith", "NotEqual"],
    Meta(
        title="MappingRuleMatchType",
        description="How the value of the claim is compared with that of the rule.",
    ),
]
ClaimName = Annotated[
    str,
    text(
        "ClaimName",
        "The name of a claim in the token of the login, for example isAdmin.",
        length=(1, 64),  # AWS: model, ClaimName
        pattern=r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+",
    ),
]
ClaimValue = Annotated[
    str,
    text(
        "ClaimValue",
        "The text that the claim is compared with.",
        length=(1, 128),  # AWS: model, ClaimValue
    ),
]
_role_arn = Annotated[ARNString, about("The ARN of the role to take.")]

# --- Structures ---------------------------------------------------------------------


class MappingRule(Shape, kw_only=True):
    """A condition on a claim, and the role that goes with it."""

    claim: ClaimName
    match_type: MappingRuleMatchType
    value: ClaimValue
    role_arn: _role_arn = msgspec.field(name="RoleARN")


MappingRulesList = Annotated[
    list[MappingRule],
    Meta(
        title="MappingRulesList",
        description="The rules, in the order in which they are tried.",
        min_length=1,
        max_length=limits.ROLE_RULES_MAX,
    ),
]


class RulesConfigurationType(Shape, kw_only=True):
    """The rules of a mapping."""

    rules: MappingRulesList


class RoleMapping(Shape, kw_only=True):
    """How the logins of one provider are given a role."""

    type: RoleMappingType
    ambiguous_role_resolution: AmbiguousRoleResolutionType | None = None
    rules_configuration: (
        Annotated[RulesConfigurationType, about("With the type Rules, and only then.")]
        | None
    ) = None


RolesMap = Annotated[
    dict[RoleType, ARNString],
    Meta(
        title="RolesMap",
        description="The default roles: authenticated and unauthenticated.",
        max_length=2,  # AWS: model, RolesMap
    ),
]
RoleMappingMap = Annotated[
    dict[IdentityProviderName, RoleMapping],
    Meta(
        title="RoleMappingMap",
        description="Login providers and how their logins are given a role.",
        max_length=limits.ROLE_MAPPINGS_MAX,
    ),
]

# --- Requests and responses ---------------------------------------------------------


class GetIdentityPoolRolesRequest(Shape, kw_only=True):
    """Tell the roles of an identity pool and how logins are mapped to roles."""

    identity_pool_id: IdentityPoolId


class GetIdentityPoolRolesResponse(Shape, kw_only=True):
    """The roles; what was never set is absent."""

    identity_pool_id: IdentityPoolId
    roles: RolesMap | None = None
    role_mappings: RoleMappingMap | None = None


class SetIdentityPoolRolesRequest(Shape, kw_only=True):
    """
    Set the roles of an identity pool and how logins are mapped to roles.

    Both replace what was there: mappings that the request leaves out are gone.
    """

    identity_pool_id: IdentityPoolId
    roles: RolesMap
    role_mappings: RoleMappingMap | None = None
