"""
Logins: from the tokens of a request to what they prove, and to the identity.

A token is good when its provider is one of the pool's, its signature is the provider's
and its audience is the app's (`core.login_tokens`). A token of this service, which a
developer's backend asked for, vouches for an identity. So does one of Amazon Cognito
Identity when its keys are configured.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import structlog

from millpond.contract.cognito_sync import IdentityId
from millpond.core import identities, openid
from millpond.core.identities import (
    Identity,
    IdentityChanges,
    Login,
    Proofs,
    StoredIdentities,
    Voucher,
    identity_not_found,
)
from millpond.core.identity_pools import COGNITO_PROVIDERS, IdentityPool
from millpond.core.login_tokens import (
    LoginToken,
    check_token,
    is_issuer,
    read_token,
    says_not_verified,
    verify_token,
)
from millpond.errors import (
    ExternalServiceException,
    LoginProviderError,
    NotAuthorizedException,
    ServiceException,
)
from millpond.service.context import Context
from millpond.service.refusals import identity_pool_not_found

if TYPE_CHECKING:
    from jwt import PyJWK

_log = structlog.get_logger()
_AMAZON: Final = "cognito-identity.amazonaws.com"


class VerifiedLogins(NamedTuple):
    """What the logins of a request prove, and what the first public one says."""

    proofs: Proofs
    provider_name: str | None = None
    claims: Mapping[str, Any] | None = None


async def verify_logins(
    context: Context,
    pool: IdentityPool,
    logins: Mapping[str, str] | None,
    *,
    asks_source: bool = True,
) -> VerifiedLogins:
    """
    Verify every login token of a request; one that is not good refuses them all.

    Args:
        asks_source: where the pool is read through, a user who is not known here is
            looked for where it moves in from.

    Raises:
        NotAuthorizedException: a token is not good, or not from one of the pool's
            providers.
        ExternalServiceException: a provider cannot be asked for its keys.
    """
    found = VerifiedLogins(Proofs())
    for provider_name, token in (logins or {}).items():
        if provider_name in COGNITO_PROVIDERS:
            vouched = await _verify_own(context, pool, token)
            found = found._replace(proofs=_both(found.proofs, vouched))
            continue
        claims = await _verify_public(context, pool, provider_name, token)
        login = Login(provider_name, claims["sub"])
        found = VerifiedLogins(
            _both(found.proofs, Proofs(logins=[login])),
            found.provider_name or provider_name,
            found.claims or claims,
        )
    voucher = None
    if asks_source:
        voucher = await _ask_source(context, pool, found.proofs, logins or {})
    if voucher is not None:
        proofs = _both(found.proofs, Proofs(vouchers=[voucher]))
        found = found._replace(proofs=proofs)
    return found


async def _ask_source(
    context: Context, pool: IdentityPool, proofs: Proofs, tokens: Mapping[str, str]
) -> Voucher | None:
    """Let where the pool moves in from say who somebody is whom nobody here knows."""
    if context.read_through is None or not proofs.logins or proofs.vouchers:
        return None
    identity_id = await context.read_through.find_user(
        pool.identity_pool_id, proofs.logins, tokens
    )
    if identity_id is None:
        return None
    # Its word is taken, as that in a token of Amazon Cognito Identity is.
    return Voucher(identity_id, True, tuple(proofs.logins), foreign=True)


async def verify_own_token(context: Context, token: str) -> tuple[IdentityPool, Proofs]:
    """
    Verify a token of this service by itself, and find the pool that it is for.

    Raises:
        NotAuthorizedException: it is not good.
    """
    pool = await context.store.find_identity_pool(_audience(read_token(token)))
    if pool is None:
        raise NotAuthorizedException("Invalid login token. Incorrect token audience.")
    return pool, await _verify_own(context, pool, token)


async def find(
    context: Context, identity_id: str, logins: Mapping[str, str] | None
) -> StoredIdentities:
    """
    Find an identity and its pool, also one that only its token knows yet.

    Raises:
        ResourceNotFoundException: there is no such identity.
    """
    find_identities = context.store.find_identities
    found = await find_identities(None, identity_ids=[identity_id], logins=())
    if found is None and _AMAZON in context.settings.login_providers:
        token = (logins or {}).get(_AMAZON)
        pool_id = _audience(read_token(token)) if token else ""
        found = await find_identities(pool_id, identity_ids=[identity_id], logins=())
    if found is None:
        raise identity_not_found(identity_id)
    return found


def _accept_any(identity: Identity) -> None:
    pass


async def resolve(
    context: Context,
    pool: IdentityPool,
    presented: str | None,
    proofs: Proofs,
    *,
    found: StoredIdentities | None = None,
    accept: Callable[[Identity], object] = _accept_any,
) -> Identity:
    """
    Find the identity that a request leads to; link and merge on the way.

    Args:
        found: what `find` gave for the identity that is presented; it is enough where
            the proofs lead to no other one.
        accept: raises where the identity is refused what it came for; then nothing was
            linked. It is pure, and may run twice.
    Raises:
        ServiceException: as `core.identities.resolve` does.
    """
    identity_pool_id = pool.identity_pool_id
    new_id = ""  # whoever presents an identity gets none
    if presented is None:
        new_id = f"{context.settings.region}:{context.new_uuid()}"
    now_ms = context.now_ms()
    source = context.settings.imports.get(identity_pool_id)
    claims_open = source is not None and source.are_claims_open(now_ms)

    def decide(stored: StoredIdentities) -> IdentityChanges:
        changes = identities.resolve(
            stored,
            presented,
            proofs,
            new_id=new_id,
            now_ms=now_ms,
            limits=context.limits,
            claims_open=claims_open,
        )
        accept(changes.identity)
        return changes

    ids = {*proofs.vouched_ids, *([presented] if presented else [])}
    logins = proofs.all_logins
    stored = found
    if found is None or logins or ids != {presented}:
        stored = await context.store.find_identities(
            identity_pool_id, identity_ids=ids, logins=logins
        )
    changes = None if stored is None else decide(stored)
    if changes is not None and (changes.written or changes.moves):
        changes = await context.store.update_identities(
            identity_pool_id, identity_ids=ids, logins=logins, decide=decide
        )
    if changes is None:
        raise identity_pool_not_found(identity_pool_id)
    if changes.claimed:
        _note_claim(context, changes.identity, proofs)
    if changes.moves:
        context.outbox_changed.send()
        context.changes.publish_moves(changes.moves)
    return changes.identity


def _note_claim(context: Context, identity: Identity, proofs: Proofs) -> None:
    """Leave a trace of who got in: whose identity it was nobody can prove."""
    _log.warning(
        "identity.claimed",
        identity_pool_id=identity.identity_pool_id,
        identity_id=identity.identity_id,
        logins={each.provider_name: each.subject for each in proofs.logins},
    )
    context.metrics.claimed_identities.labels(identity.identity_pool_id).inc()


async def _verify_public(
    context: Context, pool: IdentityPool, provider_name: str, token: str
) -> Mapping[str, Any]:
    if not pool.login_providers:
        # AWS: this text.
        raise NotAuthorizedException(
            f"Identity pool - {pool.identity_pool_id} does not have identity providers "
            "configured."
        )
    audiences = find_audiences(context, pool, provider_name)
    if audiences is None:
        # AWS: this text (amplify-js#2067).
        raise NotAuthorizedException(
            "Token is not from a supported provider of this identity pool."
        )
    given = read_token(token)
    check_token(given, provider_name=provider_name)
    return await _verify_provided(context, provider_name, given, audiences)


def find_audiences(
    context: Context, pool: IdentityPool, provider_name: str
) -> frozenset[str] | None:
    """Collect the app's ids at a provider; None when the pool does not have it."""
    if provider_name not in pool.login_providers:
        return None
    found = [(pool.supported_login_providers or {}).get(provider_name)]
    found += [
        each.client_id
        for each in pool.cognito_identity_providers or ()
        if each.provider_name == provider_name
    ]
    configured = context.settings.login_providers.get(provider_name)
    found += configured.client_ids if configured else ()
    return frozenset(each for each in found if each)


