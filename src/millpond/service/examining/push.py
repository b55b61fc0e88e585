"""A look at a push application: whether pushes can go out through it."""

from __future__ import annotations

from collections.abc import Iterator

from millpond.contract.examination import Finding
from millpond.core.identity_pools import PushConfiguration
from millpond.errors import PushError
from millpond.service.context import Context
from millpond.service.examining.looks import Look, fail, ok, warn

_SET: str = (
    "`millpond cognito-sync set-identity-pool-configuration --identity-pool-id {pool} "
    "--push-sync ApplicationArns=ARN`"
)


def looks(
    context: Context, pool_id: str, push: PushConfiguration | None
) -> Iterator[Look]:
    """Look at the push applications of a pool."""
    if push is None:
        return
    seen: dict[str, str] = {}
    for arn in push.application_arns or ():
        name = f"push {arn.rpartition(':')[2].removeprefix('app/')}"
        platform = arn.rpartition(":")[2].split("/")[1]
        if platform in seen:
            yield Look(name, _say_unused(name, arn, seen[platform], pool_id))
            continue
        seen[platform] = arn
        yield Look(name, _ask(context, name, arn, push.role_arn, pool_id))


async def _say_unused(name: str, arn: str, used: str, pool_id: str) -> Finding:
    return warn(
        name,
        f"{arn} is never used: {used} is of the same platform and stands before it.",
        f"Name one application of each platform: {_SET.format(pool=pool_id)}",
    )


async def _ask(
    context: Context, name: str, arn: str, role_arn: str | None, pool_id: str
) -> Finding:
    if context.push is None:
        return warn(name, f"{arn} is not looked at: this server sends no pushes.", "")
    try:
        await context.push.check_application(arn, role_arn=role_arn)
    except PushError as error:
        return fail(
            name,
            f"{arn}: {error}",
            "Give the server AWS credentials that may use the application (or "
            "`sns_endpoint`, `push_assume_roles`), or name another one: "
            f"{_SET.format(pool=pool_id)}",
        )
    return ok(name, f"{arn} takes pushes.")
