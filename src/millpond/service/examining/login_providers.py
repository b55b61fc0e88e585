"""A look at a login provider: its keys are fetched as for a token of its."""

from __future__ import annotations

from typing import Final

from millpond.contract.examination import Finding
from millpond.errors import LoginProviderError
from millpond.service.context import Context
from millpond.service.examining.looks import Look, fail, ok, warn
from millpond.service.times import ago

_SETTING: Final = "`login_providers` (`millpond settings show login_providers`)"
_MEND: Final = (
    f"Say in the setting {_SETTING} where its keys are (keys or discovery_url), or let "
    "the server reach them."
)


def look(context: Context, provider_name: str) -> Look:
    """Look at a login provider."""
    name = f"login provider {provider_name}"
    return Look(name, _fetch(context, name, provider_name), _MEND)


async def _fetch(context: Context, name: str, provider_name: str) -> Finding:
    keys = context.provider_keys
    try:
        found = await keys.find_keys(provider_name, None, doubted=True)
    except LoginProviderError as error:
        age = _age(context, provider_name)
        text = f"{error} They were last read {age}." if age else f"{error}"
        return fail(name, text, _MEND)
    age = _age(context, provider_name) or "at an unknown time"
    if not found:
        return warn(
            name,
            f"It has no keys that sign; they were last read {age}.",
            f"Correct its entry in the setting {_SETTING}.",
        )
    return ok(name, f"It has {_keys(len(found))}, last read {age}.")


def _keys(count: int) -> str:
    return "1 key" if count == 1 else f"{count} keys"


def _age(context: Context, provider_name: str) -> str | None:
    age_ms = context.provider_keys.age_ms(provider_name)
    return None if age_ms is None else ago(age_ms)
