"""
The composition root: the one place that knows everything and ties it together.

    folder, lock, secret -> store -> keys -> context -> gateway + pages -> socket
                                                     -> workers

Shutdown goes the other way: stop listening, let requests under way finish, stop the
workers, save the counts, close hooks and sinks, close the store (which finishes what it
has accepted). What was acknowledged is on disk already.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import os
import platform
import signal
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog

from millpond import __version__
from millpond.core.session_tokens import SessionTokens
from millpond.core.tokens import PageTokens, SyncSessions
from millpond.errors import SettingsError
from millpond.hooks import Hooks
from millpond.login_providers.keys import ProviderKeys
from millpond.push.sns import SnsPush
from millpond.server import certificates, garbage, neighbours, secret_key
from millpond.server.console import login_link
from millpond.server.ephemeral import MovableClock
from millpond.server.front import make_front
from millpond.server.gateway import Gateway
from millpond.server.importing import limits_of
from millpond.server.init_scripts import InitScripts
from millpond.server.listening import endpoint_of, hold_port, listen, with_address
from millpond.server.read_through import make_read_through
from millpond.server.sealers import hook_secret as hook_secret
from millpond.server.sealers import make_sealer, make_token_key_sealer
from millpond.server.stores import hold_store, kind_of, name_node, open_store
from millpond.service.calls import Calls
from millpond.service.changes import Changes
from millpond.service.context import Context, SinkOpener, system_now_ms
from millpond.service.developer_keys import (
    KeyRing,
    NewKey,
    SecretSealer,
    create_developer_key,
)
from millpond.service.sync_sessions import SyncSessionCounter
from millpond.service.token_keys import TokenKeyRing
from millpond.settings import Settings
from millpond.sinks import SinkRegistry, open_sink, sink_factories
from millpond.sinks.base import PayloadStore, Sink, sink_url
from millpond.sinks.embedded_payloads import EmbeddedPayloads
from millpond.sinks.s3_payloads import S3Payloads
from millpond.stores.base import Store
from millpond.workers import housekeeping
from millpond.workers.bulk_publish_runner import BulkPublishRunner
from millpond.workers.outbox_relay import OutboxRelay
from millpond.workers.push_sender import PushSender

if TYPE_CHECKING:
    from millpond.hooks.base import Hook
    from millpond.push.base import PushService
    from millpond.server.readers.intake import Intake
    from millpond.sinks import SinkFactory
    from millpond.tracing.sdk import Tracing

_log = structlog.get_logger()
Work = Coroutine[Any, Any, None]

FIRST_KEY_NAME: Final = "first"
_LEAVE_S: Final = 2.0  # for readers to leave, when their own time is over
WORKERS_S_MAX: Final = 20.0  # to end; a disk or a driver may hold one up


@dataclasses.dataclass(frozen=True)
class Started:
    """What `serve` tells whoever started it."""

    endpoint: str
    first_key: NewKey | None
    console_link: str = ""
    """Logs in once; empty: there is no console, or not for this machine alone."""


def make_context(
    settings: Settings, store: Store, tracing: Tracing | None = None
) -> Context:
    """Put together what the service works with."""
    master = secret_key.load(settings.data, settings.secret_key)
    now_ms = MovableClock() if settings.ephemeral else system_now_ms
    return Context(
        now_ms=now_ms,
        signing_now_ms=system_now_ms,
        calls=Calls() if settings.ephemeral else None,
        store=store,
        settings=settings,
        sessions=SyncSessions(
            secret_key.derive(master, "sync sessions"),
            lifetime_ms=settings.sync_session_lifetime_s * 1000,
            random_bytes=os.urandom,
        ),
        pages=PageTokens(secret_key.derive(master, "page tokens")),
        sync_sessions=SyncSessionCounter(store),
        session_tokens=SessionTokens(
            secret_key.derive(master, "session tokens"),
            random_bytes=os.urandom,
        ),
        token_keys=TokenKeyRing(
            store,
            make_token_key_sealer(settings),
            region=settings.region,
            now_ms=now_ms,
        ),
        provider_keys=ProviderKeys(settings.login_providers),
        hooks=_make_hooks(settings, tracing),
        payloads=_make_payloads(settings, store, now_ms),
        open_sink=_sink_opener(settings, store, now_ms),
        push=_make_push(settings, tracing),
        payload_secret=secret_key.derive(master, "stream payloads"),
        limits=limits_of(settings),
        read_through=make_read_through(settings, store),
        changes=Changes(
            listeners_max=settings.live_listeners_max,
            listeners_per_identity_max=settings.live_listeners_per_identity_max,
        ),
    )


def _make_hooks(settings: Settings, tracing: Tracing | None) -> Hook:
    secret = hook_secret(settings).encode()
    if tracing is None:
        return Hooks(settings, secret=secret)
    from millpond.tracing import ports

    hooks = Hooks(
        settings, secret=secret, around=lambda post: ports.traced_post(tracing, post)
    )
    return ports.TracedHook(tracing, hooks)


def _make_push(settings: Settings, tracing: Tracing | None) -> PushService:
    if tracing is None:
        return SnsPush(settings)
    from millpond.tracing import ports

    return ports.TracedPush(tracing, SnsPush(settings))


def _sink_opener(
    settings: Settings, store: Store, now_ms: Callable[[], int]
) -> SinkOpener:
    """Make what opens a stream as the workers do, beside their own."""
    factories = sink_factories(store=store, now_ms=now_ms)

    async def open_one(stream_name: str, role_arn: str | None) -> Sink:
        url = sink_url(settings.streams, stream_name)
        return await open_sink(url, factories, role_arn)

    return open_one


def _make_payloads(
    settings: Settings, store: Store, now_ms: Callable[[], int]
) -> PayloadStore:
    """Make where large stream records go."""
    if not settings.stream_payload_store:
        return EmbeddedPayloads(store, public_url=settings.public_url, now_ms=now_ms)
    try:
        return S3Payloads(settings.stream_payload_store)
    except SettingsError as error:
        raise SettingsError(f"Setting 'stream_payload_store': {error}") from error


async def serve(
    settings: Settings,
    started: Callable[[Started], None],
    *,
    origins: Mapping[str, str] | None = None,
    intake: Intake | None = None,
    tracing: Tracing | None = None,
    is_first: bool = True,
) -> None:
    """
    Run the server until SIGTERM or SIGINT.

    Args:
        origins: where each setting that is not at its default comes from.
        started: called once, when requests are answered.
        intake: of the writer behind readers, whose port is held for them; None: the
            server has the port itself.
        tracing: makes spans of what is done; None: nobody asks for traces.
        is_first: what is done once at each start of a server is done; no writer that
            takes the place of another does it again.
    Raises:
        StoreError: the store cannot be opened, or another server holds it.
        SettingsError: a setting turns out to be wrong, or the address is taken.
    """
    with contextlib.ExitStack() as held:
        tell = held.enter_context(hold_store(settings))
        if intake is None:
            port = held.enter_context(hold_port(settings))
            settings = with_address(settings, port)
        tell(endpoint_of(settings))
        async with open_store(settings, tracing) as store:
            sealer = make_sealer(settings)
            first_key = await _first_key(store, sealer)
            keys = KeyRing(store, sealer)
            await keys.refresh()
            keys.check()
            known_keys = await store.list_developer_keys()
            context = make_context(settings, store, tracing)
            await context.token_keys.look_again()
            context.token_keys.check()

            def begin() -> None:
                endpoint, link = endpoint_of(settings), login_link(context, known_keys)
                started(Started(endpoint, first_key, link))
                event = "server.started" if intake is None else "writer.started"
                _log.info(event, endpoint=endpoint, version=__version__)

            await _run(
                context,
                keys,
                begin,
                origins or {},
                intake,
                tracing,
                is_first=is_first,
            )
    _log.info("server.stopped")


async def _run(
    context: Context,
    keys: KeyRing,
    started: Callable[[], None],
    origins: Mapping[str, str],
    intake: Intake | None,
    tracing: Tracing | None,
    *,
    is_first: bool,
) -> None:
    settings = context.settings
    await neighbours.join(context)
    metrics = context.metrics
    metrics.build_info.labels(
        __version__, platform.python_version(), kind_of(settings)
    ).set(1)
    certificates.watch(settings, metrics.certificate_end)
    sinks = _make_sinks(context, tracing)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    front = make_front(
        context, keys, origins, intake, tracing, sinks=sinks, stopping=stopping
    )
    work = [
        *_list_rounds(context, keys),
        front.sockets.watch(),
        *([front.console.history.run()] if front.console else []),
        *_list_senders(context, sinks, tracing),
    ]
    if settings.init_folder and is_first:
        work.append(InitScripts(context, keys, stopping).run())
    workers = [asyncio.create_task(each) for each in work]
    for worker in workers:
        worker.add_done_callback(_note_end)
    garbage.look_rarely()
    listens = listen if intake is None else functools.partial(_take_in, intake)
    try:
        await listens(
            front.door.gateway, settings, stopping, started, front.end_streams
        )
    finally:
        await _stop(context, keys, workers)
        await sinks.aclose()
        if context.push is not None:
            await context.push.aclose()


def _list_rounds(context: Context, keys: KeyRing) -> list[Work]:
    """List what is looked after for as long as the server runs."""
    token_keys, metrics = context.token_keys, context.metrics
    return [
        housekeeping.watch_keys(context, "key watch", keys.refresh),
        housekeeping.watch_keys(context, "token key watch", token_keys.look_again),
        housekeeping.watch_deletions(context),
        housekeeping.save_key_uses(context, keys),
        housekeeping.save_audit(context),
        housekeeping.trim_audit(context),
        housekeeping.save_sync_sessions(context),
        housekeeping.purge(context),
        housekeeping.expire_tombstones(context),
        housekeeping.take_census(context, metrics),
        housekeeping.expire_guests(context, metrics),
    ]


def _list_senders(
    context: Context, sinks: SinkRegistry, tracing: Tracing | None
) -> list[Work]:
    """List what brings changes out: to streams, and to devices."""
    make_relay, make_sender, make_runner = _kinds_of_workers(tracing)
    node, metrics = name_node(context.store), context.metrics
    return [
        make_relay(context, sinks, metrics).run(),
        make_sender(context, context.push, metrics).run(),
        *(
            make_runner(context, sinks, metrics, worker=f"{node}-{n}").run()
            for n in range(context.settings.bulk_publish_workers)
        ),
    ]


async def _stop(
    context: Context, keys: KeyRing, workers: list[asyncio.Task[None]]
) -> None:
    """Stop the workers, save the counts, let go of what is outside."""
    for worker in workers:
        worker.cancel()
    # What they leave undone is done after the next start.
    _, stuck = await asyncio.wait(workers, timeout=WORKERS_S_MAX)
    if stuck:
        _log.error("server.workers_stuck", workers=len(stuck))
    await context.sync_sessions.save()
    await housekeeping.save_last_words(context, keys)
    await context.hooks.aclose()
    await context.payloads.aclose()
    if context.read_through is not None:
        await context.read_through.aclose()


def _make_sinks(context: Context, tracing: Tracing | None) -> SinkRegistry:
    factories = sink_factories(
        store=context.store,
        now_ms=context.now_ms,
        appended=context.subscriptions.wake,
        retention_ms=context.settings.stream_retention_s * 1000,
    )
    return SinkRegistry(context.settings.streams, _trace_sinks(tracing, factories))


def _trace_sinks(
    tracing: Tracing | None, factories: Mapping[str, SinkFactory]
) -> Mapping[str, SinkFactory]:
    if tracing is None:
        return factories
    from millpond.tracing import ports

    return ports.sink_factories(tracing, factories)


def _kinds_of_workers(
    tracing: Tracing | None,
) -> tuple[Callable[..., OutboxRelay], Callable[..., PushSender], Callable[..., Any]]:
    if tracing is None:
        return OutboxRelay, PushSender, BulkPublishRunner
    from millpond.server import traced

    return (
        functools.partial(traced.TracedOutboxRelay, tracing),
        functools.partial(traced.TracedPushSender, tracing),
        functools.partial(traced.TracedBulkPublishRunner, tracing),
    )


def _note_end(worker: asyncio.Task[None]) -> None:
    """Tell of a worker that ended by itself; its loop should never let it."""
    if not worker.cancelled() and (error := worker.exception()) is not None:
        _log.error("worker.failed", error=str(error), exc_info=error)


async def _take_in(
    intake: Intake,
    gateway: Gateway,
    settings: Settings,
    stopping: asyncio.Event,
    started: Callable[[], None],
    end_streams: Callable[[], None],
) -> None:
    """As `listen`, for the writer behind readers, which have the port."""
    await intake.open(gateway)
    started()
    await stopping.wait()
    _log.info("server.stopping", drain_s=settings.drain_s)
    end_streams()
    await intake.close(settings.drain_s + _LEAVE_S)


async def _first_key(store: Store, sealer: SecretSealer) -> NewKey | None:
    """Make a developer key when there is none, so that a new server can be used."""
    if await store.list_developer_keys():
        return None
    return await create_developer_key(
        store,
        sealer,
        name=FIRST_KEY_NAME,
        now_ms=system_now_ms(),
        random_bytes=os.urandom,
    )
