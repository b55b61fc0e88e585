"""AWS in this process, as moto plays it, over HTTP: Kinesis, STS and S3."""

from __future__ import annotations

import socket
from typing import Any, Final

from botocore.session import get_session
from moto.server import ThreadedMotoServer

REGION: Final = "us-east-1"


class Moto:
    """A moto server on a free port; what it keeps is shared within this process."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        self._address = self._server.get_host_and_port()
        self._held: socket.socket | None = None
        self.url = f"http://{self._address[0]}:{self._address[1]}"

    def client(self, service: str) -> Any:
        """Make a client of a service, as somebody else than Millpond."""
        return get_session().create_client(
            service,
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
        """Answer again, at the same address."""
        assert self._held is not None
        self._held.close()
        self._held = None
        self._server = ThreadedMotoServer(*self._address, verbose=False)
        self._server.start()

    def close(self) -> None:
        """Go down for good. Idempotent."""
        if self._held is None:
            self.go_down()
        assert self._held is not None
        self._held.close()
