"""
The variables that commands read, beside those of the settings.

A command that reads another one has a row here; a test looks for them in the code.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

_SERVICE: Final = "as AWS_ENDPOINT_URL_COGNITO_SYNC"
_CONTAINER: Final = "Where a container is given credentials."
_ROLE: Final = "A role, assumed with the token in a file."

VARIABLES: Final[Mapping[str, str]] = {
    "AWS_ENDPOINT_URL": "Where the server is; --endpoint-url wins.",
    "AWS_ENDPOINT_URL_…": f"For one API, {_SERVICE}; wins over the other.",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true: neither these nor a profile's.",
    "AWS_ACCESS_KEY_ID": "The access key.",
    "AWS_SECRET_ACCESS_KEY": "Its secret.",
    "AWS_SESSION_TOKEN": "The token of temporary credentials.",
    "AWS_SECURITY_TOKEN": "An old name of the same.",
    "AWS_CREDENTIAL_EXPIRATION": "When these end.",
    "AWS_ROLE_ARN": _ROLE,
    "AWS_WEB_IDENTITY_TOKEN_FILE": _ROLE,
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": _CONTAINER,
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": _CONTAINER,
    "AWS_CREDENTIAL_FILE": "A file of credentials, in the form of the old tools.",
    "AWS_REGION": "The region to sign for; --region wins.",
    "AWS_DEFAULT_REGION": "The same, where AWS_REGION is not set.",
    "AWS_PROFILE": "The profile; --profile wins.",
    "AWS_DEFAULT_PROFILE": "The same. In the ways of version 1 this one wins.",
    "AWS_CONFIG_FILE": "The file of profiles, instead of ~/.aws/config.",
    "AWS_SHARED_CREDENTIALS_FILE": "Instead of ~/.aws/credentials.",
    "AWS_DEFAULT_OUTPUT": "The form of results; --output wins.",
    "AWS_CA_BUNDLE": "A file with the certificates to trust; --ca-bundle wins.",
    "REQUESTS_CA_BUNDLE": "The same, where AWS_CA_BUNDLE is not set.",
    "AWS_MAX_ATTEMPTS": "How often a call is tried.",
    "AWS_RETRY_MODE": "legacy (in the ways of version 1), standard or adaptive.",
    "AWS_DEFAULTS_MODE": "legacy, standard, in-region, cross-region, mobile or auto.",
    "AWS_USE_FIPS_ENDPOINT": "true: the endpoints at AWS that are validated so.",
    "AWS_USE_DUALSTACK_ENDPOINT": "true: the endpoints at AWS that have IPv6.",
    "AWS_DATA_PATH": "Folders with models; `install-model` writes for botocore.",
    "BOTO_CONFIG": "A file of credentials, in the form of Boto 2.",
    "MILLPOND_CLI_COMPAT": "v1 or v2: in the ways of which AWS CLI calls are made.",
    "HTTPS_PROXY, HTTP_PROXY, NO_PROXY": "Proxies, also in small letters.",
    "MANPAGER, PAGER": "What shows help pages on a terminal, instead of less.",
    "COLUMNS": "How wide they are.",
    "NO_COLOR": "Set: no colours.",
    "TERM": "dumb: no colours, and no line that is drawn over.",
    "XDG_DATA_HOME": "Where `millpond data` has its file, instead of ~/.local/share.",
}
