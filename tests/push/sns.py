"""
Amazon SNS in this process, as moto plays it: over HTTP, and open to inspection.

It can go down, and comes back at the same address with everything it had.
"""

from __future__ import annotations

import json
import uuid
from typing import Any, Final

from moto.sns.models import PlatformEndpoint, sns_backends

from sinks.moto_server import REGION, Moto

ACCOUNT_ID: Final = "123456789012"  # the only one that moto has by itself
# Who calls does not matter to it, but botocore must have something to sign with.
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "AKIASNS",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Sns(Moto):
    """An SNS with push applications, endpoints, and what was published to them."""

    def __init__(self) -> None:
        super().__init__()
        self._client = self.client("sns")

    def close(self) -> None:
        """Go down for good."""
        self._client.close()
        super().close()

    def create_application(self, platform: str = "GCM") -> str:
        """Create a push application; return its ARN."""
        arn: str = self._client.create_platform_application(
            Name=f"app-{uuid.uuid4()}", Platform=platform, Attributes={}
        )["PlatformApplicationArn"]
        return arn

    def create_endpoint(self, application_arn: str, token: str, **options: Any) -> str:
        """Create an endpoint as somebody else than Millpond would."""
        arn: str = self._client.create_platform_endpoint(
            PlatformApplicationArn=application_arn, Token=token, **options
        )["EndpointArn"]
        return arn

    def disable(self, endpoint_arn: str) -> None:
        """Give a device up, as SNS does when the platform refuses its token."""
        self._client.set_endpoint_attributes(
            EndpointArn=endpoint_arn, Attributes={"Enabled": "false"}
        )

    def delete_endpoint(self, endpoint_arn: str) -> None:
        """Delete an endpoint behind Millpond's back."""
        self._client.delete_endpoint(EndpointArn=endpoint_arn)

    def endpoints(self, token: str) -> list[PlatformEndpoint]:
        """Find the endpoints of a token."""
        backend = sns_backends[ACCOUNT_ID][REGION]
        found = list(backend.platform_endpoints.values())
        return [each for each in found if each.token == token]

    def messages(self, token: str) -> list[dict[str, Any]]:
        """List what was published to a token, as its platform gets it."""
        return [
            json.loads(json.loads(text)[endpoint.application.platform])
            for endpoint in self.endpoints(token)
            for text in list(endpoint.messages.values())
        ]

    def sync_counts(self, token: str) -> list[int]:
        """List the sync counts that a token was told, in order."""
        return [int(each["data"]["syncCount"]) for each in self.messages(token)]


def new_token() -> str:
    """Make up what a platform might call an app on a device."""
    return uuid.uuid4().hex