async def _verify_own(context: Context, pool: IdentityPool, text: str) -> Proofs:
    """Verify a token of this service, or of the one whose place it takes."""
    await context.token_keys.ready()
    token = read_token(text)
    audiences, now_s = {pool.identity_pool_id}, context.now_ms() // 1000
    try:
        claims = verify_token(
            token,
            context.token_keys.find_keys(token.key_id),
            provider_name=context.settings.token_issuer.removeprefix("https://"),
            audiences=audiences,
            now_s=now_s,
        )
    except NotAuthorizedException as refusal:
        if _AMAZON not in context.settings.login_providers:
            raise
        return await _verify_amazons(context, pool, token, refusal)
    authenticated, logins = openid.read_amr(claims.get("amr"))
    voucher = Voucher(
        claims["sub"], authenticated, tuple(logins), expires_s=claims["exp"]
    )
    return Proofs(vouchers=[voucher])


async def _verify_amazons(
    context: Context, pool: IdentityPool, token: LoginToken, refusal: ServiceException
) -> Proofs:
    """
    Verify a token of Amazon Cognito Identity; its logins come along.

    Args:
        refusal: why it is none of ours; it stands when the issuer is not Amazon.
    """
    if not is_issuer(token.claims.get("iss"), _AMAZON):
        raise refusal
    claims = await _verify_provided(context, _AMAZON, token, {pool.identity_pool_id})
    authenticated, named = openid.read_amr(claims.get("amr"))
    known = pool.login_providers | {pool.developer_provider_name}
    logins = [each for each in named if each.provider_name in known]
    identity_id = await _check_foreign_id(context, pool, claims["sub"])
    voucher = Voucher(
        identity_id,
        authenticated,
        tuple(logins),
        foreign=True,
        expires_s=int(claims["exp"]),
    )
    return Proofs(logins=logins, vouchers=[voucher])


