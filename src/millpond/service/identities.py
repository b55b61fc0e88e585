"""Identities: get one by its logins, describe, list, unlink and delete them."""

from __future__ import annotations

from millpond.contract import cognito_identity as contract
from millpond.core import identities
from millpond.core.identities import (
    Identity,
    IdentityChanges,
    StoredIdentities,
    identity_not_found,
)
from millpond.errors import InvalidParameterException, NotAuthorizedException
from millpond.service import logins
from millpond.service.context import Caller, Context
from millpond.service.identity_pools import get_pool
from millpond.service.refusals import identity_pool_not_found


async def get_id(
    context: Context, caller: Caller, request: contract.GetIdRequest
) -> contract.GetIdResponse:
    """Get the identity that logins lead to; without any, a new guest each time."""
    pool = await get_pool(context, request.identity_pool_id)
    verified = await logins.verify_logins(context, pool, request.logins)
    identity = await logins.resolve(context, pool, None, verified.proofs)
    return contract.GetIdResponse(identity_id=identity.identity_id)


async def describe_identity(
    context: Context, caller: Caller, request: contract.DescribeIdentityRequest
) -> contract.IdentityDescription:
    """Tell what is known about an identity."""
    identity = await context.store.find_identity(request.identity_id)
    if identity is None:
        raise identity_not_found(request.identity_id)
    return _described(identity)


async def list_identities(
    context: Context, caller: Caller, request: contract.ListIdentitiesRequest
) -> contract.ListIdentitiesResponse:
    """List the identities of a pool, by id."""
    pool_id = request.identity_pool_id
    after = None
    if request.next_token is not None:
        after = context.pages.read(request.next_token, str, pool_id, "ListIdentities")
    limit = request.max_results
    found = await context.store.list_identities(
        pool_id, after=after, limit=limit + 1, enabled=bool(request.hide_disabled)
    )
    if found is None:
        raise identity_pool_not_found(pool_id)
    token = None
    if len(found) > limit:
        del found[limit:]
        token = context.pages.seal(found[-1].identity_id, pool_id, "ListIdentities")
    return contract.ListIdentitiesResponse(
        identity_pool_id=pool_id,
        identities=[_described(each) for each in found],
        next_token=token,
    )


async def delete_identities(
    context: Context, caller: Caller, request: contract.DeleteIdentitiesRequest
) -> contract.DeleteIdentitiesResponse:
    """
    Delete identities with their data; ids that do not exist are deleted already.

    Each identity is a transaction of its own. Credentials that were given out go on
    working until they expire, and what they write then is a developer's to delete.
    """
    now_ms = context.now_ms()
    for identity_id in dict.fromkeys(request.identity_ids_to_delete):
        await context.store.delete_identity(identity_id, now_ms=now_ms)
        context.changes.end(identity_id)
    context.outbox_changed.send()
    return contract.DeleteIdentitiesResponse(unprocessed_identity_ids=[])


async def unlink_identity(
    context: Context, caller: Caller, request: contract.UnlinkIdentityRequest
) -> None:
    """Take logins from an identity, for who proves to be its user."""
    pool = (await logins.find(context, request.identity_id, request.logins)).pool
    if not request.logins_to_remove:
        raise InvalidParameterException("LoginsToRemove must name a login provider.")
    verified = await logins.verify_logins(context, pool, request.logins)
    if verified.proofs.is_empty:
        raise identities.access_forbidden(request.identity_id)
    now_ms = context.now_ms()

    def decide(stored: StoredIdentities) -> IdentityChanges:
        identity = identities.prove(stored, request.identity_id, verified.proofs)
        # The developer's users are the developer's to unlink.
        gone = [
            each
            for each in identity.logins
            if each.provider_name in request.logins_to_remove
            and each.provider_name != pool.developer_provider_name
        ]
        unclaimed = set(identity.unclaimed).intersection(request.logins_to_remove)
        if not gone and not unclaimed:
            raise NotAuthorizedException(
                "The identity has none of the logins in LoginsToRemove."
            )
        unlinked = identities.unlink(identity, gone, unclaimed=unclaimed, now_ms=now_ms)
        return IdentityChanges(unlinked, [unlinked])

    changes = await context.store.update_identities(
        pool.identity_pool_id,
        identity_ids=[request.identity_id, *verified.proofs.vouched_ids],
        logins=verified.proofs.logins,
        decide=decide,
    )
    if changes is None:
        raise identity_pool_not_found(pool.identity_pool_id)


def _described(identity: Identity) -> contract.IdentityDescription:
    return contract.IdentityDescription(
        identity_id=identity.identity_id,
        logins=identity.provider_names,
        creation_date=identity.creation_date_ms / 1000,
        last_modified_date=identity.last_modified_date_ms / 1000,
    )
