"""STS: credentials for an OpenID token (the classic flow), and who is calling."""

from __future__ import annotations

import base64
import hashlib

from millpond.contract import sts as contract
from millpond.core.identities import Identity
from millpond.core.identity_pools import IdentityPool
from millpond.core.login_tokens import LoginToken, read_token, says_expired
from millpond.core.role_selection import ROLE_ARN
from millpond.core.session_tokens import UserSession
from millpond.errors import (
    AccessDeniedException,
    ExpiredTokenException,
    InvalidIdentityTokenException,
    MalformedPolicyDocumentException,
    NotAuthorizedException,
    ResourceNotFoundException,
    ValidationException,
)
from millpond.limits import USER_CREDENTIALS_LIFETIME_S
from millpond.service import identity_tokens, logins
from millpond.service.context import Caller, Context


async def assume_role_with_web_identity(
    context: Context,
    caller: Caller,
    request: contract.AssumeRoleWithWebIdentityRequest,
) -> contract.AssumeRoleWithWebIdentityResponse:
    """Give credentials to who brings an OpenID token of an identity."""
    if request.policy is not None or request.policy_arns:
        # Ours: a policy would narrow the session; to pass over it would widen it.
        raise MalformedPolicyDocumentException(
            "Session policies are not supported; leave out Policy and PolicyArns."
        )
    lifetime_s = _lifetime_s(context, request.duration_seconds)
    _check_role_arn(request.role_arn)
    token = _read(request.web_identity_token)
    pool, identity = await _verify(context, token, request.role_arn)
    session = UserSession(
        pool.identity_pool_id,
        identity.identity_id,
        context.now_ms() + lifetime_s * 1000,
        request.role_arn,
        request.role_session_name,
    )
    credentials = context.session_tokens.issue(session)
    return contract.AssumeRoleWithWebIdentityResponse(
        credentials=contract.Credentials(
            access_key_id=credentials.access_key_id,
            secret_access_key=credentials.secret_access_key,
            session_token=credentials.session_token,
            expiration=session.expires_ms / 1000,
        ),
        subject_from_web_identity_token=token.claims["sub"],
        assumed_role_user=contract.AssumedRoleUser(
            assumed_role_id=_user_id(session),
            arn=_arn(session),
        ),
        provider=token.claims["iss"],
        audience=pool.identity_pool_id,
    )


async def get_caller_identity(
    context: Context, caller: Caller, request: contract.GetCallerIdentityRequest
) -> contract.GetCallerIdentityResponse:
    """Tell whose credentials the request is signed with."""
    session = caller.session
    if session is None:
        # A developer's key may do everything, as the owner of an account may.
        return contract.GetCallerIdentityResponse(
            user_id=caller.account_id,
            account=caller.account_id,
            arn=f"arn:aws:iam::{caller.account_id}:root",
        )
    return contract.GetCallerIdentityResponse(
        user_id=_user_id(session), account=caller.account_id, arn=_arn(session)
    )


def _lifetime_s(context: Context, wanted_s: int | None) -> int:
    """Say how long the credentials last: at most as long as the operator lets them."""
    most_s = context.settings.user_credentials_lifetime_s
    if wanted_s is not None and wanted_s > max(most_s, USER_CREDENTIALS_LIFETIME_S):
        # AWS: this text.
        raise ValidationException(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this "
            "role."
        )
    # Ours: the SDKs ask for an hour unasked, so where it is less they get less.
    return min(wanted_s or USER_CREDENTIALS_LIFETIME_S, most_s)


def _check_role_arn(role_arn: str) -> None:
    if ROLE_ARN.fullmatch(role_arn) is None:
        raise ValidationException(f"{role_arn} is invalid")  # AWS: this text


def _read(text: str) -> LoginToken:
    try:
        return read_token(text)
    except NotAuthorizedException as error:
        # AWS: this text (amplify-js#9704).
        raise InvalidIdentityTokenException(
            "The ID Token provided is not a valid JWT. (You may see this error if you "
            "sent an Access Token)"
        ) from error


async def _verify(
    context: Context, token: LoginToken, role_arn: str
) -> tuple[IdentityPool, Identity]:
    try:
        pool, proofs = await logins.verify_own_token(context, token.text)

        def check_role(identity: Identity) -> None:
            if not _may_assume(pool, identity, role_arn):
                # AWS: this text (developer guide, role trust and permissions).
                raise AccessDeniedException(
                    "Not authorized to perform sts:AssumeRoleWithWebIdentity"
                )

        (presented,) = proofs.vouched_ids
        identity = await logins.resolve(
            context, pool, presented, proofs, accept=check_role
        )
    except (NotAuthorizedException, ResourceNotFoundException) as error:
        if says_expired(error):
            raise ExpiredTokenException(error.message) from error
        raise InvalidIdentityTokenException(error.message) from error
    return pool, identity


def _may_assume(pool: IdentityPool, identity: Identity, role_arn: str) -> bool:
    """
    Say whether a role is one of the identity's.

    Ours: there are no trust policies here. A pool without roles leaves the name of the
    role to the app, as nothing is decided by it; a pool with roles knows its own.
    """
    if not pool.roles:
        return True
    return role_arn == pool.roles.get(identity_tokens.role_kind(identity))


def _arn(session: UserSession) -> str:
    match = ROLE_ARN.fullmatch(session.role_arn)
    assert match is not None
    partition, account_id, role = match.groups()
    name = role.rpartition("/")[2]  # AWS: a role's path is not in the ARN of a session
    return (
        f"arn:{partition}:sts::{account_id}:assumed-role/{name}"
        f"/{session.role_session_name}"
    )


def _user_id(session: UserSession) -> str:
    """Give the id of a role, made from its ARN, and the name of the session."""
    digest = hashlib.sha256(session.role_arn.encode()).digest()
    role_id = "AROA" + base64.b32encode(digest)[:17].decode()
    return f"{role_id}:{session.role_session_name}"