async def _check_foreign_id(context: Context, pool: IdentityPool, sub: str) -> str:
    """Refuse a subject that is no identity id, or an identity of another pool here."""
    try:
        identity_id = msgspec.convert(sub, IdentityId)
    except msgspec.ValidationError as error:
        raise _invalid_subject() from error
    identity = await context.store.find_identity(identity_id)
    if identity is not None and identity.identity_pool_id != pool.identity_pool_id:
        raise _invalid_subject()
    return identity_id


def _invalid_subject() -> NotAuthorizedException:
    return NotAuthorizedException(
        "Invalid login token. The claim sub is not an identity of the pool."
    )


async def _verify_provided(
    context: Context,
    provider_name: str,
    token: LoginToken,
    audiences: Collection[str],
) -> Mapping[str, Any]:
    """Verify a token with the keys of its provider, which may have new ones."""

    def verify(keys: Sequence[PyJWK]) -> Mapping[str, Any]:
        return verify_token(
            token,
            keys,
            provider_name=provider_name,
            audiences=audiences,
            now_s=context.now_ms() // 1000,
        )

    keys = await _find_keys(context, provider_name, token)
    try:
        return verify(keys)
    except NotAuthorizedException as refusal:
        if not says_not_verified(refusal):
            raise
        newer = await _find_keys(context, provider_name, token, doubted=True)
        if newer == keys:  # as good as always, and a signature takes its time
            raise
        return verify(newer)


async def _find_keys(
    context: Context, provider_name: str, token: LoginToken, *, doubted: bool = False
) -> Sequence[PyJWK]:
    try:
        return await context.provider_keys.find_keys(
            provider_name, token.key_id, doubted=doubted
        )
    except LoginProviderError as error:
        # The caller may be anybody; what stands where in this network is for the log.
        raise ExternalServiceException(
            f"The keys of login provider '{provider_name}' cannot be read."
        ) from error


def _audience(token: LoginToken) -> str:
    audience = token.claims.get("aud")
    return audience if isinstance(audience, str) and "\0" not in audience else ""


def _both(one: Proofs, other: Proofs) -> Proofs:
    return msgspec.structs.replace(
        one,
        logins=[*one.logins, *other.logins],
        vouchers=[*one.vouchers, *other.vouchers],
    )
