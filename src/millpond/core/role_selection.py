"""
Which role goes with the credentials of an identity.

A guest gets the pool's unauthenticated role. A user who signed in gets the role that
the mapping of the login provider chooses, and the pool's authenticated role where there
is no mapping:

    CustomRoleArn   the caller chooses, among the roles that the login offers
    Token           cognito:preferred_role, else the only one of cognito:roles
    Rules           the role of the first rule that matches
    otherwise       AmbiguousRoleResolution: the authenticated role, or a refusal

A mapping is keyed by what the pool has: the name of a login provider, or its ARN; for
the logins of one application by `<provider>:<client id>`. Under another key it would
never apply, so `can_apply` keeps it out. When a provider is taken from a pool, its
mapping stays behind, unused as no token of it is accepted any more; when the provider
comes back, nobody gets past the mapping that was made for it.

Ours: Millpond has no IAM, so a role is only a name that goes into the credentials. A
pool need not have any.

Source: developer guide, role-based-access-control.md; RoleMapping of the model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from millpond.core.identity_pools import (
    IdentityPool,
    MappingRule,
    RoleMapping,
    provider_of,
)
from millpond.core.login_tokens import audience
from millpond.errors import (
    InvalidIdentityPoolConfigurationException,
    NotAuthorizedException,
)

AUTHENTICATED: Final = "authenticated"
UNAUTHENTICATED: Final = "unauthenticated"

# Partition, account id, and the name with its path.
ROLE_ARN: Final = re.compile(r"(?a)arn:(aws[\w-]*):iam::(\d+):role/(\S+)")
_ROLES_CLAIM: Final = "cognito:roles"
_PREFERRED_CLAIM: Final = "cognito:preferred_role"


def select_role(
    pool: IdentityPool,
    *,
    authenticated: bool,
    provider_name: str | None,
    claims: Mapping[str, Any] | None,
    custom_role_arn: str | None,
) -> str | None:
    """
    Choose the role of an identity.

    Args:
        provider_name: the login provider whose token was presented, if one was.
        claims: what that token says, verified.
        custom_role_arn: the role that the caller asks for.
    Returns:
        The ARN of the role; None when the pool has no roles.
    Raises:
        InvalidIdentityPoolConfigurationException: the pool has roles, but none for this
            kind of identity.
        NotAuthorizedException: the login does not offer the custom role, or the mapping
            denies what it cannot decide.
    """
    claims = claims or {}
    mapping = None
    if authenticated and provider_name is not None:
        mapping = _find_mapping(pool, provider_name, claims)
    if custom_role_arn is not None:
        if custom_role_arn in _offered(pool, mapping, claims, signed_in=authenticated):
            return custom_role_arn
        # AWS: this text, for a role that the caller may not pass (aws-sdk-js#908).
        raise NotAuthorizedException(
            f"Access to Role '{custom_role_arn}' is forbidden."
        )
    if not pool.roles and not pool.role_mappings:
        return None
    if mapping is not None:
        chosen = _mapped_role(mapping, claims)
        if chosen is not None:
            return chosen
        if mapping.ambiguous_role_resolution == "Deny":
            # AWS: this text (amplify-js#3621).
            raise NotAuthorizedException(
                f"The ambiguous role mapping rules for: {provider_name} denied this "
                "request."
            )
    role = (pool.roles or {}).get(AUTHENTICATED if authenticated else UNAUTHENTICATED)
    if role is None:
        raise InvalidIdentityPoolConfigurationException
    return role


def can_apply(
    pool: IdentityPool,
    key: str,
    client_ids: Callable[[str], Collection[str] | None],
) -> bool:
    """
    Say whether a mapping under a key is for logins that the pool accepts.

    Args:
        client_ids: gives the ids of the applications at a provider; None for a provider
            that the pool does not have.
    """
    if pool.has_provider(key):
        return True
    provider_name, _, client_id = key.rpartition(":")
    return bool(provider_name) and client_id in (client_ids(provider_name) or ())


def _find_mapping(
    pool: IdentityPool, provider_name: str, claims: Mapping[str, Any]
) -> RoleMapping | None:
    """Find the mapping of a provider; one for the app's client goes before it."""
    mappings = pool.role_mappings or {}
    arns = pool.open_id_connect_provider_arns or ()
    keys = [
        # AWS: the key of a user pool has its client (SetIdentityPoolRoles).
        *(f"{provider_name}:{client_id}" for client_id in audience(claims)),
        provider_name,
        *(arn for arn in arns if provider_of(arn) == provider_name),
    ]
    return next((mappings[key] for key in keys if key in mappings), None)


def _offered(
    pool: IdentityPool,
    mapping: RoleMapping | None,
    claims: Mapping[str, Any],
    *,
    signed_in: bool,
) -> set[str]:
    """List the roles that a caller may ask for."""
    if not signed_in or not (pool.roles or pool.role_mappings):
        return set()
    # AWS: CustomRoleArn also goes before the order of the rules, not past them.
    return {
        *_token_roles(claims),
        *(rule.role_arn for rule in _rules(mapping) if _matches(rule, claims)),
    }


def _mapped_role(mapping: RoleMapping, claims: Mapping[str, Any]) -> str | None:
    """Apply a mapping; None when it cannot decide."""
    if mapping.type == "Rules":
        matching = (each for each in _rules(mapping) if _matches(each, claims))
        return next((each.role_arn for each in matching), None)
    preferred = claims.get(_PREFERRED_CLAIM)
    if preferred and isinstance(preferred, str):
        return preferred
    roles = _token_roles(claims)
    return roles[0] if len(roles) == 1 else None


def _rules(mapping: RoleMapping | None) -> list[MappingRule]:
    if mapping is None or mapping.rules_configuration is None:
        return []
    return mapping.rules_configuration.rules


def _token_roles(claims: Mapping[str, Any]) -> list[str]:
    """List the roles in a token, each once."""
    # AWS: the guide says that they are separated by commas; user pools send a list.
    texts = (
        text for each in _texts(claims.get(_ROLES_CLAIM)) for text in each.split(",")
    )
    return list(dict.fromkeys(each.strip() for each in texts if each.strip()))


def _matches(rule: MappingRule, claims: Mapping[str, Any]) -> bool:
    """
    Apply a rule to the claims; one on a claim that is absent, or is a structure, never
    matches.

    Ours: AWS does not say how a list is compared. Here one of its items has to match,
    and for NotEqual none of them may be equal.
    """
    claim = claims.get(rule.claim)
    if claim is None or isinstance(claim, dict):
        return False
    texts = list(_texts(claim))
    match rule.match_type:
        case "Equals":
            return rule.value in texts
        case "NotEqual":
            return rule.value not in texts
        case "StartsWith":
            return any(each.startswith(rule.value) for each in texts)
        case "Contains":
            return any(rule.value in each for each in texts)
    raise AssertionError(f"{rule.match_type} is no match type")


def _texts(claim: Any) -> Iterator[str]:
    """Write a claim as texts: one, or one for each item of a list."""
    for each in claim if isinstance(claim, list) else [claim]:
        if isinstance(each, bool):
            yield "true" if each else "false"
        elif isinstance(each, str | int | float):
            yield str(each)
