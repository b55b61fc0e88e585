"""
What the APIs answer, as far as a source reads it.

More forgiving than the contract: members may be missing or null, and there may be more.
Dates are epoch seconds.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from millpond.errors import SourceError

T = TypeVar("T")


class _Shape(msgspec.Struct, rename="pascal", gc=False):
    """Names of members are the API's."""


class IdentityDescription(_Shape):
    """An identity; `logins` are names of providers."""

    identity_id: str
    logins: list[str] | None = None
    creation_date: float = 0.0
    last_modified_date: float = 0.0


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

    dataset_name: str
    creation_date: float = 0.0
    last_modified_date: float = 0.0
    last_modified_by: str | None = None
    data_storage: int | None = None
    num_records: int | None = None


class Datasets(_Shape):
    """A page of datasets."""

    datasets: list[Dataset] | None = None
    next_token: str | None = None


class Record(_Shape):
    """A record; a removed one has no value."""

    key: str
    sync_count: int
    value: str | None = None
    last_modified_date: float = 0.0
    last_modified_by: str | None = None
    device_last_modified_date: float | None = None


class Records(_Shape):
    """A page of records, and what its dataset is like."""

    dataset_sync_count: int
    records: list[Record] | None = None
    next_token: str | None = None
    dataset_exists: bool = True
    dataset_deleted_after_requested_sync_count: bool = False
    merged_dataset_names: list[str] | None = None


class Usage(_Shape):
    """What a pool holds."""

    data_storage: int | None = None
    sync_sessions_count: int | None = None
    last_modified_date: float | None = None


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
