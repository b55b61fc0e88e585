"""
The push port: how a message gets to a device, and what every push service promises.

Promises
--------
1. When `publish` returns, the service has taken the message over; whether and when the
   device gets it is between the service and the platform.
2. Both methods may be repeated: an endpoint is made once for each token, and a message
   that is sent twice does no harm.
3. A service's own failures are `PushError`s; driver errors do not leave it. With
   `EndpointGoneError` it does not pay to try again before the device registers anew.
"""

from __future__ import annotations

from typing import Protocol


class PushService(Protocol):
    """One that brings messages to devices."""

    async def create_endpoint(
        self, application_arn: str, token: str, *, role_arn: str | None
    ) -> str:
        """
        Make a device known to the service, or find it, and enable it.

        Args:
            token: what the platform calls the app on the device.
            role_arn: of the pool, for a service that acts in its name.
        Returns:
            The ARN of the endpoint.
        Raises:
            EndpointGoneError: the token is no good.
            PushError: not now, or not as the application is set up.
        """
        ...

    async def publish(
        self, endpoint_arn: str, message: str, *, role_arn: str | None
    ) -> None:
        """
        Hand a message over.

        Args:
            message: as `core.push.message` writes it.
        Raises:
            EndpointGoneError: the endpoint is disabled, or deleted.
            PushError: not now, or not as the application is set up.
        """
        ...

    async def check_application(
        self, application_arn: str, *, role_arn: str | None
    ) -> None:
        """
        Ask the service about an application; nothing is sent.

        Raises:
            PushError: it is not there, is switched off, or cannot be used as who asks.
        """
        ...

    async def aclose(self) -> None:
        """Let go of the service, once what is under way has ended. Idempotent."""
        ...
