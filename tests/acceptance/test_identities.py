"""Identities over the API: guests, logins, linking, merging, credentials, tokens."""

from __future__ import annotations

import contextlib
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from acceptance.oidc_provider import KEY_ID, OidcProvider
from acceptance.streams import read_stream
from acceptance.sync_client import Dataset, refused
from acceptance.users import (
    OPENID_PROVIDER,
    PROVIDER,
    Backend,
    client_of,
    get_credentials,
)
from login_providers.provider import KEYS
from login_providers.signing import private_key, public_jwk, sign, spell
from millpond.testing.server import RunningServer, wait_until

NOT_SUPPORTED = "Token is not from a supported provider of this identity pool."
NOT_VERIFIED = "Invalid login token. Couldn't verify signed token."
AMAZON_KEY_ID = "us-east-1-9"
NO_MATCH = (
    "Logins don't match. Please include at least one valid login for this identity or "
    "identity pool."
)


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with contextlib.closing(OidcProvider()) as running:
        yield running


@pytest.fixture(scope="module")
def other_provider() -> Iterator[OidcProvider]:
    with contextlib.closing(OidcProvider()) as running:
        yield running


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory,
    provider: OidcProvider,
    other_provider: OidcProvider,
) -> Iterator[RunningServer]:
    """A server that knows the providers."""
    folder: Path = tmp_path_factory.mktemp("identities")
    amazon_keys = folder / "amazon.json"
    amazon_keys.write_text(json.dumps({"keys": [public_jwk("RS512", AMAZON_KEY_ID)]}))
    known = {each.name: each.setting for each in (provider, other_provider)}
    known[OPENID_PROVIDER] = {"keys": str(amazon_keys)}
    with RunningServer(
        folder / "data", settings={"login_providers": json.dumps(known)}
    ) as running:
        yield running


@pytest.fixture(scope="module")
def developer(server: RunningServer) -> Iterator[Any]:
    client = server.client("cognito-identity")
    yield client
    client.close()


@pytest.fixture(scope="module")
def device(server: RunningServer) -> Iterator[Any]:
    """Cognito Identity as an app on a device calls it: unsigned."""
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    client = server.client("cognito-identity", config=config)
    yield client
    client.close()


@pytest.fixture(scope="module")
def sync(server: RunningServer) -> Iterator[Any]:
    client = server.client("cognito-sync")
    yield client
    client.close()


@pytest.fixture
def backend(
    developer: Any, provider: OidcProvider, other_provider: OidcProvider
) -> Backend:
    return Backend(
        developer, OpenIdConnectProviderARNs=[provider.arn, other_provider.arn]
    )


@pytest.fixture
def pool(backend: Backend) -> str:
    return backend.pool


def get_id(device: Any, pool: str, logins: dict[str, str] | None = None) -> str:
    options = {"Logins": logins} if logins else {}
    identity: str = device.get_id(IdentityPoolId=pool, **options)["IdentityId"]
    return identity


def describe(developer: Any, identity: str) -> list[str]:
    return sorted(developer.describe_identity(IdentityId=identity).get("Logins", []))


class TestGuests:
    """Users who have not signed in."""

    def test_each_is_a_new_identity(self, device, pool):
        """GetId without logins makes an identity every time."""
        assert get_id(device, pool) != get_id(device, pool)

    def test_the_id_names_the_region(self, device, pool):
        """An identity id is the region and a UUID."""
        region, _, rest = get_id(device, pool).partition(":")

        assert region == "us-east-1"
        assert str(uuid.UUID(rest)) == rest

    def test_a_pool_may_have_none(self, device, developer):
        """Where the pool allows none, GetId without logins is refused."""
        pool = developer.create_identity_pool(
            IdentityPoolName="closed", AllowUnauthenticatedIdentities=False
        )["IdentityPoolId"]

        with refused(400, "NotAuthorizedException") as refusal:
            get_id(device, pool)

        assert refusal.message == (
            "Unauthenticated access is not supported for this identity pool."
        )

    def test_a_pool_that_is_closed_later_gives_no_credentials(
        self, device, developer, pool
    ):
        """A guest gets no new credentials once the pool has no guests any more."""
        guest = get_id(device, pool)
        described = developer.describe_identity_pool(IdentityPoolId=pool)
        del described["ResponseMetadata"]
        developer.update_identity_pool(
            **described | {"AllowUnauthenticatedIdentities": False}
        )

        with refused(400, "NotAuthorizedException"):
            device.get_credentials_for_identity(IdentityId=guest)

    def test_unknown_pool(self, device):
        """A pool that does not exist is named."""
        pool = f"us-east-1:{uuid.uuid4()}"

        with refused(400, "ResourceNotFoundException") as refusal:
            get_id(device, pool)

        assert refusal.message == f"IdentityPool '{pool}' not found."

    @pytest.mark.parametrize(
        "operation", ["get_credentials_for_identity", "get_open_id_token"]
    )
    def test_unknown_identity(self, device, operation):
        """An identity that does not exist is named; clients then get a new one."""
        identity = f"us-east-1:{uuid.uuid4()}"

        with refused(400, "ResourceNotFoundException") as refusal:
            getattr(device, operation)(IdentityId=identity)

        assert refusal.message == f"Identity '{identity}' not found."


