"""
Devices, their subscriptions and the pushes that wait, in the embedded store.

A subscription is kept by the number of its dataset, so that an update finds the
subscribed devices by one look at an index, and goes along when the dataset is moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import astuple

from millpond.core.dataset_moves import DatasetMove
from millpond.core.push import Device, LastPush, Push
from millpond.core.sync import DatasetId, DatasetState, Notice
from millpond.stores.base import RegisteredDevice
from millpond.stores.sqlite import identity_pools
from millpond.stores.sqlite.database import Database, Reader, Writer
from millpond.stores.sqlite.queries import Queries

SQL: Final = Queries("devices.sql")


class Devices:
    """The `DeviceStore` part of the port."""

    database: Database

    async def put_device(self, device: Device, *, devices_max: int) -> str | None:
        names = (device.identity_pool_id, device.identity_id)
        row = (
            device.device_id,
            *names,
            device.platform,
            device.token,
            device.registration_date_ms,
        )

        def job(db: Writer) -> str | None:
            found = db.execute(SQL.put_device, row).fetchall()
            if not found:
                return None
            ((device_id,),) = found
            surplus = (*names, device_id, devices_max)
            for (other,) in db.execute(SQL.list_surplus_devices, surplus).fetchall():
                drop(db, other)
            return str(device_id)

        return await self.database.write(job)

    async def find_device(self, identity_id: str, device_id: str) -> Device | None:
        with self.database.reading("find_device") as cursor:
            row = (identity_id, device_id)
            rows = cursor.execute(SQL.find_device, row).fetchall()
        return _device(rows[0]) if rows else None

    async def list_devices(
        self, identity_pool_id: str, identity_id: str, *, after: str | None, limit: int
    ) -> list[RegisteredDevice] | None:
        bounds = (identity_pool_id, identity_id, after or "", limit)
        with self.database.reading("list_devices") as cursor:
            if identity_pools.find(cursor, identity_pool_id) is None:
                return None
            rows = cursor.execute(SQL.list_registered_devices, bounds).fetchall()
            return [_registered(cursor, row) for row in rows]

    async def list_pool_devices(
        self, identity_pool_id: str, *, after: tuple[str, str] | None, limit: int
    ) -> list[RegisteredDevice] | None:
        bounds = (identity_pool_id, *(after or ("", "")), limit)
        with self.database.reading("list_pool_devices") as cursor:
            if identity_pools.find(cursor, identity_pool_id) is None:
                return None
            rows = cursor.execute(SQL.list_pool_devices, bounds).fetchall()
            return [_registered(cursor, row) for row in rows]

    async def delete_device(
        self, identity_pool_id: str, identity_id: str, device_id: str
    ) -> bool:
        names = (identity_pool_id, identity_id, device_id)

        def job(db: Writer) -> bool:
            if identity_pools.find(db, identity_pool_id) is None:
                return False
            if not db.execute(SQL.find_device_of, names).fetchall():
                return False
            drop(db, device_id)
            return True

        return await self.database.write(job)

    async def put_last_push(self, device: Device, last_push: LastPush) -> None:
        row = (device.identity_id, device.device_id, *astuple(last_push))
        await self.database.write(lambda db: db.execute(SQL.put_last_push, row))

    async def put_endpoint(self, device: Device, endpoint_arn: str) -> None:
        row = (device.identity_id, device.device_id, endpoint_arn)
        await self.database.write(lambda db: db.execute(SQL.put_endpoint, row))

    async def disable_device(self, device: Device, endpoint_arn: str | None) -> bool:
        row = (device.identity_id, device.device_id, endpoint_arn)

        def job(db: Writer) -> bool:
            if not db.execute(SQL.disable_device, row).fetchall():
                return False
            db.execute(SQL.clear_pushes, (device.device_id,))
            return True

        return await self.database.write(job)

    async def put_subscription(self, dataset_id: DatasetId, device_id: str) -> bool:
        def job(db: Writer) -> bool:
            number = _find_subscribable(db, dataset_id, device_id)
            if number is None:
                return False
            db.execute(SQL.put_subscription, (number, device_id))
            return True

        return await self.database.write(job)

    async def delete_subscription(self, dataset_id: DatasetId, device_id: str) -> bool:
        def job(db: Writer) -> bool:
            number = _find_subscribable(db, dataset_id, device_id)
            if number is None:
                return False
            db.execute(SQL.delete_subscription, (number, device_id))
            row = (device_id, dataset_id.dataset_name)
            db.execute(SQL.delete_push_of_dataset, row)
            return True

        return await self.database.write(job)

    async def list_pushes(self, *, now_ms: int, limit: int) -> list[Push]:
        with self.database.reading("list_pushes") as cursor:
            rows = cursor.execute(SQL.list_pushes, (now_ms, limit)).fetchall()
        return [
            Push(
                device=_device(columns),
                dataset_name=dataset_name,
                sync_count=sync_count,
                failures=failures,
            )
            for dataset_name, sync_count, failures, *columns in rows
        ]

    async def delete_pushes(self, pushes: Sequence[Push]) -> None:
        rows = [(e.device.device_id, e.dataset_name, e.sync_count) for e in pushes]
        await self.database.write(lambda db: db.executemany(SQL.delete_push, rows))

    async def defer_push(self, push: Push, *, due_ms: int) -> None:
        row = (push.device.device_id, push.dataset_name, due_ms)
        await self.database.write(lambda db: db.execute(SQL.defer_push, row))

    async def count_pushes(self) -> int:
        with self.database.reading("count_pushes") as cursor:
            ((count,),) = cursor.execute(SQL.count_pushes).fetchall()
        return int(count)


def notify(
    db: Writer, number: int, dataset_name: str, state: DatasetState, notice: Notice
) -> None:
    """Write the pushes of a change, for every subscribed device but the writer's."""
    db.execute(
        SQL.put_pushes,
        (
            number,
            dataset_name,
            state.sync_count,
            state.last_modified_date_ms,
            notice.writer,
        ),
    )


