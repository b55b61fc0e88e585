"""Where the calls of this environment go, and as whom; no network is needed to tell."""

from __future__ import annotations

import shlex
from argparse import Namespace
from typing import Final

from millpond.cli.api.faults import PROGRAM
from millpond.cli.doctor.check import Check, Steps, fail, ok, warn
from millpond.client.api import credentials, endpoints
from millpond.client.api.configuration import Configuration
from millpond.client.api.credentials import Credentials, Elsewhere
from millpond.client.api.faults import Fault

_SERVICE: Final = "cognito_sync"
# AWS: the changelogs of boto3 and of both lines of the AWS CLI, and their releases.
_READ_SINCE: Final = (
    "read by boto3 since 1.28 and the AWS CLI since 1.29 and 2.13, older ones need "
    "endpoint_url= and --endpoint-url"
)
_USUAL: Final = "http://127.0.0.1:8014"
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
    set_it = (
        f"`export AWS_ENDPOINT_URL_{_SERVICE.upper()}={_USUAL}`, where `{PROGRAM} "
        "serve` answers unless it is told another place."
    )
    if url is None and source == "ignore_configured_endpoint_urls":
        yield fail(
            "endpoint",
            "The setting ignore_configured_endpoint_urls is on, so calls go to AWS.",
            "export AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false, or use --endpoint-url.",
        )
        return None
    if url is None and (misplaced := _misplaced_endpoint(configuration)):
        service, url = misplaced
        yield fail(
            "endpoint",
            f"Profile {configuration.profile_name} has one below {service}, where no "
            "SDK reads it, so calls go to AWS.",
            f"`aws configure set endpoint_url {shlex.quote(url)} --profile "
            f"{shlex.quote(configuration.profile_name)}` is for all services; for one "
            "alone it belongs in a section [services NAME], and services = NAME in "
            "the profile.",
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
    since = "" if source == "--endpoint-url" else f"; {_READ_SINCE}"
    yield ok("endpoint", f"{url}, from {source}{since}")
    return str(url)


def _misplaced_endpoint(configuration: Configuration) -> tuple[str, str] | None:
    """
    Find a URL below the name of a service, in the profile itself.

    `aws configure set cognito_sync.endpoint_url` writes it there, and
    `aws configure get` reads it back.
    """
    for service, settings in configuration.profile_or_nothing.items():
        if isinstance(settings, dict) and (url := settings.get("endpoint_url")):
            return service, url
    return None


def find_region(options: Namespace, configuration: Configuration) -> Steps[str | None]:
    """Find the region that signatures are made for."""
    region, source = options.region, "--region"
    if region is None:
        region = configuration.get("region")
        source = configuration.source_of("region")
    if region is None:
        yield fail(
            "region",
            "None is set.",
            "export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1; it must be the "
            f"server's: there, `{PROGRAM} settings show region` tells it.",
        )
        return None
    try:
        endpoints.check_region(region)
    except Fault as fault:
        yield fail(
            "region",
            str(fault),
            f"Write it as `{PROGRAM} settings show region` does on the server.",
        )
        return None
    yield _of_both_variables(region, source, configuration)
    return str(region)


def _of_both_variables(region: str, source: str, configuration: Configuration) -> Check:
    """Say whether every tool would find this region, where a variable has it."""
    first, second = configuration.variables_of("region")
    if source != first:
        return ok("region", f"{region}, from {source}")
    other = configuration.environment.get(second)
    readers = "boto3 and the AWS CLI 1 read"
    if other == region:
        places = f"from {first} and from {second}, which {readers}"
        return ok("region", f"{region}, {places}")
    has = "is not set" if other is None else f"has {other!r}"
    return warn(
        "region",
        f"{region}, from {first}, but {second} {has}, and {readers} that alone.",
        f"export {second}={region}",
    )


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
        yield fail(
            "credentials",
            str(fault),
            f"Complete them where they were found: `{PROGRAM} configure list` tells.",
        )
        return None
    source = _SOURCES.get(found.source, found.source)
    source = source.format(profile=configuration.profile_name)
    token = ", with a session token" if found.token else ""
    yield ok("credentials", f"{found.access_key}, from {source}{token}")
    return found