class TestLogins:
    """Users who sign in at a provider."""

    def test_a_login_leads_to_its_identity(self, device, developer, pool, provider):
        """The same user has the same identity on every device; another user another."""
        first = get_id(device, pool, provider.logins("ann"))

        assert get_id(device, pool, provider.logins("ann")) == first
        assert get_id(device, pool, provider.logins("bob")) != first
        assert describe(developer, first) == [provider.name]

    def test_pools_do_not_share_identities(self, device, developer, pool, provider):
        """The user of one pool is somebody else in another one."""
        elsewhere = Backend(developer, OpenIdConnectProviderARNs=[provider.arn])

        here, there = (
            get_id(device, each, provider.logins("ann"))
            for each in (pool, elsewhere.pool)
        )

        assert here != there

    def test_a_guest_signs_in(self, device, developer, pool, provider):
        """A new login presented with a guest's identity is linked to it."""
        guest = get_id(device, pool)

        answer = device.get_credentials_for_identity(
            IdentityId=guest, Logins=provider.logins("carol")
        )

        assert answer["IdentityId"] == guest
        assert get_id(device, pool, provider.logins("carol")) == guest

    def test_a_second_login_is_linked(
        self, device, developer, pool, provider, other_provider
    ):
        """A login shown beside one that the identity has is linked to it."""
        identity = get_id(device, pool, provider.logins("dora"))
        both = provider.logins("dora") | other_provider.logins("d")

        assert get_id(device, pool, both) == identity
        assert get_id(device, pool, other_provider.logins("d")) == identity
        assert describe(developer, identity) == sorted(
            [provider.name, other_provider.name]
        )

    def test_one_login_of_a_provider(self, device, pool, provider):
        """An identity has at most one login of a public provider."""
        identity = get_id(device, pool, provider.logins("eve"))
        token = device.get_open_id_token(
            IdentityId=identity, Logins=provider.logins("eve")
        )["Token"]

        with refused(400, "ResourceConflictException"):
            device.get_credentials_for_identity(
                IdentityId=identity,
                Logins={OPENID_PROVIDER: token} | provider.logins("eve 2"),
            )

        assert get_id(device, pool, provider.logins("eve 2")) != identity

    def test_without_a_login_an_identity_is_closed(self, device, pool, provider):
        """Knowing the id of a user who signed in opens nothing."""
        identity = get_id(device, pool, provider.logins("fay"))

        with refused(400, "NotAuthorizedException") as refusal:
            device.get_credentials_for_identity(IdentityId=identity)

        assert refusal.message == f"Access to Identity '{identity}' is forbidden."

    def test_with_a_login_of_somebody_else_an_identity_is_closed(
        self, device, pool, provider
    ):
        """A user cannot get at another user's identity by signing in as himself."""
        identity = get_id(device, pool, provider.logins("gina"))
        get_id(device, pool, provider.logins("mallory"))

        with refused(400, "NotAuthorizedException") as refusal:
            device.get_credentials_for_identity(
                IdentityId=identity, Logins=provider.logins("mallory")
            )

        assert refusal.message == f"Access to Identity '{identity}' is forbidden."

    def test_with_a_new_login_an_identity_is_closed(self, device, pool, provider):
        """Nor by bringing a login that nobody has yet; it stays nobody's."""
        identity = get_id(device, pool, provider.logins("hana"))

        with refused(400, "NotAuthorizedException") as refusal:
            device.get_open_id_token(
                IdentityId=identity, Logins=provider.logins("newcomer")
            )

        assert refusal.message == NO_MATCH
        assert get_id(device, pool, provider.logins("newcomer")) != identity

    def test_a_provider_of_the_pool_alone(self, device, developer, provider):
        """A provider that the pool does not list is refused, known or not."""
        closed = Backend(developer, OpenIdConnectProviderARNs=["arn:aws:iam::0:other"])

        with refused(400, "NotAuthorizedException") as refusal:
            get_id(device, closed.pool, provider.logins())

        assert refusal.message == NOT_SUPPORTED

    def test_a_pool_without_providers(self, device, developer, provider):
        """A pool that has no login providers says so."""
        closed = Backend(developer)

        with refused(400, "NotAuthorizedException") as refusal:
            get_id(device, closed.pool, provider.logins())

        assert refusal.message == (
            f"Identity pool - {closed.pool} does not have identity providers "
            "configured."
        )

    def test_supported_login_providers(self, device, developer, provider):
        """SupportedLoginProviders names the app's own id at the provider."""
        backend = Backend(
            developer, SupportedLoginProviders={provider.name: "app-of-the-pool"}
        )
        logins = provider.logins("ina", aud="app-of-the-pool")

        assert get_id(device, backend.pool, logins)

    def test_user_pools(self, device, developer, provider):
        """CognitoIdentityProviders name the client of a user pool."""
        backend = Backend(
            developer,
            CognitoIdentityProviders=[
                {"ProviderName": provider.name, "ClientId": "client_of_the_pool"}
            ],
        )

        logins = provider.logins("joe", aud="client_of_the_pool")

        assert get_id(device, backend.pool, logins)

    def test_unknown_keys_are_not_asked_for_each_time(self, device, pool, provider):
        """A stranger may send any key id; the provider is not asked for every one."""
        get_id(device, pool, provider.logins("kim"))
        fetched = provider.requests[KEYS]

        for number in range(5):
            token = sign(provider.claims(), algorithm="ES256", key_id=f"new {number}")
            with refused(400, "NotAuthorizedException") as refusal:
                get_id(device, pool, {provider.name: token})
            assert refusal.message == NOT_VERIFIED

        assert provider.requests[KEYS] <= fetched + 1


