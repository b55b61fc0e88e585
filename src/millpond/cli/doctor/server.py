"""Whether anybody answers at the endpoint, whether it is Millpond, and its clock."""

from __future__ import annotations

import ssl
import time
from argparse import Namespace
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from ipaddress import ip_address
from socket import gaierror
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from millpond import limits
from millpond.cli.api.faults import PROGRAM
from millpond.cli.doctor.check import Check, Steps, fail, ok, warn
from millpond.client.api import call, transport
from millpond.client.api.configuration import Configuration
from millpond.client.api.faults import Fault
from millpond.client.api.transport import ConnectionFault, Request, Response, Settings

_API_PATH: Final = "/identitypools"  # ListIdentityPoolUsage, which nobody may unsigned
_AWS_DOMAINS: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_OTHER_SCHEME: Final = {"http": "https", "https": "http"}
_SKEW_S_WARN: Final = 60
_STORE_DOWN: Final = "the store does not answer"  # /readyz


@dataclass(frozen=True, slots=True)
class StoreDown:
    """The server is there, and its store is not."""

    said: str


def examine(
    url: str, options: Namespace, configuration: Configuration
) -> Steps[Response | StoreDown | None]:
    """Call the server without a signature; give back an answer of its API."""
    try:
        server = _Server(url, options, configuration)
    except Fault as fault:
        yield fail("server", str(fault), "Correct --ca-bundle or AWS_CA_BUNDLE.")
        return None
    try:
        health, api = server.get("/healthz"), server.get(_API_PATH)
    except ConnectionFault as fault:
        yield _unreachable(server, fault)
        return None
    except Fault as fault:  # a bundle that cannot be read, or a URL that cannot be used
        bundle = call.find_ca_bundle(options, configuration)
        text = f"{fault} (CA bundle: {bundle or 'of the system'})"
        yield fail("server", text, "Correct the endpoint or the CA bundle.")
        return None
    speaks_api = "x-amzn-requestid" in api.headers
    is_healthy = health.status == 200 and health.body.strip() == b"ok"
    if server.is_aws or not speaks_api:
        yield _stranger(server, health)
        return None
    if api.status == HTTPStatus.NOT_FOUND:
        yield _wrong_path(server)
        return None
    yield _encryption(server, options)
    if is_healthy:
        check = _readiness(server)
        if isinstance(check, StoreDown):
            return check
        yield check
    else:
        yield warn(
            "server",
            f"The API answers, but /healthz says {health.status}.",
            "Let the proxy in front of it pass /healthz and /readyz too.",
        )
    return api


def compare_clocks(answer: Response) -> Check:
    """Compare the server's clock with ours; a signature bears the time."""
    try:
        date = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return warn(
            "clock",
            "The server does not tell the time.",
            "Let the proxy in front of it pass the header Date.",
        )
    ahead_s = time.time() - date.timestamp()
    apart_s = round(abs(ahead_s))
    if apart_s <= 1:
        return ok("clock", "Both clocks agree.")
    direction = "ahead of" if ahead_s > 0 else "behind"
    text = f"This machine is {apart_s} s {direction} the server"
    mend = "Set both clocks by NTP."
    window_s = limits.SIGNATURE_WINDOW_S
    if apart_s > window_s:
        refused = f"{text}; beyond {window_s} s it refuses signatures."
        return fail("clock", refused, mend)
    if apart_s > _SKEW_S_WARN:
        return warn("clock", f"{text}; beyond {window_s} s it would refuse.", mend)
    return ok("clock", f"{text}.")


