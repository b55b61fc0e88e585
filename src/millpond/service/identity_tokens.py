"""What an identity gets: temporary credentials, or a token to get them for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from millpond.contract import cognito_identity as contract
from millpond.core import openid
from millpond.core.identities import Identity, Login, Proofs
from millpond.core.identity_pools import IdentityPool
from millpond.core.login_tokens import token_expired
from millpond.core.principal_tags import principal_tags
from millpond.core.role_selection import (
    AUTHENTICATED,
    UNAUTHENTICATED,
    select_role,
)
from millpond.core.session_tokens import UserSession
from millpond.errors import InvalidParameterException
from millpond.limits import OPEN_ID_TOKEN_LIFETIME_S
from millpond.service import logins
from millpond.service.context import Caller, Context

USE_KEPT_SHARE: Final = 10  # so many marks at most while an unused guest lives
ROLE_SESSION_NAME: Final = "CognitoIdentityCredentials"  # AWS: aws-sdk-java#1912


async def get_credentials_for_identity(
    context: Context,
    caller: Caller,
    request: contract.GetCredentialsForIdentityRequest,
) -> contract.GetCredentialsForIdentityResponse:
    """Give temporary credentials to who proves to be the identity's user."""
    found = await logins.find(context, request.identity_id, request.logins)
    pool = found.pool
    verified = await logins.verify_logins(context, pool, request.logins)

    def role_of(identity: Identity) -> str | None:
        return select_role(
            pool,
            authenticated=not identity.guest,
            provider_name=verified.provider_name,
            claims=verified.claims,
            custom_role_arn=request.custom_role_arn,
        )

    identity = await logins.resolve(
        context,
        pool,
        request.identity_id,
        verified.proofs,
        found=found,
        accept=role_of,
    )
    await _note_use(context, identity)
    role_arn = role_of(identity)
    lifetime_ms = context.settings.user_credentials_lifetime_s * 1000
    expires_ms = context.now_ms() + lifetime_ms
    credentials = context.session_tokens.issue(
        UserSession(
            pool.identity_pool_id,
            identity.identity_id,
            expires_ms,
            role_arn or _default_role_arn(context, identity),
            ROLE_SESSION_NAME,
        )
    )
    return contract.GetCredentialsForIdentityResponse(
        identity_id=identity.identity_id,
        credentials=contract.Credentials(
            access_key_id=credentials.access_key_id,
            secret_key=credentials.secret_access_key,
            session_token=credentials.session_token,
            expiration=expires_ms / 1000,
        ),
    )


async def get_open_id_token(
    context: Context, caller: Caller, request: contract.GetOpenIdTokenRequest
) -> contract.GetOpenIdTokenResponse:
    """Give a token for the basic (classic) flow."""
    found = await logins.find(context, request.identity_id, request.logins)
    pool = found.pool
    _check_classic_flow(pool)
    verified = await logins.verify_logins(context, pool, request.logins)
    identity = await logins.resolve(
        context, pool, request.identity_id, verified.proofs, found=found
    )
    await _note_use(context, identity)
    await context.token_keys.ready()
    token = issue_token(
        context,
        pool,
        identity,
        verified.proofs.used_by(identity),
        lifetime_s=_lifetime_s(context, verified.proofs),
        principal_tags=principal_tags(pool, verified.provider_name, verified.claims),
    )
    return contract.GetOpenIdTokenResponse(
        identity_id=identity.identity_id, token=token
    )


async def _note_use(context: Context, identity: Identity) -> None:
    """Keep that a guest is used, to about a tenth of the time after which it counts."""
    lifetime_ms = context.settings.unused_guest_lifetime_s * 1000
    if lifetime_ms and identity.guest:
        now_ms = context.now_ms()
        await context.store.note_guest_use(
            identity.identity_id,
            now_ms=now_ms,
            before_ms=now_ms - lifetime_ms // USE_KEPT_SHARE,
        )


def issue_token(
    context: Context,
    pool: IdentityPool,
    identity: Identity,
    used: Sequence[Login],
    *,
    lifetime_s: int,
    principal_tags: Mapping[str, str],
) -> str:
    """
    Issue an OpenID token that vouches for an identity.

    Args:
        used: the logins that the user has signed in with; none for a guest.
    """
    return context.token_keys.sign(
        openid.claims(
            pool,
            identity.identity_id,
            used,
            issuer=context.settings.token_issuer,
            account_id=context.settings.account_id,
            now_s=context.now_ms() // 1000,
            lifetime_s=lifetime_s,
            authenticated=not identity.guest,
            principal_tags=principal_tags,
        )
    )


def _lifetime_s(context: Context, proofs: Proofs) -> int:
    """
    Say how long a token may last: by itself it is not exchanged for a longer one.

    Raises:
        NotAuthorizedException: the one that was shown has just expired.
    """
    if proofs.logins or not proofs.vouchers:
        return OPEN_ID_TOKEN_LIFETIME_S
    now_s = context.now_ms() // 1000
    expires_s = min(each.expires_s for each in proofs.vouchers)
    if expires_s <= now_s:
        raise token_expired(now_s, expires_s)
    return min(OPEN_ID_TOKEN_LIFETIME_S, expires_s - now_s)


def role_kind(identity: Identity) -> str:
    """Give the key of an identity's role in the roles of its pool."""
    return UNAUTHENTICATED if identity.guest else AUTHENTICATED


def _default_role_arn(context: Context, identity: Identity) -> str:
    """Name a role where the pool has none: whoever asks "who am I" gets an answer."""
    return f"arn:aws:iam::{context.settings.account_id}:role/{role_kind(identity)}"


def _check_classic_flow(pool: IdentityPool) -> None:
    # AWS: these texts (aws-cli#7652, aws-rum-web#172). A pool that was made without
    # the flag has the flow.
    if pool.allow_classic_flow is False:
        raise InvalidParameterException(
            "Basic (classic) flow is not enabled, please use enhanced flow."
        )
    if pool.role_mappings:
        raise InvalidParameterException(
            "Basic (classic) flow is not supported with RoleMappings, please use "
            "enhanced flow."
        )
