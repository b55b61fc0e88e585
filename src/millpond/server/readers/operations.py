"""
Which operations a reader answers: those that change nothing and need the store alone.

Derived from the contract. What only the writer knows is passed on: who listens, who
subscribes, how triggers and providers have answered, how fast a run has been. So is
whatever is not signed: those calls make identities, or note that one is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from millpond.contract import cognito_identity, cognito_sync, kinesis
from millpond.contract.shapes import Api, Callers, Operation
from millpond.server.bindings import APIS
from millpond.service import read_through
from millpond.settings import Settings

_APIS: Final = (cognito_sync.API, cognito_identity.API, kinesis.API)


def answers(api: Api, operation: Operation) -> bool:
    """Say whether a reader may answer an operation, whatever the settings are."""
    return (
        api in _APIS
        and operation.callers is not Callers.ANYONE
        and not operation.event_stream
        and not operation.changes
    )


def answered(settings: Settings) -> Iterable[Operation]:
    """
    List the operations that readers answer.

    While a pool moves in and its identities are fetched when somebody asks for them,
    a read may write.
    """
    reads_through = any(each.read_through for each in settings.imports.values())
    for api, _ in APIS:
        for operation in api.operations:
            if answers(api, operation) and not (
                reads_through and read_through.make_finder(api, operation)
            ):
                yield operation
