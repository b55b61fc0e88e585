"""
The SQL of the embedded store.

The driver hashes the text of a statement at each call, to find it prepared; every 8
characters cost as much as a step of a loop in Python. So the statements are without the
line ends and indentation of the files, and no literal in them goes over a line end.
"""

from __future__ import annotations

from millpond.stores.queries import NamedQueries


class Queries(NamedQueries):
    """The statements of one file in this folder."""

    def __init__(self, file: str) -> None:
        super().__init__(__name__, file)
        for name, sql in self.by_name.items():
            if "--" not in sql:  # a comment would go on to the end of all
                self.by_name[name] = " ".join(map(str.strip, sql.splitlines()))