def forget_dataset(db: Writer, number: int) -> None:
    """End the subscriptions of a dataset that is gone; its number may come again."""
    db.execute(SQL.clear_subscriptions, (number,))


def hand_over(db: Writer, pool: str, loser: str, survivor: str) -> None:
    """
    Give the devices of a merged identity to the survivor.

    Where the survivor has registered the same app on the same device already, its
    registration stays and takes the subscriptions over.
    """
    for old, *names in db.execute(SQL.list_devices, (pool, loser)).fetchall():
        kept = db.execute(SQL.find_device_by_token, (pool, survivor, *names)).fetchall()
        if not kept:
            db.execute(SQL.move_device, (old, survivor))
            continue
        row = (old, *kept[0])
        db.execute(SQL.hand_over_subscriptions, row)
        db.execute(SQL.hand_over_pushes, row)
        drop(db, old)


def follow(db: Writer, number: int, move: DatasetMove) -> None:
    """
    Let subscriptions of a dataset that is put beside another one keep its name.

    The app deals with the copy and deletes it; what it goes on with is the other one.
    """
    name = move.old.dataset_name
    if move.new.dataset_name != name:
        root = (move.new.identity_pool_id, move.new.identity_id, name)
        db.execute(SQL.redirect_subscriptions, (number, *root))


def drop_devices(db: Writer, pool: str, identity_id: str) -> None:
    """Drop the devices of an identity."""
    for device_id, *_ in db.execute(SQL.list_devices, (pool, identity_id)).fetchall():
        drop(db, device_id)


def drop(db: Writer, device_id: str) -> None:
    """Drop a device with all that belongs to it."""
    db.execute(SQL.clear_pushes, (device_id,))
    db.execute(SQL.clear_subscriptions_of_device, (device_id,))
    db.execute(SQL.delete_device, (device_id,))


def purge_devices(db: Writer, pool: str, *, limit: int) -> int:
    """Drop at most `limit` devices of a deleted pool; return how many."""
    found = db.execute(SQL.find_devices_to_purge, (pool, limit)).fetchall()
    for (device_id,) in found:
        drop(db, device_id)
    return len(found)


def _find_subscribable(db: Reader, dataset_id: DatasetId, device_id: str) -> int | None:
    """Find the number of a live dataset, for a device of its identity."""
    row = (
        dataset_id.identity_pool_id,
        dataset_id.identity_id,
        dataset_id.dataset_name,
        device_id,
    )
    rows = db.execute(SQL.find_subscribable, row).fetchall()
    return int(rows[0][0]) if rows else None


def _subscriptions(db: Reader, device_id: str) -> tuple[str, ...]:
    rows = db.execute(SQL.list_subscriptions, (device_id,))
    return tuple(dataset_name for (dataset_name,) in rows)


def _registered(db: Reader, row: Sequence[Any]) -> RegisteredDevice:
    waiting, failures, push_ms, push_error, *columns = row
    last_push = None if push_ms is None else LastPush(push_ms, push_error)
    names = _subscriptions(db, columns[0])
    return RegisteredDevice(_device(columns), names, waiting, failures, last_push)


def _device(columns: Sequence[Any]) -> Device:
    device_id, pool, identity_id, platform, token, date_ms, arn, disabled = columns
    return Device(
        device_id=device_id,
        identity_pool_id=pool,
        identity_id=identity_id,
        platform=platform,
        token=token,
        registration_date_ms=date_ms,
        endpoint_arn=arn,
        disabled=bool(disabled),
    )
