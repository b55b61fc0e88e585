"""Roles of identity pools: the two default ones, and how logins get others."""

from __future__ import annotations

from functools import partial

import msgspec

from millpond.contract import cognito_identity as contract
from millpond.core.identity_pools import IdentityPool, RoleMapping
from millpond.core.role_selection import ROLE_ARN, can_apply
from millpond.errors import InvalidParameterException
from millpond.service.context import Caller, Context
from millpond.service.identity_pools import get_pool
from millpond.service.logins import find_audiences
from millpond.service.refusals import identity_pool_not_found


async def set_identity_pool_roles(
    context: Context, caller: Caller, request: contract.SetIdentityPoolRolesRequest
) -> None:
    """Replace the roles and the mappings of a pool."""
    for kind, role_arn in request.roles.items():
        _check_role(f"roles.{kind}", role_arn)
    for provider_name, given in (request.role_mappings or {}).items():
        _check_mapping(provider_name, given)
    # The members have the same names on both sides.
    mappings = msgspec.convert(
        request.role_mappings, dict[str, RoleMapping] | None, from_attributes=True
    )

    def change(pool: IdentityPool) -> IdentityPool:
        for provider_name in mappings or ():
            _check_provider(context, pool, provider_name)
        return msgspec.structs.replace(
            pool, roles=request.roles, role_mappings=mappings
        )

    pool = await context.store.update_identity_pool(request.identity_pool_id, change)
    if pool is None:
        raise identity_pool_not_found(request.identity_pool_id)


async def get_identity_pool_roles(
    context: Context, caller: Caller, request: contract.GetIdentityPoolRolesRequest
) -> contract.GetIdentityPoolRolesResponse:
    """Tell the roles and the mappings of a pool."""
    pool = await get_pool(context, request.identity_pool_id)
    return msgspec.convert(
        pool, contract.GetIdentityPoolRolesResponse, from_attributes=True
    )


def _check_provider(context: Context, pool: IdentityPool, key: str) -> None:
    """Refuse a mapping that would never apply to a login."""
    if not can_apply(pool, key, partial(find_audiences, context, pool)):
        # AWS: this text (aws-cdk#7670, aws-cdk#22951).
        raise InvalidParameterException(
            f"{key} is not a valid RoleMapping ProviderName or is not a configured "
            "provider."
        )


def _check_mapping(provider_name: str, mapping: contract.RoleMapping) -> None:
    """Refuse a mapping that does not say what its type needs."""
    at = f"roleMappings.{provider_name}"
    # AWS: both types need it (model, RoleMapping).
    if mapping.ambiguous_role_resolution is None:
        raise InvalidParameterException(
            f"AmbiguousRoleResolution is required at '{at}': AuthenticatedRole or Deny."
        )
    rules = mapping.rules_configuration
    if (rules is None) is (mapping.type == "Rules"):
        need = "is required" if rules is None else "is not allowed"
        raise InvalidParameterException(
            f"RulesConfiguration {need} at '{at}', whose type is {mapping.type}."
        )
    for number, rule in enumerate(rules.rules if rules is not None else [], 1):
        _check_role(f"{at}.rulesConfiguration.rules.{number}", rule.role_arn)


def _check_role(at: str, role_arn: str) -> None:
    """Refuse what is not the ARN of a role; which roles there are is not known here."""
    # Ours: AWS answers NotAuthorizedException, which hides the slip (aws-sdk-js#908).
    if not ROLE_ARN.fullmatch(role_arn):
        raise InvalidParameterException(
            f"'{role_arn}' at '{at}' is not the ARN of a role, which has the form "
            "arn:aws:iam::ACCOUNT:role/NAME."
        )
