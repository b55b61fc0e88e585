"""What signs calls of hooks: what the operator chose, or a key of the master secret."""

from __future__ import annotations

from pathlib import Path

from millpond.server import app
from millpond.settings import Settings


def test_a_secret_of_the_settings_is_used_as_it_is(tmp_path: Path) -> None:
    """Several servers can share it, and their hooks too."""
    settings = Settings(data=tmp_path, hook_secret="chosen by the operator")

    assert app.hook_secret(settings) == "chosen by the operator"


def test_without_one_it_is_made_from_the_master_secret(tmp_path: Path) -> None:
    """It stays the same, is another one for another master, and is not the master."""
    one, other = (
        Settings(data=tmp_path, secret_key=digit * 64) for digit in ("1", "2")
    )

    assert app.hook_secret(one) == app.hook_secret(one)
    assert len(bytes.fromhex(app.hook_secret(one))) == 32
    assert len({app.hook_secret(one), app.hook_secret(other), "1" * 64}) == 3
