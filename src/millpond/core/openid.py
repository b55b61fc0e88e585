"""
The OpenID tokens that this service issues: what they claim, and what that means.

A token says which identity it stands for (`sub`) and in which pool (`aud`). How the
user signed in is in `amr`: a word, then two strings for each login, the provider and
the user as that provider's kind spells it.

    unauthenticated
    authenticated  PROVIDER  PROVIDER:POOL:USER                              developer
    authenticated  PROVIDER  PROVIDER:CognitoSignIn:USER                     user pool
    authenticated  PROVIDER  arn:aws:iam::ACCOUNT:oidc-provider/PROVIDER:OIDC:USER

Tokens of Amazon's own service read the same, with one more form: `PROVIDER:APP:USER`,
of social networks.

Source: tokens of the real service, decoded; the value that API Gateway passes on as
`cognitoAuthenticationProvider` has the same strings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from millpond.core.identities import Login
from millpond.core.identity_pools import IdentityPool
from millpond.core.login_tokens import USER_POOL_PREFIX

AUTHENTICATED: Final = "authenticated"
UNAUTHENTICATED: Final = "unauthenticated"
# AWS: under this name, whoever is the issuer.
POOL_ARN_CLAIM: Final = "https://cognito-identity.amazonaws.com/identity-pool-arn"
TAGS_CLAIM: Final = "https://aws.amazon.com/tags"

_POOL_ID: Final = re.compile(r"[\w-]+:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:")


def claims(
    pool: IdentityPool,
    identity_id: str,
    logins: Sequence[Login],
    *,
    issuer: str,
    account_id: str,
    now_s: int,
    lifetime_s: int,
    authenticated: bool | None = None,
    principal_tags: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """
    Make the claims of a token for an identity.

    Args:
        logins: all that were used, in the order in which they are to be told; none for
            a guest.
        authenticated: the user has signed in; by default, if there are logins.
        principal_tags: what the developer's backend adds for those who read the token.
    """
    pool_id = pool.identity_pool_id
    region = pool_id.partition(":")[0]
    tags = {key: [value] for key, value in (principal_tags or {}).items()}
    return {
        "sub": identity_id,
        "aud": pool_id,
        "amr": _amr(
            pool,
            logins,
            account_id,
            authenticated=bool(logins) if authenticated is None else authenticated,
        ),
        "iss": issuer,
        POOL_ARN_CLAIM: (
            f"arn:aws:cognito-identity:{region}:{account_id}:identitypool/{pool_id}"
        ),
        "exp": now_s + lifetime_s,
        "iat": now_s,
        **({TAGS_CLAIM: {"principal_tags": tags}} if tags else {}),
    }


def read_amr(amr: object) -> tuple[bool, list[Login]]:
    """
    Read back who signed in: whether anybody did, and with which logins.

    What cannot be understood is passed over. A subject may hold colons.
    """
    words = [e for e in amr if isinstance(e, str)] if isinstance(amr, list) else []
    if words[:1] != [AUTHENTICATED]:
        return False, []
    logins = []
    at = 1
    while at + 1 < len(words):
        provider_name, spelled = words[at : at + 2]
        subject = _read_subject(provider_name, spelled)
        if subject:
            logins.append(Login(provider_name, subject))
        at += 2 if subject else 1
    return True, logins


def _amr(
    pool: IdentityPool, logins: Sequence[Login], account_id: str, *, authenticated: bool
) -> list[str]:
    if not authenticated:
        return [UNAUTHENTICATED]
    words = [AUTHENTICATED]
    for login in logins:
        words += [login.provider_name, _spell_subject(pool, login, account_id)]
    return words


def _spell_subject(pool: IdentityPool, login: Login, account_id: str) -> str:
    provider_name, subject = login.provider_name, login.subject
    if provider_name == pool.developer_provider_name:
        return f"{provider_name}:{pool.identity_pool_id}:{subject}"
    if provider_name.startswith(USER_POOL_PREFIX):
        return f"{provider_name}:CognitoSignIn:{subject}"
    return f"arn:aws:iam::{account_id}:oidc-provider/{provider_name}:OIDC:{subject}"


def _read_subject(provider_name: str, spelled: str) -> str | None:
    """Read what a provider's kind made of a user; None when it is something else."""
    if spelled.startswith("arn:"):
        return spelled.partition(f":oidc-provider/{provider_name}:OIDC:")[2] or None
    if not spelled.startswith(f"{provider_name}:"):
        return None
    rest = spelled.removeprefix(f"{provider_name}:")
    if match := _POOL_ID.match(rest):
        return rest[match.end() :] or None
    return rest.partition(":")[2] or None
