"""ExamineServer: what all pools of a server share."""

from __future__ import annotations

import asyncio
import json
import platform
import shlex
import shutil
from collections import defaultdict
from typing import Final

from millpond import __version__
from millpond.contract.examination import (
    ExamineServerRequest,
    ExamineServerResponse,
    Finding,
)
from millpond.errors import StoreError
from millpond.service.context import Caller, Context
from millpond.service.damage import VERIFY
from millpond.service.examining import login_providers, payloads, sources, streams
from millpond.service.examining.looks import Look, fail, ok, take, warn
from millpond.service.init_progress import SUCCEEDED, WAITING
from millpond.service.patience import within
from millpond.sinks.base import without_secrets

PING_S_MAX: Final = 2.0  # with `looks.LOOKS_S_MAX`, below 10 s
POOLS_AT_ONCE: Final = 100
DISK_BYTES_LEAST: Final = 64 * 1024 * 1024
DISK_BYTES_WARN: Final = 1024 * 1024 * 1024
DISK_SHARE_WARN: Final = 0.05
_MIB: Final = 1024 * 1024


async def examine_server(
    context: Context, caller: Caller, request: ExamineServerRequest
) -> ExamineServerResponse:
    """Look at the store; when it answers, at all that the server needs besides."""
    findings = await find(context)
    return ExamineServerResponse(
        version=__version__,
        python_version=platform.python_version(),
        store_kind="postgres" if context.settings.store else "sqlite",
        findings=findings,
    )


async def find(context: Context, *, often: bool = False) -> list[Finding]:
    """
    Take all looks at what the pools of a server share.

    Args:
        often: whether that goes on all the time; then those are left out that put
            something into a bucket, or cost something at AWS.
    """
    silence = await _find_silence(context)
    return [silence] if silence else await take(_looks(context, often=often))


def _looks(context: Context, *, often: bool) -> list[Look]:
    found = [Look("database", _look_at_database(context))]
    if not context.settings.store:
        found.append(Look("disk", _look_at_disk(context)))
    found.append(Look("regions", _look_at_regions(context)))
    if context.trigger_notes.failing():
        found.append(Look("sync triggers", _look_at_triggers(context)))
    if context.settings.init_folder:
        found.append(Look("init", _look_at_init(context)))
    found += [
        streams.look(context, name, None) for name in sorted(context.settings.streams)
    ]
    if context.settings.stream_payload_store and not often:
        found.append(payloads.look(context))
    found += [
        login_providers.look(context, name)
        for name in sorted(context.settings.login_providers)
    ]
    if not often:
        found += sources.looks(context)
    return found


async def _find_silence(context: Context) -> Finding | None:
    """Say why the store does not answer; None when it does."""
    try:
        await within(PING_S_MAX, context.store.ping())
    except (StoreError, TimeoutError) as error:
        reason, hint = f"no answer within {PING_S_MAX:g} s", ""
        if isinstance(error, StoreError):
            reason, hint = str(error.args[0]), error.hint
        mend = (
            "Start it, or correct the setting `store` (`millpond settings check`)."
            if context.settings.store
            else "Mend the disk, or put a backup back (`millpond store backup`)."
        )
        text = f"{_place(context)} does not answer: {reason}"
        return fail("database", text, hint or mend)
    return None


async def _look_at_database(context: Context) -> Finding:
    place = _place(context)
    try:
        await within(PING_S_MAX, context.store.ping(writes=True))
    except StoreError as error:
        return fail(
            "database",
            f"{place} answers, and calls that write fail: {error.args[0]}",
            error.hint,
        )
    except TimeoutError:
        pass  # it has answered just before
    if context.damage.count:
        return warn(
            "database",
            f"{place} answers, but {context.damage.sentence}",
            f"Run {VERIFY}, which names them.",
        )
    return ok("database", f"{place} answers.")


def _place(context: Context) -> str:
    url = context.settings.store
    return without_secrets(url) if url else f"The store in '{context.settings.data}'"


