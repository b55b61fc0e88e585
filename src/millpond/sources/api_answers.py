"""
What the APIs answer, as far as a source reads it.

More forgiving than the contract: members may be missing or null, and there may be more.
Dates are epoch seconds.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

from millpond.errors import SourceError
from millpond.limits import LONG_MAX

T = TypeVar("T")

# What is outside of these is no answer of the API, and nothing that a store can keep.
Count = Annotated[int, msgspec.Meta(ge=0, le=LONG_MAX)]
Date = Annotated[float, msgspec.Meta(ge=-62_135_596_800, le=253_402_300_799)]
"""Epoch seconds, of the years 1 to 9999."""
Name = Annotated[str, msgspec.Meta(pattern="^[a-zA-Z0-9_.:-]+$", max_length=512)]
"""Of a dataset; merges make them longer than anybody may choose."""
Provider = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]+$", max_length=512)]


class _Shape(msgspec.Struct, rename="pascal", gc=False):
    """Names of members are the API's."""


class IdentityDescription(_Shape):
    """An identity; `logins` are names of providers."""

    identity_id: str
    logins: list[Provider] | None = None
    creation_date: Date = 0.0
    last_modified_date: Date = 0.0


class GetIdAnswer(_Shape):
    """The identity of who signs in."""

    identity_id: str


class Identities(_Shape):
    """A page of identities."""

    identities: list[IdentityDescription] | None = None
    next_token: str | None = None


class DeveloperUsers(_Shape):
    """A page of the developer's users of an identity."""

    identity_id: str | None = None
    developer_user_identifier_list: list[str] | None = None
    next_token: str | None = None


class Dataset(_Shape):
    """A dataset in a list."""

    dataset_name: Name
    creation_date: Date = 0.0
    last_modified_date: Date = 0.0
    last_modified_by: str | None = None
    data_storage: Count | None = None
    num_records: Count | None = None


class Datasets(_Shape):
    """A page of datasets."""

    datasets: list[Dataset] | None = None
    next_token: str | None = None


class Record(_Shape):
    """A record; a removed one has no value."""

    key: str
    sync_count: Count
    value: str | None = None
    last_modified_date: Date = 0.0
    last_modified_by: str | None = None
    device_last_modified_date: Date | None = None


class Records(_Shape):
    """A page of records, and what its dataset is like."""

    dataset_sync_count: Count
    records: list[Record] | None = None
    next_token: str | None = None
    dataset_exists: bool = True
    dataset_deleted_after_requested_sync_count: bool = False
    merged_dataset_names: list[str] | None = None


class Usage(_Shape):
    """What a pool holds."""

    data_storage: Count | None = None
    sync_sessions_count: Count | None = None
    last_modified_date: Date | None = None


class UsageAnswer(_Shape):
    """The answer about that."""

    identity_pool_usage: Usage | None = None


class Events(_Shape):
    """What is called for the events of a pool."""

    events: dict[str, str] | None = None


def read(content: bytes, shape: type[T], what: str) -> T:
    """
    Read an answer.

    Args:
        what: it is the answer to, for people.
    Raises:
        SourceError: it is not of that shape.
    """
    try:
        return _decoder(shape).decode(content)
    except msgspec.MsgspecError as error:
        raise SourceError(f"The answer to {what} cannot be read: {error}.") from error


_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}


def _decoder(shape: type[T]) -> msgspec.json.Decoder[T]:
    found = _DECODERS.get(shape)
    if found is None:
        found = _DECODERS[shape] = msgspec.json.Decoder(shape)
    return found


def to_ms(epoch_s: float) -> int:
    """Convert epoch seconds to whole milliseconds."""
    return round(epoch_s * 1000)
