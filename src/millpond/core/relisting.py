"""
What a client that was refused is known to know.

Theory of operation. A client whose update was refused with 409 lists again from the
highest sync count among its patches, however much it has listed before: the clients for
Android, iOS and .NET do so, to learn about the record in conflict. That count may be
below the horizon of the dataset, and a client there is told to start over: for a
conflict of two devices one would lose what it has not pushed yet, or fail for ever.

So a refusal leaves a mark when that is what would follow: at this count there is a
client that has listed up to that one. The listing that comes from there looks for it.
Marks are kept where those of used sessions are, under ids of the same form, and expire
as they do. A device that was away since before the horizon would have to come from
exactly that count within days of the conflict to be taken for the other one.

Source: `core.sync`; DefaultDataset.java, AWSCognitoDataset.m, Dataset.cs.
"""

from __future__ import annotations

import hashlib
from typing import Final

from millpond.core.sync import DatasetId

LIFETIME_MS: Final = 7 * 86_400_000  # at least; the device may have lost its network
_EXPIRY_BYTES: Final = 6  # as in the id of a sync session
_DIGEST_BYTES: Final = 10


def mark_ids(
    dataset_id: DatasetId, last_sync_count: int, *, now_ms: int
) -> tuple[bytes, bytes]:
    """
    Give the ids under which a mark for a caller at a count may stand: the one to leave
    it under now, and the one of those that are about to expire.
    """
    period = now_ms // LIFETIME_MS
    names = "\0".join(
        (dataset_id.identity_pool_id, dataset_id.identity_id, dataset_id.dataset_name)
    )
    digest = hashlib.blake2b(
        f"{last_sync_count}\0{names}".encode(),
        digest_size=_DIGEST_BYTES,
        person=b"relisting",
    ).digest()
    return (
        ((period + 2) * LIFETIME_MS).to_bytes(_EXPIRY_BYTES) + digest,
        ((period + 1) * LIFETIME_MS).to_bytes(_EXPIRY_BYTES) + digest,
    )


def needs_mark(last_sync_count: int, *, known: int, horizon: int) -> bool:
    """Say whether a caller would be told to start over though it knows enough."""
    return 0 < last_sync_count < horizon <= known
