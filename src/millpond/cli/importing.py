"""
`millpond import plan|copy|follow|verify|status`: move a pool in from elsewhere.

Progress is told on standard error, the result on standard output. Exit status:

    0    done; of a copy: everything is here; of a verification: nothing differs
    1    refused or failed, something could not be taken, or something differs
    130  Ctrl-C; a copy goes on where it was when it is called again
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from millpond.cli.administration import (
    CommandError,
    add_store_options,
    check_place,
    note_change,
    run,
    show,
)
from millpond.cli.api import connecting
from millpond.cli.import_follow import add_parser, follow
from millpond.cli.import_progress import make_watcher
from millpond.cli.numbers import any_number, any_whole
from millpond.cli.tables import date
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.server.import_plan import Plan
    from millpond.server.import_verify import Verification
    from millpond.server.importing import MovingStore
    from millpond.sources.api import ApiSource
    from millpond.stores.importing import Aside, ImportMeasure, ImportState

_INTERRUPTED: Final = 130
_GO_ON: Final = "Stopped. What came stays; the same command goes on with it."
_LINES_MAX: Final = 20


def main(argv: list[str]) -> int:
    """Run `millpond import`."""
    commands = {
        "plan": _plan,
        "copy": _copy,
        "follow": follow,
        "verify": _verify,
        "status": _status,
    }
    try:
        return run(make_parser(), argv, commands)
    except KeyboardInterrupt:
        print(f"\n{_GO_ON}", file=sys.stderr)
        return _INTERRUPTED


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond import",
        description="Move an identity pool in from Amazon Cognito, or from another "
        "Millpond, with everything in it as it is there: sync counts, dates, removed "
        "records. Apps go on as if nothing had happened.",
        epilog="Exit status: 0 done, 1 refused, failed, or something could not be "
        "taken or differs, 130 after Ctrl-C.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    plan = commands.add_parser(
        "plan",
        help="see what a move would be, and what it needs",
        description="Look at a pool elsewhere: how much there is, how long a copy "
        "takes, which rights are missing, and what cannot come over. Nothing is "
        "written.",
    )
    copy = commands.add_parser(
        "copy",
        help="copy a pool with everything in it; go on with a copy",
        description="Copy a pool under its id, with its configuration, its identities "
        "and their data. A server may be running on the store, and the pool may be in "
        "use on both sides. A copy that was interrupted goes on when it is called "
        "again; one that is complete then takes what has changed.",
    )
    following = add_parser(commands)
    verify = commands.add_parser(
        "verify",
        help="compare what came with its source",
        description="Compare each identity with its source: sync counts, dates and "
        "values. What was written here since it came is not compared.",
    )
    status = commands.add_parser("status", help="see how the imports stand")
    for each in (plan, copy, verify):
        each.add_argument(
            "identity_pool_id", metavar="POOL", help="the id of the identity pool"
        )
        _add_source_options(each)
    status.add_argument(
        "identity_pool_id",
        metavar="POOL",
        nargs="?",
        help="of this identity pool alone; the beginning of its id will do",
    )
    verify.add_argument(
        "--sample",
        type=any_whole,
        metavar="COUNT",
        help="compare so many identities, drawn by lot [all]",
    )
    add_store_options(plan, copy, following, verify, status)
    return parser


def _add_source_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("source")
    connecting.add_place_options(group)
    group.add_argument(
        "--parallel",
        type=any_whole,
        default=16,
        metavar="COUNT",
        help="identities that are fetched at a time [16]",
    )
    group.add_argument(
        "--patience",
        type=any_number,
        default=300.0,
        metavar="SECONDS",
        help="how long it is tried while nothing is answered [300]",
    )


@asynccontextmanager
async def _source(
    settings: Settings, options: argparse.Namespace
) -> AsyncIterator[ApiSource]:
    from millpond.server.importing import limits_of
    from millpond.sources.opening import open_api

    if not 1 <= options.parallel <= 256:
        raise CommandError("--parallel must be from 1 to 256.")
    source = open_api(
        options.identity_pool_id,
        limits=limits_of(settings),
        profile=options.profile,
        region=options.region,
        endpoint_url=options.endpoint_url,
        parallel=options.parallel,
        patience_s=options.patience,
    )
    try:
        yield source
    finally:
        await source.aclose()


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[MovingStore]:
    from millpond.server import stores

    async with stores.open_existing(settings) as store:
        yield cast("MovingStore", store)


async def _plan(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server.import_plan import make_plan, make_policy, what_stays_behind

    async with _source(settings, options) as source:
        plan = await make_plan(source)
        name = source.name
    policy = make_policy(options.identity_pool_id)
    behind = what_stays_behind(plan.described)
    document = {
        "IdentityPoolId": options.identity_pool_id,
        "Source": name,
        "Identities": plan.identities,
        "Exact": plan.exact,
        "Datasets": plan.datasets,
        "Records": plan.records,
        "Bytes": plan.data_bytes,
        "Calls": plan.calls,
        "ListingSeconds": plan.listing_s,
        "CopyingSeconds": plan.copying_s,
        "MissingRights": list(plan.missing),
        "Policy": policy,
        "StaysBehind": [{"What": what, "Do": todo} for what, todo in behind],
    }
    lines = _plan_lines(options.identity_pool_id, name, plan)
    lines += ["", "What cannot be read there, and what to do:"]
    lines += [f"  - {what}:\n    {todo}." for what, todo in behind]
    lines += ["", "A policy with all that is needed:", json.dumps(policy, indent=2)]
    show(options, document, lines)
    return 1 if plan.missing else 0


def _plan_lines(identity_pool_id: str, name: str, plan: Plan) -> list[str]:
    about = "" if plan.exact else "about "
    lines = [f"{identity_pool_id} at {name}"]
    if plan.identities is not None:
        lines += [
            f"  identities    {about}{plan.identities}",
            f"  datasets      about {plan.datasets}",
            f"  records       about {plan.records}",
            f"  bytes         {plan.data_bytes}",
            f"  calls         about {plan.calls}",
            f"  to list       {_duration(plan.listing_s)} at 5 calls a second, AWS's "
            "limit for ListIdentities",
            f"  to copy       {_duration(plan.copying_s)} at "
            f"{plan.calls_per_s or 0:.0f} calls a second, as fast as the sample was "
            "answered; it goes on beside the listing",
        ]
    if plan.missing:
        lines.append(f"  MISSING RIGHTS  {', '.join(plan.missing)}")
    return lines


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


async def _copy(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server.importing import copy_pool
    from millpond.service.context import system_now_ms

    check_place(settings, options)
    began_s = time.monotonic()
    pool = options.identity_pool_id
    async with _source(settings, options) as source, _store(settings) as store:
        # Before it, for it may take days, and any of it stays that came.
        await note_change(store, "ImportIdentityPool", identity_pool_id=pool)
        with make_watcher() as watcher:
            outcome = await copy_pool(
                store,
                source,
                pool,
                settings=settings,
                watcher=watcher,
                now_ms=system_now_ms,
            )
    state = outcome.state
    took_s = time.monotonic() - began_s
    document = {
        **_describe(state),
        "Complete": not outcome.failed_count,
        "Seconds": round(took_s, 1),
        "NotTaken": [_aside(each) for each in outcome.failed],
        "NotTakenCount": outcome.failed_count,
        "SetAside": [_aside(each) for each in outcome.aside],
    }
    lines = [
        f"Pass {state.pass_number}: {state.listed} identities read; {state.identities} "
        f"identities, {state.datasets} datasets, {state.records} records "
        f"({state.data_bytes} bytes) written in {_duration(took_s)}."
    ]
    if outcome.aside:
        lines.append("Kept aside, because it was changed here as well:")
        lines += _named(outcome.aside)
    if outcome.failed_count:
        lines.append(f"NOT TAKEN ({outcome.failed_count}):")
        lines += _named(outcome.failed)
    elif state.pass_number == 1:
        lines.append("Run it again to take what has changed meanwhile.")
    show(options, document, lines)
    return 1 if outcome.failed_count else 0


def _named(asides: list[Aside]) -> list[str]:
    lines = [
        f"  {each.identity_id} {each.dataset_name}: {each.reason}".replace(" :", ":")
        for each in asides[:_LINES_MAX]
    ]
    if len(asides) > _LINES_MAX:
        lines.append("  ... and more; --output json has them.")
    return lines


def _aside(each: Aside) -> dict[str, Any]:
    return {
        "IdentityId": each.identity_id,
        "DatasetName": each.dataset_name or None,
        "Reason": each.reason,
        "SyncCount": each.sync_count or None,
    }


async def _verify(settings: Settings, options: argparse.Namespace) -> int:
    from millpond.server.import_verify import verify_pool

    if options.sample is not None and options.sample < 1:
        raise CommandError("--sample must be at least 1.")
    async with _source(settings, options) as source, _store(settings) as store:
        state = await store.find_import(options.identity_pool_id)
        with make_watcher() as watcher:
            total = options.sample or (state.listed if state is not None else 0)
            watcher.step("compare identities", total=total)
            found = await verify_pool(
                store,
                source,
                options.identity_pool_id,
                sample=options.sample,
                progress=watcher.count,
            )
    show(options, _verification(found), _verify_lines(found))
    return 1 if found.different else 0


def _verification(found: Verification) -> dict[str, Any]:
    return {
        "Identities": found.identities,
        "Same": found.same,
        "Datasets": found.datasets,
        "Records": found.records,
        "WrittenHere": found.ours,
        "DifferenceCount": found.different,
        "Differences": [
            {
                "IdentityId": each.identity_id,
                "DatasetName": each.dataset_name or None,
                "Reason": each.reason,
            }
            for each in found.differences
        ],
        "Digests": {
            identity_id: {"Source": there, "Target": here}
            for identity_id, (there, here) in found.digests.items()
        },
    }


def _verify_lines(found: Verification) -> list[str]:
    lines = [
        f"{found.identities} identities compared, {found.same} the same; "
        f"{found.datasets} datasets with {found.records} records, of which "
        f"{found.ours} were written here since they came, and are ours."
    ]
    for each in found.differences[:_LINES_MAX]:
        name = f" {each.dataset_name}" if each.dataset_name else ""
        lines.append(f"  {each.identity_id}{name}: {each.reason}")
    if found.different > _LINES_MAX:
        lines.append("  ... and more; --output json has them.")
    if found.different:
        lines.append(f"DIFFERENT: {found.different}. 'millpond import copy' again.")
    return lines


async def _status(settings: Settings, options: argparse.Namespace) -> int:
    async with _store(settings) as store:
        states = await store.list_imports()
        if options.identity_pool_id is not None:
            states = _of_pool(states, settings, options.identity_pool_id)
        found = [
            (each, await store.measure_import(each.identity_pool_id)) for each in states
        ]
    if options.identity_pool_id is not None and not found:
        raise CommandError(f"nothing of '{options.identity_pool_id}' was imported.")
    document = {
        "Imports": [
            {
                **_describe(each),
                **_measure(all_),
                "ClaimsUntil": _claims_until(settings, each),
            }
            for each, all_ in found
        ]
    }
    lines = []
    for state, all_ in found:
        lines += _status_lines(state, all_, _claims_until(settings, state))
    show(options, document, lines or ["There are no imports."])
    return 0


def _of_pool(
    states: list[ImportState], settings: Settings, text: str
) -> list[ImportState]:
    """
    Find the import of the pool that is meant, which need not exist any more.

    Raises:
        AmbiguousError: several may be.
    """
    from millpond.service.looking import ids

    whole = ids.typed(text, region=settings.region)
    known = {each.identity_pool_id: each for each in states}
    found = [each for each in known if each in (text, whole)]
    found = found or [each for each in known if whole and each.startswith(whole)]
    return [known[ids.the_one("import", text, found)]] if found else []


def _describe(state: ImportState) -> dict[str, Any]:
    return {
        "IdentityPoolId": state.identity_pool_id,
        "Source": state.source,
        "Pass": state.pass_number,
        "Step": state.step or None,
        "BeganDate": date(state.began_ms),
        "EndedDate": date(state.ended_ms),
        "UpdatedDate": date(state.updated_ms),
        "Listed": state.listed,
        "Expected": state.expected,
        "IdentitiesWritten": state.identities,
        "DatasetsWritten": state.datasets,
        "RecordsWritten": state.records,
        "BytesWritten": state.data_bytes,
        "Requests": state.requests,
        "Throttled": state.throttled,
        "RequestsPerSecond": state.rate,
        "Aside": state.aside,
        "Unclaimed": state.unclaimed,
        "Follower": dict(state.follower),
    }


def _measure(measure: ImportMeasure) -> dict[str, Any]:
    return {
        "AllIdentities": measure.identities,
        "AllDone": measure.done,
        "AllDatasets": measure.datasets,
        "AllAside": measure.aside,
    }


def _claims_until(settings: Settings, state: ImportState) -> str | None:
    """Give the last day on which identities may be claimed; None: they may not."""
    source = settings.imports.get(state.identity_pool_id)
    if source is None or source.claims_until is None:
        return None
    return source.claims_until.isoformat()


def _status_lines(
    state: ImportState, measure: ImportMeasure, claims_until: str | None
) -> list[str]:
    doing = f"pass {state.pass_number}, {state.step or 'complete'}"
    if state.step and state.expected:
        doing += f", {state.listed} of about {state.expected} identities"
    lines = [
        f"{state.identity_pool_id} from {state.source}",
        f"  {doing}",
        f"  in all     {measure.done} identities, {measure.datasets} datasets; "
        f"{measure.aside} kept aside",
        f"  this pass  {state.listed} identities read, {state.datasets} datasets and "
        f"{state.records} records written",
        f"  calls      {state.requests}, {state.throttled} put off; {state.rate:g} a "
        "second of late",
        f"  as of      {date(state.updated_ms)}",
    ]
    if state.unclaimed:
        until = f"until {claims_until}" if claims_until else "no"
        lines.append(
            f"  logins     {state.unclaimed} identities whose users nobody here knows; "
            f"open to claims: {until}"
        )
    lines += [
        f"  {name:10} {value:g}" for name, value in sorted(state.follower.items())
    ]
    return lines
