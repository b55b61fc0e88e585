"""
The master secret: 32 bytes that everything sealed or signed here hangs on.

It comes from the setting `secret_key` or from the file `secret.key` in the data folder,
made at the first start and readable by its owner alone. Keys for single purposes are
derived from it (HKDF-SHA-256), so that none of them tells anything about another.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from millpond.errors import SettingsError

FILE_NAME: Final = "secret.key"
_KEY_BYTES: Final = 32


def load(directory: Path, setting: str) -> bytes:
    """
    Load the master secret; make it at the first start.

    Raises:
        SettingsError: it cannot be read or is not 64 hex digits.
    """
    if setting:
        return _parse(setting, "Setting 'secret_key'")
    file = directory / FILE_NAME
    try:
        with contextlib.suppress(FileExistsError):
            _create(file)
        return _parse(file.read_text("ascii"), f"'{file}'")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"Cannot read or make '{file}': {error}.") from error


def is_lost(directory: Path, setting: str) -> bool:
    """Say whether a secret that was made before is not there any more."""
    return not setting and not (directory / FILE_NAME).exists()


def derive(master: bytes, purpose: str) -> bytes:
    """Derive the key for one purpose."""
    return HKDF(
        algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose.encode()
    ).derive(master)


def _create(file: Path) -> None:
    """Make the file whole or not at all; two processes may be starting at once."""
    if file.exists():
        return
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(_KEY_BYTES) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, file)
    finally:
        draft.unlink()


def _parse(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise SettingsError(f"{where} must hold {2 * _KEY_BYTES} hex digits.")
    return key
