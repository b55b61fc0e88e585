"""
What there is to know of a pool elsewhere: its description, roles and configuration.

Some of it may not be allowed to be asked for. What is missing then is told by name, and
everything else is there.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

import msgspec

from millpond.contract import cognito_identity, cognito_sync
from millpond.core.identity_pools import (
    IdentityPool,
    PrincipalTagMap,
    PushConfiguration,
    StreamConfiguration,
)
from millpond.core.sync_trigger import EVENT_TYPE
from millpond.errors import SourceError, SourceRefusedError
from millpond.sources.api_answers import Events, UsageAnswer, read, to_ms
from millpond.sources.api_calls import Answer, ApiCalls, ApiRefusedError
from millpond.sources.base import SourcePool

T = TypeVar("T")

RIGHTS = (
    "cognito-identity:DescribeIdentityPool",
    "cognito-identity:GetIdentityPoolRoles",
    "cognito-identity:GetPrincipalTagAttributeMap",
    "cognito-identity:ListIdentities",
    "cognito-identity:DescribeIdentity",
    "cognito-identity:LookupDeveloperIdentity",
    "cognito-sync:DescribeIdentityPoolUsage",
    "cognito-sync:GetIdentityPoolConfiguration",
    "cognito-sync:GetCognitoEvents",
    "cognito-sync:ListDatasets",
    "cognito-sync:ListRecords",
)
"""Everything that an import asks for."""


async def describe(calls: ApiCalls, identity_pool_id: str) -> SourcePool:
    """
    Describe a pool.

    Raises:
        SourceError: there is no such pool, or it may not be described.
    """
    try:
        answer = await calls.identity(
            "DescribeIdentityPool", IdentityPoolId=identity_pool_id
        )
    except ApiRefusedError as error:
        if error.code == "ResourceNotFoundException":
            raise SourceError(
                f"There is no identity pool '{identity_pool_id}' at {calls.name}, or "
                "it is not of this account."
            ) from error
        raise
    described = read(answer.body, cognito_identity.IdentityPool, "DescribeIdentityPool")
    found = await _Rest(calls, identity_pool_id).find(described)
    return found


class _Rest:
    """What stands elsewhere than in the description."""

    def __init__(self, calls: ApiCalls, identity_pool_id: str) -> None:
        self._calls = calls
        self._id = identity_pool_id
        self._missing: list[str] = []

    async def find(self, described: cognito_identity.IdentityPool) -> SourcePool:
        given = msgspec.structs.asdict(described)
        given |= await self._roles()
        given |= await self._configuration()
        given["sync_trigger"] = await self._trigger()
        pool = msgspec.convert(given, IdentityPool, from_attributes=True)
        maps = {}
        for provider in sorted(
            {*pool.login_providers, pool.developer_provider_name or ""}
        ):
            if provider and (found := await self._tags_of(provider)) is not None:
                maps[provider] = found
        pool = msgspec.structs.replace(pool, principal_tag_maps=maps or None)
        usage = await self._ask(
            self._calls.sync("DescribeIdentityPoolUsage", "identitypools", self._id),
            UsageAnswer,
        )
        held = usage.identity_pool_usage if usage is not None else None
        modified_s = held.last_modified_date if held is not None else None
        return SourcePool(
            pool=pool,
            data_storage=held.data_storage if held is not None else None,
            sync_sessions_count=held.sync_sessions_count if held is not None else None,
            last_modified_date_ms=None if modified_s is None else to_ms(modified_s),
            missing=tuple(self._missing),
        )

    async def _roles(self) -> dict[str, Any]:
        found = await self._ask(
            self._calls.identity("GetIdentityPoolRoles", IdentityPoolId=self._id),
            cognito_identity.GetIdentityPoolRolesResponse,
        )
        if found is None:
            return {}
        return {"roles": found.roles, "role_mappings": found.role_mappings}

    async def _configuration(self) -> dict[str, Any]:
        found = await self._ask(
            self._calls.sync(
                "GetIdentityPoolConfiguration",
                *("identitypools", self._id, "configuration"),
            ),
            cognito_sync.GetIdentityPoolConfigurationResponse,
        )
        if found is None:
            return {}
        push, stream = found.push_sync, found.cognito_streams
        return {
            "push": push
            and msgspec.convert(push, PushConfiguration, from_attributes=True),
            "stream": stream
            and msgspec.convert(stream, StreamConfiguration, from_attributes=True),
        }

    async def _trigger(self) -> str | None:
        found = await self._ask(
            self._calls.sync("GetCognitoEvents", "identitypools", self._id, "events"),
            Events,
        )
        return None if found is None else (found.events or {}).get(EVENT_TYPE)

    async def _tags_of(self, provider: str) -> PrincipalTagMap | None:
        found = await self._ask(
            self._calls.identity(
                "GetPrincipalTagAttributeMap",
                IdentityPoolId=self._id,
                IdentityProviderName=provider,
            ),
            cognito_identity.GetPrincipalTagAttributeMapResponse,
        )
        if found is None or not (found.use_defaults or found.principal_tags):
            return None
        return msgspec.convert(found, PrincipalTagMap, from_attributes=True)

    async def _ask(self, asking: Awaitable[Answer], shape: type[T]) -> T | None:
        """Ask for something that one can do without."""
        try:
            answer = await asking
        except SourceRefusedError as error:
            if error.action not in self._missing:
                self._missing.append(error.action)
            return None
        except ApiRefusedError as error:
            if error.status == 404 or error.code == "ResourceNotFoundException":
                return None
            raise
        return read(answer.body, shape, shape.__name__)
