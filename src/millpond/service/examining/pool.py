"""ExamineIdentityPool, GetIdentityPoolDetails: what one pool calls."""

from __future__ import annotations

from collections.abc import Iterator

from millpond.contract.examination import (
    ExamineIdentityPoolRequest,
    ExamineIdentityPoolResponse,
    Finding,
    GetIdentityPoolDetailsRequest,
    GetIdentityPoolDetailsResponse,
    SyncTriggerDetails,
)
from millpond.core.identity_pools import IdentityPool, StreamConfiguration, provider_of
from millpond.service.configuration import get_pool
from millpond.service.context import Caller, Context
from millpond.service.examining import login_providers, push, streams, trigger
from millpond.service.examining.looks import Look, take, warn
from millpond.service.times import epoch_seconds
from millpond.sinks.base import is_embedded


async def examine_identity_pool(
    context: Context, caller: Caller, request: ExamineIdentityPoolRequest
) -> ExamineIdentityPoolResponse:
    """Call, open and fetch what the pool names."""
    pool = await get_pool(context, request.identity_pool_id)
    return ExamineIdentityPoolResponse(
        identity_pool_id=pool.identity_pool_id,
        findings=await take(_looks(context, pool)),
    )


async def get_identity_pool_details(
    context: Context, caller: Caller, request: GetIdentityPoolDetailsRequest
) -> GetIdentityPoolDetailsResponse:
    """Tell what was noted of the sync trigger."""
    pool = await get_pool(context, request.identity_pool_id)
    details = None
    if pool.sync_trigger is not None:
        note = context.trigger_notes.find(pool.identity_pool_id, pool.sync_trigger)
        details = SyncTriggerDetails(
            target=note.target,
            call_count=note.calls,
            failure_count=note.failures,
            last_success_date=epoch_seconds(note.answered_ms),
            last_failure_date=epoch_seconds(note.failed_ms),
            last_failure=note.failure or None,
            mend=note.hint or None,
        )
    return GetIdentityPoolDetailsResponse(
        identity_pool_id=pool.identity_pool_id, sync_trigger=details
    )


def _looks(context: Context, pool: IdentityPool) -> Iterator[Look]:
    pool_id = pool.identity_pool_id
    if pool.sync_trigger is not None:
        yield trigger.look(context, pool_id, pool.sync_trigger)
    stream = pool.stream or StreamConfiguration()
    name, settings = stream.stream_name, context.settings
    # What is embedded is told by the Kinesis API, to anybody who asks.
    if name is not None and not is_embedded(settings.streams, name):
        role_arn = stream.role_arn if settings.stream_assume_roles else None
        yield streams.look(context, name, role_arn)
    yield from push.looks(context, pool_id, pool.push)
    for name in sorted(filter(None, pool.login_providers)):
        yield login_providers.look(context, name)
    for arn in pool.open_id_connect_provider_arns or ():
        if not provider_of(arn):
            yield Look(f"login provider {arn}", _say_other_kind(arn, pool_id))
    for arn in pool.saml_provider_arns or ():
        yield Look(f"login provider {arn}", _say_unsupported(arn))


async def _say_other_kind(arn: str, pool_id: str) -> Finding:
    return warn(
        f"login provider {arn}",
        "No login can be of it: an ARN in OpenIdConnectProviderARNs has "
        "':oidc-provider/' and the name of the provider behind it.",
        "Correct it: `millpond cognito-identity describe-identity-pool "
        f"--identity-pool-id {pool_id}` prints all that `millpond cognito-identity "
        "update-identity-pool` takes.",
    )


async def _say_unsupported(arn: str) -> Finding:
    return warn(
        f"login provider {arn}",
        "Its logins are refused: SAML is not supported.",
        "Let these users sign in with OpenID Connect, or by your own backend "
        "(GetOpenIdTokenForDeveloperIdentity).",
    )
