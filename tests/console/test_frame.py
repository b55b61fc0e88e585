"""The frame of the console: who gets in, and what every answer has."""

from __future__ import annotations

from console.visitor import Visitor


def test_a_stranger_is_asked_to_log_in(stranger: Visitor) -> None:
    """Whoever is not logged in gets the form, and afterwards the page he wanted."""
    answer = stranger.get("/console")

    assert answer.status == 303
    assert answer.location == "/console/login?next=%2Fconsole"


def test_a_page_and_its_data(visitor: Visitor) -> None:
    """Whoever is logged in sees a page, and the same at `.json`."""
    page = visitor.get("/console")
    data = visitor.get("/console.json")

    assert page.status == 200
    assert "<h1>" in page.text
    assert data.headers["content-type"] == "application/json"
    assert data.data["version"] in page.text