class TestBadTokens:
    """Tokens that prove nothing change nothing."""

    @pytest.fixture
    def presented(self, device: Any, developer: Any, pool: str) -> Iterator[Any]:
        """Present a token with a guest's identity; nothing may be linked by it."""
        guest = get_id(device, pool)
        before = developer.list_identities(IdentityPoolId=pool, MaxResults=60)

        def present(name: str, token: str, code: str = "NotAuthorizedException") -> str:
            for call in (
                lambda: device.get_id(IdentityPoolId=pool, Logins={name: token}),
                lambda: device.get_credentials_for_identity(
                    IdentityId=guest, Logins={name: token}
                ),
            ):
                with refused(400, code) as refusal:
                    call()
            return refusal.message

        yield present
        after = developer.list_identities(IdentityPoolId=pool, MaxResults=60)
        assert after["Identities"] == before["Identities"]

    def test_no_signature(self, presented, provider):
        """A token with the algorithm 'none' is refused."""
        token = spell({"alg": "none", "kid": KEY_ID}, provider.claims())

        assert presented(provider.name, token) == NOT_VERIFIED

    def test_public_key_as_secret(self, presented, provider):
        """A token that is signed with the public key as a secret is refused."""
        public = private_key("ES256", KEY_ID).public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        header = {"alg": "HS256", "typ": "JWT", "kid": KEY_ID}
        claims = provider.claims()
        unsigned = spell(header, claims).removesuffix(".")
        signature = hmac.digest(pem, unsigned.encode(), "sha256")
        token = spell(header, claims, signature)

        assert presented(provider.name, token) == NOT_VERIFIED

    def test_another_key_of_the_same_id(self, presented, provider):
        """A token that another key signed, under the provider's key id, is refused."""
        token = sign(
            provider.claims(),
            algorithm="ES256",
            key_id="of a stranger",
            headers={"kid": KEY_ID},
        )

        assert presented(provider.name, token) == NOT_VERIFIED

    def test_tampered(self, presented, provider):
        """A token whose claims were changed is refused."""
        header, _, signature = provider.token().split(".")
        other = provider.token("admin").split(".")[1]

        assert presented(provider.name, f"{header}.{other}.{signature}") == NOT_VERIFIED

    @pytest.mark.parametrize(
        ("claims", "message"),
        [
            ({"aud": "another-app"}, "Incorrect token audience."),
            ({"aud": None}, "Missing a required claim: aud"),
            ({"sub": None}, "Missing a required claim: sub"),
            ({"exp": None}, "Missing a required claim: exp"),
            ({"iss": "https://evil.example"}, "Issuer doesn't match providerName"),
        ],
        ids=["audience", "no audience", "no subject", "no expiry", "issuer"],
    )
    def test_claims(self, presented, provider, claims, message):
        """A claim that is missing or of something else is named."""
        said = presented(provider.name, provider.token(**claims))

        assert said == f"Invalid login token. {message}"

    def test_expired(self, presented, provider):
        """A token is not good for ever; five minutes of grace are given."""
        expired = int(time.time()) - 301

        said = presented(provider.name, provider.token(exp=expired))

        assert said.startswith("Invalid login token. Token expired: ")
        assert said.endswith(f" >= {expired}")

    def test_a_little_expired(self, device, pool, provider):
        """Clocks differ: four minutes late is not too late."""
        logins = provider.logins("late", exp=int(time.time()) - 240)

        assert get_id(device, pool, logins)

    def test_not_yet_valid(self, presented, provider):
        """A token of the future is refused."""
        begins = int(time.time()) + 900

        said = presented(provider.name, provider.token(nbf=begins))

        assert said.startswith("Invalid login token. Token not valid yet: ")
        assert said.endswith(f" < {begins}")

    @pytest.mark.parametrize(
        "token", ["x", "a.b.c", "ey" * 40, "..", "\u00e9.\u00e9.x"]
    )
    def test_no_token_at_all(self, presented, provider, token):
        """What is no token is refused as such."""
        said = presented(provider.name, token)

        assert said == (
            "Invalid login token. Not a valid OpenId Connect identity token."
        )

    def test_a_token_that_is_too_long(self, presented, provider):
        """A token of more than 50,000 characters is refused before it is read."""
        said = presented(provider.name, "e" * 50_001, code="ValidationException")

        assert "50000" in said
        assert "eeeee" not in said  # a token is a secret

    def test_eleven_logins(self, device, pool, provider):
        """A request has at most ten logins."""
        logins = {f"p{n}.example": "token" for n in range(11)}

        with refused(400, "ValidationException"):
            device.get_id(IdentityPoolId=pool, Logins=logins)

    def test_one_bad_token_among_good_ones(
        self, device, developer, pool, provider, other_provider
    ):
        """One token that is not good refuses the request; none is linked."""
        guest = get_id(device, pool)
        logins = provider.logins("lea") | other_provider.logins(aud="another-app")

        with refused(400, "NotAuthorizedException"):
            device.get_credentials_for_identity(IdentityId=guest, Logins=logins)

        assert describe(developer, guest) == []


