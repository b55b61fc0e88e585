"""The example page: a browser shows changes when they are made, and misses none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from acceptance.sync_client import Dataset, create_pool
from clients.browser import Chromium, find_chromium
from clients.example_page import ExamplePage, Gate
from millpond.testing.server import RunningServer, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that pages of this machine may call."""
    with RunningServer(
        tmp_path_factory.mktemp("live") / "data",
        settings={"cors_origins": json.dumps(["http://127.0.0.1:*"])},
    ) as running:
        yield running


@pytest.fixture(scope="module")
def gate(server: RunningServer) -> Iterator[Gate]:
    """What stands between the page and the server."""
    gate = Gate(server.endpoint)
    yield gate
    gate.close()


@pytest.fixture(scope="module")
def page(
    server: RunningServer, gate: Gate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExamplePage]:
    """The page, in a browser, connected."""
    chromium = find_chromium()
    page = ExamplePage(gate.endpoint, create_pool(server))
    profile = tmp_path_factory.mktemp("chromium") / "profile"
    browser = Chromium(chromium, [page], profile)
    yield page
    browser.close()
    page.close()


@pytest.fixture
def dataset(server: RunningServer, gate: Gate, page: ExamplePage) -> Iterator[Any]:
    """Give a dataset of the identity that the page has, by its name."""
    gate.open()
    page.wait_for(", connected")
    found = re.search(r"Identity (\S+),", page.text)
    assert found is not None
    client = server.client("cognito-sync")
    yield lambda name: Dataset(client, page.pool, found.group(1), name)
    client.close()


def test_as_they_arrive(page, dataset):
    """Each change is shown, in order."""
    for count in (1, 2, 3):
        dataset("shown").put(a=str(count))
        page.wait_for(f"shown is at {count}")

    shown = [each for each in page.changes if each.startswith("shown")]
    assert shown == ["shown is at 1", "shown is at 2", "shown is at 3"]


def test_the_connection_breaks(page, dataset, gate):
    """The browser comes back by itself, and shows what happened meanwhile, once."""
    dataset("before").put(a="1")
    page.wait_for("before is at 1")
    gate.shut()
    page.wait_for(", disconnected")
    dataset("meanwhile").put(a="1")
    gate.open()
    page.wait_for("meanwhile is at 1")

    assert page.changes.count("before is at 1") == 1
    assert page.changes.count("meanwhile is at 1") == 1


def test_the_url_is_refused(page, dataset, gate):
    """The page signs another URL, which names the last event, and misses nothing."""
    dataset("known").put(a="1")
    page.wait_for("known is at 1")
    turned_away = gate.turned_away
    gate.shut()
    wait_until(lambda: gate.turned_away > turned_away)
    dataset("missed").put(a="1")
    gate.open()
    page.wait_for("missed is at 1")

    assert page.changes.count("known is at 1") == 1
