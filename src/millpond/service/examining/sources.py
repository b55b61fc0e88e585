"""A look at what identities are fetched from while their pool moves in."""

from __future__ import annotations

from typing import Final

from millpond.contract.examination import Finding
from millpond.errors import SourceError
from millpond.service.context import Context
from millpond.service.examining.looks import Look, fail, ok
from millpond.service.read_through import ReadThrough

_MEND: Final = (
    "Let it answer, or correct its entry in the setting `imports` (`millpond settings "
    "show imports`). When all are here, take `read_through` out of it."
)
_NOBODY: Final = "Who is not here yet gets 503."


def looks(context: Context) -> list[Look]:
    """Look at the source of each pool that is read through."""
    through = context.read_through
    if through is None:
        return []
    return [
        Look(f"import {pool_id}", _ask(through, pool_id), f"{_NOBODY} {_MEND}")
        for pool_id in through.pool_ids
    ]


async def _ask(through: ReadThrough, pool_id: str) -> Finding:
    name = f"import {pool_id}"
    try:
        await through.ask_for_nobody(pool_id)
    except SourceError as error:
        mend = f"{error.hint} {_MEND}".strip()
        return fail(name, f"{error.args[0]} {_NOBODY}", mend)
    return ok(name, "Identities that are not here yet are fetched from its source.")
