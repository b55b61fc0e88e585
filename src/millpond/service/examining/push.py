"""A look at a push application: whether pushes can go out through it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from millpond.contract.examination import Finding
from millpond.core.identity_pools import PushConfiguration
from millpond.errors import PushError
from millpond.service.context import Context
from millpond.service.examining.looks import Look, fail, ok, warn


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
        without = _leave_out(pool_id, push, arn)
        if platform in seen:
            yield Look(name, _say_unused(name, arn, seen[platform], without))
            continue
        seen[platform] = arn
        mend = (
            "Give the server AWS credentials that may use the application (or "
            f"`sns_endpoint`, `push_assume_roles`). To do without it: {without}"
        )
        yield Look(name, _ask(context, name, arn, push.role_arn, mend), mend)


def _leave_out(pool_id: str, push: PushConfiguration, arn: str) -> str:
    """Give the command that names all applications of a pool but one."""
    others = [each for each in push.application_arns or () if each != arn]
    members: dict[str, object] = {"ApplicationArns": others}
    if push.role_arn is not None:
        members["RoleArn"] = push.role_arn
    return (
        "`millpond cognito-sync set-identity-pool-configuration --identity-pool-id "
        f"{pool_id} --push-sync {shlex.quote(json.dumps(members))}`"
    )


async def _say_unused(name: str, arn: str, used: str, without: str) -> Finding:
    return warn(
        name,
        f"{arn} is never used: {used} is of the same platform and stands before it.",
        f"Name one application of each platform: {without}",
    )


async def _ask(
    context: Context, name: str, arn: str, role_arn: str | None, mend: str
) -> Finding:
    if context.push is None:
        return warn(name, f"{arn} is not looked at: this server sends no pushes.", "")
    try:
        await context.push.check_application(arn, role_arn=role_arn)
    except PushError as error:
        return fail(name, f"{arn}: {error}", mend)
    return ok(name, f"{arn} takes pushes.")
