"""The code in docs/bulk-publish.md does what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from acceptance.sync_client import create_pool
from millpond.testing.server import RunningServer

PAGE = Path(__file__).parents[2] / "docs" / "bulk-publish.md"


def test_the_signed_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the exported variables it asks for both, and is answered."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    with RunningServer(tmp_path / "data") as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        pool = create_pool(server)
        exec(found[1], names)

        progress = names["ask"](pool, "bulkPublishProgress")
        stream = names["ask"](pool, "stream")

    assert progress == {"IdentityPoolId": pool, "BulkPublishStatus": "NOT_STARTED"}
    assert stream["OutboxEntryCount"] == 0
