"""The SQL of the embedded store."""

from __future__ import annotations

from millpond.stores.queries import NamedQueries


class Queries(NamedQueries):
    """The statements of one file in this folder."""

    def __init__(self, file: str) -> None:
        super().__init__(__name__, file)
