"""docs/compared.md has a fact and a source in every cell."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "compared.md"
# What needs no source: AWS has services, and what is kept elsewhere is told there.
WITHOUT = {"no", "a service", "in service", "its own", "not told"}
ELSEWHERE = "that of the data source"


def test_every_cell_has_its_source() -> None:
    """Each of the systems has as many facts, and each of these a link."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text("utf-8").splitlines()
        if line.startswith("| ")
    ]
    assert len(rows) > 10
    assert {len(row) for row in rows} == {7}
    for what, *cells in rows[1:]:
        for cell in cells:
            sourced = re.search(r"\]\((https://|[\w./#-]+\))", cell)
            assert sourced or cell in WITHOUT or cell == ELSEWHERE, (what, cell)
