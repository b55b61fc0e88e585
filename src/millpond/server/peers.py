"""
Who is at the other end of a request: the address that bounds are counted by.

It is that of the connection, unless a proxy of ours has opened it: then it is the one
that the proxy has heard of, and if that is a proxy of ours too, the one before it.
Whoever is not trusted may write what he likes in front of that; it is never looked at.

Who has one IPv6 address has 2**64 of them (RFC 6177), so those are counted together.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, MutableMapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from millpond.settings import Settings

Scope = MutableMapping[str, Any]

HOPS_MAX: Final = 32  # addresses that are looked at; nobody has as many proxies
X_FORWARDED_FOR: Final = "x-forwarded-for"
FORWARDED: Final = "forwarded"
_V6_PREFIX: Final = 64
_CACHED_MAX: Final = 8192
# RFC 7239, 4: a value is a token or a quoted string.
_FOR: Final = re.compile(r'(?:^|;)\s*for=(?:"([^"\\]*)"|([^;"\s]*))', re.IGNORECASE)

_PROTO: Final = re.compile(r'(?:^|;)\s*proto="?(\w*)"?', re.IGNORECASE)
_HOST: Final = re.compile(r'(?:^|;)\s*host=(?:"([^"\\]*)"|([^;"\s]*))', re.IGNORECASE)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TrustedProxies:
    """The proxies whose word is taken for where a request comes from."""

    def __init__(
        self, networks: Iterable[str], *, header: str = X_FORWARDED_FOR
    ) -> None:
        """
        Args:
            networks: in CIDR notation, or addresses.
            header: in which they write it, in lower case.
        """
        self._networks = [ipaddress.ip_network(each) for each in networks]
        self.header = header.encode()
        self.any = bool(self._networks)
        self.trusts = lru_cache(_CACHED_MAX)(self._trusts)

    @classmethod
    def of(cls, settings: Settings) -> TrustedProxies:
        """Make those of the settings."""
        return cls(settings.trusted_proxies, header=settings.trusted_proxies_header)

    def _trusts(self, host: str) -> bool:
        """Say whether an address is one of theirs."""
        address = _read(host)
        return address is not None and any(address in each for each in self._networks)


def peer_of(scope: Scope, trusted: TrustedProxies) -> str:
    """
    Tell who sent a request, in a form that is the same for all that are counted as one.

    Returns:
        An IPv4 address, or an IPv6 network of 64 bits.
    """
    return name(address_of(scope, trusted))


def address_of(scope: Scope, trusted: TrustedProxies) -> str:
    """Tell the address that a request was sent from, as far as it can be known."""
    host: str = scope["client"][0]
    if not trusted.any or not trusted.trusts(host):
        return host
    return _forwarded(scope, host, trusted)


class Sender(NamedTuple):
    """How whoever sent a request reached us, or a proxy of ours."""

    address: str
    scheme: str
    host: str
    """As it was asked for, with its port; empty: nobody said."""


def sender_of(scope: Scope, trusted: TrustedProxies) -> Sender:
    """Tell how a request was sent; of a proxy of ours, what it says is believed."""
    address: str = scope["client"][0]
    scheme, host = scope["scheme"], _last(scope, b"host")
    if trusted.any and trusted.trusts(address):
        address = _forwarded(scope, address, trusted)
        if trusted.header == FORWARDED.encode():
            hop = _last(scope, trusted.header).rpartition(",")[2]
            told_scheme, told_host = _match(_PROTO, hop), _match(_HOST, hop)
        else:
            told_scheme = _last(scope, b"x-forwarded-proto").rpartition(",")[2]
            told_host = _last(scope, b"x-forwarded-host").rpartition(",")[2]
        scheme = told_scheme.strip().lower() or scheme
        host = told_host.strip() or host
    return Sender(address, scheme, host)


def _last(scope: Scope, header: bytes) -> str:
    values: list[bytes] = [value for key, value in scope["headers"] if key == header]
    return values[-1].decode("latin-1") if values else ""


def _match(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return next((each for each in found.groups() if each), "") if found else ""


@lru_cache(_CACHED_MAX)
def name(host: str) -> str:
    """Name the peer that an address belongs to."""
    address = _read(host)
    if address is None:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        network = ipaddress.IPv6Network((int(address), _V6_PREFIX), strict=False)
        return str(network)
    return str(address)


def _forwarded(scope: Scope, host: str, trusted: TrustedProxies) -> str:
    """Find the last address that is none of our proxies, from the right."""
    values = [value for key, value in scope["headers"] if key == trusted.header]
    parts = b",".join(values).decode("latin-1").rsplit(",", HOPS_MAX)
    for part in reversed(parts[-HOPS_MAX:]):
        told = _element(part, trusted.header == FORWARDED.encode())
        if told is None:  # `unknown`, a name, or nonsense: the proxy itself is meant
            return host
        host = told
        if not trusted.trusts(host):
            return host
    return host


def _element(part: str, is_rfc_7239: bool) -> str | None:
    """Read the address of one hop; None where there is none."""
    text = part.strip()
    if is_rfc_7239:
        found = _FOR.search(text)
        if found is None:
            return None
        text = found[1] if found[1] is not None else found[2]
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # some proxies add the port of an IPv4 address
        text = text.partition(":")[0]
    return text if _read(text) is not None else None


def _read(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
