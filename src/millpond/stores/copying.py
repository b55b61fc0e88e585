"""
Moving everything between stores: what there is to move, as rows that all stores know.

Theory of operation
-------------------
A store is a handful of kinds of rows. `export` reads them page by page, in an order of
the store's own; a position in that order is opaque and fits the store that gave it.
`import_` writes a page and notes, in the same transaction, the position of the source
up to which everything is here. A copy that was interrupted asks for that position and
goes on behind it.

The target is marked until the copy is complete, so that nobody serves half a store.

What nobody can reach any more (deleted pools and streams) is not exported. Leases are
not either: who held one is not there any more.

Rows keep their ids and numbers. One number may not be kept: a sequence number that two
shards have used. Where a store counts over all of them, the later one gets the next
number that is free, so the order within a shard stays and a consumer that knows its
position reads nothing less; it may read some records again.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

import msgspec

from millpond.core.claims import Origin
from millpond.stores.base import Store

_encode = msgspec.msgpack.Encoder().encode
_CHECKSUM_BYTES: Final = 16


class Kind(enum.StrEnum):
    """What there is to move, in the order in which it is moved."""

    DEVELOPER_KEYS = "developer_keys"
    TOKEN_KEYS = "token_keys"
    IDENTITY_POOLS = "identity_pools"
    IDENTITIES = "identities"
    DATASETS = "datasets"
    RECORDS = "records"  # behind datasets, which a store may number
    SPENT_SESSIONS = "spent_sessions"
    DEVICES = "devices"
    SUBSCRIPTIONS = "subscriptions"
    PUSHES = "pushes"
    OUTBOX = "outbox"
    PARKED_OUTBOX = "parked_outbox"
    BULK_PUBLISH_RUNS = "bulk_publish_runs"
    BULK_PUBLISH_SLICES = "bulk_publish_slices"
    IMPORTS = "imports"
    IMPORT_POSITIONS = "import_positions"
    IMPORTED_IDENTITIES = "imported_identities"
    STREAMS = "streams"
    STREAM_CONSUMERS = "stream_consumers"
    STREAM_RECORDS = "stream_records"
    STREAM_PAYLOADS = "stream_payloads"
    AUDIT = "audit"


STREAM_KINDS: Final = frozenset(
    {
        Kind.STREAMS,
        Kind.STREAM_CONSUMERS,
        Kind.STREAM_RECORDS,
        Kind.STREAM_PAYLOADS,
    }
)
"""What an embedded stream has."""


class Row(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A row of some kind; dates are epoch milliseconds."""


class DeveloperKeyRow(Row, frozen=True, gc=False, array_like=True):
    """A developer's access key."""

    access_key_id: str
    name: str
    sealed_secret: bytes
    creation_date_ms: int
    read_only: bool = False
    identity_pool_id: str | None = None
    expires_ms: int | None = None
    last_used_ms: int | None = None


class AuditRow(Row, frozen=True, gc=False, array_like=True):
    """An entry of the audit, as `stores.base.AuditEntry`."""

    entry_id: str
    time_ms: int
    last_ms: int
    changes: int
    frequent: bool
    origin: str
    access_key_id: str
    caller_name: str
    operation: str
    identity_pool_id: str
    identity_id: str
    dataset_name: str
    target: str
    address: str
    user_agent: str
    request_id: str
    result: str


class TokenKeyRow(Row, frozen=True, gc=False, array_like=True):
    """A key that signs OpenID tokens."""

    key_id: str
    sealed_private_key: bytes
    creation_date_ms: int
    retire_date_ms: int | None


class IdentityPoolRow(Row, frozen=True, gc=False, array_like=True):
    """An identity pool and what it holds."""

    identity_pool_id: str
    description: bytes  # JSON of core.identity_pools.IdentityPool
    sync_sessions_count: int
    data_storage: int
    last_modified_date_ms: int | None


class IdentityRow(Row, frozen=True, gc=False, array_like=True):
    """An identity with its logins."""

    identity_id: str
    identity_pool_id: str
    creation_date_ms: int
    last_modified_date_ms: int
    guest: bool
    merged_into: str | None
    logins: tuple[tuple[str, str], ...]  # provider and subject, in order
    origin: Origin | None = None


class DatasetRow(Row, frozen=True, gc=False, array_like=True):
    """A dataset, or what a deleted one leaves behind."""

    identity_id: str
    identity_pool_id: str
    dataset_name: str
    sync_count: int
    live: bool
    horizon: int
    creation_date_ms: int
    last_modified_date_ms: int
    last_modified_by: str
    num_records: int
    data_storage: int
    root_dataset_name: str | None
    forgotten: int = 0


