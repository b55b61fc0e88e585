"""Comparing our contracts with the models that botocore brings along (`published`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import published
from millpond.contract.botocore_model import service_model
from millpond.contract.shapes import Api

_FACTS = ("type", "min", "max", "pattern", "enum")


class Comparison:
    """Walks our model and a published one side by side, and says what differs."""

    def __init__(self, api: Api) -> None:
        self.ours = service_model(api)
        self.theirs = published.load(api.name)

    def operations(self) -> Iterator[str]:
        """List what differs in the operations that we have."""
        for name, ours in self.ours["operations"].items():
            theirs = self.theirs["operations"].get(name)
            if theirs is None:
                yield f"{name}: not published"
                continue
            for part in ("input", "output"):
                if (part in ours) is not (part in theirs):
                    yield f"{name}: {part} added or left out"
                elif part in ours:
                    shapes = ours[part]["shape"], theirs[part]["shape"]
                    yield from self._structure(*shapes, name, given=part == "input")

    def added_errors(self) -> Iterator[str]:
        """List errors of ours that the published operation does not have."""
        for name, ours in self.ours["operations"].items():
            theirs = self.theirs["operations"].get(name, {})
            known = {each["shape"] for each in theirs.get("errors", [])}
            for error in ours["errors"]:
                if error["shape"] not in known:
                    yield f"{name}: {error['shape']}"

    def callers(self) -> Iterator[str]:
        """List operations that are signed in one model and not in the other."""
        for name, ours in self.ours["operations"].items():
            theirs = self.theirs["operations"].get(name, {})
            for fact in ("authtype", "auth"):
                if ours.get(fact) != theirs.get(fact):
                    yield f"{name}: {fact} {ours.get(fact)}, not {theirs.get(fact)}"

    def _structure(self, ours: str, theirs: str, at: str, given: bool) -> Iterator[str]:
        mine, known = self.ours["shapes"][ours], self.theirs["shapes"][theirs]
        in_order = [name for name in known["members"] if name in mine["members"]]
        if in_order != list(mine["members"]):
            yield f"{at}: members added, or in another order"
        for name, member in known["members"].items():
            inside = f"{at}.{name}"
            if name not in mine["members"]:
                if given:  # an answer may say less
                    yield f"{inside}: left out"
                continue
            if given and (name in mine.get("required", [])) is not (
                name in known.get("required", [])
            ):
                yield f"{inside}: required or not"
            shape = mine["members"][name]["shape"]
            yield from self._shape(shape, member["shape"], inside, given)

    def _shape(self, ours: str, theirs: str, at: str, given: bool) -> Iterator[str]:
        mine, known = self.ours["shapes"][ours], self.theirs["shapes"][theirs]
        if mine["type"] == known["type"] == "structure":
            yield from self._structure(ours, theirs, at, given)
            return
        if ours != theirs:
            yield f"{at}: {ours} in place of {theirs}"
        for fact in _FACTS:
            if mine.get(fact) != known.get(fact):
                yield (f"{at}: {fact} {mine.get(fact)} in place of {known.get(fact)}")
        for part in ("member", "key", "value"):
            if part in mine:
                shapes = mine[part]["shape"], known[part]["shape"]
                yield from self._shape(*shapes, f"{at}[{part}]", given)


@pytest.fixture
def compared() -> Callable[[Api], Any]:
    """Compare an API of ours with the published model of its name."""
    return Comparison
