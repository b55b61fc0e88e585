"""What the server finds out about itself and about a pool, when it is asked to look."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from millpond import __version__
from millpond.cli.api.faults import PROGRAM
from millpond.cli.doctor.check import Check, Status, fail, ok, warn
from millpond.client.api.call import RefusedFault
from millpond.client.api.client import Client
from millpond.client.api.faults import Fault

_DATABASE = "database"
_LOG = "Look into the log of the server."


def explain_store(examination: Client | None, said: str) -> Check:
    """
    Say why the store does not answer, as the server knows it.

    Args:
        examination: None: nothing can be signed.
        said: what the server tells everybody.
    """
    mend = (
        "Start the database, or free some space on its disk; then look into the log of "
        f"the server. `{PROGRAM} settings show store` says where it is."
    )
    if examination is not None:
        try:
            answer = examination.call("examine-server")
        except Fault:
            pass  # what everybody is told is all there is
        else:
            for check in _checks(answer.result):
                if check.name == _DATABASE and check.status is Status.FAIL:
                    return check
    return fail(_DATABASE, f"The server answers, and its store does not: {said}.", mend)


def examine_server(examination: Client) -> Iterator[Check]:
    """Ask the server about itself."""
    try:
        answer = examination.call("examine-server")
    except RefusedFault as refusal:
        yield _explain(refusal)
        return
    yield _compare_versions(answer.result)
    yield from _checks(answer.result)


def examine_pool(examination: Client, pool_id: str) -> Iterator[Check]:
    """Ask the server about what a pool calls."""
    try:
        answer = examination.call("examine-identity-pool", IdentityPoolId=pool_id)
    except RefusedFault as refusal:
        if refusal.error.code != "UnknownOperationException":  # told already
            yield _explain(refusal)
        return
    yield from _checks(answer.result)


def _explain(refusal: RefusedFault) -> Check:
    code, message = refusal.error.code, refusal.error.message
    if code == "UnknownOperationException":
        return warn(
            "versions",
            f"The server is older than this command, which is {__version__}, and does "
            "not look at itself.",
            f"On the server: pip install millpond=={__version__}, and start it again.",
        )
    if code == "NotAuthorizedException":  # a key of one pool, say
        return warn(
            "examination",
            f"The server does not look at itself for this key. {message}",
            f"For that, make a key of all pools, on the server: `{PROGRAM} key create`",
        )
    return fail("server", f"{code}: {message}", _LOG)


def _compare_versions(result: dict[str, Any]) -> Check:
    theirs = result.get("Version", "unknown")
    if theirs == __version__:
        runs = f"Python {result.get('PythonVersion')}, store {result.get('StoreKind')}"
        return ok("versions", f"Both are {theirs}; the server has {runs}.")
    text = f"The server is {theirs}, this command is {__version__}."
    if _parts(theirs) > _parts(__version__):
        return warn("versions", text, f"Here: pip install millpond=={theirs}")
    return warn(
        "versions",
        text,
        f"On the server: pip install millpond=={__version__}, and start it again.",
    )


def _parts(version: str) -> list[int]:
    """Give the numbers of a version, for a comparison that errs at worst in words."""
    return [int(each) for each in re.findall(r"\d+", version)]


def _checks(result: dict[str, Any]) -> Iterator[Check]:
    for each in result.get("Findings", []):
        told = str(each.get("Status", "")).lower()
        # A newer server may find what this command has no word for.
        status = Status(told) if told in list(Status) else Status.WARN
        mend = each.get("Mend") or ("" if status is Status.OK else _LOG)
        yield Check(each.get("Name", "server"), status, each.get("Text", ""), mend)
