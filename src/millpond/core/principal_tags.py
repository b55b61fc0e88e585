"""
Principal tags: claims of a login that come along in the tokens of this service.

For each login provider of a pool a map says which claim gives the value of which tag.
The defaults are `username` from `sub` and `client` from `aud`. A claim that is absent,
is a structure, or is no value that a tag may have, gives no tag: a sign-in does not
fail for it.

A developer's backend says its tags itself (GetOpenIdTokenForDeveloperIdentity). With a
map for its own provider the user's identifier is `sub`, and the pool is `aud`; what the
backend says goes before.

Source: developer guide, using-attributes-for-access-control; limits of session tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from millpond import limits
from millpond.core.identity_pools import IdentityPool

DEFAULTS: Final = {"username": "sub", "client": "aud"}


def principal_tags(
    pool: IdentityPool, provider_name: str | None, claims: Mapping[str, Any] | None
) -> dict[str, str]:
    """
    Map the claims of a login to tags.

    Args:
        provider_name: the provider whose token was presented, if one was.
        claims: what that token says, verified.
    """
    if provider_name is None or claims is None:
        return {}
    mapped = pool.find_principal_tag_map(provider_name)
    if mapped is None:
        return {}
    names = DEFAULTS if mapped.use_defaults else mapped.principal_tags or {}
    values = {tag: _text(claims.get(claim)) for tag, claim in names.items()}
    return {tag: value for tag, value in values.items() if value}


def _text(claim: Any) -> str:
    """Write a claim as the value of a tag; empty where it cannot be one."""
    if isinstance(claim, list) and len(claim) == 1:
        (claim,) = claim
    if isinstance(claim, bool):
        return "true" if claim else "false"
    if not isinstance(claim, str | int | float):
        return ""
    text = str(claim)
    return text if len(text) <= limits.TAG_VALUE_CHARS_MAX else ""
