"""Limits are counted by who is at the other end, and nobody can choose who that is."""

from __future__ import annotations

import pytest

from millpond.server.peers import TrustedProxies, peer_of

PROXIES = ["10.0.0.0/8", "192.0.2.1", "2001:db8:1::/48"]


def peer(client: str, *headers: tuple[str, str], **options: str) -> str:
    """Say whom a request is counted for."""
    scope = {
        "client": (client, "5000"),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    return peer_of(scope, TrustedProxies(PROXIES, **options))


def test_without_trusted_proxies():
    """Nobody is believed: it is the address of the connection."""
    scope = {
        "client": ("10.0.0.1", "5000"),
        "headers": [(b"x-forwarded-for", b"198.51.100.9")],
    }

    assert peer_of(scope, TrustedProxies([])) == "10.0.0.1"


@pytest.mark.parametrize(
    ("client", "values", "expected"),
    [
        ("198.51.100.7", ["203.0.113.1"], "198.51.100.7"),  # none of ours says so
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.1"], "203.0.113.1"),
        ("192.0.2.1", ["203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", ["8.8.8.8, 203.0.113.1"], "203.0.113.1"),  # 8.8.8.8 is invented
        ("10.0.0.1", ["8.8.8.8", "203.0.113.1"], "203.0.113.1"),  # in two headers
        ("10.0.0.1", ["203.0.113.1, 10.9.9.9"], "203.0.113.1"),  # two of ours
        ("10.0.0.1", ["10.2.2.2, 10.9.9.9"], "10.2.2.2"),
        ("10.0.0.1", ["203.0.113.1:4711"], "203.0.113.1"),
        ("10.0.0.1", ["2001:db8:9:9:1::1"], "2001:db8:9:9::/64"),
        ("10.0.0.1", ["[2001:db8:9:9:1::1]:4711"], "2001:db8:9:9::/64"),
        ("10.0.0.1", ["::ffff:203.0.113.1"], "203.0.113.1"),
        ("::ffff:10.0.0.1", ["203.0.113.1"], "203.0.113.1"),
        ("2001:db8:1::5", ["203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", ["203.0.113.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.1, "], "10.0.0.1"),
        ("10.0.0.1", ["1" * 70_000], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.1" + ", 10.0.0.2" * 5000], "10.0.0.2"),
    ],
)
def test_x_forwarded_for(client, values, expected):
    """The last address that none of our own proxies has is the sender's."""
    assert peer(client, *(("x-forwarded-for", each) for each in values)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=203.0.113.1", "203.0.113.1"),
        ("for=8.8.8.8, For=203.0.113.1;proto=https;by=10.0.0.1", "203.0.113.1"),
        ('proto=https; for="203.0.113.1:4711"', "203.0.113.1"),
        ('for="[2001:db8:9:9:1::1]:4711"', "2001:db8:9:9::/64"),
        ("for=_hidden", "10.0.0.1"),
        ("by=203.0.113.1", "10.0.0.1"),
        ('for="8.8.8.8, 9.9.9.9"', "10.0.0.1"),  # no address has a comma
    ],
)
def test_forwarded(value, expected):
    """The header of RFC 7239 says the same; the other one is then not looked at."""
    told = (("x-forwarded-for", "198.51.100.99"), ("forwarded", value))

    assert peer("10.0.0.1", *told, header="forwarded") == expected


def test_addresses_of_one_sender_count_together():
    """Whoever has one IPv6 address has all of its network."""
    assert peer("2001:db8:2::1") == peer("2001:db8:2:0:ffff::1") == "2001:db8:2::/64"
    assert peer("fe80::1%eth0") == "fe80::/64"
