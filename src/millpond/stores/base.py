"""
The store port: what every store can do, and what it promises.

Promises
--------
1. A method that changes something has made it durable when it returns, whole or not at
   all. When it raises, nothing was written.
2. Functions passed in (`decide`, `select`, `change`) are pure. They run inside the
   transaction, may run more than once, and what they raise comes out unchanged after
   the transaction was rolled back.
3. `find` and `list` see one moment in time per call. What was acknowledged before the
   call is in it.
4. `None` means that the named pool, stream or thing does not exist; the store knows no
   error of the API. Its own failures are `StoreError`s; driver errors do not leave it.
5. Strings and bytes come back as they went in. NUL characters do not go in: the wire
   refuses them.

The suite in `millpond.testing.store_contract` checks these for any store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, Protocol, runtime_checkable

import msgspec

from millpond.core.bulk_publish import (
    BulkPublishRun,
    Counts,
    LeasedSlice,
    Position,
    Slice,
)
from millpond.core.bulk_publish_progress import SlicedRun
from millpond.core.identities import (
    Identity,
    IdentityChanges,
    IdentityKind,
    Login,
    StoredIdentities,
)
from millpond.core.identity_pools import IdentityPool
from millpond.core.push import Device, LastPush, Push
from millpond.core.sync import (
    Changes,
    DatasetId,
    DatasetState,
    SpentSession,
    StoredDataset,
    StoredRecord,
)

MERGED_LOOKED_AT_MAX: Final = 1000
OUTBOX_HEAD_BYTES: Final = 1024  # the names that an event begins with are shorter


class DeveloperKey(msgspec.Struct, frozen=True, kw_only=True):
    """A developer's access key; its secret is sealed before it comes here."""

    access_key_id: str
    name: str
    sealed_secret: bytes
    creation_date_ms: int
    read_only: bool = False  # it changes nothing
    identity_pool_id: str | None = None  # of this pool alone; None: of all
    expires_ms: int | None = None  # None: never
    last_used_ms: int | None = None  # to some minutes; None: never


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    Who changed what. An entry may stand for several changes of one kind.

    What is not there is empty; values, secrets and tokens never are.
    """

    entry_id: str  # begins with the time, so ids are in the order of the changes
    time_ms: int
    last_ms: int  # of the last change that it stands for
    changes: int = 1  # for how many it stands
    frequent: bool = False  # of an operation whose changes are merged
    origin: str  # "API", "console" or "command line"
    access_key_id: str = ""
    caller_name: str = ""  # of the key, or of the user of the operating system
    operation: str
    identity_pool_id: str = ""
    identity_id: str = ""
    dataset_name: str = ""
    target: str = ""  # what else was changed
    address: str = ""  # of the client
    user_agent: str = ""
    request_id: str = ""
    result: str  # "OK", or the code of the error


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries of the audit are wanted; None: it does not matter."""

    identity_pool_id: str | None = None
    identity_id: str | None = None
    access_key_id: str | None = None
    operation: str | None = None
    since_ms: int | None = None  # at this time or later
    until_ms: int | None = None  # before this time


class TokenKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that signs OpenID tokens; its private part is sealed before it comes."""

    key_id: str
    sealed_private_key: bytes
    creation_date_ms: int
    retire_date_ms: int | None = None  # None: it signs


CensusPlace = tuple[str | int | bytes, ...] | None
"""Where a count goes on: behind the row of this key, as the store knows it; None: at
the beginning."""


class Counted(msgspec.Struct, frozen=True):
    """One piece of a count."""

    count: int
    place: CensusPlace  # where the next piece begins; None: this was the last one


class RecordRange(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Which records of a dataset to read, in (sync count, key) order."""

    after: int  # sync count above this one
    up_to: int  # and not above this one
    position: tuple[int, str] | None = None  # and behind this (sync count, key)
    limit: int | None = None  # at most so many


class RecordPage(msgspec.Struct, frozen=True, gc=False):
    """A dataset and some of its records, as of one moment."""

    dataset: DatasetState | None
    records: list[StoredRecord]
    merged_dataset_names: Sequence[str] = ()  # live ones that a merge put beside it


class NamedDataset(msgspec.Struct, frozen=True, gc=False):
    """A dataset of a known identity."""

    dataset_name: str
    state: DatasetState


class IdentityUsage(msgspec.Struct, frozen=True, gc=False):
    """How much an identity holds in its live datasets."""

    dataset_count: int
    data_storage: int
    last_modified_date_ms: int


