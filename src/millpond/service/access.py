"""
Who may do what. Deny by default.

Ruling 13 as data lives in the contract (`Operation.callers`); this module applies it.
All callers are developers so far; identities come with their own credentials later.
"""

from __future__ import annotations

from millpond.contract.shapes import Callers, Operation
from millpond.errors import NotAuthorizedException
from millpond.service.context import Caller


def check(caller: Caller, operation: Operation) -> None:
    """
    Let a caller pass, or refuse.

    Raises:
        NotAuthorizedException: these credentials may not call this operation.
    """
    callers = operation.callers
    if callers is not Callers.DEVELOPER and callers is not Callers.EITHER:
        raise NotAuthorizedException
