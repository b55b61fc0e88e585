"""The stream of a pool: whether it is there, and whether changes get through to it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, Final

from millpond.cli.api.faults import PROGRAM
from millpond.cli.doctor.check import Check, Steps, fail, ok, warn
from millpond.client.api.call import RefusedFault
from millpond.client.api.client import Client

_API: Final = f"{PROGRAM} cognito-sync"
_EMBEDDED: Final = "embedded"
_EXAMPLE: Final = "changes"
_LAG_S_MAX: Final = 60  # a change that has waited for longer is worth a word


def examine(
    streaming: Client,
    kinesis: Client,
    pool_id: str,
    configured: dict[str, Any],
    known: Sequence[str],
) -> Steps[None]:
    """
    Look at the stream of a pool and at what waits for it.

    Args:
        configured: CognitoStreams of the pool.
        known: streams that the settings of the server name.
    """
    name = configured.get("StreamName")
    if not name:
        yield warn(
            "stream",
            "None is configured: changes go nowhere, and a bulk publish is refused.",
            _how_to_stream(pool_id, known),
        )
        return
    details = _details(streaming, pool_id)
    if configured.get("StreamingStatus") != "ENABLED":
        yield _explain_disabled(details, pool_id, name)
    scheme = details.get("SinkScheme", _EMBEDDED)
    if scheme == _EMBEDDED:
        yield _examine_embedded(kinesis, name, known)
    else:
        yield ok("stream", f"{name} is behind {scheme}, by the server's settings.")
    if details:
        yield _explain_outbox(details, pool_id)


def _how_to_stream(pool_id: str, known: Sequence[str]) -> str:
    """Say how a pool gets a stream: one that the server knows, or else a new one."""
    name = known[0] if known else _EXAMPLE
    members = shlex.quote(f"StreamName={name},StreamingStatus=ENABLED")
    configure = (
        f"`{_API} set-identity-pool-configuration --identity-pool-id {pool_id} "
        f"--cognito-streams {members}`"
    )
    return configure if known else f"{_create(name)}, then {configure}"


def _create(name: str) -> str:
    """Give the command that makes an embedded stream, from here."""
    return (
        f"`{PROGRAM} kinesis create-stream --stream-name {shlex.quote(name)} "
        "--shard-count 1`"
    )


def _details(streaming: Client, pool_id: str) -> dict[str, Any]:
    """Ask how the stream fares; an older server cannot tell."""
    try:
        answer = streaming.call("get-stream-details", IdentityPoolId=pool_id)
    except RefusedFault as refusal:
        if refusal.error.code == "UnknownOperationException":
            return {}
        raise
    return dict(answer.result)


def _explain_disabled(details: dict[str, Any], pool_id: str, name: str) -> Check:
    text = f"{name} is configured, but disabled: changes go nowhere, and a bulk "
    text += "publish is refused."
    if "DisabledReason" in details:
        text += f" The server switched it off: {details['DisabledReason']}"
    return warn(
        "stream",
        text,
        f"{_API} set-identity-pool-configuration --identity-pool-id {pool_id} "
        "--cognito-streams StreamingStatus=ENABLED",
    )


def _examine_embedded(kinesis: Client, name: str, known: Sequence[str]) -> Check:
    try:
        answer = kinesis.call("describe-stream-summary", StreamName=name)
    except RefusedFault as refusal:
        if refusal.error.code == "ResourceNotFoundException":
            if name in known:  # by the server, which has opened what it stands for
                return ok(
                    "stream",
                    f"{name} is an embedded stream by the server's settings; see "
                    f"stream {name}.",
                )
            return fail(
                "stream",
                f"The server has no stream {name}.",
                f"{_create(name)} (on the server, `{PROGRAM} stream create {name}`), "
                "or say in its setting `streams` where it is.",
            )
        return warn(
            "stream",
            f"{name} cannot be looked at: {refusal.error.message}",
            "Look into the log of the server.",
        )
    summary = answer.result.get("StreamDescriptionSummary", {})
    status = summary.get("StreamStatus", "there")
    return ok(
        "stream",
        f"{name} is {status}, shards: {summary.get('OpenShardCount')}. Consumers read "
        "it here with the Kinesis API, in JSON or CBOR, over HTTP/1.1 or HTTP/2.",
    )


def _explain_outbox(details: dict[str, Any], pool_id: str) -> Check:
    waiting = details.get("OutboxEntryCount", 0)
    parked = details.get("ParkedEntryCount", 0)
    age_s = details.get("OldestEntryAgeSeconds", 0)
    text = f"Changes that wait: {waiting}"
    text += f", the oldest for {age_s} s." if waiting else "."
    if parked:
        return warn(
            "outbox",
            f"{text} Parked, because the stream refuses them: {parked}.",
            f"On the server, `{PROGRAM} outbox list --identity-pool-id {pool_id}` says "
            "why.",
        )
    if age_s > _LAG_S_MAX:
        return warn("outbox", text, "Look into the log of the server: outbox.failed.")
    return ok("outbox", text)
