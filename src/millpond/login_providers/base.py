"""The login provider port: how the service gets at the keys of a provider."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from jwt import PyJWK


class LoginProviderKeys(Protocol):
    """The public keys with which login providers sign their tokens."""

    async def find_keys(
        self, provider_name: str, key_id: str | None, *, doubted: bool = False
    ) -> Sequence[PyJWK]:
        """
        Find the keys that may have signed a token.

        Args:
            provider_name: as in `Logins`: the issuer, without the scheme.
            key_id: the `kid` of the token; None when it has none.
            doubted: those that were found before did not verify it. A provider may
                have put a new key in the place of one, under the same id or none.
        Returns:
            The keys of that id, all signing keys when it is None; none when the
            provider is known and has no such key.
        Raises:
            LoginProviderError: the provider cannot be asked.
        """
        ...

    def age_ms(self, provider_name: str) -> int | None:
        """Say how long ago its keys were read; None: they were not."""
        ...
