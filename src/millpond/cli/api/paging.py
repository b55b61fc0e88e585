"""
Operations whose pages are read one after the other, and given back as one.

AWS: botocore/paginate.py and awscli/customizations/paginate.py. A caller who gives a
token or a limit pages by hand. What is cut off behind --max-items can be had with a
token that names the page and how much of it has been seen.
"""

from __future__ import annotations

import json
import sys

from millpond.cli.api.arguments import attribute
from millpond.cli.api.faults import Fault
from millpond.cli.api.model import PAGED, command_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator
    from typing import Any, Final

    from millpond.cli.api.model import OperationModel

    Fetch = Callable[[dict[str, Any]], dict[str, Any]]

TOKEN: Final = "NextToken"
LIMIT: Final = "MaxResults"
_CUT: Final = "boto_truncate_amount"
_OLD_MARK: Final = "___"


class PagingFault(Fault):
    """The pages cannot be read in this way."""

    def __init__(self, message: str) -> None:
        super().__init__(f"Error during pagination: {message}")


def paginators(api: str) -> dict[str, Any]:
    """Describe the paged operations of an API as botocore does (paginators-1)."""
    return {
        "pagination": {
            operation: {
                "input_token": TOKEN,
                "limit_key": LIMIT,
                "output_token": TOKEN,
                "result_key": items,
            }
            for (name, operation), items in PAGED.items()
            if name == api
        }
    }


def is_wanted(given: Namespace, operation: OperationModel, *, paginate: bool) -> bool:
    """
    Tell whether pages are to be put together.

    Raises:
        PagingFault: they are not, and yet there are options for that.
    """
    if operation.paged_items is None:
        return False
    by_hand = any(
        getattr(given, attribute(command_name(name))) is not None
        for name in (TOKEN, LIMIT)
    )
    if paginate and not by_hand:
        return True
    names = ("starting-token", "page-size", "max-items")
    used = [f"--{name}" for name in names if getattr(given, attribute(name))]
    if used:
        raise PagingFault(
            "Cannot specify --no-paginate along with pagination arguments: "
            f"{', '.join(used)}"
        )
    return False


class Pages:
    """
    The pages of one call, read as they are wanted.

    Args:
        fetch: makes one call.
        parameters: the input of the first.
        given: the options --starting-token, --page-size and --max-items.
        name: the member that holds the items.
    """

    def __init__(
        self, fetch: Fetch, parameters: dict[str, Any], given: Namespace, name: str
    ) -> None:
        self._fetch = fetch
        self._parameters = dict(parameters)
        if given.page_size is not None:
            self._parameters[LIMIT] = given.page_size
        self._name = name
        self._starting_token: str | None = given.starting_token
        self._most: int | None = given.max_items
        self._resume_token: str | None = None
        self._answer: dict[str, Any] = {}
        if self._most is not None and self._most <= 0:
            sys.stderr.write(
                "warning: Non-positive values for --max-items may result in undefined "
                "behavior.\n"
            )

    def whole(self) -> dict[str, Any]:
        """Put the pages together."""
        present = [page for page in self._read() if page is not None]
        if not present:
            return {}
        result: dict[str, Any] = {
            self._name: [each for page in present for each in page]
        }
        if self._resume_token is not None:
            result[TOKEN] = self._resume_token
        return result

    def parts(self) -> Iterator[dict[str, Any]]:
        """Give the pages one by one; AWS: text is written so."""
        for page in self._read():
            yield {self._name: page}
        if self._resume_token is not None:
            yield {TOKEN: {TOKEN: self._resume_token}}

    def answers(self) -> Iterator[dict[str, Any]]:
        """Give each answer whole, up to what was asked for."""
        for page in self._read():
            answer = self._answer
            yield answer if page is None else {**answer, self._name: page}

    def _read(self) -> Iterator[list[Any] | None]:
        """Read the items of each page, and note where to go on behind the last."""
        token, skipped = _read_starting_token(self._starting_token)
        total = 0
        while True:
            answer = self._answer = self._fetch(self._page_parameters(token))
            page = answer.get(self._name)
            if skipped and page is not None:
                page = page[skipped:]
            count = len(page or ())
            beyond = 0 if self._most is None else total + count - self._most
            if beyond > 0:
                yield (page or [])[: count - beyond]
                self._resume_token = _write_token(token, count - beyond + skipped)
                return
            yield page
            total += count
            skipped = 0
            previous, token = token, answer.get(TOKEN) or None
            if token is None:
                return
            if total == self._most:
                self._resume_token = _write_token(token)
                return
            if token == previous:
                raise PagingFault(
                    f"The same next token was received twice: { ({TOKEN: token}) }"
                )

    def _page_parameters(self, token: str | None) -> dict[str, Any]:
        if token is None:
            return self._parameters
        return {**self._parameters, TOKEN: token}


def _write_token(token: str | None, seen: int | None = None) -> str:
    """Name a page, and how many of its items have been seen."""
    from base64 import b64encode

    place = {TOKEN: token} if seen is None else {TOKEN: token, _CUT: seen}
    return b64encode(json.dumps(place).encode()).decode()


def _read_starting_token(text: str | None) -> tuple[str | None, int]:
    """Read where to begin: a token of ours, or one of the service as it is."""
    if text is None:
        return None, 0
    from base64 import b64decode

    try:
        place = json.loads(b64decode(text))
        return place.get(TOKEN), place.get(_CUT, 0)
    except (ValueError, AttributeError):
        return _read_old_token(text)


def _read_old_token(text: str) -> tuple[str | None, int]:
    """Read the form of old releases: a token, and perhaps a number behind it."""
    parts = text.split(_OLD_MARK)
    if len(parts) > 2:
        raise Fault(f"Bad starting token: {text}")
    seen = 0
    if len(parts) == 2 and parts[1].isdigit():
        text, seen = parts[0], int(parts[1])
    return None if text == "None" else text, seen
