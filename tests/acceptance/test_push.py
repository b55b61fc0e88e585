"""Push sync end to end: a real server, real credentials, and an SNS that moto plays."""

from __future__ import annotations

import contextlib
import json
from urllib.request import urlopen

import pytest
from botocore import UNSIGNED
from botocore.config import Config

from acceptance.kinds import postgres_does
from acceptance.sync_client import Dataset, replace
from acceptance.users import Backend, User, client_of, get_credentials
from millpond.testing.server import RunningServer, wait_until
from push.sns import CREDENTIALS, new_token

pytestmark = postgres_does("pushes that wait are in the contract of stores")


def start(folder, sns):
    """Make a server that pushes through an SNS; its credentials are botocore's."""
    variables = [f"{name}={value}" for name, value in CREDENTIALS.items()]
    return RunningServer(
        folder,
        settings={"sns_endpoint": sns.url},
        command_prefix=["env", *variables],
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory, sns):
    """A server that pushes."""
    with start(tmp_path_factory.mktemp("server") / "data", sns) as running:
        yield running


@pytest.fixture
def home(server, sns):
    """A pool with push applications and a user of it."""
    with contextlib.closing(Home(server, sns)) as made:
        yield made


class Home:
    """A user with devices, in a pool of its own."""

    def __init__(self, server, sns):
        self.sns = sns
        self._open = contextlib.ExitStack()
        backend = Backend(self._client(server, "cognito-identity"))
        self.pool = backend.pool
        self.applications = {
            each: sns.create_application(each) for each in ("GCM", "APNS")
        }
        self.developer = self._client(server, "cognito-sync")
        self.configure(*self.applications.values())
        self.user = backend.sign_in()
        self._server = server
        self.connect(self.user)

    def _client(self, server, service, **options):
        client = server.client(service, **options)
        self._open.callback(client.close)
        return client

    def connect(self, user, identity_id=None):
        """
        Go on as a user, None for a new guest; return the identity.

        Args:
            identity_id: what the app presents; the user's own by default.
        """
        unsigned = Config(signature_version=UNSIGNED)
        anonymous = self._client(self._server, "cognito-identity", config=unsigned)
        if user is not None and identity_id is not None:
            user = User(identity_id, user.token)
        credentials = get_credentials(anonymous, self.pool, user)
        self.client = client_of(self._server, credentials)
        self._open.callback(self.client.close)
        self.identity = credentials.identity_id
        self.prefs = Dataset(self.client, self.pool, self.identity)
        return self.identity

    def configure(self, *application_arns):
        """Set the push applications of the pool."""
        self.developer.set_identity_pool_configuration(
            IdentityPoolId=self.pool,
            PushSync={"ApplicationArns": list(application_arns)},
        )

    def register(self, token, platform="GCM"):
        """Register a device."""
        return self.client.register_device(
            IdentityPoolId=self.pool,
            IdentityId=self.identity,
            Platform=platform,
            Token=token,
        )["DeviceId"]

    def subscribed(self, token, platform="GCM"):
        """Register a device and subscribe it."""
        if not self.prefs.values():
            self.prefs.put(a="0")
        device_id = self.register(token, platform)
        self.client.subscribe_to_dataset(**self.prefs.ids, DeviceId=device_id)
        return device_id

    def change(self, writer=None):
        """Change the dataset, from a device or from none; return its sync count."""
        count = self.prefs.counts().get("a", 0)
        options = {} if writer is None else {"DeviceId": writer}
        answer = self.prefs.update(replace("a", f"{count}", count), **options)
        return answer["Records"][0]["SyncCount"]

    def told(self, token, sync_count):
        """Wait until a device is told of a sync count; list all it was told."""
        wait_until(lambda: sync_count in self.sns.sync_counts(token))
        return self.sns.sync_counts(token)

    def close(self):
        """Close the clients."""
        self._open.close()


def waiting(server):
    """Read how many pushes wait."""
    with urlopen(f"{server.endpoint}/metrics") as response:
        lines = response.read().decode().splitlines()
    (line,) = (each for each in lines if each.startswith("millpond_pushes_waiting "))
    return float(line.split()[1])


def test_a_change_is_told_to_another_device(home):
    """What the Android client reads: five strings, and the new sync count."""
    token = new_token()
    home.subscribed(token)
    count = home.change()

    home.told(token, count)
    assert home.sns.messages(token) == [
        {
            "data": {
                "source": "cognito-sync",
                "identityPoolId": home.pool,
                "identityId": home.identity,
                "datasetName": "prefs",
                "syncCount": str(count),
            }
        }
    ]


def test_an_iphone_is_woken_silently(home):
    """What the documented iOS handler reads, under `data`."""
    token = new_token()
    home.subscribed(token, "APNS")
    count = home.change()

    home.told(token, count)
    (message,) = home.sns.messages(token)
    assert message["aps"] == {"content-available": 1}
    assert message["data"]["identityId"] == home.identity
    assert message["data"]["syncCount"] == count


