"""
Settings: from the environment, the config file and the profile in use.

The same files, variables and order as the AWS CLI: an option wins over a variable, a
variable over the profile. A variable that is set to nothing counts as given.

AWS: botocore/configprovider.py, configloader.py, session.py. Not botocore's own code,
because loading that takes longer than the whole rest of a call.
"""

from __future__ import annotations

import os

from millpond.client.api.faults import Fault
from millpond.client.api.ways import V1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

    from millpond.client.api.ways import Ways

Section = dict[str, "str | dict[str, str]"]

_CONFIG_FILE: Final = "~/.aws/config"
_CREDENTIALS_FILE: Final = "~/.aws/credentials"
_DEFAULT_PROFILE: Final = "default"

# setting -> name in the config file, variables, of which the first that is set counts
_SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    # AWS: the first is read by version 2 and by every SDK but those of Python.
    "region": ("region", "AWS_REGION", "AWS_DEFAULT_REGION"),
    "output": ("output", "AWS_DEFAULT_OUTPUT"),
    "ca_bundle": ("ca_bundle", "AWS_CA_BUNDLE"),
    "max_attempts": ("max_attempts", "AWS_MAX_ATTEMPTS"),
    "retry_mode": ("retry_mode", "AWS_RETRY_MODE"),
    "defaults_mode": ("defaults_mode", "AWS_DEFAULTS_MODE"),
    "use_fips_endpoint": ("use_fips_endpoint", "AWS_USE_FIPS_ENDPOINT"),
    "use_dualstack_endpoint": (
        "use_dualstack_endpoint",
        "AWS_USE_DUALSTACK_ENDPOINT",
    ),
    "ignore_configured_endpoint_urls": (
        "ignore_configured_endpoint_urls",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    ),
    "parameter_validation": ("parameter_validation",),
    "cli_timestamp_format": ("cli_timestamp_format",),
    "cli_follow_urlparam": ("cli_follow_urlparam",),
}


class UnreadableFileFault(Fault):
    """A settings file cannot be parsed. AWS: an uncaught exception, hence the 1."""

    exit_code = 1


