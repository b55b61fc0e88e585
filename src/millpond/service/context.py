"""What every service function works with, made once by the composition root."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from millpond.core.session_tokens import SessionTokens
from millpond.core.sync import SyncLimits
from millpond.core.tokens import PageTokens, SyncSessions
from millpond.hooks.base import Hook
from millpond.login_providers.base import LoginProviderKeys
from millpond.metrics import Metrics
from millpond.push.base import PushService
from millpond.service.audit import AuditBook
from millpond.service.callers import ANYONE as ANYONE
from millpond.service.callers import Caller as Caller
from millpond.service.calls import Calls
from millpond.service.changes import Changes
from millpond.service.damage import Damage
from millpond.service.init_progress import InitProgress
from millpond.service.progress_looks import ProgressLooks
from millpond.service.read_through import ReadThrough
from millpond.service.recent_errors import RecentErrors
from millpond.service.subscriptions import Subscriptions
from millpond.service.sync_sessions import SyncSessionCounter
from millpond.service.token_keys import TokenKeyRing
from millpond.service.trigger_notes import TriggerNotes
from millpond.settings import Settings
from millpond.sinks.base import PayloadStore, Sink
from millpond.stores.base import Store

SinkOpener = Callable[[str, str | None], Awaitable[Sink]]


class Signal:
    """Something that a worker waits for; without a worker it goes unheard."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []
        self.forward: Callable[[], None] | None = None
        """Tells other servers; None when there are none."""

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` at each signal, on the event loop's thread."""
        self._listeners.append(listener)

    def send(self) -> None:
        """Tell whoever listens, here and on other servers."""
        self.hear()
        if self.forward is not None:
            self.forward()

    def hear(self) -> None:
        """Tell whoever listens here."""
        for listener in self._listeners:
            listener()


def system_now_ms() -> int:
    """Read the clock: epoch milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, kw_only=True)
class Context:
    """The store, the settings, the clock and the keys that the service uses."""

    store: Store
    settings: Settings
    sessions: SyncSessions
    pages: PageTokens
    sync_sessions: SyncSessionCounter
    session_tokens: SessionTokens
    token_keys: TokenKeyRing
    provider_keys: LoginProviderKeys
    hooks: Hook
    payloads: PayloadStore
    payload_secret: bytes
    """Makes the names of payloads; 32 bytes."""
    open_sink: SinkOpener
    """Opens the stream of a name, in the name of a role; whoever asks closes it."""
    push: PushService | None = None
    now_ms: Callable[[], int] = system_now_ms
    signing_now_ms: Callable[[], int] = None  # type: ignore[assignment]
    """The clock that signatures go by; not given: `now_ms`."""
    random_bytes: Callable[[int], bytes] = os.urandom
    new_uuid: Callable[[], uuid.UUID] = uuid.uuid4
    limits: SyncLimits = field(default_factory=SyncLimits)
    changes: Changes = field(default_factory=Changes)
    metrics: Metrics = field(default_factory=Metrics)
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    read_through: ReadThrough | None = None
    """Brings identities of pools that are moving in; None: there are no such pools."""
    progress_looks: ProgressLooks = field(default_factory=ProgressLooks)
    triggered_pools: set[str] = field(default_factory=set)
    """Pools that are known to have a sync trigger; what counts is the store."""
    trigger_notes: TriggerNotes = field(default_factory=TriggerNotes)
    damage: Damage = field(init=False)
    init_progress: InitProgress = field(init=False)
    audit: AuditBook = field(init=False)
    calls: Calls | None = None
    """Keeps the calls of apps that are tested; None: nobody tests one."""
    recent_errors: RecentErrors = field(default_factory=RecentErrors)
    outbox_changed: Signal = field(default_factory=Signal)
    pushes_changed: Signal = field(default_factory=Signal)
    bulk_publish_started: Signal = field(default_factory=Signal)
    keys_changed: Signal = field(default_factory=Signal)

    def __post_init__(self) -> None:
        if self.signing_now_ms is None:
            object.__setattr__(self, "signing_now_ms", self.now_ms)
        object.__setattr__(self, "damage", Damage(self.metrics))
        object.__setattr__(self, "init_progress", InitProgress(self.metrics))
        audit = AuditBook(
            self.store, now_ms=self.now_ms, random_bytes=self.random_bytes
        )
        object.__setattr__(self, "audit", audit)