class TestMerging:
    """Two identities of one person become one."""

    def test_a_guests_data_comes_to_the_account(
        self, server, device, sync, pool, provider
    ):
        """A guest who signs in to an existing account keeps what he has: beside it."""
        account = get_id(device, pool, provider.logins("mia"))
        guest = get_id(device, pool)
        Dataset(sync, pool, account).put(theme="dark")
        Dataset(sync, pool, guest).put(theme="light")
        Dataset(sync, pool, guest, "saves").put(level="3")

        answer = device.get_credentials_for_identity(
            IdentityId=guest, Logins=provider.logins("mia")
        )

        assert answer["IdentityId"] == account
        copy = f"prefs.{guest}"
        listed = Dataset(sync, pool, account).list()
        assert listed["MergedDatasetNames"] == [copy]
        assert Dataset(sync, pool, account).values() == {"theme": "dark"}
        assert Dataset(sync, pool, account, copy).values() == {"theme": "light"}
        # Without a namesake it keeps its name, and nothing is reported.
        saves = Dataset(sync, pool, account, "saves")
        assert saves.values() == {"level": "3"}
        assert "MergedDatasetNames" not in saves.list()

    def test_counts_are_kept(self, device, sync, pool, provider):
        """A dataset that moves keeps its counts, so that its devices can go on."""
        guest = get_id(device, pool)
        dataset = Dataset(sync, pool, guest)
        dataset.put(a="1")
        dataset.put(a="2", b="1")
        before = dataset.list()
        account = get_id(device, pool, provider.logins("nora"))

        device.get_credentials_for_identity(
            IdentityId=guest, Logins=provider.logins("nora")
        )

        after = Dataset(sync, pool, account).list()
        assert after["DatasetSyncCount"] == before["DatasetSyncCount"] == 2
        assert after["Records"] == before["Records"]

    def test_the_merge_is_reported_until_the_copy_is_deleted(
        self, device, sync, pool, provider
    ):
        """Every page of every listing tells of it until it is dealt with."""
        account = get_id(device, pool, provider.logins("olga"))
        guest = get_id(device, pool)
        root = Dataset(sync, pool, account)
        root.put(a="1", b="2")
        Dataset(sync, pool, guest).put(a="2")
        device.get_credentials_for_identity(
            IdentityId=guest, Logins=provider.logins("olga")
        )
        copy = f"prefs.{guest}"

        assert [page["MergedDatasetNames"] for page in root.pages(1)] == [[copy]] * 2
        Dataset(sync, pool, account, copy).delete()

        assert "MergedDatasetNames" not in root.list()

    def test_the_loser_leads_to_the_survivor(self, device, pool, provider):
        """A device that still has the old id is told the new one, again and again."""
        account = get_id(device, pool, provider.logins("pia"))
        guest = get_id(device, pool)
        ids = {
            device.get_credentials_for_identity(
                IdentityId=guest, Logins=provider.logins("pia")
            )["IdentityId"]
            for _ in range(3)
        }

        assert ids == {account}
        with refused(400, "NotAuthorizedException"):
            device.get_credentials_for_identity(IdentityId=guest)

    def test_what_a_device_wrote_late_comes_over_too(
        self, server, device, sync, pool, provider
    ):
        """What old credentials wrote after the merge is found by the next sign-in."""
        account = get_id(device, pool, provider.logins("quin"))
        guest = get_id(device, pool)
        device.get_credentials_for_identity(
            IdentityId=guest, Logins=provider.logins("quin")
        )
        Dataset(sync, pool, guest, "late").put(a="1")

        device.get_credentials_for_identity(
            IdentityId=guest, Logins=provider.logins("quin")
        )

        assert Dataset(sync, pool, account, "late").values() == {"a": "1"}

    def test_what_was_written_late_is_found_by_login_alone(
        self, device, sync, pool, provider
    ):
        """Clients forget the guest's id; each late dataset is reported."""
        logins = provider.logins("quim")
        account = get_id(device, pool, logins)
        guest = get_id(device, pool)
        Dataset(sync, pool, account, "prefs").put(a="account")
        Dataset(sync, pool, guest, "prefs").put(a="guest")
        device.get_credentials_for_identity(IdentityId=guest, Logins=logins)
        for late in ("late", "later"):
            Dataset(sync, pool, guest, "prefs").put(a=late)
            assert get_id(device, pool, provider.logins("quim")) == account

        copies = Dataset(sync, pool, account, "prefs").list()["MergedDatasetNames"]

        names = [f"prefs.{guest}", f"prefs.{guest}.2", f"prefs.{guest}.3"]
        assert sorted(copies) == names
        assert [Dataset(sync, pool, account, each).values() for each in names] == [
            {"a": "guest"},
            {"a": "late"},
            {"a": "later"},
        ]
        assert Dataset(sync, pool, guest, "prefs").values() == {}

    def test_merge_copies_do_not_count(self, device, sync, pool, provider):
        """An identity with twenty datasets can take in those of a guest as copies."""
        account = get_id(device, pool, provider.logins("rosa"))
        guest = get_id(device, pool)
        for number in range(20):
            Dataset(sync, pool, account, f"d{number}").put(a="1")
            Dataset(sync, pool, guest, f"d{number}").put(a="2")

        device.get_credentials_for_identity(
            IdentityId=guest, Logins=provider.logins("rosa")
        )

        listed = sync.list_datasets(IdentityPoolId=pool, IdentityId=account)
        assert listed["Count"] == 40
        with refused(400, "LimitExceededException"):
            Dataset(sync, pool, account, "one-more").put(a="1")

    def test_a_merge_beyond_the_limit_moves_nothing(
        self, device, developer, sync, pool, provider
    ):
        """Where the datasets of both do not fit, both stay as they are."""
        account = get_id(device, pool, provider.logins("sara"))
        guest = get_id(device, pool)
        for number in range(11):
            Dataset(sync, pool, account, f"a{number}").put(a="1")
            Dataset(sync, pool, guest, f"g{number}").put(a="1")

        with refused(400, "LimitExceededException") as refusal:
            device.get_credentials_for_identity(
                IdentityId=guest, Logins=provider.logins("sara")
            )

        assert "22" in refusal.message
        for identity in (account, guest):
            listed = sync.list_datasets(IdentityPoolId=pool, IdentityId=identity)
            assert listed["Count"] == 11
        assert describe(developer, guest) == []

    def test_a_copy_with_too_long_a_name_moves_nothing(
        self, device, sync, pool, provider
    ):
        """A dataset whose new name would not be a name stays, and all the others."""
        name = "n" * 90
        account = get_id(device, pool, provider.logins("tess"))
        guest = get_id(device, pool)
        for identity in (account, guest):
            Dataset(sync, pool, identity, name).put(a=identity)
        Dataset(sync, pool, guest, "b").put(a="1")

        with refused(400, "LimitExceededException"):
            device.get_credentials_for_identity(
                IdentityId=guest, Logins=provider.logins("tess")
            )

        assert Dataset(sync, pool, guest, name).values() == {"a": guest}
        assert Dataset(sync, pool, account, "b").values() == {}

    def test_streams_tell_of_it(self, server, device, sync, pool, provider):
        """A consumer sees the old dataset go and the new one come, with its records."""
        with contextlib.closing(server.client("kinesis")) as kinesis:
            name = f"stream-{uuid.uuid4()}"
            kinesis.create_stream(StreamName=name, ShardCount=1)
            account = get_id(device, pool, provider.logins("uma"))
            guest = get_id(device, pool)
            Dataset(sync, pool, guest).put(a="1")
            sync.set_identity_pool_configuration(
                IdentityPoolId=pool,
                CognitoStreams={"StreamName": name, "StreamingStatus": "ENABLED"},
            )

            device.get_credentials_for_identity(
                IdentityId=guest, Logins=provider.logins("uma")
            )

            wait_until(lambda: len(read_stream(kinesis, name)) >= 2)
            events = [each.event for each in read_stream(kinesis, name)]

        told = [(e["identityId"], e["operation"]) for e in events]
        assert told == [(guest, "remove"), (account, "replace")]
        assert [r["key"] for r in events[1]["kinesisSyncRecords"]] == ["a"]


