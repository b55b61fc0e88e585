"""
The SQL of the PostgreSQL store.

Parameters are $1, $2 ...; a parameter whose type the statement does not tell is cast.
"""

from __future__ import annotations

from millpond.stores.queries import NamedQueries


class Queries(NamedQueries):
    """The statements of one file in this folder."""

    def __init__(self, file: str) -> None:
        super().__init__(__name__, file)
