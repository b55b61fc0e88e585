"""
Identities as apps come by them: guests, and users of a developer's own backend.

The backend signs its users in by itself and vouches for them to Millpond, so that no
login provider from outside is needed.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from millpond.testing.server import RunningServer

PROVIDER: Final = "login.example"
# The provider name under which a token of Cognito Identity itself is handed in.
OPENID_PROVIDER: Final = "cognito-identity.amazonaws.com"
ROLE_ARN: Final = "arn:aws:iam::000000000000:role/user"


@dataclass(frozen=True)
class User:
    """A user that the developer's backend has signed in."""

    identity_id: str
    token: str

    @property
    def logins(self) -> dict[str, str]:
        """What the user's device presents."""
        return {OPENID_PROVIDER: self.token}


class Backend:
    """The backend of an app, which has developer credentials, and its pool."""

    def __init__(self, identities: Any, **options: Any) -> None:
        """
        Create an identity pool.

        Args:
            identities: the boto3 client of Cognito Identity.
            options: further ones of `CreateIdentityPool`.
        """
        self._identities = identities
        self.pool: str = identities.create_identity_pool(
            IdentityPoolName="clients",
            AllowUnauthenticatedIdentities=True,
            DeveloperProviderName=PROVIDER,
            **options,
        )["IdentityPoolId"]

    def sign_in(self, **options: Any) -> User:
        """
        Sign a user in that nobody has seen before.

        Args:
            options: further ones of `GetOpenIdTokenForDeveloperIdentity`.
        """
        answer = self._identities.get_open_id_token_for_developer_identity(
            IdentityPoolId=self.pool, Logins={PROVIDER: str(uuid.uuid4())}, **options
        )
        return User(answer["IdentityId"], answer["Token"])


@dataclass(frozen=True)
class UserCredentials:
    """The temporary credentials of an identity."""

    identity_id: str
    access_key_id: str
    secret_key: str
    session_token: str

    def options(self) -> dict[str, str]:
        """Give them as options of a boto3 client."""
        return {
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_key,
            "aws_session_token": self.session_token,
        }


def get_credentials(
    anonymous: Any, pool: str, user: User | None = None
) -> UserCredentials:
    """
    Get credentials the way devices do: GetId, then GetCredentialsForIdentity.

    Args:
        anonymous: a boto3 client of Cognito Identity that signs nothing.
        user: who is signed in; a new guest by default.
    """
    logins = {"Logins": user.logins} if user else {}
    identity_id = (
        user.identity_id
        if user
        else anonymous.get_id(IdentityPoolId=pool)["IdentityId"]
    )
    answer = anonymous.get_credentials_for_identity(IdentityId=identity_id, **logins)
    credentials = answer["Credentials"]
    return UserCredentials(
        identity_id=answer["IdentityId"],
        access_key_id=credentials["AccessKeyId"],
        secret_key=credentials["SecretKey"],
        session_token=credentials["SessionToken"],
    )


def client_of(server: RunningServer, user: UserCredentials, **options: Any) -> Any:
    """Make a boto3 client of Cognito Sync that has a user's credentials."""
    return server.client("cognito-sync", **{**user.options(), **options})