class RecordRow(Row, frozen=True, gc=False, array_like=True):
    """A record; a tombstone has no value."""

    identity_id: str
    identity_pool_id: str
    dataset_name: str
    record_key: str
    sync_count: int
    last_modified_date_ms: int
    last_modified_by: str
    device_last_modified_date_ms: int | None
    value: str | None


class SpentSessionRow(Row, frozen=True, gc=False, array_like=True):
    """The mark of a sync session that was used by an update."""

    identity_id: str  # empty: it was spent before that was kept
    session_id: bytes
    request_sha256: bytes
    sync_count: int
    last_modified_date_ms: int
    last_modified_by: str
    amended: bytes | None  # JSON array of core.sync.StoredRecord


class DeviceRow(Row, frozen=True, gc=False, array_like=True):
    """An app on a device."""

    identity_id: str
    device_id: str
    identity_pool_id: str
    platform: str
    token: str
    registration_date_ms: int
    endpoint_arn: str | None
    disabled: bool
    last_push_ms: int | None = None
    last_push_error: str | None = None


class SubscriptionRow(Row, frozen=True, gc=False, array_like=True):
    """A device that is told of a dataset."""

    identity_id: str
    identity_pool_id: str
    dataset_name: str
    device_id: str


class PushRow(Row, frozen=True, gc=False, array_like=True):
    """A push that waits."""

    identity_id: str
    device_id: str
    dataset_name: str
    sync_count: int
    due_ms: int
    failures: int


class OutboxRow(Row, frozen=True, gc=False, array_like=True):
    """A change that its stream has not acknowledged yet."""

    identity_id: str
    outbox_id: int
    identity_pool_id: str
    data: bytes
    created_ms: int


class ParkedOutboxRow(Row, frozen=True, gc=False, array_like=True):
    """A change that its stream refused for good."""

    identity_id: str
    outbox_id: int
    identity_pool_id: str
    data: bytes
    created_ms: int
    parked_ms: int
    reason: str


class BulkPublishRunRow(Row, frozen=True, gc=False, array_like=True):
    """The last run of a pool; one in progress goes on in the target."""

    identity_pool_id: str
    run: bytes  # JSON of core.bulk_publish.BulkPublishRun


class BulkPublishSliceRow(Row, frozen=True, gc=False, array_like=True):
    """A slice of a run, without the lease."""

    identity_pool_id: str
    slice_number: int
    run_id: str
    first_identity_id: str | None
    end_identity_id: str | None
    open: bool
    fence: int
    position_identity_id: str | None
    position_dataset_name: str | None
    datasets: int
    records: int
    data_bytes: int


class ImportRow(Row, frozen=True, gc=False, array_like=True):
    """How the import of a pool stands."""

    identity_pool_id: str
    state: bytes  # JSON of stores.importing.ImportState


class ImportPositionRow(Row, frozen=True, gc=False, array_like=True):
    """Up to where a source was read."""

    identity_pool_id: str
    position_name: str
    position: bytes


class ImportedIdentityRow(Row, frozen=True, gc=False, array_like=True):
    """What came of an identity."""

    identity_id: str
    identity_pool_id: str
    pass_number: int
    enabled_pass: int
    merged_into: str | None
    datasets: int
    aside: int
    mark: bytes  # JSON of stores.importing.ImportedIdentity


class StreamRow(Row, frozen=True, gc=False, array_like=True):
    """An embedded stream."""

    stream_id: int
    stream_name: str
    shard_count: int
    creation_date_ms: int
    retention_hours: int | None
    stream_mode: str
    tags: str | None  # a JSON object


class StreamConsumerRow(Row, frozen=True, gc=False, array_like=True):
    """A consumer that is registered with an embedded stream."""

    stream_id: int
    consumer_name: str
    creation_date_ms: int
    tags: str | None  # a JSON object


class StreamRecordRow(Row, frozen=True, gc=False, array_like=True):
    """A record of an embedded stream; exported in the order of these numbers."""

    stream_id: int
    shard: int
    sequence_number: int
    arrival_ms: int
    partition_key: str
    data: bytes


class StreamPayloadRow(Row, frozen=True, gc=False, array_like=True):
    """Records that were too large for their stream record."""

    payload_id: str
    expires_ms: int
    data: bytes