class ProfileNotFoundFault(Fault):
    """The profile that was named does not exist."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The config profile ({name}) could not be found")


class Configuration:
    """
    The settings that apply to one command.

    Args:
        profile: the profile named by an option; an empty name counts as none.
        environment: the variables, those of the process by default.
        ways: whose they are, which says what some settings are by default.
    """

    def __init__(
        self,
        profile: str | None = None,
        environment: Mapping[str, str] | None = None,
        ways: Ways | None = None,
    ) -> None:
        self.environment = os.environ if environment is None else environment
        self.ways = ways or V1
        self.explicit_profile = profile or None
        self._named_profile = self.explicit_profile or _first(
            self.environment, self.ways.profile_variables
        )
        self.config_file, credentials_file = _files(self.environment)
        config = _read_file(self.config_file)
        self._profiles, self._services, self.other_sections = _sort_sections(config)
        self.config_profiles = {
            name: dict(each) for name, each in self._profiles.items()
        }
        self.credentials = _read_file(credentials_file)
        for name, section in self.credentials.items():
            self._profiles.setdefault(name, {}).update(section)

    @property
    def profile_name(self) -> str:
        """The profile in use."""
        return _DEFAULT_PROFILE if self._named_profile is None else self._named_profile

    @property
    def profile_names(self) -> list[str]:
        """The profiles that there are."""
        return sorted(self._profiles)

    @property
    def profile(self) -> Section:
        """
        The section of the profile in use.

        Raises:
            ProfileNotFoundFault: it was named and does not exist.
        """
        found = self._profiles.get(self.profile_name)
        if found is None and self._named_profile is not None:
            raise ProfileNotFoundFault(self._named_profile)
        return found or {}

    def profile_named(self, name: str) -> Section:
        """The section of a profile, empty when there is none."""
        return self._profiles.get(name, {})

    @property
    def profile_or_nothing(self) -> Section:
        """The section of the profile in use, empty when there is none."""
        return self._profiles.get(self.profile_name, {})

    def get(self, setting: str) -> str | None:
        """Look up a setting: its variable, then the profile."""
        for variable in self.variables_of(setting):
            if variable in self.environment:
                return self.environment[variable]
        value = self.profile.get(_SETTINGS[setting][0])
        return value if isinstance(value, str) else None

    def is_on(self, setting: str, *, default: bool = False) -> bool:
        """Look up a setting that is true or false."""
        value = self.get(setting)
        return default if value is None else value.lower() == "true"

    @staticmethod
    def variables_of(setting: str) -> tuple[str, ...]:
        """Name the variables that a setting can come from, the first to count first."""
        return _SETTINGS[setting][1:]

    def source_of(self, setting: str) -> str:
        """Say where a setting was found, for people."""
        for variable in self.variables_of(setting):
            if variable in self.environment:
                return variable
        return f"profile {self.profile_name}"

    def endpoint_url(self, service: str) -> str | None:
        """Look up where a service is, if that is configured."""
        return self.endpoint(service)[0]

    def endpoint(self, service: str) -> tuple[str | None, str]:
        """
        Look up where a service is, and where that is said.

        AWS: the variable of the service, the variable for all, the services section of
        the profile, the profile. An empty value is passed over.

        Args:
            service: the name in snake case, such as 'cognito_sync'.
        """
        if self.is_on("ignore_configured_endpoint_urls"):
            return None, "ignore_configured_endpoint_urls"
        for variable in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
            if url := self.environment.get(variable):
                return url, variable
        section = self._services_section().get(service, {})
        for place in (section, self.profile):
            url_found = place.get("endpoint_url") if isinstance(place, dict) else None
            if isinstance(url_found, str) and url_found:
                return url_found, f"profile {self.profile_name}"
        return None, "nowhere"

    def _services_section(self) -> Section:
        name = self.profile.get("services")
        if not isinstance(name, str):
            return {}
        section = self._services.get(name)
        if not section:
            raise Fault(
                "The profile is configured to use the services section but the "
                f'"{name}" services configuration does not exist.'
            )
        return section


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environment[name] for name in names if name in environment), None)


def _files(environment: Mapping[str, str]) -> tuple[str, str]:
    return (
        environment.get("AWS_CONFIG_FILE", _CONFIG_FILE),
        environment.get("AWS_SHARED_CREDENTIALS_FILE", _CREDENTIALS_FILE),
    )


def files_mention(word: str, environment: Mapping[str, str]) -> bool:
    """Tell whether the files could have a setting, without parsing them."""
    for name in _files(environment):
        try:
            with open(_expand(name), "rb") as file:
                if word.encode() in file.read():
                    return True
        except OSError:
            continue
    return False


def _expand(name: str) -> str:
    return os.path.expanduser(os.path.expandvars(name))


def _read_file(name: str) -> dict[str, Section]:
    """Read a file of sections; one that does not exist has none."""
    path = _expand(name)
    if not os.path.isfile(path):
        return {}
    import configparser  # only who has such a file pays for it

    parser = configparser.RawConfigParser()
    try:
        parser.read([path], encoding=None)
        return {
            section: {
                option: _parse_value(value) for option, value in parser.items(section)
            }
            for section in parser.sections()
        }
    except (configparser.Error, ValueError) as error:
        raise UnreadableFileFault(
            f"Unable to parse config file: {path}: {error}"
        ) from None


def _parse_value(value: str) -> str | dict[str, str]:
    """Part an indented block into its own pairs; leave anything else as it is."""
    if not value.startswith("\n"):
        return value
    block = {}
    for line in value.splitlines():
        if line.strip():
            name, equals, rest = line.partition("=")
            if not equals:
                raise ValueError(f"no '=' in {line.strip()!r}")
            block[name.strip()] = rest.strip()
    return block


def _sort_sections(
    config: dict[str, Section],
) -> tuple[dict[str, Section], dict[str, Section], dict[str, Section]]:
    """Part the sections of a config file into profiles, services and others."""
    profiles: dict[str, Section] = {}
    services: dict[str, Section] = {}
    others: dict[str, Section] = {}
    for title, section in config.items():
        if title == _DEFAULT_PROFILE:
            profiles[title] = section
        elif title.startswith("profile"):
            profiles.update(_named_section(title, section))
        elif title.startswith("services"):
            services.update(_named_section(title, section))
        else:
            others[title] = section
    return profiles, services, others


def _named_section(title: str, section: Section) -> dict[str, Any]:
    """`[profile "a b"]` names 'a b'; a title of another form names nothing."""
    import shlex

    try:
        words = shlex.split(title)
    except ValueError:
        return {}
    return {words[1]: section} if len(words) == 2 else {}
