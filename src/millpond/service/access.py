"""
Who may do what. Deny by default.

Ruling 13 as data lives in the contract (`Operation.callers`); this module applies it. A
developer's key opens what is a developer's, whosever data it is. The credentials of an
identity open that identity's data alone: whatever names a pool or an identity must name
its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millpond.contract.shapes import Callers, Operation
from millpond.errors import NotAuthorizedException
from millpond.service.context import Caller

Check = Callable[[Caller, Any], None]

_DEVELOPERS = frozenset({Callers.DEVELOPER, Callers.EITHER})
_USERS = frozenset({Callers.USER, Callers.EITHER})


def make_check(operation: Operation) -> Check:
    """
    Make what lets a caller pass with a request of an operation, or refuses.

    The check raises NotAuthorizedException: these credentials may not do this.
    """
    if operation.callers is Callers.ANYONE:
        return _pass
    developers = operation.callers in _DEVELOPERS
    users = operation.callers in _USERS
    names_pool = hasattr(operation.request, "identity_pool_id")
    names_identity = hasattr(operation.request, "identity_id")

    def check(caller: Caller, request: Any) -> None:
        session = caller.session
        if session is None:
            if developers and caller.access_key_id:
                return
        elif (
            users
            and (not names_pool or request.identity_pool_id == session.identity_pool_id)
            and (not names_identity or request.identity_id == session.identity_id)
        ):
            return
        raise NotAuthorizedException

    return check


def _pass(caller: Caller, request: Any) -> None:
    pass
