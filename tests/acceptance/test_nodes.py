"""Several servers over one PostgreSQL database are one service."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import BotoCoreError, ClientError, EventStreamError

from acceptance.live_reader import LiveReader, live_path
from acceptance.raw_http import RawClient, Request
from acceptance.seeding import Seed, fill, identities
from acceptance.streams import from_the_start, read_stream, subscribe_when_free
from acceptance.sync_client import Dataset, create_pool, new_identity, replace
from millpond.testing.deadlines import Deadline
from millpond.testing.postgres import PostgresMissingError, TestPostgres
from millpond.testing.server import RunningServer, wait_until

NODES: Final = 3
FAILOVER_TIMEOUT_S: Final = 30.0
StartNodes = Callable[[str], list[RunningServer]]


@pytest.fixture
def start_nodes(tmp_path: Path) -> Iterator[StartNodes]:
    """Start servers on one database; whatever still runs in the end is stopped."""
    started: list[RunningServer] = []

    def start(url: str) -> list[RunningServer]:
        settings = {"store": url, "secret_key": secrets.token_hex(32)}
        nodes = [
            RunningServer(tmp_path / f"node{n}", settings=settings)
            for n in range(NODES)
        ]
        for each in nodes:
            each.start()
            started.append(each)
            # The first one has made the key; the others find it there.
            each.access_key_id = nodes[0].access_key_id
            each.secret_access_key = nodes[0].secret_access_key
            assert not each.data.exists()
        return nodes

    yield start
    for each in started:
        each.__exit__(None, None, None)


@pytest.fixture
def nodes(
    start_nodes: StartNodes, new_database: Callable[[], str]
) -> list[RunningServer]:
    """Three servers on a database of their own."""
    return start_nodes(new_database())


class Client:
    """A device that goes on to the next node when one does not answer."""

    def __init__(self, nodes: Sequence[RunningServer], first: int) -> None:
        self._clients = cycle(
            node.client("cognito-sync") for node in [*nodes[first:], *nodes[:first]]
        )
        self.client = next(self._clients)
        self.failures: list[int] = []
        self.answered = 0

    def ask(self, operation: str, **request: Any) -> Any:
        """Call, and repeat the very same request until somebody answers it."""
        deadline = Deadline(FAILOVER_TIMEOUT_S)
        while True:
            try:
                answer = getattr(self.client, operation)(**request)
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if status != 503 or deadline.passed():
                    raise
                self.failures.append(status)
            except BotoCoreError:
                if deadline.passed():
                    raise
                self.failures.append(0)
            else:
                self.answered += 1
                return answer
            self.client = next(self._clients)
            time.sleep(0.02)


def write(client: Client, dataset: Dataset, key: str, times: int) -> None:
    """Count up in a record that nobody else writes to."""
    count = value = 0
    while value < times:
        session = client.ask("list_records", **dataset.ids)["SyncSessionToken"]
        patch = replace(key, str(value + 1), count)
        answer = client.ask(
            "update_records",
            **dataset.ids,
            RecordPatches=[patch],
            SyncSessionToken=session,
        )
        count, value = answer["Records"][0]["SyncCount"], value + 1


def write_on_all(
    nodes: Sequence[RunningServer],
    pool: str,
    *,
    meanwhile: Callable[[Sequence[Client]], None] = lambda devices: None,
    times: int = 40,
) -> tuple[dict[str, int], list[Client]]:
    """
    Let six devices write into two identities by way of all nodes.

    Returns:
        How often each identity was written to, and the devices.
    """
    people = [new_identity(), new_identity()]
    devices = [Client(nodes, n % len(nodes)) for n in range(6)]
    with ThreadPoolExecutor(len(devices)) as threads:
        writing = [
            threads.submit(
                write,
                device,
                Dataset(None, pool, people[n % 2]),
                f"device {n}",
                times,
            )
            for n, device in enumerate(devices)
        ]
        meanwhile(devices)
        for each in writing:
            each.result()
    return dict.fromkeys(people, 3 * times), devices


def let_go_on(devices: Sequence[Client]) -> None:
    """Wait until devices, which have far more to write, have had some answers."""
    wanted = sum(each.answered for each in devices) + 5 * len(devices)
    wait_until(lambda: sum(each.answered for each in devices) > wanted, pause_s=0.002)


def assert_all_there(
    nodes: Sequence[RunningServer], pool: str, written: dict[str, int]
) -> None:
    """Check that each update counted once, and that all nodes say so."""
    for node in nodes:
        with contextlib.closing(node.client("cognito-sync")) as client:
            for identity, updates in written.items():
                listed = Dataset(client, pool, identity).list()
                assert listed["DatasetSyncCount"] == updates
                assert sum(int(each["Value"]) for each in listed["Records"]) == updates


def stream_into(node: RunningServer, pool: str, name: str = "changes") -> Any:
    """Let a pool stream; return the client of the stream."""
    kinesis = node.client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=2)
    with contextlib.closing(node.client("cognito-sync")) as sync:
        sync.set_identity_pool_configuration(
            IdentityPoolId=pool,
            CognitoStreams={"StreamName": name, "StreamingStatus": "ENABLED"},
        )
    return kinesis


def assert_streamed_in_order(kinesis: Any, written: dict[str, int]) -> None:
    """Check that the stream told of each update, in the order of each identity."""

    def counts() -> dict[str, list[int]]:
        found = defaultdict(list)
        for each in read_stream(kinesis, "changes"):
            event = each.event
            found[event["identityId"]].append(event["syncCount"])
        return dict(found)

    wanted = {who: set(range(1, n + 1)) for who, n in written.items()}
    wait_until(
        lambda: {who: set(told) for who, told in counts().items()} == wanted,
        timeout_s=60,
    )
    for told in counts().values():
        firsts = list(dict.fromkeys(told))  # at least once: repeats aside
        assert firsts == sorted(firsts)


def has_begun(kinesis: Any, name: str) -> bool:
    """Say whether there is anything in a stream, without reading all of it."""
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        iterator = from_the_start(kinesis, name, shard["ShardId"])
        if kinesis.get_records(ShardIterator=iterator, Limit=1)["Records"]:
            return True
    return False


class TestOneService:
    """Whichever node is asked, it answers what any other would."""

    def test_what_one_writes_all_read(self, nodes):
        """An acknowledged update is there on the other nodes at once."""
        pool, identity = create_pool(nodes[0]), new_identity()
        clients = [node.client("cognito-sync") for node in nodes]
        for number in range(1, 10):
            writer = Dataset(clients[number % 3], pool, identity)
            writer.put(n=str(number))
            for client in clients:
                reader = Dataset(client, pool, identity)
                assert reader.values() == {"n": str(number)}
                assert reader.counts() == {"n": number}
        for client in clients:
            client.close()

    def test_a_repeat_on_another_node_changes_nothing(self, nodes):
        """The answer of an update that was lost comes again from any node."""
        pool, identity = create_pool(nodes[0]), new_identity()
        clients = [node.client("cognito-sync") for node in nodes]
        token = Dataset(clients[0], pool, identity).token()
        with ThreadPoolExecutor(9) as threads:
            answers = list(
                threads.map(
                    lambda n: Dataset(clients[n % 3], pool, identity).update(
                        replace("k", "v"), token=token
                    )["Records"],
                    range(9),
                )
            )

        assert all(each == answers[0] for each in answers)
        assert Dataset(clients[1], pool, identity).counts() == {"k": 1}
        for client in clients:
            client.close()

    def test_configuration_is_seen_by_all(self, nodes):
        """Within a second, what one node was told of a pool is so on all."""
        pool = create_pool(nodes[0])
        stream_into(nodes[1], pool).close()

        def stream_of(client: Any) -> str | None:
            found = client.get_identity_pool_configuration(IdentityPoolId=pool)
            return found.get("CognitoStreams", {}).get("StreamName")

        for node in nodes:
            with contextlib.closing(node.client("cognito-sync")) as client:
                wait_until(lambda c=client: stream_of(c) == "changes", timeout_s=1)

    def test_listeners_hear_of_other_nodes(self, nodes):
        """A live update comes from wherever the change was made."""
        pool, identity = create_pool(nodes[0]), new_identity()
        raw = RawClient(nodes[2])
        request = raw.signed(Request(target=live_path(pool, identity)))
        with LiveReader(raw, request) as reader:
            for count in range(1, 7):
                with contextlib.closing(
                    nodes[count % 3].client("cognito-sync")
                ) as client:
                    Dataset(client, pool, identity).put(k=str(count))
                assert reader.event().change == ("prefs", count)


class TestCrashes:
    """A node that dies takes nothing with it."""

    def test_writers_on_all_while_one_is_killed(self, nodes):
        """Each update is counted once and streamed in order, on the others too."""
        pool = create_pool(nodes[0])
        kinesis = stream_into(nodes[0], pool)

        def kill(devices: Sequence[Client]) -> None:
            let_go_on([devices[1], devices[4]])  # who write by way of that node
            nodes[1].kill()

        written, devices = write_on_all(nodes, pool, meanwhile=kill)

        left = [nodes[0], nodes[2]]
        assert any(each.failures for each in devices)
        assert_all_there(left, pool, written)
        assert_streamed_in_order(kinesis, written)
        kinesis.close()

    def test_a_bulk_publish_moves_to_the_others(self, nodes):
        """What a killed node was publishing the others finish, nothing missing."""
        pool = create_pool(nodes[0])
        people = identities(6000)
        fill(nodes[0], pool, (Seed(i, "a", {"k": i}) for i in people))
        kinesis = stream_into(nodes[0], pool)
        sync = nodes[0].client("cognito-sync")
        with contextlib.closing(nodes[1].client("cognito-sync")) as starter:
            # Its own workers hear of it first, and hold slices when it dies.
            starter.bulk_publish(IdentityPoolId=pool)
        wait_until(lambda: has_begun(kinesis, "changes"), pause_s=0.002)
        nodes[1].kill()

        def status() -> str:
            found = sync.get_bulk_publish_details(IdentityPoolId=pool)
            return str(found["BulkPublishStatus"])

        assert status() == "IN_PROGRESS"
        wait_until(lambda: status() != "IN_PROGRESS", timeout_s=FAILOVER_TIMEOUT_S)

        assert status() == "SUCCEEDED"
        told = {each.dataset for each in read_stream(kinesis, "changes")}
        assert told == {(i, "a") for i in people}
        sync.close()
        kinesis.close()

    def test_a_database_that_restarts(self, start_nodes):
        """Requests wait or fail with 503; nothing acknowledged is lost."""
        try:
            with TestPostgres.start() as postgres:
                if not postgres.can_restart:
                    pytest.skip("the server of MILLPOND_TEST_POSTGRES is not ours")
                nodes = start_nodes(postgres.create_database())
                self._restart_under(postgres, nodes)
                for each in nodes:
                    each.stop()
        except PostgresMissingError as error:
            pytest.skip(str(error))

    def _restart_under(
        self, postgres: TestPostgres, nodes: list[RunningServer]
    ) -> None:
        pool = create_pool(nodes[0])

        def restart(devices: Sequence[Client]) -> None:
            for mode in ("fast", "immediate"):
                let_go_on(devices)
                postgres.stop(mode=mode)
                time.sleep(0.5)
                postgres.start_again()

        written, devices = write_on_all(nodes, pool, meanwhile=restart, times=80)

        failures = {status for each in devices for status in each.failures}
        assert failures == {503}
        assert_all_there(nodes, pool, written)


def test_a_subscription_ends_one_elsewhere(nodes: Sequence[RunningServer]) -> None:
    """A place is taken over, and records are told, whichever nodes are asked."""
    one, two = [node.client("kinesis") for node in nodes[:2]]
    one.create_stream(StreamName="changes", ShardCount=1)
    summary = two.describe_stream_summary(StreamName="changes")
    consumer = two.register_stream_consumer(
        StreamARN=summary["StreamDescriptionSummary"]["StreamARN"], ConsumerName="app"
    )["Consumer"]["ConsumerARN"]
    place = (consumer, "shardId-000000000000")
    first = subscribe_when_free(one, *place, Type="TRIM_HORIZON")
    events = iter(first)
    next(events)
    second = subscribe_when_free(two, *place, Type="TRIM_HORIZON")

    with pytest.raises(EventStreamError) as caught:
        for _ in events:
            pass
    assert caught.value.response["Error"]["Code"] == "ResourceInUseException"
    one.put_record(StreamName="changes", Data=b"x", PartitionKey="k")
    found: list[Any] = []
    for each in second:
        found += each["SubscribeToShardEvent"]["Records"]
        if found:
            break
    assert [each["Data"] for each in found] == [b"x"]
    first.close()
    second.close()
