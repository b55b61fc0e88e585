"""
In whose ways settings are read and calls made: those of AWS CLI 1, or of AWS CLI 2.

Rule: what the two do differently stands in the table below, or where it is done with a
`ways.version` beside it; the rest of the command line does not know of versions. What
version 2 has and version 1 has not (its options, YAML, AWS_REGION) works in both.

AWS: version 2 is Debian's awscli 2.9.19, as recorded runs show it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final


class Ways:
    """
    What is different between the versions.

    Args:
        time_format: how times are written, unless `cli_timestamp_format` says.
        time_formats: what that may say.
        retry_modes: what `retry_mode` may say; the first is the default.
        binary_format: what a bytes value on the command line is, unless that is said.
        follows_urls: whether a value that is a URL is fetched, unless that is said.
        profile_variables: those that name the profile; the first that is set counts.
    """

    def __init__(
        self,
        version: int,
        *,
        time_format: str,
        time_formats: tuple[str, ...],
        retry_modes: tuple[str, ...],
        binary_format: str,
        follows_urls: bool,
        profile_variables: tuple[str, str],
    ) -> None:
        self.version = version
        self.time_format = time_format
        self.time_formats = time_formats
        self.retry_modes = retry_modes
        self.binary_format = binary_format
        self.follows_urls = follows_urls
        self.profile_variables = profile_variables

    def __repr__(self) -> str:
        return f"<Ways v{self.version}>"


V1: Final = Ways(
    1,
    time_format="wire",
    time_formats=("none", "wire", "iso8601"),
    retry_modes=("legacy", "standard", "adaptive"),
    binary_format="raw-in-base64-out",
    follows_urls=True,
    profile_variables=("AWS_DEFAULT_PROFILE", "AWS_PROFILE"),
)
V2: Final = Ways(
    2,
    time_format="iso8601",
    time_formats=("wire", "iso8601"),
    retry_modes=("standard", "adaptive"),
    binary_format="base64",
    follows_urls=False,
    profile_variables=("AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
)
NAMED: Final[Mapping[str, Ways]] = {"v1": V1, "v2": V2}