class TestDeveloperProvider:
    """Users whom the developer's own backend signs in."""

    def test_a_user_has_one_identity(self, developer, backend):
        """The same user gets the same identity, and a token for it."""
        call = {"IdentityPoolId": backend.pool, "Logins": {PROVIDER: "vera"}}

        first, second = (
            developer.get_open_id_token_for_developer_identity(**call) for _ in range(2)
        )

        assert first["IdentityId"] == second["IdentityId"]
        assert first["Token"]

    def test_the_token_gives_credentials(self, server, device, backend):
        """The device trades the token for credentials, and syncs with them."""
        user = backend.sign_in()
        given = get_credentials(device, backend.pool, user)
        assert given.identity_id == user.identity_id
        assert given.access_key_id.startswith("ASIA")

        with contextlib.closing(client_of(server, given)) as client:
            dataset = Dataset(client, backend.pool, user.identity_id)
            dataset.put(a="1")

            assert dataset.values() == {"a": "1"}
            (record,) = dataset.list()["Records"]
            assert record["LastModifiedBy"] == user.identity_id

    def test_credentials_last_an_hour(self, device, backend):
        """Credentials are good for one hour unless the operator says otherwise."""
        user = backend.sign_in()

        expiration = device.get_credentials_for_identity(
            IdentityId=user.identity_id, Logins=user.logins
        )["Credentials"]["Expiration"]

        assert 3590 <= expiration.timestamp() - time.time() <= 3601

    def test_linking_a_guest(self, developer, device, backend):
        """Given an identity, the user is linked to it."""
        guest = get_id(device, backend.pool)

        answer = developer.get_open_id_token_for_developer_identity(
            IdentityPoolId=backend.pool, IdentityId=guest, Logins={PROVIDER: "wim"}
        )

        assert answer["IdentityId"] == guest

    def test_a_user_of_another_identity(self, developer, device, backend):
        """A user who has an identity is not linked to another one."""
        call = {"IdentityPoolId": backend.pool, "Logins": {PROVIDER: "xena"}}
        developer.get_open_id_token_for_developer_identity(**call)
        guest = get_id(device, backend.pool)

        with refused(400, "DeveloperUserAlreadyRegisteredException"):
            developer.get_open_id_token_for_developer_identity(IdentityId=guest, **call)

    def test_an_identity_with_a_public_login(
        self, developer, device, backend, provider
    ):
        """The developer must bring the public login of an identity that has one."""
        identity = get_id(device, backend.pool, provider.logins("yara"))
        call = {"IdentityPoolId": backend.pool, "IdentityId": identity}

        with refused(400, "NotAuthorizedException") as refusal:
            developer.get_open_id_token_for_developer_identity(
                Logins={PROVIDER: "yara"}, **call
            )
        answer = developer.get_open_id_token_for_developer_identity(
            Logins={PROVIDER: "yara"} | provider.logins("yara"), **call
        )

        assert refusal.message == NO_MATCH
        assert answer["IdentityId"] == identity

    def test_lookup(self, developer, backend):
        """A user's identity and an identity's users are found, page by page."""
        pool = backend.pool
        identity = None
        for user in ("u1", "u2", "u3"):
            options: dict[str, Any] = {"IdentityId": identity} if identity else {}
            identity = developer.get_open_id_token_for_developer_identity(
                IdentityPoolId=pool, Logins={PROVIDER: user}, **options
            )["IdentityId"]

        by_user = developer.lookup_developer_identity(
            IdentityPoolId=pool, DeveloperUserIdentifier="u2"
        )
        first = developer.lookup_developer_identity(
            IdentityPoolId=pool, IdentityId=identity, MaxResults=2
        )
        second = developer.lookup_developer_identity(
            IdentityPoolId=pool,
            IdentityId=identity,
            MaxResults=2,
            NextToken=first["NextToken"],
        )

        assert by_user["IdentityId"] == identity
        assert by_user["DeveloperUserIdentifierList"] == ["u1", "u2", "u3"]
        assert first["DeveloperUserIdentifierList"] == ["u1", "u2"]
        assert second["DeveloperUserIdentifierList"] == ["u3"]
        assert "NextToken" not in second

    def test_lookup_of_a_pair_that_does_not_belong_together(self, developer, backend):
        """Given both, lookup makes sure that they belong together."""
        one, other = backend.sign_in(), backend.sign_in()
        users = developer.lookup_developer_identity(
            IdentityPoolId=backend.pool, IdentityId=one.identity_id
        )["DeveloperUserIdentifierList"]

        with refused(400, "ResourceConflictException"):
            developer.lookup_developer_identity(
                IdentityPoolId=backend.pool,
                IdentityId=other.identity_id,
                DeveloperUserIdentifier=users[0],
            )

    def test_lookup_needs_something_to_look_for(self, developer, backend):
        """Lookup without a user and without an identity is refused."""
        with refused(400, "InvalidParameterException"):
            developer.lookup_developer_identity(IdentityPoolId=backend.pool)

    def test_merge(self, developer, sync, backend):
        """Two users are merged into the destination's identity, data and all."""
        pool = backend.pool
        source, destination = (
            developer.get_open_id_token_for_developer_identity(
                IdentityPoolId=pool, Logins={PROVIDER: user}
            )["IdentityId"]
            for user in ("old", "new")
        )
        Dataset(sync, pool, source).put(a="1")
        call = {
            "IdentityPoolId": pool,
            "DeveloperProviderName": PROVIDER,
            "SourceUserIdentifier": "old",
            "DestinationUserIdentifier": "new",
        }

        first, again = (
            developer.merge_developer_identities(**call)["IdentityId"] for _ in range(2)
        )

        assert first == again == destination
        assert Dataset(sync, pool, destination).values() == {"a": "1"}
        looked_up = developer.lookup_developer_identity(
            IdentityPoolId=pool, IdentityId=destination
        )
        assert looked_up["DeveloperUserIdentifierList"] == ["new", "old"]
        assert _listed(developer, pool, hide_disabled=True) == {destination}
        assert _listed(developer, pool) == {source, destination}

    def test_merge_of_an_unknown_user(self, developer, backend):
        """A user that nobody has seen cannot be merged."""
        with refused(400, "ResourceNotFoundException"):
            developer.merge_developer_identities(
                IdentityPoolId=backend.pool,
                DeveloperProviderName=PROVIDER,
                SourceUserIdentifier="nobody",
                DestinationUserIdentifier="no one",
            )

    def test_unlink(self, developer, device, backend):
        """An unlinked user is a new one the next time; the identity opens to nobody."""
        call = {"IdentityPoolId": backend.pool, "Logins": {PROVIDER: "zoe"}}
        user = developer.get_open_id_token_for_developer_identity(**call)

        developer.unlink_developer_identity(
            IdentityId=user["IdentityId"],
            IdentityPoolId=backend.pool,
            DeveloperProviderName=PROVIDER,
            DeveloperUserIdentifier="zoe",
        )

        again = developer.get_open_id_token_for_developer_identity(**call)
        assert again["IdentityId"] != user["IdentityId"]
        for logins in ({}, {"Logins": {OPENID_PROVIDER: user["Token"]}}):
            with refused(400, "NotAuthorizedException") as refusal:
                device.get_credentials_for_identity(
                    IdentityId=user["IdentityId"], **logins
                )
            assert refusal.message == (
                f"Access to Identity '{user['IdentityId']}' is forbidden."
            )

    @pytest.mark.parametrize("user", ["u" * 1025, "u" * 40_000])
    def test_a_users_name_that_is_too_long(self, developer, backend, user):
        """A name that the other operations would not take is not linked."""
        with refused(400, "InvalidParameterException"):
            developer.get_open_id_token_for_developer_identity(
                IdentityPoolId=backend.pool, Logins={PROVIDER: user}
            )

    def test_token_duration(self, developer, backend):
        """A token lasts 15 minutes, or as long as the developer says, up to a day."""
        call = {"IdentityPoolId": backend.pool, "Logins": {PROVIDER: "duration"}}
        for wish, seconds in (({}, 900), ({"TokenDuration": 86_400}, 86_400)):
            options: dict[str, Any] = call | wish
            claims = _claims(
                developer.get_open_id_token_for_developer_identity(**options)
            )
            assert claims["exp"] - claims["iat"] == seconds
        with refused(400, "ValidationException"):
            developer.get_open_id_token_for_developer_identity(
                **call, TokenDuration=86_401
            )


