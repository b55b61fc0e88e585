"""What a reader passes on without a look at what it means."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.contract import cognito_sync
from millpond.contract.shapes import Operation
from millpond.server.readers.operations import answered
from millpond.server.readers.relay import Relay
from millpond.settings import Settings


@pytest.fixture
def here(tmp_path: Path) -> list[Operation]:
    return list(answered(Settings(data=tmp_path)))


def make_relay(here: list[Operation]) -> Relay:
    nothing: object = None
    return Relay(
        Path("nowhere"),
        nothing,  # type: ignore[arg-type]
        here,
        under_way=nothing,  # type: ignore[arg-type]
        connections=nothing,  # type: ignore[arg-type]
        take_figures=lambda number: nothing,  # type: ignore[arg-type, return-value]
        heard=lambda news: None,
    )


def path_of(operation: Operation) -> bytes:
    """Give a path of an operation, with labels as most clients spell them."""
    return "/".join(
        "us-east-1%3A0a" if segment.startswith("{") else segment
        for segment in operation.uri.split("/")
    ).encode()


def test_what_is_answered_here_is_looked_at(here: list[Operation]) -> None:
    """No operation that a reader answers is passed on unseen."""
    relay = make_relay(here)

    unseen = [
        each.name
        for each in here
        if relay.is_surely_elsewhere(each.method, path_of(each))
    ]

    assert here
    assert unseen == []


@pytest.mark.parametrize("name", ["UpdateRecords", "DeleteDataset"])
def test_an_update_is_passed_on_unseen(here: list[Operation], name: str) -> None:
    """What writes records costs a reader no routing."""
    operation = cognito_sync.API.by_name[name]

    assert make_relay(here).is_surely_elsewhere(operation.method, path_of(operation))
