"""
Whose an identity is that moved in without the names of its users: who may claim it.

Theory of operation
-------------------
A source tells through which public providers the user of an identity signs in, and not
who that is there. Such a provider is *unclaimed* until a login of it is linked here,
by whatever proves the user: a token of Amazon Cognito Identity, another login of the
identity, the developer.

Where an operator has opened claims, one more thing does: whoever knows the id of the
identity and shows a good token of a provider that is unclaimed. It is the client that
has kept the id since it signed in at the source, as a rule; nothing tells it from
somebody else who knows the id. So the first claim is the last: once a public login of
the identity is known, nobody gets in without having proven it.

A login that a source has named, or that has claimed an identity, leads to that one,
because a login has one identity there. One that leads to an identity that began here
has been used here before its device, or another one, came with the old id: both are
the same user's, and are merged as ever, into the one that moved in.

Source: the developer guide (DescribeIdentity gives names of providers; the ids of
guests are bearer tokens in the same way).
"""

from __future__ import annotations

import enum
from collections.abc import Collection

import msgspec


class Origin(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """
    What the source of an identity told of its user.

    Args:
        providers: the public providers, in order.
        unclaimed: those of them of which no login is known here, nor was.
    """

    providers: tuple[str, ...] = ()
    unclaimed: tuple[str, ...] = ()


class Owner(enum.Enum):
    """Where a login that is shown leads to."""

    NOBODY = "nobody"
    HERE = "here"  # an identity of which no source told that it has such a login
    ELSEWHERE = "elsewhere"  # one of which a source did


def told(providers: Collection[str]) -> Origin | None:
    """Note the providers that a source names; None: it names none."""
    names = tuple(sorted(set(providers)))
    return Origin(providers=names, unclaimed=names) if names else None


def vouched(providers: Collection[str]) -> Origin | None:
    """Note providers whose logins a token of the source names."""
    names = tuple(sorted(set(providers)))
    return Origin(providers=names) if names else None


def is_of_origin(origin: Origin | None, provider: str) -> bool:
    """Say whether the source has told of a login of this provider."""
    return origin is not None and provider in origin.providers


def leave(origin: Origin | None, providers: Collection[str]) -> Origin | None:
    """Note that logins of some providers are known, or not to be had any more."""
    if origin is None or not set(origin.unclaimed) & set(providers):
        return origin
    rest = tuple(each for each in origin.unclaimed if each not in providers)
    return msgspec.structs.replace(origin, unclaimed=rest)


def renew(
    here: Origin | None, there: Origin | None, known: Collection[str]
) -> Origin | None:
    """
    Note what a source tells later; what was claimed or unlinked here stays so.

    Args:
        known: the providers of the logins that the identity has here.
    """
    if there is None:
        return None
    before = here or Origin()
    unclaimed = tuple(
        each
        for each in there.providers
        if each not in known
        and (each in before.unclaimed or each not in before.providers)
    )
    return msgspec.structs.replace(there, unclaimed=unclaimed)


def may_claim(
    origin: Origin | None,
    shown: Collection[tuple[str, Owner]],
    *,
    is_open: bool,
    public_logins: int,
) -> bool:
    """
    Say whether who shows some logins, and the id, may have an identity.

    Args:
        shown: the provider of each login that was verified, and where that leads to.
        is_open: the operator lets claims in.
        public_logins: how many of such logins of the identity are known.
    """
    if not is_open or origin is None or public_logins:
        return False
    if any(owner is Owner.ELSEWHERE for _, owner in shown):
        return False
    return any(provider in origin.unclaimed for provider, _ in shown)
