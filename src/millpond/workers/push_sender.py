"""
The push sender: pushes, from the store to the push service.

Theory of operation
-------------------
An update of a dataset left a push for each subscribed device, in its own transaction.
The sender takes those that are due, sends them, a few devices at a time, and deletes
what the service has taken. When it dies between the two, they are sent again: at least
once. What fails is due again after a growing pause, each push for itself, so that one
pool's trouble holds up no other; meanwhile a newer change of the dataset takes the
place of the older in it.

A device is made known to the service before its first push. One that the service has
given up is disabled and left alone until it registers again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog

from millpond.core.push import (
    Device,
    LastPush,
    Push,
    failed_push,
    find_application,
    message,
)
from millpond.errors import EndpointGoneError, StoreError
from millpond.metrics import Metrics
from millpond.push.base import PushService
from millpond.service.context import Context
from millpond.service.pushes import find_endpoint
from millpond.workers.loop import Backoff, pause_s_max, run_steps

_log = structlog.get_logger()

PAUSE_S: Final = 1.0  # an update wakes the sender; this is for what waits for a retry
PUSHES_MAX: Final = 64  # per step
DEVICES_AT_ONCE: Final = 8
_BACKOFF: Final = Backoff(1.0, 300.0)


class PushSender:
    """Sends what waits for devices."""

    def __init__(
        self, context: Context, service: PushService, metrics: Metrics
    ) -> None:
        self._context = context
        self._service = service
        self._metrics = metrics
        self._retrying_until_s = 0.0  # by the monotonic clock

    async def run(self) -> None:
        """Send until cancelled."""
        await run_steps(
            "push sender",
            self.step,
            pause_s=PAUSE_S,
            pause_s_max=pause_s_max(self._context, PAUSE_S),
            hurry=lambda: time.monotonic() < self._retrying_until_s,
            wake=self._context.pushes_changed,
        )

    async def step(self) -> bool:
        """Try some of the pushes that are due; say whether there were any."""
        pushes = await self._context.store.list_pushes(
            now_ms=self._context.now_ms(), limit=PUSHES_MAX
        )
        by_device: dict[str, list[Push]] = {}
        for push in pushes:
            by_device.setdefault(push.device.device_id, []).append(push)
        few = asyncio.Semaphore(DEVICES_AT_ONCE)

        async def send(waiting: list[Push]) -> None:
            async with few:
                await self._send(waiting[0].device, waiting)

        # One device's failure must not stop the others half-way.
        ended = await asyncio.gather(
            *(send(each) for each in by_device.values()), return_exceptions=True
        )
        for error in ended:
            if error is not None:
                raise error
        return bool(pushes)

    async def _send(self, device: Device, waiting: list[Push]) -> None:
        """Send what waits for a device, one after the other, until something fails."""
        endpoint_arn = device.endpoint_arn
        try:
            pool = await self._context.store.find_identity_pool(device.identity_pool_id)
            application_arn = find_application(pool, device.platform) if pool else None
            if pool is None or pool.push is None or application_arn is None:
                await self._drop(device, waiting)
                return
            role_arn = pool.push.role_arn
            endpoint_arn = await find_endpoint(
                self._context, self._service, device, application_arn, role_arn
            )
            while waiting:
                await self._service.publish(
                    endpoint_arn, message(waiting[0]), role_arn=role_arn
                )
                await self._context.store.delete_pushes([waiting.pop(0)])
                self._metrics.pushes.labels("sent").inc()
            sent = LastPush(self._context.now_ms())
            await self._context.store.put_last_push(device, sent)
        except StoreError:
            raise  # what was not deleted is sent again
        except EndpointGoneError as error:
            await self._disable(device, endpoint_arn, error)
        except Exception as error:  # must not hold up other devices
            await self._defer(device, waiting, error)

    async def _drop(self, device: Device, waiting: Sequence[Push]) -> None:
        """Drop what nobody can send: the pool has no application for it any more."""
        await self._context.store.delete_pushes(waiting)
        await self._keep(
            device, f"The pool has no push application for {device.platform}."
        )
        self._metrics.pushes.labels("dropped").inc(len(waiting))
        _log.warning("push.dropped", platform=device.platform, **_names(device))

    async def _disable(
        self, device: Device, endpoint_arn: str | None, error: EndpointGoneError
    ) -> None:
        """Leave a device alone, unless it has registered again meanwhile."""
        disabled = await self._context.store.disable_device(device, endpoint_arn)
        if disabled:
            await self._keep(device, error)
            self._metrics.pushes.labels("disabled").inc()
            _log.info("push.device_disabled", error=str(error), **_names(device))

    async def _defer(
        self, device: Device, waiting: Sequence[Push], error: Exception
    ) -> None:
        for push in waiting:
            delay_s = _BACKOFF.delay_s(push.failures + 1)
            until_s = time.monotonic() + delay_s + PAUSE_S
            self._retrying_until_s = max(self._retrying_until_s, until_s)
            due_ms = self._context.now_ms() + round(delay_s * 1000)
            await self._context.store.defer_push(push, due_ms=due_ms)
        await self._keep(device, error)
        self._metrics.pushes.labels("failed").inc(len(waiting))
        _log.warning(
            "push.failed",
            failures=waiting[0].failures + 1,
            error=str(error),
            **_names(device),
        )

    async def _keep(self, device: Device, error: object) -> None:
        """Keep why a push failed, for whoever looks at the device."""
        failed = failed_push(device, self._context.now_ms(), error)
        await self._context.store.put_last_push(device, failed)


def _names(device: Device) -> dict[str, str]:
    return {
        "identity_pool_id": device.identity_pool_id,
        "device_id": device.device_id,
    }
