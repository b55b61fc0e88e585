"""
A small world of identities and datasets, in plain dictionaries.

It loads and writes what a store would (`millpond.stores.base`), so that the rules can
be tried step after step. The content of a dataset is the set of the marks that were
written to it: what is lost or overwritten is seen at once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import pytest

from millpond.contract.cognito_sync import RecordPatch
from millpond.core import identities, sync
from millpond.core.claims import Origin
from millpond.core.dataset_moves import DatasetMove
from millpond.core.identities import (
    Identity,
    IdentityChanges,
    Login,
    Proofs,
    StoredIdentities,
    Voucher,
)
from millpond.core.identity_pools import IdentityPool
from millpond.core.sync import DatasetState, StoredDataset, SyncLimits
from millpond.errors import ServiceException

NOW_MS: Final = 1_750_000_000_000
GOOGLE: Final = "accounts.google.com"
FACEBOOK: Final = "graph.facebook.com"
DEVELOPER: Final = "login.game"
POOL: Final = IdentityPool(
    identity_pool_id="us-east-1:pool",
    identity_pool_name="Players",
    allow_unauthenticated_identities=True,
    developer_provider_name=DEVELOPER,
)
CLOSED_POOL: Final = msgspec.structs.replace(
    POOL, allow_unauthenticated_identities=False
)
"""The same pool without guests."""
# AWS: these texts (aws-sdk-android#700, amazon-cognito-identity-js#68).
NO_GUESTS: Final = "Unauthenticated access is not supported for this identity pool."
NO_MATCH: Final = (
    "Logins don't match. Please include at least one valid login for this identity or "
    "identity pool."
)


def google(user: str) -> Login:
    """Name a user as Google does."""
    return Login(GOOGLE, user)


def facebook(user: str) -> Login:
    """Name a user as Facebook does."""
    return Login(FACEBOOK, user)


def developer(user: str) -> Login:
    """Name a user as the developer's backend does."""
    return Login(DEVELOPER, user)


def an_identity(
    identity_id: str,
    *logins: Login,
    created: int = 1,
    guest: bool = False,
    merged_into: str | None = None,
    origin: Origin | None = None,
) -> Identity:
    """Describe an identity. One without logins that is no guest has lost its last."""
    return Identity(
        identity_pool_id=POOL.identity_pool_id,
        identity_id=identity_id,
        creation_date_ms=created,
        last_modified_date_ms=created,
        guest=guest,
        merged_into=merged_into,
        logins=tuple(sorted(logins)),
        origin=origin,
    )


