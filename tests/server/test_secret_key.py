"""The master secret: made once, kept to its owner, never guessed at."""

import stat
from pathlib import Path

import pytest

from millpond.errors import SettingsError
from millpond.server import secret_key


def test_the_file_is_made_once_for_its_owner(tmp_path: Path) -> None:
    """The first start makes 32 random bytes with mode 0600; later ones read them."""
    first = secret_key.load(tmp_path, "")
    second = secret_key.load(tmp_path, "")

    file = tmp_path / secret_key.FILE_NAME
    assert len(first) == 32
    assert second == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_the_setting_stands_in_for_the_file(tmp_path: Path) -> None:
    """With the setting there is no file."""
    assert secret_key.load(tmp_path, "ab" * 32) == bytes.fromhex("ab" * 32)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "ab" * 31, "zz" * 32, "ab" * 33, "é"])
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, text: str) -> None:
    """A damaged secret is said to be damaged; it is never replaced by a new one."""
    (tmp_path / secret_key.FILE_NAME).write_text(text)

    with pytest.raises(SettingsError, match=r"secret\.key"):
        secret_key.load(tmp_path, "")

    assert (tmp_path / secret_key.FILE_NAME).read_text() == text


def test_purposes_have_keys_of_their_own() -> None:
    """Keys derived for different purposes differ."""
    master = bytes(32)

    keys = {secret_key.derive(master, name) for name in ("one", "two", "three")}

    assert len(keys) == 3
