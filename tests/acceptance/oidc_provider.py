"""A login provider to sign in at: what it signs is good now, and for this app."""

from __future__ import annotations

import time
import uuid
from typing import Any, Final

from login_providers.provider import DISCOVERY, Provider
from login_providers.signing import sign

CLIENT_ID: Final = "the-app"
KEY_ID: Final = "one"  # what the provider publishes at first


class OidcProvider(Provider):
    """A login provider with users."""

    @property
    def arn(self) -> str:
        """How an identity pool names it."""
        return f"arn:aws:iam::000000000000:oidc-provider/{self.name}"

    @property
    def setting(self) -> dict[str, Any]:
        """What the setting `login_providers` says of it."""
        return {"client_ids": [CLIENT_ID], "discovery_url": f"{self.url}{DISCOVERY}"}

    def claims(self, subject: str | None = None, **claims: Any) -> dict[str, Any]:
        """Make claims that are good; one that is None is left out."""
        now_s = int(time.time())
        good = {
            "iss": f"https://{self.name}",
            "sub": subject or str(uuid.uuid4()),
            "aud": CLIENT_ID,
            "iat": now_s,
            "exp": now_s + 600,
        }
        return {k: v for k, v in (good | claims).items() if v is not None}

    def token(self, subject: str | None = None, **claims: Any) -> str:
        """Sign a token for a user, a new one by default."""
        return sign(self.claims(subject, **claims), algorithm="ES256", key_id=KEY_ID)

    def logins(self, subject: str | None = None, **claims: Any) -> dict[str, str]:
        """Sign a token and present it as `Logins` do."""
        return {self.name: self.token(subject, **claims)}
