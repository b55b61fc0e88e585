"""Developer authenticated identities: users whom the developer's backend signs in."""

from __future__ import annotations

from millpond.contract import cognito_identity as contract
from millpond.core import identities
from millpond.core.identities import (
    Identity,
    IdentityChanges,
    Login,
    StoredIdentities,
    identity_not_found,
)
from millpond.core.identity_pools import IdentityPool
from millpond.core.principal_tags import principal_tags
from millpond.errors import (
    InvalidParameterException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from millpond.limits import (
    DEVELOPER_TOKEN_LIFETIME_S,
    DEVELOPER_USER_CHARS_MAX,
    PAGE_POOLS_MAX,
)
from millpond.service import logins
from millpond.service.context import Caller, Context
from millpond.service.identity_pools import get_pool
from millpond.service.identity_tokens import issue_token
from millpond.service.refusals import identity_pool_not_found


async def get_open_id_token_for_developer_identity(
    context: Context,
    caller: Caller,
    request: contract.GetOpenIdTokenForDeveloperIdentityRequest,
) -> contract.GetOpenIdTokenForDeveloperIdentityResponse:
    """Give a token for the identity of a developer's user, which is made or linked."""
    pool = await get_pool(context, request.identity_pool_id)
    name = _provider_of(pool, None)
    user = request.logins.get(name)
    if user is None:
        raise InvalidParameterException(
            f"Logins must name the developer provider '{name}' of the identity pool."
        )
    if len(user) > DEVELOPER_USER_CHARS_MAX:
        raise InvalidParameterException(
            f"The developer user identifier has {len(user)} characters; the limit is "
            f"{DEVELOPER_USER_CHARS_MAX}."
        )
    public = {k: v for k, v in request.logins.items() if k != name}
    verified = await logins.verify_logins(context, pool, public, asks_source=False)
    proofs = verified.proofs.with_developer(Login(name, user))
    identity = await logins.resolve(context, pool, request.identity_id, proofs)
    await context.token_keys.ready()
    token = issue_token(
        context,
        pool,
        identity,
        proofs.all_logins,
        lifetime_s=_lifetime_s(context, caller, request.token_duration),
        principal_tags={
            **principal_tags(pool, verified.provider_name, verified.claims),
            **principal_tags(pool, name, {"sub": user, "aud": pool.identity_pool_id}),
            **(request.principal_tags or {}),
        },
    )
    return contract.GetOpenIdTokenForDeveloperIdentityResponse(
        identity_id=identity.identity_id, token=token
    )


def _lifetime_s(context: Context, caller: Caller, wanted_s: int | None) -> int:
    """Say how long a token lasts: no longer than the key that it is asked with."""
    lifetime_s = wanted_s or DEVELOPER_TOKEN_LIFETIME_S
    end_ms = caller.scope.expires_ms
    if end_ms is None:
        return lifetime_s
    return max(1, min(lifetime_s, (end_ms - context.now_ms()) // 1000))


async def lookup_developer_identity(
    context: Context,
    caller: Caller,
    request: contract.LookupDeveloperIdentityRequest,
) -> contract.LookupDeveloperIdentityResponse:
    """Find an identity by a developer's user, or the users of an identity."""
    pool = await get_pool(context, request.identity_pool_id)
    name = _provider_of(pool, None)
    user, identity_id = request.developer_user_identifier, request.identity_id
    if user is None and identity_id is None:
        raise InvalidParameterException(
            "Either IdentityId or DeveloperUserIdentifier must be given."
        )
    stored = await context.store.find_identities(
        pool.identity_pool_id,
        identity_ids=[identity_id] if identity_id else [],
        logins=[Login(name, user)] if user else [],
    )
    if stored is None:
        raise identity_pool_not_found(pool.identity_pool_id)
    identity = stored.identities.get(identity_id) if identity_id else None
    if identity_id is not None and identity is None:
        raise identity_not_found(identity_id)
    if user is not None:
        owner = _owner(stored, Login(name, user))
        if identity is not None and identity.identity_id != owner.identity_id:
            raise ResourceConflictException(
                f"Developer user identifier '{user}' belongs to another identity."
            )
        identity = owner
    assert identity is not None
    return _users(context, request, name, identity)


def _users(
    context: Context,
    request: contract.LookupDeveloperIdentityRequest,
    provider_name: str,
    identity: Identity,
) -> contract.LookupDeveloperIdentityResponse:
    """List a page of the developer's users of an identity."""
    names = (identity.identity_id, "LookupDeveloperIdentity")
    after = ""
    if request.next_token is not None:
        after = context.pages.read(request.next_token, str, *names)
    limit = request.max_results or PAGE_POOLS_MAX
    users = [
        each.subject
        for each in identity.logins
        if each.provider_name == provider_name and each.subject > after
    ]
    page = users[:limit]
    more = len(users) > limit
    return contract.LookupDeveloperIdentityResponse(
        identity_id=identity.identity_id,
        developer_user_identifier_list=page,
        next_token=context.pages.seal(page[-1], *names) if more else None,
    )


async def merge_developer_identities(
    context: Context,
    caller: Caller,
    request: contract.MergeDeveloperIdentitiesRequest,
) -> contract.MergeDeveloperIdentitiesResponse:
    """Merge the identity of one of the developer's users into that of another one."""
    pool = await get_pool(context, request.identity_pool_id)
    name = _provider_of(pool, request.developer_provider_name)
    source = Login(name, request.source_user_identifier)
    destination = Login(name, request.destination_user_identifier)
    now_ms = context.now_ms()

    def decide(stored: StoredIdentities) -> IdentityChanges:
        return identities.merge(
            stored,
            _owner(stored, destination),
            _owner(stored, source),
            now_ms=now_ms,
            limits=context.limits,
        )

    changes = await context.store.update_identities(
        pool.identity_pool_id,
        identity_ids=[],
        logins=[source, destination],
        decide=decide,
    )
    if changes is None:
        raise identity_pool_not_found(pool.identity_pool_id)
    context.outbox_changed.send()
    context.changes.publish_moves(changes.moves)
    return contract.MergeDeveloperIdentitiesResponse(
        identity_id=changes.identity.identity_id
    )


async def unlink_developer_identity(
    context: Context,
    caller: Caller,
    request: contract.UnlinkDeveloperIdentityRequest,
) -> None:
    """Take one of the developer's users from an identity."""
    pool = await get_pool(context, request.identity_pool_id)
    name = _provider_of(pool, request.developer_provider_name)
    login = Login(name, request.developer_user_identifier)
    now_ms = context.now_ms()

    def decide(stored: StoredIdentities) -> IdentityChanges:
        identity = stored.identities.get(request.identity_id)
        if identity is None:
            raise identity_not_found(request.identity_id)
        if _owner(stored, login).identity_id != identity.identity_id:
            raise ResourceConflictException(
                f"Developer user identifier '{login.subject}' belongs to another "
                "identity."
            )
        unlinked = identities.unlink(identity, [login], now_ms=now_ms)
        return IdentityChanges(unlinked, [unlinked])

    changes = await context.store.update_identities(
        pool.identity_pool_id,
        identity_ids=[request.identity_id],
        logins=[login],
        decide=decide,
    )
    if changes is None:
        raise identity_pool_not_found(pool.identity_pool_id)


def _provider_of(pool: IdentityPool, given: str | None) -> str:
    """Give the name of the pool's developer provider; another name is refused."""
    name = pool.developer_provider_name
    if name is None or given not in (None, name):
        raise InvalidParameterException(
            f"Identity pool '{pool.identity_pool_id}' has no developer provider"
            + (f" '{given}'." if given else ".")
        )
    return name


def _owner(stored: StoredIdentities, login: Login) -> Identity:
    owner = stored.owner(login)
    if owner is None:
        raise ResourceNotFoundException(
            f"Developer user identifier '{login.subject}' not found."
        )
    return owner
