"""The tree of errors is what its picture says, and its statuses are the API's."""

from __future__ import annotations

import re

import published
from millpond import errors
from millpond.contract.cognito_sync import API
from millpond.errors import MillpondError, ServiceException


def drawn() -> dict[str, tuple[str | None, int | None]]:
    """Read the picture: the parent and the status of each class."""
    doc = errors.__doc__ or ""
    picture = doc[doc.index("    ServiceException\n") : doc.index("Source:")]
    tree: dict[str, tuple[str | None, int | None]] = {}
    above: list[str] = []
    for line in picture.splitlines():
        text = line[4:]
        match = re.match(r"((?:\|   |    )*)(?:[|`]-- )?(\w+)(?:\s+(\d{3})\b)?", text)
        if match is None or not match[2]:
            continue
        branch = "-- " in text[: text.index(match[2])]
        depth = len(match[1]) // 4 + branch
        status = int(match[3]) if match[3] else None
        del above[depth:]
        tree[match[2]] = (above[-1] if above else None, status)
        above.append(match[2])
    return tree


def public_parent(kind: type) -> str | None:
    """Name the nearest base class that is drawn."""
    for base in kind.__mro__[1:]:
        if base.__module__ == errors.__name__ and not base.__name__.startswith("_"):
            return base.__name__
    return None


def test_the_picture_is_the_tree() -> None:
    """Classes, their bases and their statuses are as drawn, in both directions."""
    tree = {
        name: (
            public_parent(each),
            each.http_status
            if issubclass(each, ServiceException) and each is not ServiceException
            else None,
        )
        for name, each in vars(errors).items()
        if isinstance(each, type)
        and each.__module__ == errors.__name__
        and not name.startswith("_")
    }

    assert drawn() == tree


def test_the_two_families_are_told_apart_by_their_suffix() -> None:
    """`...Exception` is for the caller, `...Error` is ours; nothing is both."""
    for name, each in vars(errors).items():
        if isinstance(each, type) and each.__module__ == errors.__name__:
            assert name.endswith("Exception") is issubclass(each, ServiceException)
            assert name.endswith("Error") is issubclass(each, MillpondError)
            assert each.__doc__


def test_error_shapes_are_those_of_the_model() -> None:
    """Every error of the Cognito Sync model is there, with its HTTP status."""
    model = published.load("cognito-sync")
    theirs = {
        name: shape["error"]["httpStatusCode"]
        for name, shape in model["shapes"].items()
        if shape.get("exception")
    }
    named = {each for operation in API.operations for each in operation.errors}

    ours = {each.__name__: each.http_status for each in named}

    assert len(ours) == 13
    published.check(published.differences(ours, theirs))


def test_each_operation_names_the_errors_of_the_model() -> None:
    """No operation may refuse with what its clients do not expect, or less."""
    operations = published.load("cognito-sync")["operations"]
    for operation in API.operations:
        theirs = {
            each["shape"]
            for each in operations.get(operation.name, {}).get("errors", [])
        }

        published.check({each.__name__ for each in operation.errors} ^ theirs)


def test_our_errors_say_where_and_what_next() -> None:
    """Step, text and hint make one message; each part may be missing."""
    error = errors.StoreError("It failed.", op="write", hint="Try it.")

    assert str(error) == "write: It failed. Try it."
    assert str(errors.StoreError("It failed.")) == "It failed."
    assert not error.retryable
    assert errors.StoreUnavailableError("x").retryable
    assert errors.SinkUnavailableError("x").retryable
    assert not errors.StreamGoneError("x").retryable
