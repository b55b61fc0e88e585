"""Where the calls of this environment go, and as whom; no network is needed to tell."""

from __future__ import annotations

from argparse import Namespace
from typing import Final

from millpond.cli.api import credentials, endpoints
from millpond.cli.api.configuration import Configuration
from millpond.cli.api.credentials import Credentials, Elsewhere
from millpond.cli.api.faults import PROGRAM, Fault
from millpond.cli.doctor.check import Steps, fail, ok

_SERVICE: Final = "cognito_sync"
_SOURCES: Final = {
    "environment": "the environment",
    "shared-credentials-file": "the credentials file, profile {profile}",
    "config-file": "the config file, profile {profile}",
}


def find_endpoint(
    options: Namespace, configuration: Configuration
) -> Steps[str | None]:
    """Find the URL of the server."""
    url, source = options.endpoint_url, "--endpoint-url"
    if url is None:
        url, source = configuration.endpoint(_SERVICE)
    set_it = f"export AWS_ENDPOINT_URL_{_SERVICE.upper()}=http://HOST:PORT"
    if url is None and source == "ignore_configured_endpoint_urls":
        yield fail(
            "endpoint",
            "The setting ignore_configured_endpoint_urls is on, so calls go to AWS.",
            "Switch it off, or use --endpoint-url.",
        )
        return None
    if url is None:
        yield fail("endpoint", "None is set, so calls go to AWS.", f"{set_it}")
        return None
    try:
        endpoints.check_url(url)
    except Fault as fault:
        yield fail("endpoint", f"{fault} (from {source})", set_it)
        return None
    yield ok("endpoint", f"{url}, from {source}")
    return str(url)


def find_region(options: Namespace, configuration: Configuration) -> Steps[str | None]:
    """Find the region that signatures are made for."""
    region, source = options.region, "--region"
    if region is None:
        region = configuration.get("region")
        source = configuration.source_of("region")
    if region is None:
        unread = configuration.environment.get("AWS_REGION")
        yield fail(
            "region",
            "None is set."
            + (" AWS_REGION is not read here, as in the AWS CLI 1." if unread else ""),
            f"export AWS_DEFAULT_REGION={unread or 'us-east-1'}; it must be the "
            "server's setting `region`.",
        )
        return None
    try:
        endpoints.check_region(region)
    except Fault as fault:
        yield fail("region", str(fault), "Write it as the server's setting `region`.")
        return None
    yield ok("region", f"{region}, from {source}")
    return str(region)


def find_credentials(
    configuration: Configuration, region: str | None
) -> Steps[Credentials | None]:
    """Find the key to sign with, asking whoever has to be asked."""
    try:
        found = credentials.find(configuration, region)
        if isinstance(found, Elsewhere):
            found = found.fetch()
        if found is None:
            raise credentials.NoCredentialsFault
    except credentials.NoCredentialsFault:
        yield fail(
            "credentials",
            "None were found.",
            "Export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a --profile; "
            f"on the server, `{PROGRAM} key create` makes a key.",
        )
        return None
    except Fault as fault:
        yield fail("credentials", str(fault), "Complete them where they were found.")
        return None
    source = _SOURCES.get(found.source, found.source)
    source = source.format(profile=configuration.profile_name)
    token = ", with a session token" if found.token else ""
    yield ok("credentials", f"{found.access_key}, from {source}{token}")
    return found