class _Server:
    """The server at a URL, called as the options say."""

    def __init__(
        self, url: str, options: Namespace, configuration: Configuration
    ) -> None:
        self.url = url
        self.parts = urlsplit(url)
        self._settings = Settings(
            connect_timeout_s=options.connect_timeout,
            read_timeout_s=options.read_timeout,
            verify=options.verify_ssl,
            ca_bundle=call.find_ca_bundle(options, configuration),
        )

    @property
    def host(self) -> str:
        return self.parts.hostname or ""

    @property
    def is_aws(self) -> bool:
        return self.host.endswith(_AWS_DOMAINS)

    @property
    def is_this_machine(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def other_url(self) -> str:
        """The same place, asked in the other way: with TLS or without."""
        scheme = _OTHER_SCHEME.get(self.parts.scheme, "http")
        return urlunsplit((scheme, *self.parts[1:]))

    @property
    def proxy(self) -> str | None:
        """The proxy that calls go through, without its password; None: without one."""
        return transport.find_proxy(self.url)

    @property
    def root(self) -> str:
        """The endpoint without a path."""
        return urlunsplit((*self.parts[:2], "", "", ""))

    def get(self, path: str) -> Response:
        """Ask for a page, without a signature."""
        return self._send(self.url, path, self._settings)

    def answers_otherwise(self) -> bool:
        """Tell whether a server answers there that is asked in the other way."""
        settings = Settings(
            connect_timeout_s=self._settings.connect_timeout_s,
            read_timeout_s=self._settings.read_timeout_s,
            verify=False,  # the question is whether it speaks TLS at all
        )
        try:
            return self._send(self.other_url, "/healthz", settings).status == 200
        except Fault:
            return False

    @staticmethod
    def _send(url: str, path: str, settings: Settings) -> Response:
        parts = urlsplit(url)
        base = parts.path.removesuffix("/")
        target = urlunsplit((parts.scheme, parts.netloc, base + path, "", ""))
        return transport.send(Request("GET", target, {}), settings)


def _unreachable(server: _Server, fault: ConnectionFault) -> Check:
    """Say why there is no answer, as far as that can be told from here."""
    cause = fault.__context__
    if server.answers_otherwise():
        return _wrong_scheme(server)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return fail(
            "server",
            f"Its certificate is not trusted: {cause.verify_message}.",
            "Name the file with its authority: --ca-bundle, AWS_CA_BUNDLE or ca_bundle "
            "in the profile.",
        )
    if server.proxy is not None:
        return fail("server", str(fault), _around(server))
    if isinstance(cause, gaierror):
        return fail(
            "server",
            f"No address is known for '{server.host}'.",
            "Correct the endpoint, or the name service.",
        )
    return fail(
        "server",
        str(fault),
        f"Start it (`{PROGRAM} serve --port {server.parts.port or 80}` prints where it "
        "answers), or correct the endpoint; a firewall looks the same.",
    )


def _around(server: _Server) -> str:
    """Say how calls get past a proxy of the environment."""
    return (
        f"Calls go through the proxy {server.proxy}, as variables say. To go past it: "
        f'export no_proxy="{server.host}${{no_proxy:+,$no_proxy}}"'
    )


def _wrong_scheme(server: _Server) -> Check:
    spoken = urlsplit(server.other_url).scheme
    return fail(
        "server",
        f"It speaks {spoken} there, not {server.parts.scheme}.",
        f"Write the endpoint as {server.other_url}",
    )


def _stranger(server: _Server, health: Response) -> Check:
    if server.is_aws:
        who = "This is AWS, not Millpond."
    elif server.answers_otherwise():
        return _wrong_scheme(server)
    else:
        who = f"Somebody answers (/healthz: {health.status}), but not Millpond."
    if server.proxy is not None and not server.is_aws:
        return fail("server", who, _around(server))
    return fail("server", who, "Correct the endpoint: host, port and path.")


def _wrong_path(server: _Server) -> Check:
    """Say that the APIs are there, and not below the path of the endpoint."""
    path = server.parts.path
    return fail(
        "server",
        f"Millpond answers, but has no API below '{path or '/'}'.",
        f"Write the endpoint as {server.root}, or let the proxy in front of it take "
        "the path off.",
    )


def _encryption(server: _Server, options: Namespace) -> Check:
    if server.parts.scheme == "https":
        if options.verify_ssl:
            return ok("tls", "The certificate is trusted.")
        return warn(
            "tls",
            "The certificate is not checked.",
            "Leave --no-verify-ssl out; --ca-bundle names an authority of your own.",
        )
    if server.is_this_machine:
        return ok("tls", "Not used; nothing leaves this machine.")
    return warn(
        "tls",
        "Not used; everybody on the way can read the data.",
        "Give the server a certificate: settings tls_certificate and tls_key.",
    )


def _readiness(server: _Server) -> Check | StoreDown:
    try:
        ready = server.get("/readyz")
    except ConnectionFault as fault:
        return fail("server", str(fault), "Look into the log of the server.")
    if ready.status == 200:
        return ok("server", "Millpond answers and is ready.")
    said = ready.body.decode("utf-8", "replace").strip()
    if said.startswith(_STORE_DOWN):
        return StoreDown(said)
    return fail(
        "server",
        f"Millpond answers, but is not ready: {said or ready.status}.",
        "Look into the log of the server.",
    )
