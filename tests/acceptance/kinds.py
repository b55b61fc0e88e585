"""Marks for tests that are about one of the stores."""

from __future__ import annotations

import pytest

embedded_only = pytest.mark.parametrize(
    "store_kind", ["embedded"], indirect=True, scope="session"
)
"""The test looks into the files of the embedded store."""
postgres_only = pytest.mark.parametrize(
    "store_kind", ["postgres"], indirect=True, scope="session"
)
"""The test needs a store that several servers share."""
