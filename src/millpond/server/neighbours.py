"""
What servers on one store tell each other, and what they do with it.

A change of a dataset goes to the listeners of the other servers; a signal wakes their
workers, of which another one may be the one to act. Commands are no servers; what they
write to keys and pools, the store tells by itself. A subscription to a shard ends
those of the same consumer elsewhere. Whoever may have missed a message
ends its listeners, which then come back and ask, and wakes its workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from millpond.core.sync import DatasetId, DatasetState
from millpond.service.context import Context, Signal
from millpond.service.subscriptions import Begun, Place
from millpond.stores.base import LOOK_AGAIN, Neighbours, Store


class _Changed(msgspec.Struct, frozen=True, tag="changed"):
    dataset_id: DatasetId
    state: DatasetState


class _Ended(msgspec.Struct, frozen=True, tag="ended"):
    identity_id: str


class _Wake(msgspec.Struct, frozen=True, tag="wake"):
    signal: str


class _Subscribed(msgspec.Struct, frozen=True, tag="subscribed"):
    place: Place
    begun: Begun


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Changed | _Ended | _Wake | _Subscribed).decode


async def join(context: Context) -> None:
    """Connect a server with the others of its store, if it has such a store."""
    store = context.store
    if not isinstance(store, Neighbours):
        return
    signals = _signals(context)
    for name, signal in signals.items():
        signal.forward = _waker(store, name)
    changes = context.changes
    changes.forward = lambda dataset_id, state: store.tell(
        _encode(_Changed(dataset_id, state))
    )
    changes.forward_end = lambda identity_id: store.tell(_encode(_Ended(identity_id)))

    subscriptions = context.subscriptions
    subscriptions.node = store.node
    subscriptions.forward = lambda place, begun: store.tell(
        _encode(_Subscribed(place, begun))
    )

    def wake() -> None:
        for signal in (*signals.values(), context.keys_changed):
            signal.hear()

    def hear(message: bytes) -> None:
        if message == LOOK_AGAIN:
            wake()
            return
        try:
            heard = _decode(message)
        except msgspec.DecodeError:
            return  # of a server of another version
        match heard:
            case _Changed(dataset_id, state):
                changes.hear(dataset_id, state)
            case _Ended(identity_id):
                changes.hear_end(identity_id)
            case _Subscribed(place, begun):
                subscriptions.hear(place, begun)
            case _Wake(name) if name in signals:
                signals[name].hear()

    def missed() -> None:
        changes.end_all()
        wake()

    await store.join(hear, missed)


async def delete_identity(store: Store, identity_id: str, *, now_ms: int) -> bool:
    """
    Delete an identity from outside of any server, and let servers end its listeners.

    Those of a database are told; the one of an embedded store notices by itself.
    """
    if isinstance(store, Neighbours):
        await store.join(lambda message: None, lambda: None)
    deleted = await store.delete_identity(identity_id, now_ms=now_ms)
    if isinstance(store, Neighbours):
        store.tell(_encode(_Ended(identity_id)))
    return deleted


def _signals(context: Context) -> Mapping[str, Signal]:
    return {
        "outbox": context.outbox_changed,
        "pushes": context.pushes_changed,
        "bulk publish": context.bulk_publish_started,
    }


def _waker(store: Neighbours, name: str) -> Callable[[], None]:
    message = _encode(_Wake(name))
    return lambda: store.tell(message)
