"""
The master secret: 32 bytes that everything sealed or signed here hangs on.

It comes from the setting `secret_key` or from the file `secret.key` in the data folder,
made at the first start and readable by its owner alone. Keys for single purposes are
derived from it (HKDF-SHA-256), so that none of them tells anything about another.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
from pathlib import Path
from typing import Final

from millpond.errors import SettingsError

FILE_NAME: Final = "secret.key"
_KEY_BYTES: Final = 32
_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def load(directory: Path, setting: str, *, make: bool = True) -> bytes:
    """
    Load the master secret.

    Args:
        make: as a server does when it starts: make the file when there is none, and
            take the file from others who can read it.
    Raises:
        SettingsError: it cannot be read, is not 64 hex digits, or others can read it.
    """
    if setting:
        return _parse(setting, "Setting 'secret_key'")
    file = directory / FILE_NAME
    try:
        if make:
            with contextlib.suppress(FileExistsError):
                _create(file)
        _keep_from_others(file, mend=make)
        return _parse(file.read_text("ascii"), f"'{file}'")
    except FileNotFoundError as error:
        raise SettingsError(
            f"'{file}' is missing. A server makes it at its first start; where servers "
            "have the setting secret_key, give the same one here."
        ) from error
    except OSError as error:
        raise SettingsError(
            f"Cannot read or make '{file}': {error.strerror}."
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(_not_hex(f"'{file}'")) from error


def _keep_from_others(file: Path, *, mend: bool) -> None:
    """Take the file from everybody but its owner, or refuse it, as ssh does."""
    found = file.stat()
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISREG(found.st_mode):
        raise SettingsError(f"'{file}' is not a file.")
    if not mode & _OF_OTHERS:
        return
    if mend:
        with contextlib.suppress(OSError):
            file.chmod(mode & ~_OF_OTHERS)
            import structlog  # late: who only looks at the store logs nothing

            structlog.get_logger().warning(
                "secret_key.mended", file=str(file), mode=f"{mode:04o}"
            )
            return
    raise SettingsError(
        f"Others can read '{file}' (mode {mode:04o}), and with it sign as this server. "
        f"Keep it to its owner: chmod 600 {shlex.quote(str(file))}. Where it cannot be "
        "changed, give its digits in the variable MILLPOND_SECRET_KEY."
    )


def is_lost(directory: Path, setting: str) -> bool:
    """Say whether a secret that was made before is not there any more."""
    return not setting and not (directory / FILE_NAME).exists()


def derive(master: bytes, purpose: str) -> bytes:
    """Derive the key for one purpose."""
    # Imported late: a command that only looks at the store derives nothing.
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

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
            stream.write(os.urandom(_KEY_BYTES).hex() + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, file)
    finally:
        draft.unlink()


def _not_hex(where: str) -> str:
    return f"{where} must hold {2 * _KEY_BYTES} hex digits."


def _parse(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise SettingsError(_not_hex(where))
    return key
