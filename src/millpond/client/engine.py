"""
What the two faces share: the storage, whose data it is, and the datasets that are open.

Whose it is, the credentials say (`callers.Identity`). Before the first contact of a
new guest nobody knows; data is then kept for the identity "". When the identity turns
out to be another one, because a guest became part of an account or was a new one, it is
noted durably that the data follows, and each dataset takes it in when it is opened or
synchronized next: in this process, in another one, after a crash.
"""

from __future__ import annotations

import os
import threading
from weakref import WeakSet

from millpond import limits
from millpond.client.background import Background
from millpond.client.errors import ClosedError, UnsentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from millpond.client.address import Address
    from millpond.client.live import Listener
    from millpond.client.merging import AppMerge
    from millpond.client.ports import AnyDataset
    from millpond.client.remote import Remote
    from millpond.client.sqlite_storage import Storage
    from millpond.client.status import Status
    from millpond.client.storage import Changed, Stored
    from millpond.client.watching import Watch
    from millpond.core.client_sync.copies import Copy, Merge
    from millpond.core.client_sync.quota import Limits

NOBODY_YET: Final = ""
_NAME_CHARS: Final = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-"
)  # AWS: model, DatasetName
_FOLLOWS: Final = (
    "merged",
    "gone",
)  # why an identity changed, and its data comes along


class Kept:
    """Small texts of the credentials, in the storage, for one pool."""

    def __init__(self, store: Storage, pool: str) -> None:
        self._store = store
        self._pool = pool

    def get(self, name: str) -> str | None:
        """Give a text."""
        return self._store.get(self._pool, name)

    def swap(self, name: str, before: str | None, after: str | None) -> str | None:
        """Set a text if it is still `before`; give what it is then."""
        return self._store.swap(self._pool, name, before, after)