class TestUnlinking:
    """Users take a login from their identity."""

    def test_unlink_identity(self, device, developer, pool, provider, other_provider):
        """A login that is unlinked leads to a new identity."""
        both = provider.logins("ada") | other_provider.logins("a")
        identity = get_id(device, pool, both)

        device.unlink_identity(
            IdentityId=identity,
            Logins=provider.logins("ada"),
            LoginsToRemove=[other_provider.name],
        )

        assert describe(developer, identity) == [provider.name]
        assert get_id(device, pool, other_provider.logins("a")) != identity

    def test_only_its_user_can(self, device, developer, pool, provider):
        """Somebody else's login takes nothing away."""
        identity = get_id(device, pool, provider.logins("bea"))
        get_id(device, pool, provider.logins("mallory"))

        with refused(400, "NotAuthorizedException"):
            device.unlink_identity(
                IdentityId=identity,
                Logins=provider.logins("mallory"),
                LoginsToRemove=[provider.name],
            )

        assert describe(developer, identity) == [provider.name]


class TestManagement:
    """What a developer sees of identities, and deletes."""

    def test_list_page_by_page(self, device, developer, pool):
        """ListIdentities pages through all identities of the pool, and no others."""
        made = {get_id(device, pool) for _ in range(5)}
        found: list[str] = []
        token: dict[str, str] = {}
        while True:
            page = developer.list_identities(IdentityPoolId=pool, MaxResults=2, **token)
            found += [each["IdentityId"] for each in page["Identities"]]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}

        assert found == sorted(made)

    def test_delete(self, device, developer, sync, pool, provider):
        """A deleted identity is gone with its data, and its login starts anew."""
        identity = get_id(device, pool, provider.logins("cora"))
        Dataset(sync, pool, identity).put(a="1")

        answer = developer.delete_identities(IdentityIdsToDelete=[identity])

        assert answer["UnprocessedIdentityIds"] == []
        with refused(400, "ResourceNotFoundException"):
            developer.describe_identity(IdentityId=identity)
        assert Dataset(sync, pool, identity).values() == {}
        assert get_id(device, pool, provider.logins("cora")) != identity

    def test_a_deleted_identity_works_until_its_credentials_end(
        self, server, device, developer, backend
    ):
        """Credentials that were given out go on; new ones are not given."""
        user = backend.sign_in()
        given = get_credentials(device, backend.pool, user)

        developer.delete_identities(IdentityIdsToDelete=[user.identity_id])

        with contextlib.closing(client_of(server, given)) as client:
            assert Dataset(client, backend.pool, user.identity_id).values() == {}
        with refused(400, "ResourceNotFoundException"):
            device.get_credentials_for_identity(
                IdentityId=user.identity_id, Logins=user.logins
            )

    def test_a_deleted_pool_takes_its_identities_along(
        self, device, developer, provider
    ):
        """Identities of a deleted pool do not exist any more."""
        backend = Backend(developer)
        guest = get_id(device, backend.pool)

        developer.delete_identity_pool(IdentityPoolId=backend.pool)

        with refused(400, "ResourceNotFoundException"):
            device.get_credentials_for_identity(IdentityId=guest)


