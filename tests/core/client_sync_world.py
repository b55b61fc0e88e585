"""A model of a server, made of the rules of ours, and devices that sync with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from millpond.core import sync
from millpond.core.client_sync import copies
from millpond.core.client_sync.copies import Copy, Merge, RecordPatch, RemoteRecord
from millpond.core.client_sync.session import (
    Delete,
    Deleted,
    Done,
    Event,
    List,
    Listed,
    Lost,
    Push,
    Pushed,
    Refused,
    Session,
    advance,
    start,
)
from millpond.errors import ServiceException

NAME = "prefs"
STEPS_MAX = 200


class _Patch(msgspec.Struct):
    op: str
    key: str
    value: str | None
    sync_count: int
    device_last_modified_date: float


def _patch(patch: RecordPatch) -> _Patch:
    return _Patch(
        patch.op, patch.key, patch.value, patch.sync_count, patch.modified_ms / 1000
    )


@dataclass
class Server:
    """All datasets of one identity."""

    limits: sync.SyncLimits = field(default_factory=sync.SyncLimits)
    datasets: dict[str, sync.DatasetState] = field(default_factory=dict)
    records: dict[str, dict[str, sync.StoredRecord]] = field(default_factory=dict)
    sessions: dict[str, tuple[str, int]] = field(default_factory=dict)
    spent: dict[str, tuple[tuple[RecordPatch, ...], Pushed]] = field(
        default_factory=dict
    )
    begun: int = 0  # sessions
    now_ms: int = 1

    def values(self, name: str = NAME) -> dict[str, str]:
        """The live records."""
        found = self.records.get(name, {}).values()
        return {each.key: each.value for each in found if each.value is not None}

    def call(self, effect: List | Push | Delete) -> Event:
        """Carry out an effect."""
        self.now_ms += 1
        try:
            if isinstance(effect, List):
                return self._list(effect)
            if isinstance(effect, Push):
                return self._push(effect.sent)
            return self.delete(effect.dataset_name)
        except ServiceException as refusal:
            return Refused(type(refusal).__name__)

    def _list(self, effect: List) -> Listed:
        name = effect.dataset_name
        shown = sync.listing(self.datasets.get(name), effect.since)
        return Listed(
            token=self._begin(name, shown.dataset_sync_count),
            sync_count=shown.dataset_sync_count,
            exists=shown.exists,
            deleted=shown.deleted,
            records=tuple(
                _remote(each)
                for each in self.records.get(name, {}).values()
                if shown.after < each.sync_count <= shown.up_to
            ),
            merged_names=tuple(
                each
                for each, state in self.datasets.items()
                if each.startswith(f"{name}.") and state.exists
            ),
        )

    def _push(self, sent: copies.Sent) -> Pushed | Refused:
        if sent.token in self.spent:
            patches, answer = self.spent[sent.token]
            if patches != sent.patches:
                return Refused("InvalidParameterException")
            return answer
        if sent.token not in self.sessions:
            return Refused("InvalidParameterException")
        name, known = self.sessions[sent.token]
        changes = self.update(name, [_patch(each) for each in sent.patches], known)
        answer = Pushed(
            tuple(map(_remote, changes.records)), self._next_session(name, known)
        )
        self.spent[sent.token] = (sent.patches, answer)
        return answer

    def _next_session(self, name: str, known: int) -> str | None:
        """Begin the session of the next update, for who knows all that there is."""
        count = self.datasets[name].sync_count
        if count != known + 1:
            return None
        return self._begin(name, count)

    def _begin(self, name: str, known: int) -> str:
        self.begun += 1
        self.sessions[f"t{self.begun}"] = (name, known)
        return f"t{self.begun}"

    def update(self, name: str, patches: list[_Patch], known: int = 0) -> sync.Changes:
        sync.check_patches(patches, limits=self.limits)
        records = self.records.setdefault(name, {})
        stored = sync.StoredDataset(
            dataset=self.datasets.get(name),
            records=records,
            live_datasets=0,
            spent=None,
            streaming=False,
        )
        changes = sync.apply_patches(
            stored,
            patches,
            dataset_name=name,
            now_ms=self.now_ms,
            modified_by="device",
            limits=self.limits,
            known=known,
        )
        assert changes.dataset is not None
        self.datasets[name] = changes.dataset
        records.update({each.key: each for each in changes.records})
        return changes

    def put(self, name: str, values: dict[str, str]) -> None:
        """Write as the developer does, or as a merge of identities."""
        stored = self.records.get(name, {})
        self.update(
            name,
            [
                _Patch(
                    "replace",
                    key,
                    value,
                    stored[key].sync_count if key in stored else 0,
                    self.now_ms / 1000,
                )
                for key, value in values.items()
            ],
        )

    def delete(self, name: str) -> Deleted:
        changes = sync.delete(
            self.datasets.get(name), dataset_name=name, now_ms=self.now_ms
        )
        assert changes.dataset is not None
        self.datasets[name] = changes.dataset
        self.records[name] = {}
        return Deleted()

    def forget(self, name: str = NAME) -> None:
        """Drop all tombstones."""
        records = self.records.get(name, {})
        gone = [each for each in records.values() if each.value is None]
        if gone and self.datasets[name].exists:
            newest = max(each.sync_count for each in gone)
            self.datasets[name] = sync.forget(self.datasets[name], newest)
            for each in gone:
                del records[each.key]

    def end_sessions(self) -> None:
        """Let all sync sessions expire, and the answers kept for them."""
        self.sessions.clear()
        self.spent.clear()


def _remote(record: sync.StoredRecord) -> RemoteRecord:
    written_ms = record.device_last_modified_date_ms or record.last_modified_date_ms
    return RemoteRecord(record.key, record.value, record.sync_count, written_ms)


@dataclass
class Device:
    """Keeps a copy, and nothing else; a session that is dropped is a crash."""

    merge: Merge = copies.newest
    copy: Copy = field(default_factory=Copy)

    def sync(
        self,
        server: Server,
        fate: Callable[[], str] = lambda: "answered",
        between: Callable[[], None] = lambda: None,
    ) -> Session:
        """
        Synchronize once.

        Args:
            fate: of each call: answered, unasked, unheard, or crashed after it.
            between: what happens elsewhere, and here, while a call is under way.
        """
        session = start(NAME, self.copy)
        for _ in range(STEPS_MAX):
            self.copy = session.copy
            effect = session.effect
            if isinstance(effect, Done):
                return session
            outcome = fate()
            event = Lost() if outcome == "unasked" else server.call(effect)
            if outcome == "crashed":
                return session
            if outcome == "unheard":
                event = Lost()
            between()
            session = advance(
                msgspec.structs.replace(session, copy=self.copy), event, self.merge
            )
        raise AssertionError(f"no end after {STEPS_MAX} steps: {session}")
