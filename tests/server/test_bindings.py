"""Every operation that is published leads to a function."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Any, cast

import pytest

from millpond.contract import cognito_sync
from millpond.contract.shapes import Operation
from millpond.errors import NotImplementedException
from millpond.server.bindings import APIS, bind, find
from millpond.service.context import Caller

OPERATIONS = [
    pytest.param(operation, modules, id=f"{api.name}-{operation.name}")
    for api, modules in APIS
    for operation in api.operations
]


@pytest.mark.parametrize(("operation", "modules"), OPERATIONS)
def test_every_operation_is_built(
    operation: Operation, modules: tuple[ModuleType, ...]
) -> None:
    """What the contract names does something."""
    assert find(operation, modules) is not None


def test_an_operation_that_is_not_built_says_so() -> None:
    """It answers 501 and names itself, rather than pretend."""
    operation = cognito_sync.API.by_name["GetCognitoEvents"]
    call = bind(cognito_sync.API, operation, ())

    async def run() -> None:
        await call(cast(Any, None), Caller("AKIAEXAMPLE", ""), cast(Any, None))

    with pytest.raises(NotImplementedException, match=operation.name) as caught:
        asyncio.run(run())

    assert "Millpond" in caught.value.message
