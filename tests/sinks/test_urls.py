"""The URLs of sinks: what they say, and what is refused."""

import pytest

from millpond.errors import SettingsError
from millpond.sinks import how_to_create
from millpond.sinks.base import without_secrets
from millpond.sinks.urls import SinkUrl, read_url


def test_a_url_is_taken_apart() -> None:
    """User, password, hosts, name and options come out, percent-decoded."""
    found = read_url(
        "nats://me:s%40crit@one:4222,two/the%20stream?subject=a.b&note=",
        options={"subject", "note"},
    )

    assert found == SinkUrl(
        user="me",
        password="s@crit",
        hosts=("one:4222", "two"),
        name="the stream",
        options={"subject": "a.b", "note": ""},
    )


@pytest.mark.parametrize("url", ["kinesis:", "kinesis://", "kinesis:///"])
def test_what_is_not_there_is_empty(url: str) -> None:
    """A URL may leave everything out; the sink says what it needs."""
    assert read_url(url, options=()) == SinkUrl("", "", (), "", {})


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("x://secret@host/name?unknown=1", "no option 'unknown'; known: a, b"),
        ("x://secret@host/name?a", "options are not of the form"),
        ("x://secret@[host/name", "cannot be read"),
        ("x://me:1?secret=x@host/name", "no option of this name; known: a, b"),
        ("x://me:1?secret@host/name", "write # as %23"),
    ],
)
def test_what_is_wrong_is_said_without_the_url(url: str, reason: str) -> None:
    """The message names the fault and not the URL, which may hold a password."""
    with pytest.raises(SettingsError, match=reason) as caught:
        read_url(url, options={"a", "b"})

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "nats://me:secret@one:4222,two,[::1]:4222/stream?x=secret",
            "nats://one:4222,two,[::1]:4222/stream",
        ),
        # Passwords that should have been percent-encoded.
        ("nats://me:s@cret@one:4222/stream", "nats://one:4222/stream"),
        ("nats://me:secret#x@one/stream", "nats:"),
        ("nats://secret#x", "nats:"),
        ("nats://me:secret", "nats:"),
        ("nats://me:secret/secret@one/stream", "nats:"),
        ("nats://secret/x@one/stream", "nats:"),
        ("nats://me:secret?x@one/stream", "nats:"),
        ("nats://secret?x@one/stream", "nats:"),
        ("nats:me:secret@one/stream", "nats:"),
        ("secret@one:4222/stream", ":"),
        ("host=one password=secret", ":"),
        ("file:///var/backups?rotate_s=1", "file:///var/backups"),
        ("embedded:my-stream", "embedded:my-stream"),
        ("x://secret@[host/name", "x:"),
    ],
)
def test_a_url_is_shown_without_secrets(url: str, shown: str) -> None:
    """Hosts and name are shown; user, password and options are not."""
    assert without_secrets(url) == shown


@pytest.mark.parametrize(
    ("url", "command"),
    [
        (
            "kinesis://changes?region=x",
            "aws kinesis create-stream --stream-name changes",
        ),
        (
            "kinesis://s?region=eu-west-1&endpoint=http://host:4566",
            "aws kinesis create-stream --stream-name s --shard-count 4 "
            "--region eu-west-1 --endpoint-url http://host:4566",
        ),
        ("kinesis:///changes", "aws kinesis create-stream --stream-name changes "),
        ("file:///var/a%20b?rotate_s=5", "mkdir -p '/var/a b'"),
        (
            "nats://me:secret@one:4222,two/s",
            "nats --server one:4222 stream add s --sub",
        ),
        (
            "kafka://me:secret@one/t?tls=true",
            "kafka-topics.sh --bootstrap-server one --cr",
        ),
        ("embedded:changes", ""),
        ("nats://me:sec#ret@one/s", ""),
        ("unknown://one/s", ""),
    ],
)
def test_how_a_stream_is_created_is_said_without_secrets(
    url: str, command: str
) -> None:
    """The command is that of its kind; of a URL that cannot be told apart, none."""
    said = how_to_create(url)

    assert said.startswith(command)
    assert bool(said) is bool(command)
    assert "secret" not in said
    assert "ret" not in said.split()
