"""
Devices, their subscriptions and the pushes that wait, in PostgreSQL.

All rows are with the identity that the device is of. A merge cannot change by whom a
row is distributed; it copies the rows to the survivor and deletes those of the loser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from millpond.core.dataset_moves import DatasetMove
from millpond.core.push import Device, LastPush, Push
from millpond.core.sync import DatasetId
from millpond.stores.base import RegisteredDevice
from millpond.stores.postgres import heads, identity_pools, leases
from millpond.stores.postgres.database import Database, Session
from millpond.stores.postgres.queries import Queries
from millpond.stores.postgres.shards import Question, Shards, pick

SQL: Final = Queries("devices.sql")
PUSHES: Final = "pushes"  # the lease of the node that sends them
_PUSHES_COUNTED: Final = Question(
    "count_pushes", SQL.count_pushes, ("pushes",), "count bigint"
)
_PUSHES_DUE: Final = Question(
    "list_pushes",
    SQL.list_pushes,
    ("pushes", "devices", "identity_pools"),
    "dataset_name text, sync_count bigint, failures bigint, device_id text, "
    "identity_pool_id text, identity_id text, platform text, token text, "
    "registration_date_ms bigint, endpoint_arn text, disabled boolean, due_ms bigint",
)


class Devices:
    """The `DeviceStore` part of the port."""

    database: Database
    shards: Shards
    leases: leases.Leases

    async def put_device(self, device: Device, *, devices_max: int) -> str | None:
        names = (device.identity_pool_id, device.identity_id)
        digest = hashlib.sha256(device.token.encode()).digest()

        async def job(db: Session) -> str | None:
            await heads.hold(db, names[0], names[1:])
            if await db.value(SQL.has_identity, *names) is None:
                return None
            device_id: str = await db.value(
                SQL.put_device,
                device.device_id,
                *names,
                device.platform,
                device.token,
                digest,
                device.registration_date_ms,
            )
            surplus = (*names, device_id, devices_max)
            for (other,) in await db.rows(SQL.list_surplus_devices, *surplus):
                await _drop(db, device.identity_id, other)
            return device_id

        return await self.database.write("put_device", job)

    async def find_device(self, identity_id: str, device_id: str) -> Device | None:
        async with self.database.session("find_device") as db:
            row = await db.row(SQL.find_device, identity_id, device_id)
        return None if row is None else _device(row)

    async def list_devices(
        self, identity_pool_id: str, identity_id: str, *, after: str | None, limit: int
    ) -> list[RegisteredDevice] | None:
        bounds = (identity_pool_id, identity_id, after or "", limit)
        async with self.database.moment("list_devices") as db:
            if await identity_pools.find(db, identity_pool_id) is None:
                return None
            rows = await db.rows(SQL.list_registered_devices, *bounds)
        return [
            _registered(row, row["dataset_names"], row["waiting"], row["failures"])
            for row in rows
        ]

    async def list_pool_devices(
        self, identity_pool_id: str, *, after: tuple[str, str] | None, limit: int
    ) -> list[RegisteredDevice] | None:
        bounds = (identity_pool_id, *(after or ("", "")), limit)
        async with self.database.moment("list_pool_devices") as db:
            if await identity_pools.find(db, identity_pool_id) is None:
                return None
            rows = await db.rows(SQL.list_pool_devices, *bounds)
            # Beside the list and not in it: a cluster takes no such parts of a question
            # that goes to all workers.
            ids = [[row[name] for row in rows] for name in ("identity_id", "device_id")]
            names: dict[tuple[str, str], list[str]] = {}
            for *key, name in await db.rows(
                SQL.list_subscriptions_of, identity_pool_id, *ids
            ):
                names.setdefault((key[0], key[1]), []).append(name)
            waiting = {
                (identity_id, device_id): counts
                for identity_id, device_id, *counts in await db.rows(
                    SQL.count_pushes_of, *ids
                )
            }
        keys = list(zip(*ids, strict=True))
        return [
            _registered(row, names.get(key, ()), *waiting.get(key, (0, 0)))
            for row, key in zip(rows, keys, strict=True)
        ]

    async def delete_device(
        self, identity_pool_id: str, identity_id: str, device_id: str
    ) -> bool:
        names = (identity_pool_id, identity_id, device_id)

        async def job(db: Session) -> bool:
            if await db.value(SQL.find_device_of, *names) is None:
                return False  # and no head is made for what is not there
            await heads.hold(db, identity_pool_id, [identity_id])
            await _drop(db, identity_id, device_id)
            return True

        return await self.database.write("delete_device", job)

    async def put_last_push(self, device: Device, last_push: LastPush) -> None:
        row = (device.identity_id, device.device_id, *astuple(last_push))
        async with self.database.session("put_last_push") as db:
            await db.run(SQL.put_last_push, *row)

    async def put_endpoint(self, device: Device, endpoint_arn: str) -> None:
        async with self.database.session("put_endpoint") as db:
            await db.run(
                SQL.put_endpoint, device.identity_id, device.device_id, endpoint_arn
            )

    async def disable_device(self, device: Device, endpoint_arn: str | None) -> bool:
        names = (device.identity_id, device.device_id)

        async def job(db: Session) -> bool:
            if not await db.run(SQL.disable_device, *names, endpoint_arn):
                return False
            await db.run(SQL.clear_pushes, *names)
            return True

        return await self.database.write("disable_device", job)

    async def put_subscription(self, dataset_id: DatasetId, device_id: str) -> bool:
        row = (*msgspec.structs.astuple(dataset_id), device_id)

        async def job(db: Session) -> bool:
            await heads.hold(db, row[0], [row[1]])
            if await db.value(SQL.is_subscribable, *row) is None:
                return False
            await db.run(SQL.put_subscription, *row)
            return True

        return await self.database.write("put_subscription", job)

    async def delete_subscription(self, dataset_id: DatasetId, device_id: str) -> bool:
        row = (*msgspec.structs.astuple(dataset_id), device_id)

        async def job(db: Session) -> bool:
            await heads.hold(db, row[0], [row[1]])
            if await db.value(SQL.is_subscribable, *row) is None:
                return False
            await db.run(SQL.delete_subscription, *row)
            push = (dataset_id.identity_id, device_id, dataset_id.dataset_name)
            await db.run(SQL.delete_push_of_dataset, *push)
            return True

        return await self.database.write("delete_subscription", job)

    async def list_pushes(self, *, now_ms: int, limit: int) -> list[Push]:
        due = await self.shards.look(_PUSHES_DUE, now_ms, limit)
        rows = pick(due, "due_ms", limit)
        # One node at a time sends them, or each would be sent by all.
        if not rows or not await self.leases.hold([PUSHES]):
            return []
        return [
            Push(
                device=_device(row),
                dataset_name=row["dataset_name"],
                sync_count=row["sync_count"],
                failures=row["failures"],
            )
            for row in rows
        ]

    async def delete_pushes(self, pushes: Sequence[Push]) -> None:
        rows = [(*_key(each), each.sync_count) for each in pushes]
        async with self.database.session("delete_pushes") as db:
            await db.run_many(SQL.delete_push, rows)

    async def defer_push(self, push: Push, *, due_ms: int) -> None:
        async with self.database.session("defer_push") as db:
            await db.run(SQL.defer_push, *_key(push), due_ms)

    async def count_pushes(self) -> int:
        # For people to look at: what is away is missing from the figure.
        return sum(count for (count,) in await self.shards.look(_PUSHES_COUNTED))


def _key(push: Push) -> tuple[str, str, str]:
    return push.device.identity_id, push.device.device_id, push.dataset_name


async def hand_over(db: Session, pool: str, loser: str, survivor: str) -> None:
    """
    Give the devices of a merged identity to the survivor.

    Where the survivor has registered the same app on the same device already, its
    registration stays and takes the subscriptions over.
    """
    for old, *names in await db.rows(SQL.list_devices, pool, loser):
        kept = await db.value(SQL.find_device_by_token, pool, survivor, *names)
        if kept is None:
            await db.run(SQL.copy_device, loser, old, survivor)
        else:
            await db.run(SQL.follow_device, survivor, old, kept)
            await db.run(SQL.clear_subscriptions_of_device, survivor, old)
        await db.run(SQL.follow_pushes, loser, old, survivor, kept or old)
        await _drop(db, loser, old)


async def follow(db: Session, move: DatasetMove) -> None:
    """
    Let the subscriptions of a dataset that changes hands keep its name.

    Where it is put beside one of that name, the app deals with the copy and deletes it;
    what it goes on with is the other one.
    """
    old = msgspec.structs.astuple(move.old)
    await db.run(SQL.follow_dataset, *old, move.new.identity_id)
    await db.run(SQL.clear_subscriptions, *old)


async def drop_all(db: Session, pool: str, identity_id: str) -> None:
    """Drop the devices of an identity, and what its datasets were subscribed to."""
    for device_id, *_ in await db.rows(SQL.list_devices, pool, identity_id):
        await _drop(db, identity_id, device_id)
    await db.run(SQL.clear_subscriptions_of_identity, pool, identity_id)


async def _drop(db: Session, identity_id: str, device_id: str) -> None:
    """Drop a device with all that belongs to it."""
    await db.run(SQL.clear_pushes, identity_id, device_id)
    await db.run(SQL.clear_subscriptions_of_device, identity_id, device_id)
    await db.run(SQL.delete_device, identity_id, device_id)


def _registered(
    row: Any, dataset_names: Sequence[str], waiting: int, failures: int
) -> RegisteredDevice:
    push_ms, push_error = row["last_push_ms"], row["last_push_error"]
    last_push = None if push_ms is None else LastPush(push_ms, push_error)
    names = tuple(dataset_names)
    return RegisteredDevice(_device(row), names, waiting, failures, last_push)


def _device(row: Any) -> Device:
    return Device(
        device_id=row["device_id"],
        identity_pool_id=row["identity_pool_id"],
        identity_id=row["identity_id"],
        platform=row["platform"],
        token=row["token"],
        registration_date_ms=row["registration_date_ms"],
        endpoint_arn=row["endpoint_arn"],
        disabled=row["disabled"],
    )
