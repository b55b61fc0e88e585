"""
What the values of settings must be: forms, and what goes together.

Nothing outside is looked at: whether a file is there or a driver is installed is found
out by `server.settings_check`. No value that may hold a secret is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from millpond import limits, nearness
from millpond.settings.fields import Settings
from millpond.settings.values import describe

HOOK_SECRET_CHARS_MIN: Final = 16
SECRET_KEY_DIGITS: Final = 64
STORE_SCHEMES: Final = ("postgresql://", "postgres://")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("auto", "json", "console")
PROXY_HEADERS: Final = ("x-forwarded-for", "forwarded")
CONSOLES: Final = ("auto", "on", "off")
_CHOICES: Final = {
    "log_level": LOG_LEVELS,
    "log_format": LOG_FORMATS,
    "trusted_proxies_header": PROXY_HEADERS,
    "console": CONSOLES,
}
AUTO: Final = "auto"
PORT_MAX: Final = 65535
_WEB_PORTS: Final = {"http": "80", "https": "443"}  # browsers leave them out
# PostgreSQL: of libpq, as far as the driver knows them (asyncpg.connect).
SSL_MODES: Final = (
    *("disable", "allow", "prefer", "require"),
    *("verify-ca", "verify-full"),
)
SSL_OPTIONS: Final = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version", "sslnegotiation"),
)
READERS_MAX: Final = 128
REGION_CHARS_MAX: Final = 18  # the id of an identity has 55, of which 37 are the rest

# Patterns are compiled when something is looked at: most settings are at their default.
_ORIGIN: Final = (
    r"([a-zA-Z][a-zA-Z0-9+.-]*)://(\[[0-9a-fA-F:.]+\]|[^/\s:*\[\]?#@]+)"
    r"(?::([0-9]{1,5}|\*))?/?"
)
_REGION: Final = r"[a-z]([a-z0-9-]*[a-z0-9])?"
_POOL_ID: Final = r"[\w-]+:[0-9a-f-]{1,55}"
_STORE_HOST: Final = r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]{0,9}))?"
_ZONE: Final = r"([a-z]+(-[a-z]+)+-[0-9]+)[a-z]"

Wrong = tuple[str, str]  # the name of the setting, and a sentence


def check(settings: Settings) -> Iterator[Wrong]:
    """Find everything that is wrong with settings that have the right types."""
    yield from _check_addresses(settings)
    yield from _check_readers(settings)
    yield from _check_ephemeral(settings)
    yield from _check_proxies(settings)
    yield from _check_regions(settings)
    yield from _check_secrets(settings)
    yield from _check_urls(settings)
    yield from _check_payload_store(settings)
    yield from _check_choices(settings)
    yield from _check_imports(settings)
    yield from _check_rates(settings)
    yield from _check_guests(settings)


def _check_ephemeral(settings: Settings) -> Iterator[Wrong]:
    if settings.ephemeral and settings.store:
        yield "ephemeral", "A server with a database keeps what is in it."
    if settings.ephemeral and str(settings.readers) != "0":
        yield "ephemeral", "Such a server is one process: leave out readers."


def _check_readers(settings: Settings) -> Iterator[Wrong]:
    text = str(settings.readers)
    if text != AUTO and not (
        re.fullmatch("[0-9]{1,4}", text) and int(text) <= READERS_MAX
    ):
        yield "readers", _is("readers", text, what_it_takes("readers"))


def _check_addresses(settings: Settings) -> Iterator[Wrong]:
    host = settings.host
    if not host or "/" in host or " " in host or not host.isprintable():
        yield "host", _is("host", host, "an address or a name, such as 127.0.0.1")
    elif ":" in host:
        import ipaddress  # late: few hosts are of this form

        try:
            ipaddress.IPv6Address(host.partition("%")[0])
        except ValueError:
            must = "an address without a port; that is the setting 'port'"
            if bracketed := re.fullmatch(r"\[(.+)\](:[0-9]*)?", host):
                port = " and a port" if bracketed[2] else ""
                must = f"an address without brackets{port}, such as {bracketed[1]}"
            yield "host", _is("host", host, must)
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        yield (
            "tls_key" if settings.tls_key else "tls_certificate",
            "Settings 'tls_certificate' and 'tls_key' must be given together.",
        )
    for origin in settings.cors_origins:
        if wrong := _wrong_origin(origin):
            yield (
                "cors_origins",
                f"Setting 'cors_origins' has {describe(origin)}; {wrong}.",
            )


def _wrong_origin(origin: str) -> str:
    """Say what is wrong with an origin; empty: a browser may send it as it is."""
    if origin == "*":
        return ""
    found = re.fullmatch(_ORIGIN, origin)
    port = (found and found[3]) or ""
    if found is None or (port.isdigit() and int(port) > PORT_MAX):
        return (
            "an origin is a scheme, a host and perhaps a port, such as "
            "https://app.example.com"
        )
    scheme, host = found[1].lower(), found[2]
    if not host.isascii():
        return "browsers write such a host in ASCII, with xn-- before it"
    if host.startswith("["):
        import ipaddress  # late: few origins are of this form

        try:
            address = ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return "there is no address of IPv6 in its brackets"
        if address.ipv4_mapped is None:
            host = f"[{address}]"
    if scheme in _WEB_PORTS:  # to others, browsers leave their hosts as they are
        host = host.lower()
    if port.isdigit():
        port = str(int(port))
    behind = f":{port}" if port and port != _WEB_PORTS.get(scheme) else ""
    written = f"{scheme}://{host}{behind}"
    return "" if written == origin else f"browsers write it {written}"


def _check_proxies(settings: Settings) -> Iterator[Wrong]:
    for network in settings.trusted_proxies:
        import ipaddress  # late: few servers have any

        try:
            ipaddress.ip_network(network)
        except ValueError:
            yield (
                "trusted_proxies",
                f"Setting 'trusted_proxies' has {describe(network)}; it takes "
                "addresses and networks, such as 10.0.0.5 or 10.0.0.0/8.",
            )


def _check_regions(settings: Settings) -> Iterator[Wrong]:
    for name, regions in (
        ("region", [settings.region]),
        ("accepted_regions", settings.accepted_regions),
    ):
        for region in regions:
            if name == "accepted_regions" and region == "*":
                continue
            wrong = _wrong_region(region)
            if wrong:
                yield name, f"Setting '{name}' has {describe(region)}; {wrong}."


def _wrong_region(region: str) -> str:
    zone = re.fullmatch(_ZONE, region)
    if zone:
        return f"that is a zone, of the region {zone[1]}"
    if len(region) > REGION_CHARS_MAX:
        return f"a region has at most {REGION_CHARS_MAX} characters"
    if not re.fullmatch(_REGION, region):
        return (
            "a region is lower-case letters, digits and hyphens, such as eu-west-1, "
            "and begins with a letter"
        )
    return ""


def _check_secrets(settings: Settings) -> Iterator[Wrong]:
    account_id = settings.account_id
    if not (account_id.isascii() and account_id.isdigit() and len(account_id) == 12):
        yield "account_id", _is("account_id", account_id, "12 digits")
    key = settings.secret_key.strip()
    if settings.secret_key and not re.fullmatch(
        rf"[0-9a-fA-F]{{{SECRET_KEY_DIGITS}}}", key
    ):
        yield (
            "secret_key",
            f"Setting 'secret_key' must hold {SECRET_KEY_DIGITS} hex digits, and has "
            f"{len(key)} characters.",
        )
    if 0 < len(settings.hook_secret) < HOOK_SECRET_CHARS_MIN:
        yield (
            "hook_secret",
            f"Setting 'hook_secret' must have at least {HOOK_SECRET_CHARS_MIN} "
            "characters.",
        )


def _check_urls(settings: Settings) -> Iterator[Wrong]:
    for name in ("public_url", "token_issuer", "sns_endpoint", "lambda_endpoint"):
        url = getattr(settings, name)
        if (url or name == "token_issuer") and not is_http_url(url):
            yield name, _is(name, url, "an http or https URL with a host")
    if is_http_url(settings.public_url):
        parts = urlsplit(settings.public_url)
        if parts.query or parts.fragment:
            yield (
                "public_url",
                _is("public_url", settings.public_url, "a URL without '?' and '#'"),
            )
    if settings.store and (wrong := _wrong_store(settings.store)):
        yield (
            "store",
            f"Setting 'store' must be {wrong}; without it the store is embedded, in "
            "the folder 'data'.",
        )
    if settings.listen_store and not settings.store:
        yield (
            "listen_store",
            "Setting 'listen_store' is for a database; 'store' names none.",
        )
    elif settings.listen_store and (wrong := _wrong_store(settings.listen_store)):
        yield "listen_store", f"Setting 'listen_store' must be {wrong}."
    for name, provider in settings.login_providers.items():
        keys, discovery = provider.keys, provider.discovery_url
        for key, url in (("keys", keys), ("discovery_url", discovery)):
            has_scheme = "://" in url
            if (has_scheme or (url and key == "discovery_url")) and not is_http_url(
                url
            ):
                yield (
                    "login_providers",
                    f"Setting 'login_providers', '{key}' of '{name}', is "
                    f"{describe(url)}; it must be an http or https URL with a host.",
                )


def _check_imports(settings: Settings) -> Iterator[Wrong]:
    for pool_id, source in settings.imports.items():
        entry = f"Setting 'imports', entry '{pool_id}'"
        if not re.fullmatch(_POOL_ID, pool_id):
            yield (
                "imports",
                f"{entry}: that is no id of an identity pool, REGION:UUID in lower "
                "case.",
            )
        if source.endpoint_url and not is_http_url(source.endpoint_url):
            yield (
                "imports",
                f"{entry}: 'endpoint_url' is {describe(source.endpoint_url)}; it must "
                "be an http or https URL with a host.",
            )
        if source.stream and not source.stream.lower().startswith("kinesis://"):
            yield (
                "imports",
                f"{entry}: 'stream' is {describe(source.stream)}; it must begin with "
                "kinesis://.",
            )


def is_http_url(text: str) -> bool:
    """Say whether a text is the URL of something on a web server."""
    parts = _split(text)
    return parts is not None and parts.scheme in ("http", "https")


def _wrong_store(text: str) -> str:
    """Say what the URL of a database must be; empty: it may be one."""
    if not text.startswith(STORE_SCHEMES) or any(each.isspace() for each in text):
        return "a URL like postgresql://user:password@host/name"
    rest, _, query = text.partition("://")[2].partition("?")
    if "#" in rest + query:
        return (
            "a URL without #, where a driver takes it for ended; in a password # is "
            "written as %23, / as %2F, ? as %3F and @ as %40"
        )
    # An empty host, or several, are good for PostgreSQL; a port must be one.
    for host in rest.partition("/")[0].rpartition("@")[2].split(","):
        found = re.fullmatch(_STORE_HOST, host)
        if not found or int(found[2] or 0) > PORT_MAX:
            return (
                "a URL like postgresql://user:password@host:port/name, with a port to "
                f"{PORT_MAX}; in a password / is %2F, # is %23, ? is %3F and @ is %40"
            )
    for name, value in parse_qsl(query):
        if name == "sslmode" and value.replace("_", "-") not in SSL_MODES:
            return f"a URL whose sslmode is {', '.join(SSL_MODES[:-1])} or verify-full"
        if name.startswith("ssl") and name not in SSL_OPTIONS:
            return f"a URL whose options of TLS are among {', '.join(SSL_OPTIONS)}"
    return ""


def _split(text: str) -> SplitResult | None:
    if any(each.isspace() or not each.isprintable() for each in text):
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    return parts if parts.hostname and port != 0 else None


def _check_payload_store(settings: Settings) -> Iterator[Wrong]:
    if not settings.stream_payload_store:
        return
    if not settings.stream_payload_store.lower().startswith("s3://"):
        yield (
            "stream_payload_store",
            "Setting 'stream_payload_store' must begin with s3://.",
        )
    for name in ("stream_payload_lifetime_s", "stream_retention_s"):
        if getattr(settings, name) > limits.PRESIGN_EXPIRES_S_MAX:
            yield (
                name,
                f"Setting '{name}' is {getattr(settings, name)}; with "
                "'stream_payload_store' it may be at most "
                f"{limits.PRESIGN_EXPIRES_S_MAX}, because links into a bucket end "
                "after seven days.",
            )


def _check_choices(settings: Settings) -> Iterator[Wrong]:
    for name, choices in _CHOICES.items():
        value = getattr(settings, name)
        if value not in choices:
            yield (
                name,
                _is(name, value, what_it_takes(name)) + nearness.ask(value, choices),
            )


def what_it_takes(name: str) -> str:
    """List the values of a setting that has few; empty: it has many."""
    if name == "readers":
        return f"{AUTO} or from 0 to {READERS_MAX}"
    *most, last = _CHOICES.get(name, ("",))
    return f"{', '.join(most)} or {last}" if most else last


def _check_guests(settings: Settings) -> Iterator[Wrong]:
    lifetime_s = settings.unused_guest_lifetime_s
    if 0 < lifetime_s < limits.UNUSED_GUEST_LIFETIME_S_MIN:
        yield (
            "unused_guest_lifetime_s",
            f"Setting 'unused_guest_lifetime_s' is {lifetime_s}; it must be 0, for "
            f"never, or at least {limits.UNUSED_GUEST_LIFETIME_S_MIN}.",
        )


def _check_rates(settings: Settings) -> Iterator[Wrong]:
    for name, least in (
        ("rate_new_identities_max", limits.NEW_IDENTITIES_RATE_MIN),
        ("rate_credentials_max", limits.CREDENTIALS_RATE_MIN),
        ("rate_reads_max", limits.READS_RATE_MIN),
        ("rate_writes_max", limits.WRITES_RATE_MIN),
    ):
        if 0 < getattr(settings, name) < least:
            yield (
                name,
                f"Setting '{name}' is {getattr(settings, name)}; it must be 0, for no "
                f"limit, or at least {least}, which is {limits.RATE_OF_DEVICES} times "
                "what a device sends.",
            )


def _is(name: str, value: str, must: str) -> str:
    return f"Setting '{name}' is {describe(value)}; it must be {must}."