class TestTokens:
    """The OpenID tokens that the server issues."""

    def test_of_a_guest(self, device, pool):
        """A guest's token says so, and lasts ten minutes."""
        guest = get_id(device, pool)

        token = device.get_open_id_token(IdentityId=guest)

        header = jwt.get_unverified_header(token["Token"])
        assert header.keys() == {"kid", "typ", "alg"}
        assert (header["typ"], header["alg"]) == ("JWS", "RS512")
        assert header["kid"].startswith("us-east-1-")
        claims = _claims(token)
        assert claims["iss"] == "https://cognito-identity.amazonaws.com"
        assert (claims["sub"], claims["aud"]) == (guest, pool)
        assert claims["amr"] == ["unauthenticated"]
        assert claims["exp"] - claims["iat"] == 600

    def test_of_a_developers_user(self, developer, backend):
        """The token of a developer's user names the provider, the pool and the user."""
        claims = _claims(
            developer.get_open_id_token_for_developer_identity(
                IdentityPoolId=backend.pool, Logins={PROVIDER: "dan"}
            )
        )

        assert claims["amr"] == [
            "authenticated",
            PROVIDER,
            f"{PROVIDER}:{backend.pool}:dan",
        ]

    def test_of_a_user_of_a_provider(self, device, pool, provider):
        """The token of a user of a provider names the provider and the user."""
        identity = get_id(device, pool, provider.logins("ed"))

        claims = _claims(
            device.get_open_id_token(IdentityId=identity, Logins=provider.logins("ed"))
        )

        assert claims["amr"] == [
            "authenticated",
            provider.name,
            f"arn:aws:iam::000000000000:oidc-provider/{provider.name}:OIDC:ed",
        ]

    def test_mapped_claims_come_along(self, device, developer, pool, provider):
        """Tokens carry the tags that the pool's map makes of the user's claims."""
        developer.set_principal_tag_attribute_map(
            IdentityPoolId=pool,
            IdentityProviderName=provider.name,
            PrincipalTags={"tenant": "custom:tenant", "user": "sub", "none": "absent"},
        )
        logins = provider.logins("flo", **{"custom:tenant": "red"})
        identity = get_id(device, pool, logins)

        token = device.get_open_id_token(IdentityId=identity, Logins=logins)

        assert _claims(token)["https://aws.amazon.com/tags"] == {
            "principal_tags": {"tenant": ["red"], "user": ["flo"]}
        }

    def test_a_backend_says_its_users_tags(self, developer, backend, provider):
        """What it says goes before its own map, and that before its user's login."""
        pool = backend.pool
        for name in (provider.name, PROVIDER):
            developer.set_principal_tag_attribute_map(
                IdentityPoolId=pool, IdentityProviderName=name, UseDefaults=True
            )

        token = developer.get_open_id_token_for_developer_identity(
            IdentityPoolId=pool,
            Logins={PROVIDER: "dan", **provider.logins("gus")},
            PrincipalTags={"client": "console", "team": "red"},
        )

        assert _claims(token)["https://aws.amazon.com/tags"] == {
            "principal_tags": {
                "username": ["dan"],
                "client": ["console"],
                "team": ["red"],
            }
        }

    def test_no_classic_flow(self, developer, device):
        """Where the pool does not allow the classic flow, there is no token."""
        backend = Backend(developer, AllowClassicFlow=False)
        guest = get_id(device, backend.pool)

        with refused(400, "InvalidParameterException") as refusal:
            device.get_open_id_token(IdentityId=guest)

        assert refusal.message == (
            "Basic (classic) flow is not enabled, please use enhanced flow."
        )

    def test_of_another_pool(self, developer, device, backend):
        """A token that was made for another pool proves nothing here."""
        elsewhere = Backend(developer).sign_in()
        guest = get_id(device, backend.pool)

        with refused(400, "NotAuthorizedException"):
            device.get_credentials_for_identity(
                IdentityId=guest, Logins=elsewhere.logins
            )


