"""What the tests of a release share."""

from __future__ import annotations

from pathlib import Path

import pytest

from releasing.checkout import Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout with nothing to change in it."""
    return Checkout(tmp_path / "checkout")
