"""A look at the bucket of large stream records: something small is put there."""

from __future__ import annotations

from typing import Final

from millpond.contract.examination import Finding
from millpond.errors import SinkError
from millpond.service.context import Context
from millpond.service.examining.looks import Look, fail, ok

NAME: Final = "0" * 32  # of the object; always the same, so that one is left behind
_LIFETIME_S: Final = 60
_MEND: Final = (
    "Make the bucket, give the server AWS credentials that may put objects there, or "
    "correct the setting `stream_payload_store` (`millpond settings show "
    "stream_payload_store`); large changes wait in the outbox."
)


def look(context: Context) -> Look:
    """Look at it."""
    return Look("stream payloads", _put(context), _MEND)


async def _put(context: Context) -> Finding:
    try:
        await context.payloads.put(b"[]", name=NAME, lifetime_s=_LIFETIME_S)
    except SinkError as error:
        return fail("stream payloads", str(error.args[0]), _MEND)
    return ok("stream payloads", "The bucket takes large stream records.")
