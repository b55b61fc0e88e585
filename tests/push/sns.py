"""
Amazon SNS in this process, as moto plays it: over HTTP, and open to inspection.

It can go down, and comes back at the same address with everything it had.
"""

from __future__ import annotations

import json
import socket
import uuid
from typing import Any, Final

from botocore.session import get_session
from moto.server import ThreadedMotoServer
from moto.sns.models import PlatformEndpoint, sns_backends

REGION: Final = "us-east-1"
ACCOUNT_ID: Final = "123456789012"  # the only one that moto has by itself
# Who calls does not matter to it, but botocore must have something to sign with.
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "AKIASNS",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Sns:
    """An SNS with push applications, endpoints, and what was published to them."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self._address = host, port
        self.url = f"http://{host}:{port}"
        self._client = get_session().create_client(
            "sns",
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def go_down(self) -> None:
        """Refuse connections from now on, and keep the port from others."""
        self._server.stop()
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(self._address)

    def come_back(self) -> None:
        """Answer again."""
        self._held.close()
        self._server = ThreadedMotoServer(*self._address, verbose=False)
        self._server.start()

    def close(self) -> None:
        """Go down for good."""
        self._client.close()
        self._server.stop()

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