class Engine:
    """
    The data of one app: opened at once, without a word to the server.

    Args:
        credentials: what opens a caller (`callers.Opener`).
        region: for signatures; `None`: the one that the pool's id begins with.
        retry_s: the pause before a failed upload goes out again, at first and at most.
        limits: those of the server; `None`: the usual ones.
    """

    def __init__(
        self,
        endpoint: str | None,
        pool: str,
        *,
        storage: Any,
        credentials: Any,
        region: str | None,
        retry_s: tuple[float, float],
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits
        self.endpoint = endpoint
        self.pool = pool
        self.datasets: dict[str, Any] = {}
        self.closed = False
        self.store: Storage = storage.open()
        self.background = Background(self, *retry_s)
        self.watches: WeakSet[Watch] = WeakSet()
        self._order = threading.RLock()  # changes are noted in the order they are made
        self._region = region or pool.partition(":")[0]
        self._credentials = credentials
        self._open_caller()
        self._identity_id = NOBODY_YET
        self._take_identity(self._caller.known())
        _OPEN.add(self)

    def __repr__(self) -> str:
        return f"<Engine {self.endpoint or 'AWS'}, {self.pool}, {self.store!r}>"

    def after_fork(self) -> None:
        """Let go of what threads of the parent may hold."""
        self._order = threading.RLock()
        self.background.after_fork()
        self._open_caller()
        for dataset in self.datasets.values():
            dataset.after_fork()

    def _open_caller(self) -> None:
        self._calls: Any = _LateCalls(self.endpoint, self._region)
        kept = Kept(self.store, self.pool)
        self._caller: Any = self._credentials.open(self._calls, self.pool, kept)

    def close(self) -> None:
        """End what goes on by itself, and close the storage."""
        self.closed = True
        self._end_watches()
        self._calls.close()
        self.background.close()
        self.store.close()

    # Whose data it is

    @property
    def identity_id(self) -> str | None:
        """Whose data it is, as far as this process knows."""
        return self._identity_id or None

    def address(self, name: str) -> Address:
        """Say where a dataset is kept, for whoever the user is now."""
        from millpond.client.address import Address

        return Address(self.pool, self._identity_id, name)

    def settle(self) -> Remote:
        """
        Find out who the user is, and let follow what belongs to them.

        Returns:
            The datasets of the server for them (`remote.Remote`).
        Raises:
            CallError: it cannot be found out now.
        """
        from millpond.client.remote import Remote

        self._check_open()
        identity = self._caller.identity()
        self._take_identity(identity)
        return Remote(self._calls, self.pool, self._caller, identity.id)

    def _take_identity(self, identity: Any) -> None:
        if identity is None:
            return
        # Marked anew each time: whoever found out may have crashed before it was.
        if identity.was is not None and identity.why in _FOLLOWS:
            self.store.mark_following(self.pool, identity.was, identity.id)
        with self._order:  # no write of the app comes in between
            if identity.id == self._identity_id:
                return
            if self._identity_id == NOBODY_YET and self._has_data_of_nobody():
                self.store.mark_following(self.pool, NOBODY_YET, identity.id)
            self._identity_id = identity.id
        for dataset in [*self.datasets.values()]:
            self.take_in(dataset)
            dataset.look()
        for watch in [*self.watches]:
            watch.listen_anew()

    def _has_data_of_nobody(self) -> bool:
        return bool(self.store.names(self.pool, [NOBODY_YET]))

    def take_in(self, dataset: AnyDataset) -> None:
        """Let what belongs to the user by now follow into a dataset of theirs."""
        address = self.address(dataset.name)
        for guest in self.store.followers(self.pool, address.identity_id):

            def rule(mine: Copy, theirs: Copy, guest: str = guest) -> Copy:
                from millpond.core.client_sync.following import follow

                return follow(mine, theirs, f"{dataset.name}.{guest}", dataset.rule)

            with self._order:
                place = address._replace(identity_id=guest)
                changed = self.store.follow(place, address, rule)
                if changed is not None:
                    dataset.queue(changed.after)
            dataset.deliver()

    def sign_in(self) -> str:
        """
        Ask the credentials anew who it is: somebody has signed in.

        Raises:
            CallError: it cannot be found out now; the next synchronization asks again.
        """
        self._check_open()
        self._caller.renew()
        self._caller.credentials()
        identity_id = self.settle().identity_id
        self.background.wake()
        return identity_id

    def sign_out(self, *, discard: bool) -> None:
        """
        Drop what is here of the user, and forget who it was.

        Raises:
            UnsentError: something of it is nowhere else, and not to be discarded.
        """
        self._check_open()
        if not discard and (unsent := self.store.unsent(self.pool, self._whose())):
            raise UnsentError(unsent)
        self._end_watches()  # nobody is to become a guest for their sake
        with self._order:  # no write of the app comes in between
            unsent = self.store.forget(self.pool, self._whose(), discard=discard)
            if unsent and not discard:
                raise UnsentError(unsent)
            self._identity_id = NOBODY_YET
        self.background.calm()
        self._caller.forget()  # this may wait for who asks the server just now
        self._identity_id = NOBODY_YET
        self._take_identity(self._caller.known())
        for dataset in [*self.datasets.values()]:
            dataset.look()

    def _whose(self) -> list[str]:
        """List the identities whose data is the user's."""
        followers = self.store.followers(self.pool, self._identity_id)
        return [self._identity_id, *followers]

    # Datasets

    def open(
        self,
        kind: Callable[..., Any],
        name: str,
        merge: Merge | AppMerge | None,
        codec: Any,
    ) -> Any:
        """Open a dataset, once for all who ask for it."""
        self._check_open()
        with self._order:
            return self._open(kind, name, merge, codec)

    def _open(
        self,
        kind: Callable[..., Any],
        name: str,
        merge: Merge | AppMerge | None,
        codec: Any,
    ) -> Any:
        from millpond.client.merging import newest

        known = self.datasets.get(name)
        if known is not None:
            if merge not in (None, known.merge) or codec not in (None, known.codec):
                raise ValueError(
                    f"Dataset {name!r} is open with another merge or codec."
                )
            return known
        _check_name(name)
        dataset = kind(self, name, merge or newest, codec)
        self.datasets[name] = dataset
        self.take_in(dataset)
        if self.store.has_failed(self.address(name)):
            self.background.again(dataset)  # of an earlier run
        return dataset

    def names(self) -> list[str]:
        """List the datasets that are here, opened or not."""
        return sorted({*self.store.names(self.pool, self._whose()), *self.datasets})

    def names_there(self) -> list[str]:
        """List the datasets of the server, merged ones as what they go into."""
        from millpond.core.client_sync.quota import root_name

        return sorted({root_name(e.name) for e in self.settle().list_datasets()})

    def filled(self, but: str) -> list[str]:
        """List the datasets that have something in them, but for one."""
        whose = {each: self.address(each) for each in self.names() if each != but}
        return [n for n in whose if self.store.load(whose[n]).copy.values]

    def status(self) -> Status:
        """Say how everything stands."""
        from millpond.client.status import Status, dataset_status

        following = self.store.unsent(self.pool, self._whose()[1:])
        found = {}
        for name in self.names():
            dataset = self.datasets.get(name)
            found[name] = dataset_status(
                self.store.load(self.address(name)),
                syncing=dataset is not None and dataset.running.locked(),
                following=following.get(name, ()),
            )
        return Status(self.identity_id, found, self.background.next_s)

    def change(
        self, dataset: AnyDataset, decide: Callable[[Stored], Stored]
    ) -> Changed:
        """Change what is kept of a dataset, for whoever the user is now."""
        with self._order:
            changed = self._store_change(dataset, dataset.address, decide)
        dataset.deliver()
        return changed

    def change_at(
        self,
        dataset: AnyDataset,
        address: Address,
        decide: Callable[[Stored], Stored],
    ) -> Changed:
        """Change what is kept of a dataset for one who may not be the user now."""
        with self._order:
            changed = self._store_change(dataset, address, decide)
        dataset.deliver()
        return changed

    def _store_change(
        self,
        dataset: AnyDataset,
        address: Address,
        decide: Callable[[Stored], Stored],
    ) -> Changed:
        changed = self.store.change(address, decide)
        if address.identity_id == self._identity_id:
            dataset.queue(changed.after)
        return changed

    def wrote(self, dataset: AnyDataset) -> None:
        """Note that the app wrote something, for whoever keeps it in step."""
        for watch in [*self.watches]:
            watch.touch(dataset.name)

    def listen(self, *, ask_every_s: float) -> Listener:
        """Listen to what changes at the server."""
        from millpond.client.live import Listener

        self._check_open()
        return Listener(self._calls, self.pool, self._caller, ask_every_s=ask_every_s)

    def _end_watches(self) -> None:
        for watch in [*self.watches]:
            watch.close()

    def look(self, dataset: AnyDataset) -> None:
        """Tell whoever listens what others changed."""
        with self._order:
            dataset.queue(self.store.load(dataset.address))
        dataset.deliver()

    def log(self, what: str, dataset_name: str, error: BaseException) -> None:
        """Write what nobody is there to be told; never a value, nor a text with one."""
        import logging

        logging.getLogger("millpond.client").warning(
            "%s (dataset %s): %s", what, dataset_name, type(error).__name__
        )

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedError("It is closed.")


_OPEN: WeakSet[Engine] = WeakSet()


def _after_fork() -> None:
    for engine in [*_OPEN]:
        engine.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _LateCalls:
    """Calls (`calls.Calls`) that are loaded when the first one is made."""

    def __init__(self, endpoint: str | None, region: str) -> None:
        self.endpoint = endpoint
        self.region = region
        self._lock = threading.Lock()
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._made is None:
                from millpond.client.calls import Calls

                self._made = Calls(self.endpoint, self.region)
        return getattr(self._made, name)

    def close(self) -> None:
        """End what is under way, if anything ever was."""
        with self._lock:
            if self._made is not None:
                self._made.close()


def _check_name(name: str) -> None:
    most = limits.DATASET_NAME_CHARS_MAX
    if not 0 < len(name) <= most or not _NAME_CHARS.issuperset(name):
        raise ValueError(
            f"A dataset's name has 1 to {most} letters, digits, '_', '.', ':' and '-'; "
            f"{name!r} is none."
        )