async def _look_at_disk(context: Context) -> Finding:
    folder = context.settings.data.absolute()
    try:
        usage = await asyncio.to_thread(shutil.disk_usage, folder)
    except OSError as error:
        return fail(
            "disk",
            f"'{folder}' cannot be looked at: {error.strerror}.",
            "Give the server its data folder back: put it, or a backup, in its place, "
            f"then `millpond serve --data {shlex.quote(str(folder))}`.",
        )
    text = f"{usage.free // _MIB} MiB of {usage.total // _MIB} are free for '{folder}'."
    data = f"--data {shlex.quote(str(folder))}"
    # A secret that is a setting is in no folder.
    secret = "" if context.settings.secret_key else "--with-secret-key "
    mend = (
        "Free some space, or take the data to a larger disk: "
        f"`millpond store backup {data} {secret}FOLDER`, then `millpond "
        "serve --data FOLDER`."
    )
    if usage.free < DISK_BYTES_LEAST:
        return fail("disk", text, mend)
    little = usage.free < usage.total * DISK_SHARE_WARN
    if little and usage.free < DISK_BYTES_WARN:
        return warn("disk", text, mend)
    return ok("disk", text)


async def _look_at_init(context: Context) -> Finding:
    folder, progress = context.settings.init_folder, context.init_progress
    if progress.failure:
        return fail(
            "init",
            f"Of the scripts in '{folder}': {progress.failure}",
            "Look into the log (init.output), mend it and start the server again.",
        )
    done, waiting = progress.count(SUCCEEDED), progress.count(WAITING)
    if progress.running or waiting:
        return warn(
            "init",
            f"The scripts in '{folder}' are not through: {done} ended, "
            f"'{progress.running}' runs, {waiting} wait.",
            "Wait; each has init_timeout_s.",
        )
    return ok("init", f"All scripts in '{folder}' ended well: {done}.")


async def _look_at_triggers(context: Context) -> Finding:
    """Tell of those that updates failed at; who asks need not know in which pool."""
    failing = []
    for pool_id, note in context.trigger_notes.failing():
        pool = await context.store.find_identity_pool(pool_id)
        if pool is not None and pool.sync_trigger == note.target:
            failing.append((pool_id, note))
    if not failing:
        return ok("sync triggers", "None failed when it was last called.")
    (pool_id, note), count = failing[-1], len(failing)
    others = f" So did those of {count - 1} other pools." if count > 1 else ""
    return warn(
        "sync triggers",
        f"That of {pool_id} failed when it was last called: {note.failure}{others}",
        f"`millpond doctor --identity-pool-id {pool_id}` calls it, and says what to "
        "do.",
    )


async def _look_at_regions(context: Context) -> Finding:
    """Find pools of regions that no signature may be for; they came from elsewhere."""
    accepted = context.settings.regions
    count, foreign, after = 0, defaultdict[str, list[str]](list), None
    while page := await context.store.list_identity_pools(
        after=after, limit=POOLS_AT_ONCE
    ):
        for pool in page:
            count += 1
            region = pool.identity_pool_id.partition(":")[0]
            if accepted is not None and region not in accepted:
                foreign[region].append(pool.identity_pool_id)
        after = page[-1].identity_pool_id
    if not foreign:
        return ok("regions", f"Signatures are taken for those of all pools: {count}.")
    listed = ", ".join(
        f"{region} ({len(pools)}, such as {pools[0]})"
        for region, pools in sorted(foreign.items())
    )
    # A client takes the region from the id of its pool.
    wanted = sorted({*context.settings.accepted_regions, *foreign})
    return warn(
        "regions",
        f"There are pools of regions that no signature is taken for: {listed}.",
        f"Start the server with the setting accepted_regions = {json.dumps(wanted)} "
        f"(MILLPOND_ACCEPTED_REGIONS='{json.dumps(wanted)}' millpond serve).",
    )