class IdentityPoolUsage(msgspec.Struct, frozen=True, gc=False):
    """How much a pool holds."""

    identity_pool_id: str
    sync_sessions_count: int
    data_storage: int
    last_modified_date_ms: int | None


class DatasetSnapshot(msgspec.Struct, frozen=True, gc=False):
    """A live dataset with its live records, as a bulk publish sends it."""

    identity_id: str
    dataset_name: str
    sync_count: int
    last_modified_date_ms: int
    num_records: int
    records_json: bytes  # array of `core.streaming.KinesisSyncRecord`, in key order


class OutboxEntry(msgspec.Struct, frozen=True, gc=False):
    """A change that the stream has not acknowledged yet."""

    outbox_id: int  # grows in the order of the commits of an identity
    identity_id: str
    data: bytes
    created_ms: int  # by the clock of the store; 0 when that is not known


class ParkedEntry(msgspec.Struct, frozen=True, gc=False):
    """An entry that its stream refused for good."""

    entry: OutboxEntry
    parked_ms: int
    reason: str


class OutboxNote(msgspec.Struct, frozen=True, gc=False):
    """What is known of an entry without reading it whole."""

    outbox_id: int
    identity_id: str
    data_bytes: int
    head: bytes  # the first `OUTBOX_HEAD_BYTES` of it
    created_ms: int  # by the clock of the store; 0 when that is not known
    parked_ms: int | None = None  # None: it waits
    reason: str | None = None  # why it was parked


class OutboxUsage(msgspec.Struct, frozen=True, gc=False):
    """How much waits in the outbox."""

    entries: int
    parked: int  # not among the entries
    oldest_ms: int | None  # when the oldest entry came; None without one, or not known


class PoolOutboxUsage(msgspec.Struct, frozen=True, gc=False):
    """How much of a pool waits in the outbox."""

    identity_pool_id: str
    usage: OutboxUsage


class RegisteredDevice(msgspec.Struct, frozen=True, gc=False):
    """A device, what it is subscribed to, and the pushes that wait for it."""

    device: Device
    dataset_names: tuple[str, ...]  # in order
    waiting: int  # pushes
    failures: int  # of the one of them that was tried most often
    last_push: LastPush | None = None  # None: there was none yet, or it is not known


class OutboxRange(NamedTuple):
    """The ids of the oldest and of the newest entry that wait."""

    first: int
    last: int


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """An embedded stream."""

    stream_id: int
    stream_name: str
    shard_count: int
    creation_date_ms: int
    retention_hours: int | None = None  # None: as the setting says
    stream_mode: str = "PROVISIONED"  # or ON_DEMAND; nothing depends on it
    tags: dict[str, str] = {}


