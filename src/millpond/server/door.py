"""The gateway and all that it needs, as every process that answers requests has it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, MutableSequence
from typing import TYPE_CHECKING, NamedTuple

from millpond.server.answer_streams import AnswerStreams
from millpond.server.answers import Answers
from millpond.server.connections import Connections
from millpond.server.gateway import AsgiApp, Elsewhere, Gateway
from millpond.server.live import LiveStreams
from millpond.server.peers import TrustedProxies
from millpond.server.rates import RateLimits
from millpond.server.subscriptions import SubscriptionStreams
from millpond.server.under_way import UnderWay
from millpond.service.context import Context
from millpond.service.credentials import CredentialFinder, Credentials
from millpond.service.developer_keys import KeyRing
from millpond.settings import Settings
from millpond.wire.sigv4.verifier import Verifier

if TYPE_CHECKING:
    from millpond.tracing.sdk import Tracing


class Door(NamedTuple):
    """What requests come in by."""

    gateway: Gateway
    end_streams: Callable[[], None]
    """Ends the answers that go on for as long as both sides want."""


def make_door(
    context: Context,
    keys: KeyRing,
    under_way: UnderWay,
    trusted: TrustedProxies,
    sockets: Connections,
    *,
    count_servers: Callable[[], int],
    cells: Mapping[str, MutableSequence[float]] | None,
    beside: AsgiApp,
    beside_paths: Iterable[str],
    console: AsgiApp | None = None,
    elsewhere: Elsewhere | None = None,
    tracing: Tracing | None = None,
) -> Door:
    """
    Put the gateway together.

    Args:
        count_servers: tells how many share the store, without asking it.
        cells: the tables of limits of rates, if other processes count in them, too.
        beside: serves `beside_paths`, and `/` to people.
        elsewhere: answers what this process does not; None: this one answers all.
        tracing: makes spans of requests; None: nobody asks for traces.
    """
    settings, metrics = context.settings, context.metrics
    credentials = CredentialFinder(
        keys, context.session_tokens, account_id=settings.account_id
    )
    find_credentials = credentials.find
    if context.signing_now_ms is not context.now_ms:
        # Credentials expire by the server's clock, whatever signatures go by.
        def find_credentials(
            access_key_id: str, session_token: str | None, now_s: float
        ) -> Credentials | None:
            return credentials.find(
                access_key_id, session_token, context.now_ms() / 1000
            )

    answers = Answers(settings, metrics, sockets, under_way)
    live = LiveStreams(
        settings,
        context.changes,
        metrics,
        AnswerStreams(under_way, sockets, answers),
    )
    subscriptions = SubscriptionStreams(
        context.subscriptions,
        metrics,
        AnswerStreams(under_way, sockets, answers),
        send_timeout_s=settings.answer_send_timeout_s,
    )
    gateway = _kind_of_gateway(settings, tracing)(
        context,
        Verifier(
            find_credentials=find_credentials,
            regions=settings.regions,
            window_s=settings.signature_window_s,
            explain=settings.explain_signatures,
        ),
        metrics,
        live,
        subscriptions,
        answers,
        under_way,
        trusted,
        RateLimits(settings, metrics, count_servers=count_servers, cells=cells),
        look_for_keys=keys.look_again,
        note_key_use=keys.note_use,
        beside=beside,
        beside_paths=beside_paths,
        console=console,
        elsewhere=elsewhere,
    )

    def end_streams() -> None:
        live.close()
        subscriptions.close()

    return Door(gateway, end_streams)


def _kind_of_gateway(
    settings: Settings, tracing: Tracing | None
) -> Callable[..., Gateway]:
    if tracing is None:
        return Gateway
    from millpond.server.traced import TracedGateway

    return functools.partial(TracedGateway, tracing, settings)
