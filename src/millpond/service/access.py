"""
Who may do what. Deny by default.

Ruling 13 as data lives in the contract (`Operation.callers`); this module applies it. A
developer's key opens what is a developer's, whosever data it is, unless it is bound to
less: a read-only key opens nothing that changes anything (`Operation.changes`), a key
of one pool nothing of another (`Operation.one_pool`). The credentials of an identity
open that identity's data alone: whatever names a pool or an identity must name its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from millpond.contract.shapes import Callers, OnePool, Operation
from millpond.errors import NotAuthorizedException
from millpond.service.callers import Caller
from millpond.service.looking.identities import list_pools_with_data
from millpond.stores.base import Store

Check = Callable[[Caller, Any], None]
CheckIdentities = Callable[[Store, Caller, Any], Awaitable[None]]

_DEVELOPERS = frozenset({Callers.DEVELOPER, Callers.EITHER})
_USERS = frozenset({Callers.USER, Callers.EITHER})
_WORDS: Final = "These credentials are not valid for accessing this resource"
READ_ONLY: Final = f"{_WORDS}: the developer key is read-only."
OF_ONE_POOL: Final = f"{_WORDS}: the developer key is that of one identity pool."


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
    changes = operation.changes
    is_of = _IS_OF[operation.one_pool]

    def check(caller: Caller, request: Any) -> None:
        session = caller.session
        if session is None:
            if developers and caller.access_key_id:
                scope = caller.scope
                if scope.read_only and changes:
                    raise NotAuthorizedException(READ_ONLY)
                pool = scope.identity_pool_id
                if pool is not None and not is_of(request, pool):
                    raise NotAuthorizedException(OF_ONE_POOL)
                return
        elif (
            users
            and (not names_pool or request.identity_pool_id == session.identity_pool_id)
            and (not names_identity or request.identity_id == session.identity_id)
        ):
            return
        raise NotAuthorizedException

    return check


def make_identity_check(operation: Operation) -> CheckIdentities | None:
    """
    Make what refuses identities of other pools to a key of one pool; None: the request
    names the pool, or no identities.

    An identity that is nowhere is let pass: the operation says that it is not there.
    But what was written under its id would be deleted with it, in every pool.
    """
    if operation.one_pool is not OnePool.BY_IDENTITY:
        return None

    async def check(store: Store, caller: Caller, request: Any) -> None:
        pool = caller.scope.identity_pool_id
        if pool is None:
            return
        named = getattr(request, "identity_ids_to_delete", None)
        for identity_id in [request.identity_id] if named is None else named:
            identity = await store.find_identity(identity_id)
            if identity is not None:
                pools = {identity.identity_pool_id}
            elif named is not None:
                pools = {*await list_pools_with_data(store, identity_id)}
            else:
                continue
            if not pools <= {pool}:
                raise NotAuthorizedException(OF_ONE_POOL)

    return check


def _pass(caller: Caller, request: Any) -> None:
    pass


def _is_named(request: Any, identity_pool_id: str) -> bool:
    return bool(request.identity_pool_id == identity_pool_id)


def _is_arn_of(request: Any, identity_pool_id: str) -> bool:
    return bool(request.resource_arn.endswith(f":identitypool/{identity_pool_id}"))


_IS_OF: Final[dict[OnePool, Callable[[Any, str], bool]]] = {
    OnePool.NAMED: _is_named,
    OnePool.BY_ARN: _is_arn_of,
    OnePool.BY_IDENTITY: lambda request, pool: True,  # by `make_identity_check`
    OnePool.OWN: lambda request, pool: True,
    OnePool.ANY: lambda request, pool: True,
    OnePool.REFUSED: lambda request, pool: False,
}
