"""
Identities: which one a set of logins leads to, and what is joined on the way.

Theory of operation
-------------------
An identity belongs to a pool and has logins: pairs of a provider and the provider's
name for a user. One that never had any is a guest; whoever holds its id may use it. Any
other opens only to who proves one of its logins; without any left, to nobody.

A request presents an identity, or none, and proofs: logins whose tokens were verified,
and vouchers, tokens of this service that name an identity. `resolve` finds the identity
they lead to. A proven login that nobody has is linked to it. One that another identity
has says that both are the same person: they are merged. The survivor takes the logins
and the datasets of the other, which is disabled and from then on points to the
survivor, so that a client that still presents it is told its new identity, again and
again the same.

An identity that moved in may open to who claims it, where that is allowed
(`core.claims`).

Who survives: the identity presented unless it is a guest, else whom a token of this
service names, else the developer's user, else the owner of a login (the oldest, of
several), else the guest that was presented. A guest's data thus comes to the account
that the user signs in to.

Rules of this module: it decides on what it is given and returns what is to be written;
it may run twice for one request, and it does no I/O. A refusal leaves everything as it
was: nothing is half-linked.

Source: the developer guide (authentication flow, identities); ruling 9; error texts as
clients have reported them.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from millpond import limits as api_limits
from millpond.core import claims
from millpond.core.claims import Origin
from millpond.core.dataset_moves import DatasetMove, plan_moves
from millpond.core.identity_pools import IdentityPool
from millpond.core.sync import DatasetState, SyncLimits
from millpond.errors import (
    DeveloperUserAlreadyRegisteredException,
    LimitExceededException,
    NotAuthorizedException,
    ResourceConflictException,
    ResourceNotFoundException,
)


class Login(msgspec.Struct, frozen=True, gc=False, order=True):
    """A user as a login provider names it; the developer's own backend is one too."""

    provider_name: str
    subject: str


class IdentityKind(enum.Enum):
    """What an identity is at a time."""

    USER = 0  # it has or had a login
    GUEST = 1
    MERGED = 2  # into another one, and so disabled, whatever it was


