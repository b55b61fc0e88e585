"""What is true of every page: it keeps nobody out, and its data is at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from console.windows import Watched
from millpond.console.base import ROOT

# What pages show of others: the elements that `text` and `code` of macros.html make.
SHOWN: Final = "bdi.text, code[dir=auto]"
_TEXTS_OF_EACH: Final = (
    f"all => all.map(each => [...each.querySelectorAll('{SHOWN}')]"
    ".map(text => text.textContent))"
)
_END_OF: Final = "…"  # before the end of something secret
_CUT: Final = "… ("  # before how much there is more of a text that is cut


def faults_of(watched: Watched, path: str) -> list[str]:
    """Say what is wrong with the page that is open; it is made narrow and wide."""
    page = watched.page
    faults = watched.serious()
    if page.evaluate("window.ran") is not None:
        faults.append("ran a script")
    if not page.title().endswith("Millpond") or page.locator("h1").count() != 1:
        faults.append("has no title, or not one heading")
    faults += _unlike_its_data(watched, path)
    width = page.viewport_size
    if watched.overflow():
        faults.append("is wider than a narrow screen")
    if width:
        page.set_viewport_size(width)
    return [f"{path}: {each}" for each in faults]


def _unlike_its_data(watched: Watched, path: str) -> list[str]:
    """Say what a page shows that its JSON has not: a text, a row of a table."""
    page, query = watched.page, urlsplit(path).query
    answer = page.context.request.get(
        f"{watched.endpoint}{urlsplit(path).path}?{query + '&' if query else ''}"
        "format=json"
    )
    if answer.status != 200 or not isinstance(data := answer.json(), dict):
        return ["has no data"]
    if path == ROOT:
        return []  # what the overview shows is another thing a moment later
    (shown,) = page.eval_on_selector_all("main", _TEXTS_OF_EACH)
    faults = [f"not in its data: {each[:80]!r}" for each in _missing(shown, data)]
    for table in page.locator("main table").all():
        rows = table.locator("tbody tr").evaluate_all(_TEXTS_OF_EACH)
        if not any(_same(rows, each) for each in _lists(data)):
            faults.append(f"no list of its data has these {len(rows)} rows: {rows[:2]}")
    return faults


def _same(rows: Sequence[Sequence[str]], items: Sequence[Any]) -> bool:
    """Say whether the rows show some of the items, one each, in their order."""
    left = iter(items)
    return all(any(not _missing(row, item) for item in left) for row in rows)


def _missing(shown: Sequence[str], data: Any) -> list[str]:
    """List the texts that are not among the data."""
    there = [*_scalars(data)]
    whole = {*there}
    return [
        each
        for each in (text.removeprefix(_END_OF) for text in shown)
        if each not in whole
        and not (
            _CUT in each
            and any(text.startswith(each.rpartition(_CUT)[0]) for text in there)
        )
    ]


def _scalars(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for name, value in data.items():
            yield str(name)
            yield from _scalars(value)
    elif isinstance(data, list | tuple):
        for each in data:
            yield from _scalars(each)
    else:
        yield str(data)


def _lists(data: Any) -> Iterator[Sequence[Any]]:
    if isinstance(data, dict):
        yield [*data.items()]
        for each in data.values():
            yield from _lists(each)
    elif isinstance(data, list):
        yield data
        for each in data:
            yield from _lists(each)
