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
from millpond.client.api.faults import Fault, InputFault
from millpond.client.api.model import PAGED, command_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, Final

    from millpond.client.api.model import Paging, Path
    from millpond.client.api.ways import Ways

    Fetch = Callable[[dict[str, Any]], dict[str, Any]]

_NEXT_TOKEN: Final = "NextToken"  # of a result, whatever the API calls its own
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
                "input_token": how.token,
                "limit_key": how.limit,
                "output_token": ".".join(map(str, how.next_token)),
                "result_key": ".".join(map(str, how.items[0])),
            }
            for (name, operation), how in PAGED.items()
            if name == api
        }
    }


def is_wanted(given: Namespace, how: Paging, ways: Ways, *, paginate: bool) -> bool:
    """
    Tell whether pages are to be put together, as far as the options say.

    Raises:
        PagingFault: they are not, and yet there are options for that.
    """
    by_hand = any(
        getattr(given, attribute(command_name(name)), None) is not None
        for name in how.by_hand
    )
    if paginate and not by_hand:
        return True
    names = ("starting-token", "page-size", "max-items")
    used = [f"--{name}" for name in names if getattr(given, attribute(name))]
    if used:
        told = (
            "Cannot specify --no-paginate along with pagination arguments: "
            f"{', '.join(used)}"
        )
        raise PagingFault(told) if ways.version == 1 else InputFault(told)
    return False


def is_by_hand(parameters: Mapping[str, Any], how: Paging, ways: Ways) -> bool:
    """
    Tell whether the input asks for one page.

    AWS: version 1 looks at the options alone, and not into --cli-input-json.
    """
    return ways.version == 2 and any(n in parameters for n in (how.token, how.limit))


class Pages:
    """
    The pages of one call, read as they are wanted.

    Args:
        fetch: makes one call.
        parameters: the input of the first.
        given: the options --starting-token, --page-size and --max-items.
    """

    def __init__(
        self, fetch: Fetch, parameters: dict[str, Any], given: Namespace, how: Paging
    ) -> None:
        self._fetch = fetch
        self._parameters = dict(parameters)
        self._how = how
        if given.page_size is not None:
            self._parameters[how.limit] = given.page_size
        self._starting_token: str | None = given.starting_token
        self._most: int | None = given.max_items
        self._resume_token: str | None = None
        self._kept: dict[str, Any] = {}
        if self._most is not None and self._most <= 0:
            sys.stderr.write(
                "warning: Non-positive values for --max-items may result in undefined "
                "behavior.\n"
            )

    def whole(self) -> dict[str, Any]:
        """Put the pages together."""
        result: dict[str, Any] = {}
        for answer in self.answers():
            for path in self._how.items:
                found = _find(answer, path)
                if found is not None:
                    _put(result, path, [*(_find(result, path) or []), *found])
        for path in self._how.kept:
            _put(result, path, _find(self._kept, path))
        if self._resume_token is not None:
            result[_NEXT_TOKEN] = self._resume_token
        return result

    def parts(self) -> Iterator[dict[str, Any]]:
        """Give the pages one by one, without what is no item but in the first."""
        kept = self._how.kept
        for answer in self.answers():
            part: dict[str, Any] = {}
            for path in (*kept, *self._how.items):
                _put(part, path, _find(answer, path))
            kept = ()
            yield part
        if self._resume_token is not None:
            yield {_NEXT_TOKEN: {_NEXT_TOKEN: self._resume_token}}

    def answers(self) -> Iterator[dict[str, Any]]:
        """Give the answers as they came, and note where to go on behind the last."""
        first, *others = self._how.items
        token, skipped = _read_starting_token(self._starting_token, self._how.token)
        total = 0
        is_first = True
        while True:
            answer = self._fetch(self._page_parameters(token))
            if is_first and self._starting_token is not None:
                _skip(answer, first, others, skipped)
            if is_first:
                self._kept = answer
            is_first = False
            count = len(_find(answer, first) or ())
            beyond = 0 if self._most is None else total + count - self._most
            if beyond > 0:
                _put(answer, first, (_find(answer, first) or [])[: count - beyond])
                self._resume_token = self._write_token(token, count - beyond + skipped)
                yield answer
                return
            yield answer
            total += count
            skipped = 0
            previous, token = token, self._token_behind(answer)
            if token is None:
                return
            if total == self._most:
                self._resume_token = self._write_token(token)
                return
            if token == previous:
                raise PagingFault(
                    "The same next token was received twice: "
                    f"{ ({self._how.token: token}) }"
                )

    def _token_behind(self, answer: dict[str, Any]) -> str | None:
        if self._how.more is not None and not _find(answer, self._how.more):
            return None
        return _find(answer, self._how.next_token) or None

    def _page_parameters(self, token: str | None) -> dict[str, Any]:
        if token is None:
            return self._parameters
        return {**self._parameters, self._how.token: token}

    def _write_token(self, token: str | None, seen: int | None = None) -> str:
        """Name a page, and how many of its items have been seen."""
        from base64 import b64encode

        place: dict[str, Any] = {self._how.token: token}
        if seen is not None:
            place[_CUT] = seen
        return b64encode(json.dumps(place).encode()).decode()


def _find(answer: Any, path: Path) -> Any:
    """Look up what stands at a path; `None` when nothing does."""
    for step in path:
        try:
            answer = answer[step]
        except (IndexError, KeyError, TypeError):
            return None
    return answer


def _put(answer: dict[str, Any], path: Path, value: Any) -> None:
    """Put something at a path of names, making what is on the way."""
    *way, last = path
    for step in way:
        answer = answer.setdefault(str(step), {})
    answer[str(last)] = value


def _skip(
    answer: dict[str, Any], first: Path, others: Iterable[Path], skipped: int
) -> None:
    """
    Leave out what has been seen of a page.

    AWS: items of the other kinds are taken to have been seen, all of them.
    """
    found = _find(answer, first)
    _put(answer, first, found[skipped:] if isinstance(found, list) else None)
    for path in others:
        _put(answer, path, [] if isinstance(_find(answer, path), list) else None)


def _read_starting_token(text: str | None, name: str) -> tuple[str | None, int]:
    """Read where to begin: a token of ours, or one of the service as it is."""
    if text is None:
        return None, 0
    from base64 import b64decode

    try:
        place = json.loads(b64decode(text))
        return place.get(name), place.get(_CUT, 0)
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
