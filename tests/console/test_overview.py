"""The overview and the settings: what the server says of itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from console.visitor import Visitor
from millpond.console.charts import curve
from millpond.console.history import POINTS, History
from millpond.settings import Settings
from millpond.stores.sqlite import SqliteStore
from millpond.testing.server import RunningServer
from service.stage import make_context


def test_what_the_doctor_says(visitor: Visitor) -> None:
    """The overview has the findings of the examination, and the page shows them."""
    data = visitor.json("/console")
    page = visitor.get("/console").text

    assert {each["name"] for each in data["findings"]} >= {"database", "disk"}
    assert data["disk"]["free_bytes"] > 0
    assert data["nodes"] == 1
    for each in data["findings"]:
        assert each["name"] in page


def test_what_the_overview_leaves_to_the_doctor(tmp_path: Path) -> None:
    """It looks again and again, and so at nothing that is written to or costs money."""
    url = "s3://large-ones/?region=us-east-1&endpoint=http://127.0.0.1:9"
    with RunningServer(
        tmp_path / "data", settings={"stream_payload_store": url}
    ) as server:
        visitor = Visitor(server.endpoint)
        visitor.log_in(server)
        findings = visitor.json("/console")["findings"]

    names = {each["name"] for each in findings}
    assert "database" in names
    assert "stream payloads" not in names


def test_last_errors(visitor: Visitor, console_server: RunningServer) -> None:
    """A call that was refused is there with the id that its caller was told."""
    with pytest.raises(ClientError) as refused:
        console_server.client("cognito-sync").describe_identity_pool_usage(
            IdentityPoolId="us-east-1:00000000-0000-4000-8000-000000000000"
        )
    request_id = refused.value.response["ResponseMetadata"]["RequestId"]

    (newest, *_) = visitor.json("/console")["refused"]
    assert newest["request_id"] == request_id
    assert newest["operation"] == "DescribeIdentityPoolUsage"
    assert request_id in visitor.get("/console").text


def test_an_hour_and_no_more(tmp_path: Path) -> None:
    """Figures are rates, and as many are kept as an hour has."""

    async def play() -> None:
        store = SqliteStore(tmp_path)
        await store.open()
        try:
            context = make_context(store, Settings(data=tmp_path), lambda: 1)
            history = History(context)
            for status in [200] * 15 + [400] * 5:
                context.metrics.requests.observe("ListRecords", status, 0.1)
            for _ in range(POINTS + 3):
                await history.take()
        finally:
            await store.aclose()
        charts = {each["name"]: each["points"] for each in history.charts()}
        assert {len(each) for each in charts.values()} == {POINTS}
        assert charts["requests"][0] == 0  # the first were dropped
        assert charts["store_bytes"][-1] > 0

    asyncio.run(play())


def test_a_chart_has_gaps_and_no_markup_of_its_label() -> None:
    """What could not be had leaves a gap; a label is text."""
    drawn = curve([1, None, 3, 2], '"><script>')

    assert drawn.count('class="curve"') == 2
    assert "<script>" not in drawn


def test_settings(tmp_path: Path) -> None:
    """Each value with where it comes from; no secret."""
    secret = "5e" * 32
    settings = {
        "secret_key": secret,
        "streams": json.dumps({"one": "nats://user:hidden@127.0.0.1:1/one"}),
    }
    with RunningServer(tmp_path / "data", settings=settings) as server:
        visitor = Visitor(server.endpoint)
        visitor.log_in(server)
        data = visitor.json("/console/settings")
        page = visitor.get("/console/settings").text
    rows = {each["name"]: each for each in data["settings"]}

    assert rows["secret_key"]["origin"] == "MILLPOND_SECRET_KEY"
    assert rows["data"]["origin"] == "--data"
    assert rows["region"] == rows["region"] | {
        "value": "us-east-1",
        "origin": "default",
    }
    for each in (page, json.dumps(data)):
        assert secret not in each
        assert "hidden" not in each