ROWS: Final[dict[Kind, type[Row]]] = {
    Kind.DEVELOPER_KEYS: DeveloperKeyRow,
    Kind.TOKEN_KEYS: TokenKeyRow,
    Kind.IDENTITY_POOLS: IdentityPoolRow,
    Kind.IDENTITIES: IdentityRow,
    Kind.DATASETS: DatasetRow,
    Kind.RECORDS: RecordRow,
    Kind.SPENT_SESSIONS: SpentSessionRow,
    Kind.DEVICES: DeviceRow,
    Kind.SUBSCRIPTIONS: SubscriptionRow,
    Kind.PUSHES: PushRow,
    Kind.OUTBOX: OutboxRow,
    Kind.PARKED_OUTBOX: ParkedOutboxRow,
    Kind.BULK_PUBLISH_RUNS: BulkPublishRunRow,
    Kind.BULK_PUBLISH_SLICES: BulkPublishSliceRow,
    Kind.IMPORTS: ImportRow,
    Kind.IMPORT_POSITIONS: ImportPositionRow,
    Kind.IMPORTED_IDENTITIES: ImportedIdentityRow,
    Kind.STREAMS: StreamRow,
    Kind.STREAM_CONSUMERS: StreamConsumerRow,
    Kind.STREAM_RECORDS: StreamRecordRow,
    Kind.STREAM_PAYLOADS: StreamPayloadRow,
    Kind.AUDIT: AuditRow,
}


class Page(msgspec.Struct, frozen=True, gc=False):
    """Rows of a kind, and where they end. No rows: there are no more."""

    rows: Sequence[Row]
    position: bytes


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers that are never used again, though what had them is gone."""

    outbox_id: int  # the last one; 0: none was
    sequence_number: int  # the last one in any shard
    arrival_ms: int  # of the last record in any shard


class CopyMark(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in a store that is being copied into."""

    source: str  # where the rows come from, for people
    fingerprint: str  # of the source; another one says that it was written to
    begun_ms: int


class CopyStore(Store, Protocol):
    """A store that can be copied from and into."""

    async def hold_for_copy(self, *, alone: bool) -> bool:
        """
        Keep other copies away until the store is closed; False: there is one.

        Args:
            alone: no other copy may use the store at all; otherwise only none may
                write into it.
        """
        ...

    async def count_servers(self) -> int:
        """Count the servers that use the store now, as far as the store knows."""
        ...

    async def find_copy_mark(self) -> CopyMark | None:
        """Find the mark of a copy into this store that is not complete."""
        ...

    async def begin_copy(self, mark: CopyMark) -> None:
        """Mark the store, unless it is marked."""
        ...

    async def end_copy(self) -> None:
        """Take away the mark and the positions; without any it does nothing."""
        ...

    async def find_copy_position(self, kind: Kind) -> bytes | None:
        """Find the position of the last page that was imported."""
        ...

    async def count_rows(self, kind: Kind) -> int:
        """
        Count rows, those that `export` leaves out too; a store may estimate how many
        there are when there are very many.
        """
        ...

    async def export(
        self, kind: Kind, *, after: bytes | None, limit: int, bytes_max: int
    ) -> Page:
        """
        Read rows behind a position that an earlier page of this store gave.

        At most `limit` rows, and no more once `bytes_max` bytes were read.
        """
        ...

    async def import_(
        self, kind: Kind, rows: Sequence[Row], *, position: bytes
    ) -> None:
        """
        Write rows and note the position; the page that was written last may come again.
        """
        ...

    async def read_counters(self) -> Counters:
        """Tell the numbers that were used."""
        ...

    async def raise_counters(self, counters: Counters) -> None:
        """Use no number up to these; behind the import of streams."""
        ...


def size_of(row: Sequence[Any]) -> int:
    """Say about how much memory a row takes, from the texts and bytes in it."""
    return 64 + sum(len(each) for each in row if isinstance(each, str | bytes))


class Checksum:
    """
    Counts rows of a kind, and sums up what is in them.

    The order of rows makes no difference, for each store has its own. It does for the
    records of a stream, which all stores give in the same one; there the sequence
    numbers are summed up apart, because a target may have to give others.
    """

    def __init__(self, kind: Kind) -> None:
        self._in_order = kind is Kind.STREAM_RECORDS
        self._chain = hashlib.blake2b(digest_size=_CHECKSUM_BYTES)
        self._numbers = hashlib.blake2b(digest_size=_CHECKSUM_BYTES)
        self._sum = 0
        self.count = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        for row in rows:
            self.count += 1
            if isinstance(row, StreamRecordRow):
                number = row.sequence_number
                self._numbers.update(number.to_bytes(8, signed=True))
                row = msgspec.structs.replace(row, sequence_number=0)
            digest = hashlib.blake2b(_encode(row), digest_size=_CHECKSUM_BYTES).digest()
            if self._in_order:
                self._chain.update(digest)
            else:
                self._sum += int.from_bytes(digest)

    @property
    def text(self) -> str:
        """The sum, as hexadecimal digits."""
        if self._in_order:
            return self._chain.hexdigest()
        total = self._sum % (1 << 8 * _CHECKSUM_BYTES)
        return total.to_bytes(_CHECKSUM_BYTES).hex()

    @property
    def numbers_text(self) -> str:
        """The sum of the sequence numbers alone."""
        return self._numbers.hexdigest()
