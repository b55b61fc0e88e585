"""What pages share that look things up: what is not there, times, typed words."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, TypeVar

import msgspec

from millpond.console.base import Console, Crumb, Refused, link
from millpond.core.identity_pools import IdentityPool
from millpond.errors import AmbiguousError, NotFoundError

T = TypeVar("T")

_SECONDS: Final = "_date"  # the contract's times end so, and are epoch seconds


async def found(wanted: Awaitable[T]) -> T:
    """
    Wait for what is looked up; say on a page that it is not there.

    Raises:
        Refused: it is not there, or may be several things.
    """
    try:
        return await wanted
    except NotFoundError as error:
        raise Refused(404, as_sentence(error)) from error
    except AmbiguousError as error:
        raise Refused(409, as_sentence(error)) from error


def as_sentence(error: Exception) -> str:
    """Begin with a capital what a terminal says behind the name of the command."""
    text = str(error)
    return text[:1].upper() + text[1:]


async def get_pool(console: Console, identity_pool_id: str) -> IdentityPool:
    """
    Get a pool.

    Raises:
        Refused: there is no such pool.
    """
    pool = await console.context.store.find_identity_pool(identity_pool_id)
    if pool is None:
        raise Refused(404, f"There is no identity pool '{identity_pool_id}'.")
    return pool


def name_of(pool: IdentityPool) -> str:
    """Give what people call a pool; its id where the name is nothing but space."""
    return pool.identity_pool_name.strip() or pool.identity_pool_id


def crumbs_of(pool: IdentityPool) -> list[Crumb]:
    """Lead back to a pool."""
    return [
        ("Pools", link("/pools")),
        (name_of(pool), link("/pools/{pool}", pool=pool.identity_pool_id)),
    ]


def plain_times(shape: msgspec.Struct | None) -> dict[str, Any] | None:
    """Give the members of a contract's answer, its times in milliseconds."""
    if shape is None:
        return None
    return {
        f"{name}_ms" if name.endswith(_SECONDS) else name: (
            round(value * 1000) if name.endswith(_SECONDS) and value else value
        )
        for name, value in msgspec.structs.asdict(shape).items()
    }


def is_same_word(typed: str, *words: str) -> bool:
    """Say whether a person typed one of these, whatever space is in or around it."""
    return bool(typed.split()) and any(typed.split() == e.split() for e in words)
