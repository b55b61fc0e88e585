#!/usr/bin/env bash
# Over HTTP/2 granian sends the body of an answer to HEAD.
#
# Versions   granian and h2 as pinned below, Python 3.11 or newer.
# One would guess that an ASGI server drops the body of an answer to HEAD, as it does over
#            HTTP/1.1, and as frameworks such as Starlette trust that it does.
# Seen       Over HTTP/1.1 the answer to HEAD has no body. Over HTTP/2 the same application,
#            on the same port, is answered with DATA frames, which RFC 9110 (9.3.2) forbids.
#            A strict client takes the stream for broken: h2 raises InvalidBodyLengthError.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check granian==2.8.9 h2==4.4.1
cat >try.py <<'PYTHON'
import asyncio
import http.client
import socket

import h2.connection
import h2.exceptions
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

BODY = b"three words here"


async def application(scope, receive, send):
    length = str(len(BODY)).encode()
    headers = [(b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def over_http_1(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.connect()
    connection.sock.sendall(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    received = b""
    while part := connection.sock.recv(65536):
        received += part
    connection.close()
    return received.partition(b"\r\n\r\n")[2]


def over_http_2(port):
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        client = h2.connection.H2Connection()
        client.initiate_connection()
        head = {":method": "HEAD", ":path": "/", ":scheme": "http", ":authority": "a"}
        client.send_headers(1, list(head.items()), end_stream=True)
        connection.sendall(client.data_to_send())
        while part := connection.recv(65536):
            try:
                events = client.receive_data(part)
            except h2.exceptions.InvalidBodyLengthError as error:
                return error
            connection.sendall(client.data_to_send())
            if any(type(each).__name__ == "StreamEnded" for each in events):
                return None


async def main():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = Server(
        application,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.auto,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    for _ in range(100):
        try:
            first = await asyncio.to_thread(over_http_1, port)
            break
        except ConnectionRefusedError:
            await asyncio.sleep(0.1)
    second = await asyncio.to_thread(over_http_2, port)
    server.stop()
    await serving
    print("HTTP/1.1:", first, " HTTP/2:", repr(second))
    assert first == b""
    assert isinstance(second, h2.exceptions.InvalidBodyLengthError)


asyncio.run(main())
PYTHON
.venv/bin/python try.py
