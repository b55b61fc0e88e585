"""
What the modules of the library know of each other, where each needs the other.

A dataset asks the engine, which has the datasets; both are synchronized, by hand or in
the background. For types alone: nothing loads this when it runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableSet
from typing import Any, Protocol

from millpond.client.address import Address
from millpond.client.live import Listener
from millpond.client.remote import Remote
from millpond.client.sqlite_storage import Storage
from millpond.client.status import DatasetStatus
from millpond.client.storage import Changed, Stored
from millpond.core.client_sync.copies import Merge
from millpond.core.client_sync.quota import Limits


class AnyDataset(Protocol):
    """A dataset, as the library sees it."""

    name: str
    rule: Merge  # the app's, as one of the rules
    running: threading.Lock  # held by whoever synchronizes it

    @property
    def address(self) -> Address:
        """Where it is kept, for whoever the app's user is now."""

    @property
    def has_listeners(self) -> bool:
        """Whether somebody wants to be told."""

    @property
    def status(self) -> DatasetStatus:
        """How it stands."""

    def queue(self, stored: Stored) -> None:
        """Note what is stored now, to be told."""

    def deliver(self) -> None:
        """Tell what was noted."""

    def look(self) -> None:
        """Tell what others stored."""


class AnyBackground(Protocol):
    """What goes on by itself."""

    def failed(self, dataset: AnyDataset, error: Exception) -> None:
        """Let a dataset go out again if it has something to send."""

    def succeeded(self, dataset: AnyDataset) -> None:
        """Note that the server answers."""

    def listen(self, dataset: AnyDataset) -> None:
        """Look for what other processes store in a dataset."""


class AnyEngine(Protocol):
    """What all datasets of an app share."""

    pool: str
    store: Storage
    limits: Limits | None  # of the server, where they are not the usual ones
    closed: bool
    datasets: dict[str, Any]

    @property
    def watches(self) -> MutableSet[Any]:
        """Those that stay in step, to be told and ended."""

    @property
    def background(self) -> AnyBackground:
        """What goes on by itself."""

    @property
    def identity_id(self) -> str | None:
        """Whose data it is, as far as this process knows."""

    def address(self, name: str) -> Address:
        """Say where a dataset is kept, for whoever the user is now."""

    def filled(self, but: str) -> list[str]:
        """List the datasets that have something in them, but for one."""

    def settle(self) -> Remote:
        """Find out who the user is, and give their datasets at the server."""

    def take_in(self, dataset: AnyDataset) -> None:
        """Let follow into a dataset what belongs to the user by now."""

    def change(
        self, dataset: AnyDataset, decide: Callable[[Stored], Stored]
    ) -> Changed:
        """Change what is kept of a dataset for the user, and tell whoever listens."""

    def change_at(
        self, dataset: AnyDataset, address: Address, decide: Callable[[Stored], Stored]
    ) -> Changed:
        """Change what is kept of a dataset, and tell whoever listens."""

    def names_there(self) -> list[str]:
        """List the datasets that the server has."""

    def wrote(self, dataset: AnyDataset) -> None:
        """Note that the app wrote something."""

    def listen(self, *, ask_every_s: float) -> Listener:
        """Listen to what changes at the server."""

    def look(self, dataset: AnyDataset) -> None:
        """Tell whoever listens what others changed."""

    def log(self, what: str, dataset_name: str, error: BaseException) -> None:
        """Write what nobody is there to be told."""
