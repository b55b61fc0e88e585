"""The push sender: at least once, to whom it concerns, and never in the way."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from millpond import limits
from millpond.core.identities import IdentityChanges, new_identity
from millpond.core.identity_pools import PushConfiguration
from millpond.core.push import Device, LastPush
from millpond.core.sync import DatasetId
from millpond.errors import EndpointGoneError, PushError
from millpond.workers import push_sender
from millpond.workers.push_sender import PushSender

from .conftest import POOL, Run, World

ONE = "us-east-1:1"
GCM = "arn:aws:sns:us-east-1:123456789012:app/GCM/players"
OTHER_GCM = "arn:aws:sns:us-east-1:123456789012:app/GCM/others"
ROLE_ARN = "arn:aws:iam::123456789012:role/push"


class ScriptedPush:
    """
    A push service that keeps what it takes, and fails as its script says.

    Each call consumes one entry of the script: an exception is raised; None succeeds.
    """

    def __init__(self, *script: Exception | None) -> None:
        self.script = list(script)
        self.created: list[tuple[str, str]] = []  # application, token
        self.taken: list[tuple[str, str, int]] = []  # endpoint, dataset, sync count
        self.roles: set[str | None] = set()
        self.under_way = 0
        self.most_at_once = 0
        self.before_answer: Callable[[], Awaitable[None]] | None = None

    async def create_endpoint(
        self, application_arn: str, token: str, *, role_arn: str | None
    ) -> str:
        """Make an endpoint whose name ends in the token."""
        await self._play(role_arn)
        self.created.append((application_arn, token))
        return f"{application_arn.replace(':app/', ':endpoint/')}/{token}"

    async def check_application(
        self, application_arn: str, *, role_arn: str | None
    ) -> None:
        """Have any application."""

    async def publish(
        self, endpoint_arn: str, message: str, *, role_arn: str | None
    ) -> None:
        """Take a message."""
        await self._play(role_arn)
        data = json.loads(json.loads(message)["GCM"])["data"]
        place = endpoint_arn.rpartition("/")[2]
        self.taken.append((place, data["datasetName"], int(data["syncCount"])))

    async def aclose(self) -> None:
        """Nothing to let go of."""

    async def _play(self, role_arn: str | None) -> None:
        self.roles.add(role_arn)
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if self.before_answer is not None:
            await self.before_answer()
        trouble = self.script.pop(0) if self.script else None
        if trouble is not None:
            raise trouble


async def configure(world: World, *application_arns: str) -> None:
    """Set the push applications of the pool."""
    push = PushConfiguration(application_arns=list(application_arns), role_arn=ROLE_ARN)
    await world.context.store.update_identity_pool(
        POOL, lambda pool: msgspec.structs.replace(pool, push=push)
    )


async def register(world: World, *names: str) -> None:
    """Register devices whose token is their id."""
    for name in names:
        device = Device(
            device_id=name,
            identity_pool_id=POOL,
            identity_id=ONE,
            platform="GCM",
            token=name,
            registration_date_ms=1,
        )
        assert await world.context.store.put_device(device, devices_max=99) == name


async def set_up(
    world: World, names: Sequence[str] = ("d1",), datasets: Sequence[str] = ("prefs",)
) -> None:
    """Make an identity whose devices are subscribed to its datasets."""
    await configure(world, GCM)
    identity = new_identity(POOL, ONE, 1)
    await world.context.store.update_identities(
        POOL,
        identity_ids=[ONE],
        logins=[],
        decide=lambda stored: IdentityChanges(identity, [identity]),
    )
    await register(world, *names)
    for dataset in datasets:
        await world.write(ONE, dataset, "made")
        for name in names:
            assert await world.context.store.put_subscription(
                DatasetId(POOL, ONE, dataset), name
            )


def sender_of(world: World, push: ScriptedPush) -> PushSender:
    return PushSender(world.context, push, world.metrics)


def counted(world: World, outcome: str) -> float:
    found = world.metrics.registry.get_sample_value(
        "millpond_pushes_total", {"outcome": outcome}
    )
    return found or 0.0


def test_a_change_is_sent_once(run: Run) -> None:
    """The device is made known, told, and then left in peace."""

    async def test(world: World) -> None:
        push = ScriptedPush()
        sender = sender_of(world, push)
        await set_up(world)
        assert not await sender.step()
        await world.write(ONE, "prefs", "k")

        assert await sender.step()
        assert push.created == [(GCM, "d1")]
        assert push.taken == [("d1", "prefs", 2)]
        assert push.roles == {ROLE_ARN}
        assert not await sender.step()
        assert await world.context.store.count_pushes() == 0
        assert counted(world, "sent") == 1

    run(test)


def test_an_update_wakes_the_sender(run: Run) -> None:
    """The sender need not look again and again: a change calls it."""

    async def test(world: World) -> None:
        calls: list[None] = []
        await set_up(world)
        world.context.pushes_changed.listen(lambda: calls.append(None))
        await world.write(ONE, "other", "k")
        assert not calls
        await world.write(ONE, "prefs", "k")
        assert len(calls) == 1

    run(test)


def test_a_device_is_made_known_once(run: Run) -> None:
    """Its endpoint is kept for the next push, until another application sends."""

    async def test(world: World) -> None:
        push = ScriptedPush()
        sender = sender_of(world, push)
        await set_up(world, datasets=["prefs", "notes"])
        for dataset in ("prefs", "notes", "prefs"):
            await world.write(ONE, dataset, "k")
        await sender.step()
        await world.write(ONE, "prefs", "k")
        await sender.step()
        assert push.created == [(GCM, "d1")]
        await configure(world, OTHER_GCM)
        await world.write(ONE, "prefs", "k")
        await sender.step()

        assert push.created == [(GCM, "d1"), (OTHER_GCM, "d1")]
        counts = [count for _, _, count in push.taken]
        # Whether two were written in the same millisecond is up to the machine.
        assert (sorted(counts[:2]), counts[2:]) == ([2, 3], [4, 5])

    run(test)


def test_what_fails_is_sent_again_with_the_newest_count(run: Run) -> None:
    """Nothing is lost while the service is down, and what is old is not sent."""

    async def test(world: World) -> None:
        down = PushError("down")
        push = ScriptedPush(down, None, down)
        sender = sender_of(world, push)
        await set_up(world)
        await world.write(ONE, "prefs", "k")
        await sender.step()  # no endpoint
        await world.write(ONE, "prefs", "k")
        await sender.step()  # an endpoint, and no message
        await world.write(ONE, "prefs", "k")
        await sender.step()

        assert push.taken == [("d1", "prefs", 4)]
        assert (counted(world, "failed"), counted(world, "sent")) == (2, 1)

    run(test)


def test_a_change_during_the_sending_is_sent_as_well(run: Run) -> None:
    """A push that was overtaken on its way is followed by the newer one."""

    async def test(world: World) -> None:
        push = ScriptedPush()
        sender = sender_of(world, push)
        await set_up(world)
        await world.write(ONE, "prefs", "k")

        async def write_again() -> None:
            push.before_answer = None
            await world.write(ONE, "prefs", "k")

        push.before_answer = write_again
        await sender.step()
        await sender.step()

        assert push.taken == [("d1", "prefs", 2), ("d1", "prefs", 3)]
        assert not await sender.step()

    run(test)


def test_a_device_that_fails_holds_up_no_other(run: Run) -> None:
    """The others are told in the same go, a few at a time."""
    names = [f"d{number:02}" for number in range(30)]

    async def test(world: World) -> None:
        push = ScriptedPush(PushError("this one"), ValueError("a surprise"))
        await set_up(world, names)
        await world.write(ONE, "prefs", "k")
        await sender_of(world, push).step()

        assert len(push.taken) == 28
        assert 1 < push.most_at_once <= push_sender.DEVICES_AT_ONCE
        assert await world.context.store.count_pushes() == 2

    run(test)


def test_a_device_that_is_gone_is_left_alone(run: Run) -> None:
    """It is not tried again, for no dataset, until it registers again."""

    async def test(world: World) -> None:
        push = ScriptedPush(None, EndpointGoneError("disabled"))
        sender = sender_of(world, push)
        await set_up(world, datasets=["prefs", "notes"])
        await world.write(ONE, "prefs", "k")
        await world.write(ONE, "notes", "k")
        await sender.step()
        await world.write(ONE, "prefs", "k")
        assert not await sender.step()
        assert push.taken == []
        assert (counted(world, "disabled"), counted(world, "failed")) == (1, 0)

        await register(world, "d1")
        await world.write(ONE, "prefs", "k")
        await sender.step()
        assert push.created == [(GCM, "d1")] * 2
        assert push.taken == [("d1", "prefs", 4)]

    run(test)


def test_a_token_that_is_no_good_disables_the_device(run: Run) -> None:
    """An endpoint that cannot be made is as good as one that is gone."""

    async def test(world: World) -> None:
        push = ScriptedPush(EndpointGoneError("bad token"))
        await set_up(world)
        await world.write(ONE, "prefs", "k")
        await sender_of(world, push).step()

        device = await world.context.store.find_device(ONE, "d1")
        assert device is not None
        assert device.disabled
        assert await world.context.store.count_pushes() == 0

    run(test)


def test_a_device_that_registers_meanwhile_stays_enabled(run: Run) -> None:
    """What was said of its earlier endpoint does not count any more."""

    async def test(world: World) -> None:
        push = ScriptedPush()
        sender = sender_of(world, push)
        await set_up(world)
        await world.write(ONE, "prefs", "k")
        await sender.step()
        await world.write(ONE, "prefs", "k")
        push.script = [EndpointGoneError("disabled")]

        async def register_again() -> None:
            push.before_answer = None
            await register(world, "d1")

        push.before_answer = register_again
        await sender.step()
        await sender.step()

        assert [count for _, _, count in push.taken] == [2, 3]

    run(test)


def test_without_an_application_pushes_are_dropped(run: Run) -> None:
    """A pool that has given push up does not collect them for ever."""

    async def test(world: World) -> None:
        push = ScriptedPush()
        await set_up(world)
        await world.write(ONE, "prefs", "k")
        await configure(world)
        await sender_of(world, push).step()

        assert (push.created, push.taken) == ([], [])
        assert await world.context.store.count_pushes() == 0
        assert counted(world, "dropped") == 1

    run(test)


def test_how_the_last_push_went_is_kept(run: Run) -> None:
    """When it was tried and why it failed, without the token that the error repeats."""

    async def test(world: World) -> None:
        async def last() -> LastPush | None:
            found = await world.context.store.list_devices(
                POOL, ONE, after=None, limit=9
            )
            assert found is not None
            return found[0].last_push

        push = ScriptedPush(None, PushError(f"{'t' * 64} is no \0good " + "x" * 999))
        sender = sender_of(world, push)
        await set_up(world, names=["t" * 64])
        await world.write(ONE, "prefs", "k")
        await sender.step()
        failed = await last()
        assert failed is not None
        assert failed.error is not None
        assert failed.error.startswith("tttttttt is no good xx")
        assert len(failed.error) == limits.PUSH_ERROR_CHARS_MAX

        await sender.step()
        sent = await last()
        assert sent is not None
        assert sent.error is None
        assert sent.date_ms >= failed.date_ms

        push.script = [EndpointGoneError("disabled")]
        await world.write(ONE, "prefs", "k")
        await sender.step()
        gone = await last()
        assert gone is not None
        assert gone.error == "disabled"

        await register(world, "t" * 64)
        await world.write(ONE, "prefs", "k")
        await configure(world)
        await sender.step()
        dropped = await last()
        assert dropped is not None
        assert "no push application for GCM" in (dropped.error or "")

    run(test)


def test_a_batch_is_bounded(run: Run) -> None:
    """A step takes only so many; the next one goes on."""
    names = [f"d{number:03}" for number in range(push_sender.PUSHES_MAX + 5)]

    async def test(world: World) -> None:
        push = ScriptedPush()
        sender = sender_of(world, push)
        await set_up(world, names)
        await world.write(ONE, "prefs", "k")
        await sender.step()
        assert len(push.taken) == push_sender.PUSHES_MAX
        await sender.step()

        assert sorted(name for name, _, _ in push.taken) == names

    run(test)