def test_the_device_that_writes_is_not_told(home):
    """Of two devices the other one is, either way round."""
    one, two = new_token(), new_token()
    first, second = home.subscribed(one), home.subscribed(two)
    by_first = home.change(writer=first)
    assert home.told(two, by_first) == [by_first]
    by_second = home.change(writer=second)
    home.told(one, by_second)

    assert home.sns.sync_counts(one) == [by_second]
    assert home.sns.sync_counts(two) == [by_first]


def test_a_developers_change_is_told(home):
    """The backend is no device; whoever is subscribed is told."""
    token = new_token()
    home.subscribed(token)
    mine = home.prefs
    home.prefs = Dataset(home.developer, home.pool, home.identity)
    count = home.change()
    home.prefs = mine

    assert home.told(token, count) == [count]


def test_a_deletion_is_told(home):
    """A device learns of it like of any change, and of nothing after it."""
    token = new_token()
    home.subscribed(token)
    count = home.change()
    home.prefs.delete()
    home.told(token, count + 1)
    again = home.change()

    home.client.subscribe_to_dataset(**home.prefs.ids, DeviceId=home.register(token))
    later = home.change()
    assert again not in home.told(token, later)


def test_an_unsubscribed_device_is_not_told(home):
    """The other one is, so it is not a matter of time."""
    quiet, other = new_token(), new_token()
    device_id = home.subscribed(quiet)
    home.subscribed(other)
    home.client.unsubscribe_from_dataset(**home.prefs.ids, DeviceId=device_id)
    count = home.change()

    home.told(other, count)
    assert home.sns.messages(quiet) == []


def test_a_guests_device_comes_along_when_the_guest_signs_in(home):
    """It is the account's then, and is told of the account's data."""
    token = new_token()
    account, user = home.prefs, home.user
    account.put(a="1")
    guest = home.connect(None)
    home.subscribed(token)
    merged = home.connect(user, identity_id=guest)
    assert merged == account.identity
    count = home.change()

    assert home.told(token, count) == [count]
    (message,) = home.sns.messages(token)
    assert message["data"]["identityId"] == merged


def test_a_refused_update_is_not_told(home):
    """Nothing changed, so there is nothing to tell."""
    token = new_token()
    home.subscribed(token)
    with contextlib.suppress(home.client.exceptions.ResourceConflictException):
        home.prefs.update(replace("a", "stale", 999))
    count = home.change()

    assert home.told(token, count) == [count]


def test_while_sns_is_down_changes_become_one(home, server):
    """Updates go on at their pace; afterwards the newest is told, and it alone."""
    token = new_token()
    home.subscribed(token)
    home.sns.go_down()
    try:
        counts = [home.change() for _ in range(5)]
        wait_until(lambda: any('"push.failed"' in line for line in server.log))
        wait_until(lambda: waiting(server) == 1)
    finally:
        home.sns.come_back()

    assert home.told(token, counts[-1]) == [counts[-1]]
    wait_until(lambda: waiting(server) == 0)


def test_a_disabled_endpoint_is_left_alone_until_it_registers(home, server):
    """Meanwhile no push waits for it; registering gives it the same id again."""
    token, other = new_token(), new_token()
    device_id = home.subscribed(token)
    home.told(token, home.change())
    (endpoint,) = home.sns.endpoints(token)
    home.sns.disable(endpoint.arn)
    home.change()
    wait_until(lambda: any(_is_disabled(line, device_id) for line in server.log))
    home.subscribed(other)
    unseen = home.change()
    home.told(other, unseen)
    wait_until(lambda: waiting(server) == 0)

    assert home.register(token) == device_id
    count = home.change()
    assert unseen not in home.told(token, count)
    (endpoint,) = home.sns.endpoints(token)
    assert endpoint.enabled


def _is_disabled(line, device_id):
    if '"push.device_disabled"' not in line:
        return False
    return json.loads(line)["device_id"] == device_id


def test_a_log_holds_no_push_token(home, server):
    """Whoever reads it cannot send anything to anybody."""
    token = new_token()
    home.subscribed(token)
    home.told(token, home.change())

    assert not any(token in line for line in server.log)


def test_a_crash_before_the_sending_loses_nothing(tmp_path, sns):
    """A change that was acknowledged is told after the restart (kill -9)."""
    token = new_token()
    first = start(tmp_path / "data", sns)
    first.start()
    try:
        home = Home(first, sns)
        with contextlib.closing(home):
            home.subscribed(token)
            sns.go_down()
            try:
                count = home.change()
            finally:
                first.kill()
                sns.come_back()
            assert sns.messages(token) == []
            with start(tmp_path / "data", sns):
                assert home.told(token, count) == [count]
    finally:
        first.__exit__(None, None, None)
