"""What is made from the master secret of a store, for one purpose each."""

from __future__ import annotations

import secrets

from millpond.server import secret_key
from millpond.service.developer_keys import SecretSealer
from millpond.settings import Settings


def make_sealer(settings: Settings, *, make: bool = True) -> SecretSealer:
    """
    Make what seals developer secrets.

    Args:
        make: as a server does, make the master secret when there is none.
    """
    return _sealer(settings, "developer secrets", make=make)


def make_token_key_sealer(settings: Settings, *, make: bool = True) -> SecretSealer:
    """Make what seals the keys of OpenID tokens."""
    return _sealer(settings, "token keys", make=make)


def _sealer(settings: Settings, purpose: str, *, make: bool) -> SecretSealer:
    master = secret_key.load(settings.data, settings.secret_key, make=make)
    return SecretSealer(
        secret_key.derive(master, purpose), random_bytes=secrets.token_bytes
    )


def hook_secret(settings: Settings, *, make: bool = True) -> str:
    """
    Give the text that signs what is sent to hooks.

    Args:
        make: as a server does, make the master secret when there is none.
    """
    if settings.hook_secret:
        return settings.hook_secret
    master = secret_key.load(settings.data, settings.secret_key, make=make)
    return secret_key.derive(master, "hooks").hex()