@dataclass
class World:
    """What is stored, and the requests that change it."""

    pool: IdentityPool = POOL
    limits: SyncLimits = field(default_factory=SyncLimits)
    identities: dict[str, Identity] = field(default_factory=dict)
    datasets: dict[str, dict[str, DatasetState]] = field(default_factory=dict)
    contents: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    now_ms: int = NOW_MS
    made: int = 0  # identities and marks so far
    claims_open: bool = False

    # --- Requests ---------------------------------------------------------------------

    def ask(
        self,
        presented: str | None = None,
        *logins: Login,
        user: Login | None = None,
        vouched: Sequence[str | Voucher] = (),
        foreign: Sequence[str] = (),
    ) -> IdentityChanges:
        """
        Ask for the identity that all this leads to, and write what comes of it.

        Args:
            vouched: tokens, or the ids of identities whose tokens are good.
            foreign: identities that Amazon vouches for, with the logins of the request.
        """
        self.now_ms += 1
        self.made += 1
        vouchers = [self.token(e) if isinstance(e, str) else e for e in vouched]
        vouchers += [
            Voucher(each, bool(logins), tuple(logins), foreign=True) for each in foreign
        ]
        proofs = Proofs(logins, vouchers, user)
        ids = {*proofs.vouched_ids, *([presented] if presented else [])}
        return self._update(
            ids,
            proofs.all_logins,
            lambda stored: identities.resolve(
                stored,
                presented,
                proofs,
                new_id=f"new {self.made}",
                now_ms=self.now_ms,
                limits=self.limits,
                claims_open=self.claims_open,
            ),
        )

    def token(self, identity_id: str) -> Voucher:
        """Give the token that an identity has got, for all the logins it had then."""
        identity = self.identities.get(identity_id)
        if identity is None:
            return Voucher(identity_id, authenticated=True)
        survivor: Identity | None = identity
        while survivor is not None and survivor.merged_into is not None:
            survivor = self.identities.get(survivor.merged_into)
        logins = survivor.logins if survivor else ()
        return Voucher(identity_id, authenticated=not identity.guest, logins=logins)

    def merge(self, survivor: str, loser: str) -> IdentityChanges:
        """Merge one identity into another one, as the developer may."""
        self.now_ms += 1
        return self._update(
            {survivor, loser},
            (),
            lambda stored: identities.merge(
                stored,
                stored.identities[survivor],
                stored.identities[loser],
                now_ms=self.now_ms,
                limits=self.limits,
            ),
        )

    def unlink(self, identity_id: str, *logins: Login) -> None:
        """Take logins from an identity."""
        self.now_ms += 1
        identity = self.identities[identity_id]
        unlinked = identities.unlink(identity, logins, now_ms=self.now_ms)
        self._save(IdentityChanges(unlinked, [unlinked]))

    def write(self, identity_id: str, name: str) -> None:
        """Put a record into a dataset, as a device with credentials does."""
        self.now_ms += 1
        self.made += 1
        there = self.datasets.setdefault(identity_id, {})
        own = [e for e in there.values() if e.exists and e.root_dataset_name is None]
        mark = f"mark {self.made}"
        changes = sync.apply_patches(
            StoredDataset(there.get(name), {}, len(own), None, False),
            [RecordPatch(op="replace", key=mark, value="", sync_count=0)],
            dataset_name=name,
            now_ms=self.now_ms,
            modified_by="device",
            limits=self.limits,
        )
        assert changes.dataset is not None
        there[name] = changes.dataset
        content = self.contents.get((identity_id, name), frozenset())
        self.contents[identity_id, name] = content | {mark}

    def delete(self, identity_id: str, name: str) -> None:
        """Delete a dataset."""
        self.now_ms += 1
        there = self.datasets.get(identity_id, {})
        changes = sync.delete(there.get(name), dataset_name=name, now_ms=self.now_ms)
        assert changes.dataset is not None
        there[name] = changes.dataset
        del self.contents[identity_id, name]

    # --- What a store does ------------------------------------------------------------

    def add(self, *people: Identity) -> World:
        """Put identities there."""
        self.identities.update((each.identity_id, each) for each in people)
        return self

    def load(
        self, identity_ids: Collection[str], logins: Collection[Login]
    ) -> StoredIdentities:
        """Load what is needed to resolve a request."""
        todo = [
            *identity_ids,
            *(
                e.identity_id
                for e in self.identities.values()
                if {*e.logins} & {*logins}
            ),
        ]
        found: dict[str, Identity] = {}
        while todo:
            identity = self.identities.get(todo.pop())
            if identity is None or identity.identity_id in found:
                continue
            found[identity.identity_id] = identity
            if identity.merged_into is not None:
                todo.append(identity.merged_into)
            if logins:
                todo += self._leftovers(identity.identity_id)
        involved = {*found, *identity_ids}
        datasets = {each: dict(self.datasets.get(each, {})) for each in involved}
        return StoredIdentities(self.pool, found, datasets if len(datasets) > 1 else {})

    def _leftovers(self, survivor: str) -> list[str]:
        """List who was merged into an identity, by whatever way, and has data since."""
        merged = [
            each.identity_id
            for each in self.identities.values()
            if each.merged_into == survivor
        ]
        with_data = [
            each
            for each in merged
            if any(state.exists for state in self.datasets.get(each, {}).values())
        ]
        return with_data + [found for each in merged for found in self._leftovers(each)]

    def _update(
        self,
        identity_ids: Collection[str],
        logins: Collection[Login],
        decide: Callable[[StoredIdentities], IdentityChanges],
    ) -> IdentityChanges:
        stored = self.load(identity_ids, logins)
        before = copy.deepcopy(stored)
        try:
            changes = decide(stored)
        finally:
            assert stored == before, "a rule changed what it was given"
        self._save(changes)
        return changes

    def _save(self, changes: IdentityChanges) -> None:
        self.add(*changes.written)
        for move in changes.moves:
            self._move(move)

    def _move(self, move: DatasetMove) -> None:
        old, new = move.old, move.new
        left = self.datasets[old.identity_id]
        arrived = self.datasets.setdefault(new.identity_id, {})
        taken = arrived.get(new.dataset_name)
        assert left[old.dataset_name].exists, "there is nothing to move"
        assert taken is None or not taken.exists, "a dataset is overwritten"
        left[old.dataset_name] = move.left
        arrived[new.dataset_name] = move.moved
        content = self.contents.pop((old.identity_id, old.dataset_name))
        self.contents[new.identity_id, new.dataset_name] = content


# --- Questions ------------------------------------------------------------------------


def forbidden(identity_id: str) -> str:
    # AWS: this text (aws-sdk-android#175).
    return f"Access to Identity '{identity_id}' is forbidden."


def refused(
    world: World,
    kind: type[ServiceException],
    presented: str | None = None,
    *logins: Login,
    user: str | None = None,
    vouched: str | Voucher | None = None,
) -> str:
    """Ask, be refused with that very error, and give its message."""
    with pytest.raises(kind) as caught:
        world.ask(
            presented,
            *logins,
            user=developer(user) if user else None,
            vouched=[vouched] if vouched else [],
        )
    assert type(caught.value) is kind
    return caught.value.message


def leads_to(
    world: World,
    presented: str | None = None,
    *logins: Login,
    user: str | None = None,
    vouched: str | Voucher | None = None,
) -> str:
    """Ask for an identity that is there; nothing is to be written any more."""
    changes = world.ask(
        presented,
        *logins,
        user=developer(user) if user else None,
        vouched=[vouched] if vouched else [],
    )
    assert not changes.written
    assert not changes.moves
    assert changes.identity == world.identities[changes.identity.identity_id]
    return changes.identity.identity_id


def ann_bob_and_a_guest() -> World:
    """Two users, the first one with two logins, and a guest."""
    return World().add(
        an_identity("ann", google("ann"), facebook("ann")),
        an_identity("bob", google("bob")),
        an_identity("guest", guest=True, created=3),
    )
