"""From an operation to the service function that does it: same name, in snake case."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any, Final

from millpond.contract import cognito_identity, cognito_sync, kinesis
from millpond.contract.shapes import Api, Operation, Shape
from millpond.service import (
    bulk_publish,
    configuration,
    datasets,
    identity_pools,
    kinesis_records,
    records,
    usage,
)
from millpond.service import kinesis as kinesis_streams
from millpond.service.context import Caller, Context
from millpond.service.refusals import not_built

ServiceFunction = Callable[[Context, Caller, Any], Awaitable[Shape | None]]

APIS: Final[tuple[tuple[Api, tuple[ModuleType, ...]], ...]] = (
    (cognito_sync.API, (bulk_publish, configuration, datasets, records, usage)),
    (cognito_identity.API, (identity_pools,)),
    (kinesis.API, (kinesis_streams, kinesis_records)),
)
"""Every API that the server publishes, and the modules that do its operations."""


def snake_case(operation_name: str) -> str:
    """Spell an operation as its function: UpdateRecords, update_records."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation_name).lower()


def bind(operation: Operation, modules: tuple[ModuleType, ...]) -> ServiceFunction:
    """Find the function of an operation; one that is not built yet answers so."""
    name = snake_case(operation.name)
    for module in modules:
        function: ServiceFunction | None = getattr(module, name, None)
        if function is not None:
            return function

    async def refuse(context: Context, caller: Caller, request: Any) -> Shape | None:
        raise not_built(operation.name)

    return refuse