class TestTakingOver:
    """Tokens open no more than they were issued for."""

    def test_a_guests_token_after_the_guest_signed_in(self, device, pool, provider):
        """Whoever knew the guest's id could have it; it does not open the account."""
        guest = get_id(device, pool)
        token = device.get_open_id_token(IdentityId=guest)["Token"]
        logins = {OPENID_PROVIDER: token}
        assert device.get_credentials_for_identity(IdentityId=guest, Logins=logins)
        device.get_credentials_for_identity(
            IdentityId=guest, Logins=provider.logins("gus")
        )

        calls: dict[str, dict[str, Any]] = {
            "get_credentials_for_identity": {"IdentityId": guest, "Logins": logins},
            "get_open_id_token": {"IdentityId": guest, "Logins": logins},
            "get_id": {"IdentityPoolId": pool, "Logins": logins},
            "unlink_identity": {
                "IdentityId": guest,
                "Logins": logins,
                "LoginsToRemove": [provider.name],
            },
        }
        for operation, members in calls.items():
            with refused(400, "NotAuthorizedException"):
                getattr(device, operation)(**members)
        assert get_id(device, pool, provider.logins("gus")) == guest

    def test_a_token_is_not_exchanged_for_a_longer_one(self, device, backend):
        """By itself a token gives none that lasts longer: nobody goes on for ever."""
        user = backend.sign_in(TokenDuration=60)

        claims = _claims(
            device.get_open_id_token(IdentityId=user.identity_id, Logins=user.logins)
        )

        first = jwt.decode(user.token, options={"verify_signature": False})
        assert claims["exp"] == first["exp"]
        assert claims["amr"] == first["amr"]

    def test_a_guests_token_where_there_are_no_guests_any_more(
        self, device, developer, pool
    ):
        """A pool that was closed to guests is closed to those with a token, too."""
        guest = get_id(device, pool)
        token = device.get_open_id_token(IdentityId=guest)["Token"]
        described = developer.describe_identity_pool(IdentityPoolId=pool)
        del described["ResponseMetadata"]
        developer.update_identity_pool(
            **described | {"AllowUnauthenticatedIdentities": False}
        )

        for operation in ("get_credentials_for_identity", "get_open_id_token"):
            with refused(400, "NotAuthorizedException"):
                getattr(device, operation)(
                    IdentityId=guest, Logins={OPENID_PROVIDER: token}
                )

    def test_a_refused_role_links_nothing(self, device, developer, pool, provider):
        """Who asks for a role that is not his gets nothing, and nothing is merged."""
        account = get_id(device, pool, provider.logins("ron"))
        guest = get_id(device, pool)

        with refused(400, "NotAuthorizedException"):
            device.get_credentials_for_identity(
                IdentityId=guest,
                Logins=provider.logins("ron"),
                CustomRoleArn="arn:aws:iam::000000000000:role/Admin",
            )

        assert _listed(developer, pool, hide_disabled=True) == {account, guest}

    def test_what_stands_in_the_network_is_not_told(self, device, developer, provider):
        """A provider that cannot be asked is named; why, is for the log."""
        backend = Backend(
            developer,
            OpenIdConnectProviderARNs=["arn:aws:iam::0:oidc-provider/127.0.0.1:9"],
        )
        token = provider.token(iss="https://127.0.0.1:9")

        with refused(400, "ExternalServiceException") as refusal:
            get_id(device, backend.pool, {"127.0.0.1:9": token})

        assert refusal.message == (
            "The keys of login provider '127.0.0.1:9' cannot be read."
        )


class TestAmazonTokens:
    """An app moves its data first and its identities later."""

    def token(
        self,
        pool: str,
        identity: str,
        amr: list[str],
        *,
        key_id: str = AMAZON_KEY_ID,
    ) -> str:
        now_s = int(time.time())
        claims = {
            "iss": f"https://{OPENID_PROVIDER}",
            "sub": identity,
            "aud": pool,
            "amr": amr,
            "iat": now_s,
            "exp": now_s + 600,
        }
        header = {"kid": AMAZON_KEY_ID, "typ": "JWS"}
        return sign(claims, algorithm="RS512", key_id=key_id, headers=header)

    def test_an_identity_is_taken_over(self, device, sync, backend):
        """A token of Amazon's own service opens the identity that it names."""
        identity = f"us-east-1:{uuid.uuid4()}"
        Dataset(sync, backend.pool, identity).put(a="1")  # the data came first
        amr = ["authenticated", PROVIDER, f"{PROVIDER}:us-east-1:0:fred"]
        token = self.token(backend.pool, identity, amr)

        answer = device.get_credentials_for_identity(
            IdentityId=identity, Logins={OPENID_PROVIDER: token}
        )

        assert answer["IdentityId"] == identity
        assert Dataset(sync, backend.pool, identity).values() == {"a": "1"}

    def test_its_logins_come_along(self, device, developer, pool, provider):
        """Later the user's own login leads to the identity that Amazon gave him."""
        identity = f"us-east-1:{uuid.uuid4()}"
        amr = [
            "authenticated",
            provider.name,
            f"arn:aws:iam::123456789012:oidc-provider/{provider.name}:OIDC:greta",
        ]
        token = self.token(pool, identity, amr)

        device.get_credentials_for_identity(
            IdentityId=identity, Logins={OPENID_PROVIDER: token}
        )

        assert get_id(device, pool, provider.logins("greta")) == identity

    def test_a_user_whose_login_is_not_known_here(self, device, pool):
        """A user who signed in by SAML is no guest: the id alone opens nothing."""
        identity = f"us-east-1:{uuid.uuid4()}"
        arn = "arn:aws:iam::123456789012:saml-provider/Corp"
        token = self.token(pool, identity, ["authenticated", arn, f"{arn}:alice"])
        device.get_credentials_for_identity(
            IdentityId=identity, Logins={OPENID_PROVIDER: token}
        )

        with refused(400, "NotAuthorizedException"):
            device.get_credentials_for_identity(IdentityId=identity)

    def test_an_identity_of_another_pool_here(self, device, developer, pool):
        """An identity belongs to one pool, whatever a token says."""
        elsewhere = get_id(device, Backend(developer).pool)
        token = self.token(pool, elsewhere, ["unauthenticated"])

        with refused(400, "NotAuthorizedException"):
            get_id(device, pool, {OPENID_PROVIDER: token})

    def test_our_own_tokens_are_good_beside_them(self, device, backend):
        """A token of this server is checked with this server's keys."""
        user = backend.sign_in()

        assert device.get_credentials_for_identity(
            IdentityId=user.identity_id, Logins=user.logins
        )

    def test_a_forged_one(self, device, pool):
        """A token that Amazon's key did not sign opens nothing and makes nothing."""
        identity = f"us-east-1:{uuid.uuid4()}"
        token = self.token(pool, identity, ["authenticated"], key_id="forged")

        with refused(400, "NotAuthorizedException") as refusal:
            device.get_credentials_for_identity(
                IdentityId=identity, Logins={OPENID_PROVIDER: token}
            )

        assert refusal.message == NOT_VERIFIED
        with refused(400, "ResourceNotFoundException"):
            device.get_credentials_for_identity(IdentityId=identity)


def _claims(answer: Any) -> Any:
    return jwt.decode(answer["Token"], options={"verify_signature": False})


def _listed(developer: Any, pool: str, *, hide_disabled: bool = False) -> set[str]:
    page = developer.list_identities(
        IdentityPoolId=pool, MaxResults=60, HideDisabled=hide_disabled
    )
    return {each["IdentityId"] for each in page["Identities"]}