class Identity(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An identity with its logins."""

    identity_pool_id: str
    identity_id: str
    creation_date_ms: int
    last_modified_date_ms: int
    guest: bool = True  # it never had a login
    merged_into: str | None = None  # then it is disabled
    logins: tuple[Login, ...] = ()  # in the order of provider and subject
    origin: Origin | None = None  # what was told of it where it came from

    @property
    def unclaimed(self) -> tuple[str, ...]:
        """Through whom its user signs in, without anybody here knowing as whom."""
        return self.origin.unclaimed if self.origin is not None else ()

    @property
    def provider_names(self) -> list[str]:
        """Through whom its user signs in."""
        names = {each.provider_name for each in self.logins}
        return sorted(names.union(self.unclaimed))

    @property
    def kind(self) -> IdentityKind:
        """What it is now."""
        if self.merged_into is not None:
            return IdentityKind.MERGED
        return IdentityKind.GUEST if self.guest else IdentityKind.USER


class StoredIdentities(msgspec.Struct, gc=False):
    """
    What the store knows when a request is resolved.

    Args:
        identities: by id: those named, the owners of the logins named, and whom any of
            these was merged into. With logins, also who was merged into one of these
            and has live datasets since.
        datasets: of each of these identities, by name, gone ones too; empty when there
            is only one identity, which has nothing to be merged with.
    """

    pool: IdentityPool
    identities: dict[str, Identity]
    datasets: dict[str, dict[str, DatasetState]]

    def follow(self, identity_id: str) -> Identity | None:
        """Find an identity, or the one that it was merged into."""
        identity = self.identities.get(identity_id)
        while identity is not None and identity.merged_into is not None:
            identity = self.identities.get(identity.merged_into)
        return identity

    def owner(self, login: Login) -> Identity | None:
        """Find who has a login."""
        return next(
            (each for each in self.identities.values() if login in each.logins), None
        )


class IdentityChanges(msgspec.Struct, gc=False):
    """
    What a request leads to, and what the store has to write in one transaction.

    Args:
        identity: what the request leads to, as it is afterwards.
        written: identities to write whole, their logins too.
        moves: datasets that change hands, in this order.
        claimed: the identity was claimed, and nothing else proved its user.
    """

    identity: Identity
    written: Sequence[Identity] = ()
    moves: Sequence[DatasetMove] = ()
    claimed: bool = False


class Voucher(msgspec.Struct, frozen=True, gc=False):
    """
    A token that names an identity: one of this service, or of Amazon Cognito Identity.

    A guest's token is to be had for the guest's id and proves no more than that. A
    user's proves the logins that it was issued for, as long as the identity has them:
    it outlives neither their being unlinked nor, by itself, its own expiry. Amazon's
    word is taken for its users: an identity that is not here yet is made, so that an
    app can move its data first and its identities later.

    Args:
        authenticated: the user had signed in when the token was issued.
        logins: those it was issued for.
        foreign: it is a token of Amazon Cognito Identity.
        expires_s: when, in epoch seconds.
    """

    identity_id: str
    authenticated: bool
    logins: tuple[Login, ...] = ()
    foreign: bool = False
    expires_s: int = 0


class Proofs(msgspec.Struct, frozen=True, gc=False):
    """
    What a request has proven.

    Args:
        logins: their tokens were verified.
        developer_login: the developer says so.
    """

    logins: Sequence[Login] = ()
    vouchers: Sequence[Voucher] = ()
    developer_login: Login | None = None

    @property
    def vouched_ids(self) -> list[str]:
        """The identities that some token names."""
        return [each.identity_id for each in self.vouchers]

    def with_developer(self, login: Login) -> Proofs:
        """Add what the developer says."""
        return msgspec.structs.replace(self, developer_login=login)

    def used_by(self, identity: Identity) -> list[Login]:
        """The logins with which the user of an identity has signed in."""
        vouched = [login for each in self.vouchers for login in each.logins]
        return self.all_logins or [each for each in vouched if each in identity.logins]

    @property
    def is_empty(self) -> bool:
        """Whether the request is that of a guest."""
        return not self.all_logins and not self.vouched_ids

    @property
    def all_logins(self) -> list[Login]:
        """The logins that are to be the identity's in the end."""
        developer = [self.developer_login] if self.developer_login else []
        return [*developer, *self.logins]


def new_identity(
    identity_pool_id: str, identity_id: str, now_ms: int, *, guest: bool = True
) -> Identity:
    """Make an identity without logins."""
    return Identity(
        identity_pool_id=identity_pool_id,
        identity_id=identity_id,
        creation_date_ms=now_ms,
        last_modified_date_ms=now_ms,
        guest=guest,
    )


def identity_not_found(identity_id: str) -> ResourceNotFoundException:
    """Word the refusal of an unknown identity."""
    return ResourceNotFoundException(f"Identity '{identity_id}' not found.")


def access_forbidden(identity_id: str) -> NotAuthorizedException:
    """Word the refusal of an identity to who has not proven to be its user."""
    # AWS: this text (aws-sdk-android#175); .NET looks at its beginning.
    return NotAuthorizedException(f"Access to Identity '{identity_id}' is forbidden.")


def resolve(
    stored: StoredIdentities,
    presented: str | None,
    proofs: Proofs,
    *,
    new_id: str,
    now_ms: int,
    limits: SyncLimits,
    claims_open: bool = False,
) -> IdentityChanges:
    """
    Find the identity of a request; link and merge what belongs together.

    Args:
        presented: the id that the request names, if it names one.
        new_id: the id of the identity when it turns out to be a new one.
        claims_open: identities that moved in may be claimed (`core.claims`).
    Raises:
        ResourceNotFoundException: there is no such identity.
        NotAuthorizedException: it is not the caller's, or guests are not allowed.
        DeveloperUserAlreadyRegisteredException: the developer's user has another one.
        ResourceConflictException: it would have two logins of one provider.
        LimitExceededException: it would have too many logins or datasets.
    """
    current, claimed = None, False
    if presented is not None:
        current = stored.follow(presented)
        if current is not None:
            claimed = claims_open and _claims(stored, presented, current, proofs)
            if not claimed:
                _check_access(stored, presented, current, proofs)
        elif not any(e.foreign and e.identity_id == presented for e in proofs.vouchers):
            raise identity_not_found(presented)
    owners = list(_owners(stored, proofs, now_ms))
    survivor = _survivor(current, owners) or new_identity(
        stored.pool.identity_pool_id, new_id, now_ms
    )
    losers = [
        each
        for each in dict.fromkeys([*owners, *([current] if current else [])])
        if each.identity_id != survivor.identity_id
    ]
    changes = _join(stored, survivor, losers, proofs.all_logins, now_ms, limits)
    if changes.identity.guest:
        _check_guests(stored.pool)
    changes.claimed = claimed
    return changes


def merge(
    stored: StoredIdentities,
    survivor: Identity,
    loser: Identity,
    *,
    now_ms: int,
    limits: SyncLimits,
) -> IdentityChanges:
    """
    Merge one identity into another one.

    Raises:
        ResourceConflictException: both have a login of one public provider.
        LimitExceededException: there would be too many logins or datasets.
    """
    losers = [] if loser.identity_id == survivor.identity_id else [loser]
    return _join(stored, survivor, losers, (), now_ms, limits)


def prove(stored: StoredIdentities, presented: str, proofs: Proofs) -> Identity:
    """
    Find the identity that is presented, for who has proven to be its user.

    Raises:
        ResourceNotFoundException: there is no such identity.
        NotAuthorizedException: nothing proves it.
    """
    current = stored.follow(presented)
    if current is None:
        raise identity_not_found(presented)
    if not _is_proven(stored, current, proofs):
        raise access_forbidden(presented)
    return current


def unlink(
    identity: Identity,
    gone: Iterable[Login],
    *,
    unclaimed: Collection[str] = (),
    now_ms: int,
) -> Identity:
    """Take logins from an identity, and providers of which it has none yet."""
    return msgspec.structs.replace(
        identity,
        logins=tuple(sorted(set(identity.logins).difference(gone))),
        origin=claims.leave(identity.origin, unclaimed),
        last_modified_date_ms=now_ms,
    )


def _check_guests(pool: IdentityPool) -> None:
    if not pool.allow_unauthenticated_identities:
        # AWS: this text (aws-sdk-android#700).
        raise NotAuthorizedException(
            "Unauthenticated access is not supported for this identity pool."
        )


def _check_access(
    stored: StoredIdentities, presented: str, current: Identity, proofs: Proofs
) -> None:
    developer = proofs.developer_login
    if developer is not None:
        owner = stored.owner(developer)
        if owner is not None and owner.identity_id != current.identity_id:
            raise DeveloperUserAlreadyRegisteredException(
                f"Developer user identifier '{developer.subject}' belongs to another "
                "identity."
            )
    if _is_proven(stored, current, proofs):
        return
    if developer is not None:
        # The developer may name any identity, but must bring the public login of one
        # that has some (aws-sdk-net#1112).
        if any(e.provider_name != developer.provider_name for e in current.logins):
            raise _logins_do_not_match()
    elif not current.guest or current.identity_id != presented:
        if any(stored.owner(login) is None for login in proofs.logins):
            raise _logins_do_not_match()
        raise access_forbidden(presented)


def _claims(
    stored: StoredIdentities, presented: str, current: Identity, proofs: Proofs
) -> bool:
    """Say whether a request claims an identity, with nothing else to prove it."""
    if (
        current.identity_id != presented
        or proofs.vouchers
        or proofs.developer_login is not None
        or _is_proven(stored, current, proofs)
    ):
        return False

    def owner_of(login: Login) -> claims.Owner:
        owner = stored.owner(login)
        if owner is None:
            return claims.Owner.NOBODY
        told = claims.is_of_origin(owner.origin, login.provider_name)
        return claims.Owner.ELSEWHERE if told else claims.Owner.HERE

    developer = stored.pool.developer_provider_name
    return claims.may_claim(
        current.origin,
        [(each.provider_name, owner_of(each)) for each in proofs.logins],
        is_open=True,
        public_logins=sum(e.provider_name != developer for e in current.logins),
    )


def _logins_do_not_match() -> NotAuthorizedException:
    # AWS: this text (amazon-cognito-identity-js#68).
    return NotAuthorizedException(
        "Logins don't match. Please include at least one valid login for this identity "
        "or identity pool."
    )


def _is_proven(stored: StoredIdentities, current: Identity, proofs: Proofs) -> bool:
    if any(login in current.logins for login in proofs.all_logins):
        return True
    return any(_opens(stored, each, current) for each in proofs.vouchers)


def _opens(stored: StoredIdentities, voucher: Voucher, identity: Identity) -> bool:
    """Say whether a token still proves to be the user of an identity."""
    if stored.follow(voucher.identity_id) != identity:
        return False
    if not voucher.authenticated:
        # Whoever had the id could have it, also before its user signed in.
        return identity.guest and identity.identity_id == voucher.identity_id
    return voucher.foreign or any(e in identity.logins for e in voucher.logins)


def _owners(
    stored: StoredIdentities, proofs: Proofs, now_ms: int
) -> Iterator[Identity]:
    """
    Yield who the proofs lead to: first whom a token names, then the developer's user.

    Raises:
        ResourceNotFoundException: a token names an identity that is deleted.
        NotAuthorizedException: a token does not open the identity any more.
    """
    for voucher in proofs.vouchers:
        identity = stored.follow(voucher.identity_id)
        if identity is None:
            if not voucher.foreign:
                raise identity_not_found(voucher.identity_id)
            identity = new_identity(
                stored.pool.identity_pool_id,
                voucher.identity_id,
                now_ms,
                guest=not voucher.authenticated,
            )
            providers = [each.provider_name for each in voucher.logins]
            identity = msgspec.structs.replace(
                identity, origin=claims.vouched(providers)
            )
        elif not _is_proven(stored, identity, proofs):
            raise access_forbidden(voucher.identity_id)
        yield identity
    owners = [owner for e in proofs.logins if (owner := stored.owner(e)) is not None]
    if proofs.developer_login is not None:
        owner = stored.owner(proofs.developer_login)
        if owner is not None:
            yield owner
    yield from sorted(owners, key=lambda each: each.creation_date_ms)


def _survivor(current: Identity | None, owners: Sequence[Identity]) -> Identity | None:
    if current is not None and (not current.guest or not owners):
        return current
    return next((e for e in owners if not e.guest), owners[0] if owners else None)


def _join(
    stored: StoredIdentities,
    survivor: Identity,
    losers: Sequence[Identity],
    proven: Sequence[Login],
    now_ms: int,
    sync_limits: SyncLimits,
) -> IdentityChanges:
    """Give the survivor what the losers have, and the proven logins."""
    moves = plan_moves(
        survivor.identity_pool_id,
        survivor.identity_id,
        [each.identity_id for each in losers],
        stored.datasets,
        merged_before=list(_merged_before(stored, [survivor, *losers])),
        now_ms=now_ms,
        limits=sync_limits,
    )
    logins = {*survivor.logins, *proven}.union(*(each.logins for each in losers))
    written: list[Identity] = [
        msgspec.structs.replace(
            loser,
            logins=(),
            merged_into=survivor.identity_id,
            last_modified_date_ms=now_ms,
        )
        for loser in losers
    ]
    # One that was merged into an identity that is deleted by now may begin anew, too.
    is_new = stored.identities.get(survivor.identity_id) != survivor
    if logins != set(survivor.logins) or losers or is_new:
        _check_logins(stored.pool, logins)
        survivor = msgspec.structs.replace(
            survivor,
            logins=tuple(sorted(logins)),
            guest=survivor.guest and not logins and all(e.guest for e in losers),
            origin=claims.leave(survivor.origin, {e.provider_name for e in logins}),
            last_modified_date_ms=now_ms,
        )
        written.append(survivor)
    return IdentityChanges(survivor, written, moves)


def _merged_before(
    stored: StoredIdentities, joined: Sequence[Identity]
) -> Iterator[str]:
    """
    Yield the ids of identities that were merged into one of these already.

    A device may have written to one of them since, with credentials that it still had;
    what it wrote comes over the next time the user signs in.
    """
    for identity_id, identity in stored.identities.items():
        if identity.merged_into is not None and stored.follow(identity_id) in joined:
            yield identity_id


def _check_logins(pool: IdentityPool, logins: Collection[Login]) -> None:
    for provider_name, count in Counter(e.provider_name for e in logins).items():
        # AWS: only of the developer's logins may an identity have several.
        if count > 1 and provider_name != pool.developer_provider_name:
            raise ResourceConflictException(
                f"The identity would have {count} logins of '{provider_name}'; unlink "
                "one of them first."
            )
    if len(logins) > api_limits.LOGINS_PER_IDENTITY_MAX:
        raise LimitExceededException(
            f"The identity would have {len(logins)} logins; the limit is "
            f"{api_limits.LOGINS_PER_IDENTITY_MAX}."
        )
