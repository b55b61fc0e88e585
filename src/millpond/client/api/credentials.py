"""
Credentials: from the environment and the files, or from wherever botocore finds them.

Keys that simply stand somewhere are read here. Everything that has to be asked for (a
role, single sign-on, a process, a container, an instance) is left to botocore, which is
loaded for that alone. The order is botocore's: credentials.py,
`create_credential_resolver`.
"""

from __future__ import annotations

from millpond.client.api.faults import Fault, PlainFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

    from millpond.client.api.configuration import Configuration

_KEY_VARIABLE: Final = "AWS_ACCESS_KEY_ID"
_SECRET_VARIABLE: Final = "AWS_SECRET_ACCESS_KEY"
_TOKEN_VARIABLES: Final = ("AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN")
_EXPIRY_VARIABLE: Final = "AWS_CREDENTIAL_EXPIRATION"
_KEY: Final = "aws_access_key_id"
_SECRET: Final = "aws_secret_access_key"
_TOKENS: Final = ("aws_security_token", "aws_session_token")

# What makes botocore look elsewhere before it looks into the files.
_ROLE_SETTINGS: Final = ("role_arn", "web_identity_token_file", "login_session")
_SSO_PREFIX: Final = "sso_"
_ROLE_VARIABLES: Final = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")
_CONTAINER_VARIABLES: Final = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CREDENTIAL_FILE",
    "BOTO_CONFIG",
)


class NoCredentialsFault(PlainFault):
    """There are none."""

    def __init__(self) -> None:
        super().__init__(
            "Unable to locate credentials. You can configure credentials by running "
            '"aws configure".'
        )


class Credentials:
    """
    An access key, its secret and perhaps a session token.

    Args:
        source: where they were found, for people.
    """

    __slots__ = ("access_key", "secret_key", "source", "token")

    def __init__(
        self, access_key: str, secret_key: str, token: str | None, source: str = ""
    ) -> None:
        self.access_key = access_key
        self.secret_key = secret_key
        self.token = token
        self.source = source

    def __repr__(self) -> str:
        return f"<Credentials {self.access_key}>"


class Elsewhere:
    """A promise: these credentials have to be asked for, which takes time."""

    def __init__(self, configuration: Configuration, region: str | None) -> None:
        self._configuration = configuration
        self._region = region
        self._found: Any = None  # botocore's own, which renews what runs out

    def fetch(self) -> Credentials:
        """
        Let botocore find them.

        Raises:
            NoCredentialsFault: it finds none.
            Fault: it fails; the text is botocore's.
        """
        from botocore.exceptions import BotoCoreError

        try:
            if self._found is None:
                self._found = self._open_session().get_credentials()
            if self._found is None:
                raise NoCredentialsFault
            frozen = self._found.get_frozen_credentials()
        except BotoCoreError as error:
            raise Fault(str(error)) from None
        return Credentials(
            frozen.access_key,
            frozen.secret_key,
            frozen.token,
            source=self._found.method,
        )

    def _open_session(self) -> Any:
        from botocore.session import Session

        session = Session(profile=self._configuration.explicit_profile)
        if self._region:
            session.set_config_variable("region", self._region)
        return session


def find(
    configuration: Configuration, region: str | None
) -> Credentials | Elsewhere | None:
    """
    Find credentials, or where to ask for them; `None` when there are none at all.

    Raises:
        Fault: there is a key without its secret.
    """
    environment = configuration.environment
    # AWS: a profile named by an option wins over keys in the environment.
    if configuration.explicit_profile is None and environment.get(_KEY_VARIABLE):
        if environment.get(_EXPIRY_VARIABLE):
            return Elsewhere(configuration, region)
        return _from_environment(environment)
    if _asks_for_role(configuration):
        return Elsewhere(configuration, region)
    name = configuration.profile_name
    if _KEY in configuration.credentials.get(name, {}):
        section = configuration.credentials[name]
        return _from_section(section, "shared-credentials-file")
    if "credential_process" in configuration.profile_or_nothing:
        return Elsewhere(configuration, region)
    if _KEY in configuration.config_profiles.get(name, {}):
        return _from_section(configuration.config_profiles[name], "config-file")
    return Elsewhere(configuration, region) if _can_ask(environment) else None


def _from_environment(environment: Mapping[str, str]) -> Credentials:
    secret = environment.get(_SECRET_VARIABLE)
    if not secret:
        raise _partial("env", _SECRET_VARIABLE)
    tokens = (environment.get(name) for name in _TOKEN_VARIABLES)
    return Credentials(
        environment[_KEY_VARIABLE],
        secret,
        next(filter(None, tokens), None),
        source="environment",
    )


def _from_section(section: Mapping[str, Any], provider: str) -> Credentials:
    if _SECRET not in section:
        raise _partial(provider, _SECRET)
    tokens = (section[name] for name in _TOKENS if name in section)
    return Credentials(
        section[_KEY], section[_SECRET], next(tokens, None), source=provider
    )


def _partial(provider: str, missing: str) -> Fault:
    return Fault(f"Partial credentials found in {provider}, missing: {missing}")


def _asks_for_role(configuration: Configuration) -> bool:
    profile = configuration.profile_or_nothing
    if any(n in _ROLE_SETTINGS or n.startswith(_SSO_PREFIX) for n in profile):
        return True
    return configuration.explicit_profile is None and any(
        configuration.environment.get(name) for name in _ROLE_VARIABLES
    )


def _can_ask(environment: Mapping[str, str]) -> bool:
    """Tell whether a container or an instance could have credentials for us."""
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true":
        return True
    return any(environment.get(name) for name in _CONTAINER_VARIABLES)
