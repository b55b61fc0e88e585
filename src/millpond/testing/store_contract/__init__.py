"""
The store contract: what every store must do, as a suite to inherit.

    class TestMyStore(StoreContract):
        def new_store(self, tmp_path):
            return MyStore(tmp_path)

Each module holds one part of the promises in `millpond.stores.base`; a store that is
being built can inherit the parts one by one, and all of them as `StoreContract` in the
end. Nothing here knows SQL.
"""

from __future__ import annotations

from millpond.testing.store_contract.audit import AuditContract
from millpond.testing.store_contract.bench import StoreBench
from millpond.testing.store_contract.bulk_publish import BulkPublishContract
from millpond.testing.store_contract.census import CensusContract
from millpond.testing.store_contract.concurrency import ConcurrencyContract
from millpond.testing.store_contract.copying import CopyContract
from millpond.testing.store_contract.datasets import DatasetContract
from millpond.testing.store_contract.devices import DeviceContract
from millpond.testing.store_contract.guests import GuestContract
from millpond.testing.store_contract.identities import IdentityContract
from millpond.testing.store_contract.identity_deletion import IdentityDeletionContract
from millpond.testing.store_contract.identity_pools import IdentityPoolContract
from millpond.testing.store_contract.identity_updates import IdentityUpdateContract
from millpond.testing.store_contract.importing import ImportContract
from millpond.testing.store_contract.keys import DeveloperKeyContract
from millpond.testing.store_contract.lifecycle import LifecycleContract
from millpond.testing.store_contract.looking import LookingContract
from millpond.testing.store_contract.merged_datasets import MergedDatasetContract
from millpond.testing.store_contract.merges import MergeContract
from millpond.testing.store_contract.outbox import OutboxContract
from millpond.testing.store_contract.purging import PurgeContract
from millpond.testing.store_contract.pushes import PushContract
from millpond.testing.store_contract.reading import ReadingContract
from millpond.testing.store_contract.spent_marks import SpentMarkContract
from millpond.testing.store_contract.stream_consumers import StreamConsumerContract
from millpond.testing.store_contract.streams import StreamContract
from millpond.testing.store_contract.token_keys import TokenKeyContract
from millpond.testing.store_contract.tombstones import TombstoneContract

__all__ = ["StoreBench", "StoreContract"]


class StoreContract(
    DeveloperKeyContract,
    AuditContract,
    TokenKeyContract,
    SpentMarkContract,
    IdentityPoolContract,
    IdentityContract,
    GuestContract,
    IdentityUpdateContract,
    MergeContract,
    MergedDatasetContract,
    IdentityDeletionContract,
    DatasetContract,
    TombstoneContract,
    ReadingContract,
    ConcurrencyContract,
    DeviceContract,
    PushContract,
    OutboxContract,
    BulkPublishContract,
    StreamContract,
    StreamConsumerContract,
    PurgeContract,
    CensusContract,
    LifecycleContract,
    CopyContract,
    ImportContract,
    LookingContract,
):
    """The promises of `millpond.stores.base`, one test each."""
