"""What only signed calls can tell: the signature, the pool, its runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from millpond.cli.api.faults import PROGRAM
from millpond.cli.doctor import stream
from millpond.cli.doctor.check import Check, Steps, fail, ok, warn
from millpond.client.api.call import RefusedFault
from millpond.client.api.client import Client
from millpond.client.api.credentials import Credentials
from millpond.client.api.faults import Fault

_KEYS: Final = (
    f"On the server, `{PROGRAM} key list` lists the keys and `{PROGRAM} key create` "
    "makes one."
)
_TOKEN_CODES: Final = (
    *("ExpiredTokenException", "UnrecognizedClientException"),
    "InvalidClientTokenId",
)
_API: Final = f"{PROGRAM} cognito-sync"
_LIST: Final = (
    f"`{_API} list-identity-pool-usage` lists those that there are; name one of them."
)


def examine_signature(
    sync: Client, credentials: Credentials, region: str
) -> Steps[bool | None]:
    """Make a signed call that reads a little."""
    try:
        sync.call("list-identity-pool-usage", MaxResults=1)
    except RefusedFault as refusal:
        yield _explain_refusal(refusal, credentials, region)
        return None
    except Fault as fault:
        yield fail("signature", str(fault), "Try again; look into the server's log.")
        return None
    yield ok("signature", "Accepted, as a developer's.")
    return True


def _explain_refusal(
    refusal: RefusedFault, credentials: Credentials, region: str
) -> Check:
    code, message = refusal.error.code, refusal.error.message
    if credentials.token and code in _TOKEN_CODES:
        text = f"The session token is not good: {message}"
        mend = "Fetch new credentials; a session runs out. A developer's key has no "
        return fail("signature", text, f"{mend}token: unset AWS_SESSION_TOKEN")
    if code == "UnrecognizedClientException":
        text = f"The server does not know the access key {credentials.access_key}."
        return fail("signature", text, _KEYS)
    if code == "InvalidSignatureException" and "valid region" in message:
        return fail(
            "region",
            f"The server takes no signatures for {region}.",
            f"Use its own (there, `{PROGRAM} settings show region` tells it; ids of "
            "its pools begin with it), or let it take this one too: "
            f"MILLPOND_ACCEPTED_REGIONS='[\"{region}\"]' {PROGRAM} serve",
        )
    if code == "InvalidSignatureException" and "Signature" in message[:10]:
        return fail("clock", message, "Set both clocks by NTP.")
    if code == "InvalidSignatureException":
        return fail(
            "signature",
            f"The secret is not that of {credentials.access_key}, or somebody on the "
            "way changes requests.",
            _KEYS,
        )
    if code in ("NotAuthorizedException", "AccessDeniedException"):
        return warn(
            "signature",
            "Accepted, but these are not a developer's credentials; the pool cannot be "
            "looked at.",
            _KEYS,
        )
    return fail("signature", f"Refused: {code}: {message}", _KEYS)


def examine_pool(
    sync: Client,
    streaming: Client,
    kinesis: Client,
    pool_id: str,
    known: Sequence[str] = (),
) -> Steps[bool]:
    """
    Look at a pool, at where it streams to, and at its last bulk publish.

    Args:
        streaming: of the operations of our own that tell of streams.
        known: streams that the settings of the server name, the best first.
    Returns:
        Whether there is such a pool.
    """
    try:
        answer = sync.call("get-identity-pool-configuration", IdentityPoolId=pool_id)
    except RefusedFault as refusal:
        yield _explain_pool(refusal, pool_id)
        return False
    yield ok("identity pool", f"{pool_id} exists.")
    configured = answer.result.get("CognitoStreams") or {}
    yield from stream.examine(streaming, kinesis, pool_id, configured, known)
    details = sync.call("get-bulk-publish-details", IdentityPoolId=pool_id)
    yield _explain_run(details.result, pool_id)
    return True


def _explain_pool(refusal: RefusedFault, pool_id: str) -> Check:
    if refusal.error.code == "ResourceNotFoundException":
        return fail(
            "identity pool",
            f"There is no pool {pool_id}.",
            _LIST,
        )
    return fail("identity pool", refusal.error.message, _LIST)


def _explain_run(details: dict[str, Any], pool_id: str) -> Check:
    status = details.get("BulkPublishStatus")
    start = _iso(details.get("BulkPublishStartTime"))
    if status == "FAILED":
        return warn(
            "bulk publish",
            f"The last one, of {start}, failed: {details.get('FailureMessage', '')}",
            f"Mend that, then {_API} bulk-publish --identity-pool-id {pool_id}",
        )
    if status == "IN_PROGRESS":
        return ok("bulk publish", f"In progress since {start}.")
    if status == "SUCCEEDED":
        complete = _iso(details.get("BulkPublishCompleteTime"))
        return ok("bulk publish", f"The last one succeeded, {complete}.")
    return ok("bulk publish", "None was ever asked for.")


def _iso(epoch_s: float | None) -> str:
    if epoch_s is None:
        return "unknown time"
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(" ", "seconds")
