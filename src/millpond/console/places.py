"""Which identity, and which dataset of it, a path means."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, TypeVar

import msgspec

from millpond.console import looking
from millpond.console.base import Ask, Console, Crumb, Refused, Viewer, link
from millpond.core.sync import DatasetId
from millpond.errors import AmbiguousError, NotFoundError
from millpond.service.looking.identities import IdentityPlace, resolve_identity

T = TypeVar("T")

UNKNOWN_PLACE: Final = "That place in the list is not known."


async def find_place(console: Console, viewer: Viewer, ask: Ask) -> IdentityPlace:
    """
    Find the identity that a path means, in the pool that the query may name.

    Raises:
        Refused: there is none, or not in the viewer's pool; or it may be several.
    """
    pool = ask.query.text("pool").strip() or viewer.pool
    if viewer.pool not in (None, pool):
        raise Refused(404, f"There is no identity pool '{pool}'.")
    typed = ask.path["identity"]
    region = console.context.settings.region
    try:
        return await resolve_identity(console.context.store, pool, typed, region=region)
    except NotFoundError as error:
        raise Refused(404, looking.as_sentence(error)) from error
    except AmbiguousError as error:
        raise Refused(
            409, f"{looking.as_sentence(error)} Look for it among the identities."
        ) from error


async def find_dataset_id(console: Console, viewer: Viewer, ask: Ask) -> DatasetId:
    """
    Say which dataset a path means; it may not be there.

    Raises:
        Refused: as `find_place` does.
    """
    place = await find_place(console, viewer, ask)
    return DatasetId(place.identity_pool_id, place.identity_id, ask.path["dataset"])


def crumbs_to_identity(place: IdentityPlace | DatasetId, of_pool: str) -> list[Crumb]:
    """Lead back to an identity."""
    pool, identity = place.identity_pool_id, place.identity_id
    to_identity = link("/identities/{identity}", {"pool": of_pool}, identity=identity)
    return [(pool, link("/pools/{pool}", pool=pool)), (identity, to_identity)]


def spell_cursor(position: Any) -> str:
    """Spell a place in a list, for a link to what comes behind it."""
    encoded = msgspec.json.encode(position)
    return base64.urlsafe_b64encode(encoded).rstrip(b"=").decode()


def spell_next(position: Any | None) -> str | None:
    """Spell where the next page begins, if there is one."""
    return None if position is None else spell_cursor(position)


def read_cursor(ask: Ask, name: str, kind: type[T]) -> T | None:
    """
    Read such a place; None: the beginning.

    Raises:
        Refused: it is none of ours.
    """
    text = ask.query.text(name, chars_max=16_384)
    if not text:
        return None
    try:
        encoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        position = msgspec.json.decode(encoded, type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise Refused(400, UNKNOWN_PLACE) from error
    if not _is_for_stores(position):
        raise Refused(400, UNKNOWN_PLACE)
    return position


def _is_for_stores(position: Any) -> bool:
    """Say whether every store can compare with a place in a list."""
    if isinstance(position, str):
        return "\0" not in position
    if isinstance(position, int):
        return -(2**63) <= position < 2**63
    return all(map(_is_for_stores, position))
