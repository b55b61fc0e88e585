"""From an operation to the service function that does it: same name, in snake case."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any, Final

from millpond.contract import audit as audit_contract
from millpond.contract import cognito_identity, cognito_sync, sts
from millpond.contract import examination as examination_contract
from millpond.contract import kinesis as kinesis_contract
from millpond.contract import live as live_contract
from millpond.contract import streaming as streaming_contract
from millpond.contract.shapes import Api, Callers, Operation, Shape
from millpond.service import (
    access,
    audit,
    audit_entries,
    bulk_publish,
    bulk_publish_progress,
    cognito_events,
    configuration,
    datasets,
    developer_identities,
    devices,
    identities,
    identity_pool_roles,
    identity_pools,
    identity_tokens,
    kinesis,
    live,
    principal_tags,
    read_through,
    records,
    stream_details,
    tags,
    usage,
)
from millpond.service import sts as sts_service
from millpond.service.context import Caller, Context
from millpond.service.examining import pool as examining_pool
from millpond.service.examining import server as examining_server
from millpond.service.kinesis.subscriptions import Subscription
from millpond.service.live import LiveUpdates
from millpond.service.refusals import not_built

Streamed = LiveUpdates | Subscription
Response = Shape | Streamed | None
ServiceFunction = Callable[[Context, Caller, Any], Awaitable[Response]]

APIS: Final[tuple[tuple[Api, tuple[ModuleType, ...]], ...]] = (
    (
        cognito_sync.API,
        (
            bulk_publish,
            cognito_events,
            configuration,
            datasets,
            devices,
            records,
            usage,
        ),
    ),
    (
        cognito_identity.API,
        (
            identity_pools,
            identity_pool_roles,
            principal_tags,
            tags,
            identities,
            identity_tokens,
            developer_identities,
        ),
    ),
    (live_contract.API, (live,)),
    (streaming_contract.API, (bulk_publish_progress, stream_details)),
    (audit_contract.API, (audit_entries,)),
    (examination_contract.API, (examining_server, examining_pool)),
    (
        kinesis_contract.API,
        (
            kinesis.streams,
            kinesis.records,
            kinesis.consumers,
            kinesis.subscriptions,
            kinesis.tags,
            kinesis.retention,
            kinesis.management,
            kinesis.absent,
        ),
    ),
    (sts.API, (sts_service,)),
)
"""Every API that the server publishes, and the modules that do its operations."""


def bind_one(operation: Operation) -> ServiceFunction:
    """Tie an operation of any of the APIs to its function, as `bind` does."""
    api, modules = _home_of(operation)
    return bind(api, operation, modules)


def api_of(operation: Operation) -> Api:
    """Find the API that publishes an operation."""
    return _home_of(operation)[0]


def _home_of(operation: Operation) -> tuple[Api, tuple[ModuleType, ...]]:
    for api, modules in APIS:
        if api.by_name.get(operation.name) is operation:
            return api, modules
    raise LookupError(f"no API publishes {operation.name}")


def snake_case(operation_name: str) -> str:
    """Spell an operation as its function: UpdateRecords, update_records."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation_name).lower()


def find(
    operation: Operation, modules: tuple[ModuleType, ...]
) -> ServiceFunction | None:
    """Find the function of an operation; None when it is not built yet."""
    name = snake_case(operation.name)
    for module in modules:
        function: ServiceFunction | None = getattr(module, name, None)
        if function is not None:
            return function
    return None


def bind(
    api: Api, operation: Operation, modules: tuple[ModuleType, ...]
) -> ServiceFunction:
    """
    Tie an operation to its function, to who may call it and who has to be here; what a
    developer changes leaves an entry in the audit.
    """
    check = access.make_check(operation)
    check_identities = access.make_identity_check(operation)
    function = find(operation, modules) or _not_built(operation)
    find_wanted = read_through.make_finder(api, operation)

    # No coroutine of its own: this is on the way of every request.
    def call(context: Context, caller: Caller, request: Any) -> Awaitable[Response]:
        check(caller, request)
        return function(context, caller, request)

    def call_or_bring(
        context: Context, caller: Caller, request: Any
    ) -> Awaitable[Response]:
        if context.read_through is None and check_identities is None:
            return call(context, caller, request)
        return bring_and_call(context, caller, request)

    async def bring_and_call(
        context: Context, caller: Caller, request: Any
    ) -> Response:
        check(caller, request)
        if check_identities is not None:
            await check_identities(context.store, caller, request)
        if context.read_through is not None:
            assert find_wanted is not None
            wanted = find_wanted(request)
            if wanted.identity_pool_id is None:
                # A key of one pool has nothing brought into another.
                own = caller.scope.identity_pool_id
                wanted = wanted._replace(identity_pool_id=own)
            await context.read_through.bring(wanted)
        return await function(context, caller, request)

    bound = call if find_wanted is None else call_or_bring
    if operation.changes and operation.callers in (Callers.DEVELOPER, Callers.EITHER):
        return audit.noting(operation, bound)
    return bound


def _not_built(operation: Operation) -> ServiceFunction:
    async def refuse(context: Context, caller: Caller, request: Any) -> Shape | None:
        raise not_built(operation.name)

    return refuse