class StreamConsumer(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer that is registered with an embedded stream."""

    stream_id: int
    consumer_name: str
    creation_date_ms: int
    tags: dict[str, str] = {}


class StreamsUsage(msgspec.Struct, frozen=True, gc=False):
    """How many embedded streams there are."""

    shards: int  # of all streams
    on_demand_streams: int
    retention_hours_max: int | None  # of those that have one of their own


class NewStreamRecord(msgspec.Struct, frozen=True, gc=False):
    """A record on its way into a shard of an embedded stream."""

    shard: int
    partition_key: str
    data: bytes


class StoredStreamRecord(msgspec.Struct, frozen=True, gc=False):
    """A record of an embedded stream."""

    sequence_number: int  # grows within a stream, is never used again
    partition_key: str
    arrival_ms: int
    data: bytes


class BulkPublishProgress(msgspec.Struct, frozen=True, gc=False):
    """How far a run has got."""

    delivered: Counts
    slices: int
    slices_done: int
    datasets: int  # live datasets of the pool now


class DeveloperKeyStore(Protocol):
    """Access keys of developers."""

    async def put_developer_key(self, key: DeveloperKey) -> None:
        """Keep a key; of one that is there, all but its dates is as given here."""
        ...

    async def list_developer_keys(self) -> list[DeveloperKey]: ...

    async def update_developer_key(
        self, access_key_id: str, change: Callable[[DeveloperKey], DeveloperKey]
    ) -> DeveloperKey | None:
        """Change a key, and return it. None: there is none."""
        ...

    async def delete_developer_key(self, access_key_id: str) -> bool: ...

    async def note_key_uses(self, uses: Mapping[str, int]) -> None:
        """Note when keys were used last, by access key id; epoch milliseconds."""
        ...


class Along:
    """An entry that goes with a change, and whether it has gone."""

    __slots__ = ("entry", "is_kept", "is_open")

    def __init__(self, entry: AuditEntry) -> None:
        self.entry = entry
        self.is_kept = False
        self.is_open = True

    def take(self) -> AuditEntry | None:
        """Give the entry to who makes the first change; None: it has gone."""
        return self.entry if self.is_open and not self.is_kept else None


class AuditStore(Protocol):
    """Who changed what: entries that stay, whatever is deleted."""

    def taking_along(self, entry: AuditEntry) -> AbstractContextManager[Along]:
        """
        Have the first change that this task makes in the block take an entry along in
        its transaction, where the store can do that: `is_kept` tells.
        """
        ...

    async def put_audit_entries(self, entries: Sequence[AuditEntry]) -> None:
        """
        Keep entries. Of one that is there already, the greater count, the later date
        and this result are kept.
        """
        ...

    async def list_audit_entries(
        self, wanted: AuditFilter, *, before: str | None, limit: int
    ) -> list[AuditEntry]:
        """List entries, the newest first, those before the one of an id."""
        ...

    async def trim_audit(self, *, frequent: bool, keep: int, limit: int) -> int:
        """
        Drop the oldest entries beyond the newest `keep`, of one of the two sorts; at
        most `limit` of them. Returns how many.
        """
        ...


class TokenKeyStore(Protocol):
    """Keys that sign OpenID tokens."""

    async def put_token_key(self, key: TokenKey) -> bool:
        """Keep a key; False when its id is taken."""
        ...

    async def list_token_keys(self) -> list[TokenKey]:
        """List the keys, the oldest first."""
        ...

    async def retire_token_key(self, key_id: str, *, retire_date_ms: int) -> bool:
        """
        Give a key a date to retire, unless it has an earlier one. False: no such key.
        """
        ...


class SpentMarkStore(Protocol):
    """What may be used once, or not any more: links to log in, sessions that ended."""

    async def spend_mark(self, mark: str, *, until_ms: int) -> bool:
        """
        Keep that something is spent, until it would be over anyway.

        Returns:
            Whether it was not: of several who spend it at once, one is told so.
        """
        ...

    async def is_mark_spent(self, mark: str) -> bool:
        """Say whether something is spent."""
        ...


class IdentityPoolStore(Protocol):
    """Identity pools, their configuration and their usage."""

    async def create_identity_pool(self, pool: IdentityPool, *, pools_max: int) -> bool:
        """Create a pool; False when there are `pools_max` already."""
        ...

    async def find_identity_pool(self, identity_pool_id: str) -> IdentityPool | None:
        """Find a pool."""
        ...

    async def list_identity_pools(
        self, *, after: str | None, limit: int
    ) -> list[IdentityPool]:
        """List pools by id, those behind `after`."""
        ...

    async def update_identity_pool(
        self, identity_pool_id: str, change: Callable[[IdentityPool], IdentityPool]
    ) -> IdentityPool | None:
        """Change a pool and return it as it is now."""
        ...

    async def delete_identity_pool(self, identity_pool_id: str) -> bool:
        """Delete a pool: from now on it does not exist. `purge` drops its data."""
        ...

    async def find_identity_pool_usage(
        self, identity_pool_id: str
    ) -> IdentityPoolUsage | None:
        """Tell how much a pool holds."""
        ...

    async def list_identity_pool_usage(
        self, *, after: str | None, limit: int
    ) -> list[IdentityPoolUsage]:
        """List usage by pool id, of the pools behind `after`."""
        ...

    async def add_sync_sessions(self, counts: Mapping[str, int]) -> None:
        """Add to the sync session counts of pools; unknown pools are passed over."""
        ...


class PoolLogin(NamedTuple):
    """A login of a pool: the same user may have one in another pool, too."""

    identity_pool_id: str
    login: Login


class IdentityStore(Protocol):
    """Identities and the logins that lead to them."""

    async def find_identity(self, identity_id: str) -> Identity | None:
        """Find an identity of a pool that was not deleted."""
        ...

    async def find_identities(
        self,
        identity_pool_id: str | None,
        *,
        identity_ids: Collection[str],
        logins: Collection[Login],
    ) -> StoredIdentities | None:
        """
        Find what `core.identities` needs to resolve a request. None: no such pool.

        Identities of other pools are not found. `datasets` is filled when there are
        several of them, those named and not found included.

        Who signs in takes along what was written to identities that were merged into
        theirs: with logins, those are found that have live datasets, of the
        `MERGED_LOOKED_AT_MAX` that were merged last. Older ones have nobody who could
        write to them.

        Args:
            identity_pool_id: None stands for the pool of the one identity named; it is
                no pool when there is no such identity.
        """
        ...

    async def update_identities(
        self,
        identity_pool_id: str,
        *,
        identity_ids: Collection[str],
        logins: Collection[Login],
        decide: Callable[[StoredIdentities], IdentityChanges],
    ) -> IdentityChanges | None:
        """
        Load the same, and write what `decide` returns: identities with their logins
        (an id stays in its pool: one of another pool is a StoreError), datasets that
        move, and, where the pool streams, the outbox rows that tell of
        them (`core.dataset_moves.move_events`). None: no such pool.
        """
        ...

    async def list_identities(
        self, identity_pool_id: str, *, after: str | None, limit: int, enabled: bool
    ) -> list[Identity] | None:
        """
        List identities of a pool by id, those behind `after`. None: no such pool.

        Args:
            enabled: leave out those that were merged into another one.
        """
        ...

    async def search_identities(
        self,
        identity_pool_id: str | None,
        *,
        prefix: str,
        kind: IdentityKind | None,
        after: str | None,
        limit: int,
    ) -> list[Identity] | None:
        """
        List identities by id whose id begins with `prefix`, those behind `after`; of a
        pool or (None) of all of them. None: no such pool.

        However few there are among others, hardly more rows are read than are given.

        Args:
            kind: of this kind alone; only for one pool.
        """
        ...

    async def find_login_owners(self, logins: Sequence[PoolLogin]) -> list[Identity]:
        """
        Find who has any of these logins, each once, by pool and id. Nothing is read but
        them; `find_identities` is for those who resolve a request.
        """
        ...

    async def list_merged_identities(
        self, identity_pool_id: str, identity_id: str, *, limit: int
    ) -> list[Identity]:
        """List who was merged into an identity directly, the last ones first."""
        ...

    async def delete_identity(self, identity_id: str, *, now_ms: int) -> bool:
        """
        Delete an identity, its logins and its datasets; where the pool streams, the
        outbox gets a deletion for each live one. Where no identity of that id is kept,
        what was written under the id goes, in any pool. False: there was nothing.
        """
        ...


class ExpiredGuests(NamedTuple):
    """What was deleted in a stretch of the identities, and where that ends."""

    identity_ids: list[str]
    place: str | None  # to go on behind; None: that was the last stretch


class GuestStore(Protocol):
    """Guests that nobody uses."""

    async def note_guest_use(
        self, identity_id: str, *, now_ms: int, before_ms: int
    ) -> None:
        """Keep that a guest was used, unless that was kept at `before_ms` or later."""
        ...

    async def begin_guest_expiry(self, *, now_ms: int) -> int:
        """Say since when the use of guests is kept: an earlier call, or now."""
        ...

    async def stop_guest_expiry(self) -> None:
        """Forget since when it is kept, because it is not any more."""
        ...

    async def expire_guests(
        self, after: str, *, unused_since_ms: int, rows_max: int
    ) -> ExpiredGuests:
        """
        Delete guests among the next so many identities: those who were made, changed
        and used before a time, and never had a dataset, a device or a login.
        """
        ...


class DatasetStore(Protocol):
    """Datasets and their records."""

    async def update_dataset(
        self,
        dataset_id: DatasetId,
        *,
        keys: Sequence[str],
        session_id: bytes | None,
        decide: Callable[[StoredDataset], Changes],
        count_tombstones: bool = False,
    ) -> Changes | None:
        """
        Load the dataset, the named records and the mark of the session; write what
        `decide` returns, the outbox row included; return that. None: no such pool.

        Args:
            count_tombstones: tell `decide` how many the dataset has.
        """
        ...

    async def list_expired_tombstones(
        self, *, modified_before_ms: int, limit: int
    ) -> list[DatasetId]:
        """
        List datasets with tombstones that were written before a time, each once, those
        with the oldest ones first; at most so many, and all of at least one.
        """
        ...

    async def drop_tombstones(
        self,
        dataset_id: DatasetId,
        *,
        modified_before_ms: int,
        keep: int,
        limit: int,
        forget: Callable[[DatasetState, int], DatasetState],
    ) -> int:
        """
        Drop tombstones of a dataset that were written before a time, but for the newest
        `keep` of these; return how many, at most `limit`.

        Args:
            forget: gives the row of the dataset from what it is and the highest sync
                count among the dropped ones, which come first.
        """
        ...

    async def read_records(
        self,
        dataset_id: DatasetId,
        select: Callable[[DatasetState | None], RecordRange | None],
        *,
        expected: RecordRange | None = None,
    ) -> RecordPage | None:
        """
        Read the dataset and the records that `select` chooses; `select` returns None
        when it wants none. None: no such pool.

        Args:
            expected: what `select` will most likely choose, `up_to` aside. A store may
                read it in the same look; the answer is the same without it.
        """
        ...

    async def find_records(
        self, dataset_id: DatasetId, keys: Sequence[str]
    ) -> RecordPage | None:
        """
        Find a dataset and its records of some keys, removed ones too, in no order, and
        no names of merged datasets. None: no such pool.
        """
        ...

    async def find_spent_session(
        self, dataset_id: DatasetId, session_id: bytes
    ) -> SpentSession | None:
        """Find the mark of a session of a dataset that an update of it has used."""
        ...

    async def list_datasets(
        self,
        identity_pool_id: str,
        identity_id: str,
        *,
        after: str | None,
        limit: int | None,
        deleted: bool = False,
    ) -> list[NamedDataset] | None:
        """
        List live datasets by name, those behind `after`. None: no such pool.

        Args:
            deleted: list the rows that deleted datasets left behind as well.
        """
        ...

    async def find_identity_usage(
        self, identity_pool_id: str, identity_id: str
    ) -> IdentityUsage | None:
        """Tell what an identity holds. None: it never had a dataset, or no pool."""
        ...


class DeviceStore(Protocol):
    """
    Devices, what they are subscribed to, and the pushes that wait for them.

    `update_dataset` writes the pushes of a notice, one for each device and dataset: a
    newer one takes the place of one that waits. It ends the subscriptions of a dataset
    that it deletes, after its pushes. `update_identities` hands the devices of a merged
    identity over to the survivor, and `delete_identity` drops them.
    """

    async def put_device(self, device: Device, *, devices_max: int) -> str | None:
        """
        Register a device and return its id. None: no such identity.

        One of the same identity, platform and token is registered anew, under the id
        that it has: it is enabled, and its endpoint is to be made again. When the
        identity has more than `devices_max`, others go, first those that are disabled,
        then those whose registration is the oldest.
        """
        ...

    async def find_device(self, identity_id: str, device_id: str) -> Device | None:
        """Find a device of an identity, of a pool that was not deleted."""
        ...

    async def list_devices(
        self, identity_pool_id: str, identity_id: str, *, after: str | None, limit: int
    ) -> list[RegisteredDevice] | None:
        """List devices of an identity by id, those behind `after`. None: no pool."""
        ...

    async def list_pool_devices(
        self, identity_pool_id: str, *, after: tuple[str, str] | None, limit: int
    ) -> list[RegisteredDevice] | None:
        """
        List devices of a pool by (identity id, device id), those behind `after`; of the
        other devices, hardly more are read than one identity has. None: no such pool.
        """
        ...

    async def delete_device(
        self, identity_pool_id: str, identity_id: str, device_id: str
    ) -> bool:
        """
        Forget a device, its subscriptions and what waits for it. False: the identity
        has no such device in this pool.
        """
        ...

    async def put_last_push(self, device: Device, last_push: LastPush) -> None:
        """Keep how a push to a device went, if it is still the identity's."""
        ...

    async def put_endpoint(self, device: Device, endpoint_arn: str) -> None:
        """Note what the push service calls a device, if it is still the identity's."""
        ...

    async def disable_device(self, device: Device, endpoint_arn: str | None) -> bool:
        """
        Disable a device and drop its pushes; False when its endpoint is not this one
        any more, as after a registration, or when it is not the identity's any more.
        """
        ...

    async def put_subscription(self, dataset_id: DatasetId, device_id: str) -> bool:
        """
        Subscribe a device to a dataset. False: there is no such live dataset, or the
        device is not one of the identity.
        """
        ...

    async def delete_subscription(self, dataset_id: DatasetId, device_id: str) -> bool:
        """End a subscription and drop what waits of it. False: as above."""
        ...

    async def list_pushes(self, *, now_ms: int, limit: int) -> list[Push]:
        """List pushes that are due, those that have been for the longest time first."""
        ...

    async def delete_pushes(self, pushes: Sequence[Push]) -> None:
        """Delete pushes; one that has a new sync count meanwhile stays."""
        ...

    async def defer_push(self, push: Push, *, due_ms: int) -> None:
        """Count a failure; `list_pushes` gives the push again from `due_ms` on."""
        ...

    async def count_pushes(self) -> int:
        """Count the pushes that wait."""
        ...


class OutboxStore(Protocol):
    """Changes that wait for their stream."""

    async def list_outbox_pools(self) -> list[str]:
        """List the pools with an enabled stream that have entries."""
        ...

    async def list_outbox(
        self, identity_pool_id: str, *, limit: int, bytes_max: int
    ) -> list[OutboxEntry]:
        """List the oldest entries of a pool, at least one when there is any."""
        ...

    async def delete_outbox(
        self, identity_pool_id: str, entries: Sequence[OutboxEntry]
    ) -> None:
        """Delete entries that the stream has acknowledged."""
        ...

    async def measure_outbox(
        self, identity_pool_id: str | None, *, count_max: int | None = None
    ) -> OutboxUsage:
        """
        Tell how much waits, of one pool or (None) of all.

        Args:
            count_max: of one pool, count no further than this, however much there is;
                None: to the end.
        """
        ...

    async def list_outbox_usage(
        self, *, after: str | None, limit: int, count_max: int | None = None
    ) -> list[PoolOutboxUsage]:
        """
        Tell by pool id how much waits, of pools behind `after` of which anything does.

        Args:
            count_max: of each pool, as `measure_outbox` does.
        """
        ...

    async def list_outbox_notes(
        self, identity_pool_id: str, *, parked: bool, after: int, limit: int
    ) -> list[OutboxNote]:
        """
        List what waits of a pool, or is parked, by id, those above `after`.

        It is for looking: no lease is taken, and nothing is read but the beginnings.
        """
        ...

    async def find_outbox_range(self, identity_pool_id: str) -> OutboxRange | None:
        """Find which entries of a pool wait; None when none does."""
        ...

    async def park_outbox(
        self,
        identity_pool_id: str,
        refused: Sequence[tuple[OutboxEntry, str]],
        *,
        now_ms: int,
    ) -> None:
        """Put entries aside, each with the reason, so that others can go on."""
        ...

    async def list_parked_outbox(
        self, identity_pool_id: str, *, after: int, limit: int
    ) -> list[ParkedEntry]:
        """List parked entries by id, those above `after`."""
        ...

    async def return_parked_outbox(
        self, identity_pool_id: str, outbox_ids: Sequence[int]
    ) -> int:
        """Let parked entries wait again, at their old places; return how many."""
        ...

    async def delete_parked_outbox(
        self, identity_pool_id: str, outbox_ids: Sequence[int]
    ) -> int:
        """Give parked entries up; return how many."""
        ...


class BulkPublishStore(Protocol):
    """Runs, their slices, and the data they publish."""

    async def cut_bulk_publish(self, region: str, count: int) -> Sequence[Slice]:
        """Cut a run into about `count` slices, the way the data lies."""
        ...

    async def start_bulk_publish(
        self,
        identity_pool_id: str,
        decide: Callable[[IdentityPool, BulkPublishRun], BulkPublishRun],
        slices: Sequence[Slice],
    ) -> BulkPublishRun | None:
        """Replace the last run of a pool by the one decided on. None: no such pool."""
        ...

    async def find_bulk_publish(self, identity_pool_id: str) -> BulkPublishRun | None:
        """Find the last run, NOT_STARTED when there was none. None: no such pool."""
        ...

    async def find_bulk_publish_progress(
        self, identity_pool_id: str
    ) -> BulkPublishProgress | None:
        """
        Tell how far the last run of a pool has got, and how many datasets the pool has.
        It counts them, which takes its time in a large pool.
        """
        ...

    async def count_bulk_publishes(self) -> int:
        """Count the pools with a run that has not ended."""
        ...

    async def find_sliced_run(
        self, identity_pool_id: str, *, now_ms: int
    ) -> SlicedRun | None:
        """
        Find the last run of a pool with its slices. None: no such pool.

        A slice whose lease ends at `now_ms` or before waits. It counts nothing, so it
        is as quick in a large pool as in a small one.
        """
        ...

    async def lease_slice(
        self, worker: str, *, now_ms: int, lease_ms: int
    ) -> LeasedSlice | None:
        """
        Lease a slice that is not done and that nobody holds.

        A lease that would end later than one given now was given by a clock that has
        been set back since; it counts as ended. The fence keeps that safe.
        """
        ...

    async def checkpoint_slice(
        self,
        leased: LeasedSlice,
        position: Position | None,
        counts: Counts,
        *,
        lease_until_ms: int,
    ) -> None:
        """
        Save how far a slice is, counted from its beginning, and hold it longer.

        Raises:
            LeaseLostError: another worker has taken the slice over, or its run ended.
        """
        ...

    async def change_bulk_publish(
        self,
        leased: LeasedSlice,
        change: Callable[[BulkPublishRun], BulkPublishRun],
    ) -> BulkPublishRun:
        """
        Change the run of a slice, and give it.

        Raises:
            LeaseLostError: as `checkpoint_slice` does.
        """
        ...

    async def finish_slice(
        self,
        leased: LeasedSlice,
        finish: Callable[[BulkPublishRun], BulkPublishRun],
        *,
        position: Position | None = None,
        counts: Counts | None = None,
    ) -> BulkPublishRun:
        """
        Mark a slice done; `finish` the run when it was the last one.

        Args:
            position, counts: how far it came, where no checkpoint says so yet.
        Raises:
            LeaseLostError: as `checkpoint_slice` does.
        """
        ...

    async def close_slice(self, leased: LeasedSlice) -> bool:
        """
        Mark a slice done, unless it is the last one; say whether it was marked.

        Raises:
            LeaseLostError: as `checkpoint_slice` does.
        """
        ...

    async def postpone_slice(self, leased: LeasedSlice, *, until_ms: int) -> None:
        """
        Give a slice back, for whoever comes after a time.

        Raises:
            LeaseLostError: as `checkpoint_slice` does.
        """
        ...

    async def fail_bulk_publish(
        self,
        leased: LeasedSlice,
        fail: Callable[[BulkPublishRun], BulkPublishRun],
    ) -> BulkPublishRun:
        """
        End the run of a slice.

        Raises:
            LeaseLostError: as `checkpoint_slice` does.
        """
        ...

    async def release_slices(self, worker: str) -> None:
        """Give back what a worker holds, so that another need not wait."""
        ...

    async def scan_datasets(
        self,
        leased: LeasedSlice,
        *,
        position: Position | None,
        limit: int,
        bytes_max: int,
    ) -> list[DatasetSnapshot]:
        """
        Read live datasets of a slice behind a position, in (identity id, name) order:
        at most `limit`, and no more once `bytes_max` bytes were read. Whether the lease
        is still good makes no difference (`core.bulk_publish.whole_pool` has none).
        """
        ...


class StreamStore(Protocol):
    """Embedded streams."""

    async def create_stream(
        self,
        stream_name: str,
        *,
        shard_count: int,
        now_ms: int,
        stream_mode: str = "PROVISIONED",
        tags: Mapping[str, str] | None = None,
    ) -> bool:
        """Create a stream; False when the name is taken."""
        ...

    async def update_stream(
        self, stream_id: int, change: Callable[[Stream], Stream]
    ) -> Stream | None:
        """
        Change the retention, the mode or the tags of a stream, and return it as it is
        now. None: the stream is gone.
        """
        ...

    async def delete_stream(self, stream_name: str) -> bool:
        """Delete a stream: from now on it does not exist. `purge` drops its data."""
        ...

    async def find_stream(self, stream_name: str) -> Stream | None:
        """Find a stream."""
        ...

    async def list_streams(self, *, after: str | None, limit: int) -> list[Stream]:
        """List streams by name, those behind `after`."""
        ...

    async def measure_streams(self) -> StreamsUsage:
        """Count shards and streams."""
        ...

    async def put_stream_records(
        self, stream_id: int, records: Sequence[NewStreamRecord], *, now_ms: int
    ) -> list[int] | None:
        """Append records; return their sequence numbers. None: the stream is gone."""
        ...

    async def list_stream_records(
        self, stream_id: int, shard: int, *, after: int, limit: int, bytes_max: int
    ) -> list[StoredStreamRecord]:
        """List records of a shard above a sequence number, in order."""
        ...

    async def list_earlier_stream_records(
        self,
        stream_id: int,
        shard: int,
        *,
        partition_key: str | None,
        before: int | None,
        limit: int,
        bytes_max: int,
    ) -> list[StoredStreamRecord]:
        """
        List records of a shard below a sequence number (None: from the end), the newest
        first: at least one when there is any. With a partition key, those of other keys
        come with no data, which is not read.
        """
        ...

    async def find_sequence_number(
        self, stream_id: int, shard: int, *, arrived_before_ms: int | None = None
    ) -> int:
        """
        Give the last sequence number of a shard, or the last one that arrived before a
        time; 0 when there is none.
        """
        ...

    async def put_stream_payload(
        self, payload_id: str, data: bytes, *, expires_ms: int
    ) -> None:
        """
        Keep the records of a stream record that were too large to go in it; one of that
        id is replaced.
        """
        ...

    async def find_stream_payload(
        self, payload_id: str, *, now_ms: int
    ) -> bytes | None:
        """Find such records while they have not expired."""
        ...


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """How the last look over the store went that came to an end."""

    ended_ms: int
    faults: int


class Census(Protocol):
    """How much there is, counted piece by piece: whatever its size, no call is long."""

    async def count_identity_pools(self) -> int:
        """Count the pools that were not deleted; they are few."""
        ...

    async def count_identities(self, after: CensusPlace, *, rows_max: int) -> Counted:
        """
        Count identities that were not merged into others, among the next so many rows.

        Those of a deleted pool count until `purge` has dropped them.
        """
        ...

    async def count_tombstones(self, after: CensusPlace, *, rows_max: int) -> Counted:
        """Count removed records that are kept, among the next so many rows."""
        ...

    async def find_verification(self) -> Verification | None:
        """Find how the last look over the store went (`stores.verification`)."""
        ...

    async def measure_bytes(self) -> int:
        """Measure how much the store takes on its disks, without reading it."""
        ...


class StreamConsumerStore(Protocol):
    """Consumers that are registered with embedded streams; they go with the stream."""

    async def create_stream_consumer(
        self,
        consumer: StreamConsumer,
        decide: Callable[[Sequence[StreamConsumer]], None],
    ) -> bool:
        """
        Register a consumer, unless `decide` raises when it is told which there are.
        False: the stream is gone.
        """
        ...

    async def find_stream_consumer(
        self, stream_id: int, consumer_name: str
    ) -> StreamConsumer | None:
        """Find a consumer, of a stream that was not deleted."""
        ...

    async def list_stream_consumers(
        self, stream_id: int, *, after: str | None, limit: int
    ) -> list[StreamConsumer]:
        """List the consumers of a stream by name, those behind `after`."""
        ...

    async def update_stream_consumer(
        self,
        stream_id: int,
        consumer_name: str,
        change: Callable[[StreamConsumer], StreamConsumer],
    ) -> StreamConsumer | None:
        """Change the tags of a consumer, and return it. None: it is gone."""
        ...

    async def delete_stream_consumer(self, stream_id: int, consumer_name: str) -> bool:
        """Forget a consumer. False: there was none."""
        ...


LOOK_AGAIN: Final = b"!look"
"""What such a store tells servers by itself, when anybody has written what is rarely
changed: keys, the description of a pool, entries that wait again."""


@runtime_checkable
class Neighbours(Protocol):
    """
    What the servers on one store tell each other. Only a store that several servers
    share has it.
    """

    node: str
    """What this server is called among them; its bulk-publish workers are `node-...`"""

    @property
    def others(self) -> int:
        """How many other servers it knows to be alive."""
        ...

    async def join(
        self, hear: Callable[[bytes], None], missed: Callable[[], None]
    ) -> None:
        """
        Begin to listen, until the store is closed.

        Args:
            hear: called with each message of another server, on the event loop.
            missed: called when messages may have been lost.
        """
        ...

    def tell(self, message: bytes) -> None:
        """Send the others a message, soon: at most 7 KiB of UTF-8, no line feeds."""
        ...


@runtime_checkable
class SharedFiles(Protocol):
    """
    A store in files that another process may write to, which does not tell: the
    commands of an administrator, beside the server.
    """

    async def was_written_elsewhere(self) -> bool:
        """Say whether another process has written since this was asked before."""
        ...


class Store(
    DeveloperKeyStore,
    AuditStore,
    TokenKeyStore,
    SpentMarkStore,
    IdentityPoolStore,
    IdentityStore,
    GuestStore,
    DatasetStore,
    DeviceStore,
    OutboxStore,
    BulkPublishStore,
    StreamStore,
    Census,
    StreamConsumerStore,
    Protocol,
):
    """Everything Millpond keeps."""

    async def open(self) -> None:
        """
        Open the store and bring its schema up to date. Idempotent.

        Raises:
            StoreVersionError: the schema is newer than this program.
            StoreUnavailableError: it cannot be reached or written.
        """
        ...

    async def aclose(self) -> None:
        """Finish what was accepted, then close. Idempotent."""
        ...

    async def ping(self, *, writes: bool = False) -> None:
        """
        Raise a `StoreError` when the store cannot answer.

        Args:
            writes: nor when it answers and takes no writes, as far as that is seen
                without one.
        """
        ...

    async def purge(self, *, now_ms: int, stream_retention_ms: int, limit: int) -> int:
        """
        Drop what nobody can reach any more: data of deleted pools and streams, marks of
        expired sessions, token keys that have retired, stream records beyond retention,
        expired payloads. At most about `limit` rows; returns how many, so that a caller
        can go on until 0.

        Args:
            stream_retention_ms: of streams that have no retention of their own.
        """
        ...
