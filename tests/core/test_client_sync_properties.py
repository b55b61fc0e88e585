"""Pure devices against a pure server: whatever happens, they agree in the end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from core.client_sync_world import NAME, Device, Server
from millpond.core import sync
from millpond.core.client_sync import copies
from millpond.core.client_sync.copies import LocalRecord, RemoteRecord

KEYS = st.sampled_from(["a", "b", "c"])
FATES = st.sampled_from(["answered"] * 4 + ["unasked", "unheard", "crashed"])
QUIET = settings(deadline=None, max_examples=150)


def union(
    key: str, base: str | None, mine: LocalRecord, theirs: RemoteRecord
) -> str | None:
    """A merge that keeps all: values are sets of words."""
    words = {*(mine.value or "").split(), *(theirs.value or "").split()}
    return " ".join(sorted(words)) or None


def settle(server: Server, devices: list[Device]) -> None:
    """Let everybody be heard, until nobody has anything to say."""
    for _ in range(3):
        for device in devices:
            assert device.sync(server).report.failed is None
    for device in devices:
        assert device.copy.values == server.values()
        assert device.copy.unsent == []
        assert device.copy.sent is None
        assert device.copy.absorbed == {}
    assert [name for name, each in server.datasets.items() if each.exists] in (
        [],
        [NAME],
    )


@QUIET
@given(data=st.data(), count=st.integers(2, 5))
def test_devices_agree_whatever_happens(data, count):
    """Edits, losses, crashes, deletions, dropped tombstones, merges: one outcome."""
    server = Server()
    devices = [Device() for _ in range(count)]

    def step(words: tuple[str, ...]) -> None:
        what = data.draw(st.sampled_from(words))
        server.now_ms += data.draw(st.integers(0, 3))
        device = data.draw(st.sampled_from(devices))
        if what == "write":
            value = data.draw(st.sampled_from([None, "1", "2", "3"]))
            now_ms = max(0, server.now_ms + data.draw(st.integers(-5, 5)))
            device.copy = copies.write(
                device.copy, data.draw(KEYS), value, now_ms=now_ms
            )
        elif what == "delete":
            device.copy = copies.delete(device.copy)
        elif what == "forget":
            server.forget()
        elif what == "expire":
            server.end_sessions()
        elif what == "developer":
            server.put(NAME, {data.draw(KEYS): data.draw(st.sampled_from("45"))})
        elif what == "merge":
            server.put(f"{NAME}.old", {data.draw(KEYS): "6"})
        else:
            device.sync(
                server,
                lambda: data.draw(FATES),
                lambda: step(("write", "developer")) if data.draw(RARELY) else None,
            )

    for _ in range(data.draw(st.integers(1, 12))):
        step(
            (
                *("write", "write", "sync", "sync", "delete", "forget", "expire"),
                *("developer", "merge"),
            )
        )
    settle(server, devices)


RARELY = st.sampled_from([False, False, False, True])


@QUIET
@given(data=st.data(), count=st.integers(2, 4))
def test_nothing_that_was_written_is_lost(data, count):
    """With a merge that keeps both, each word that an app wrote is there in the end."""
    server = Server()
    devices = [Device(merge=union) for _ in range(count)]
    written: dict[str, set[str]] = {}

    def write() -> None:
        device, key = data.draw(st.sampled_from(devices)), data.draw(KEYS)
        word = f"w{sum(map(len, written.values()))}"
        written.setdefault(key, set()).add(word)
        before = device.copy.values.get(key, "")
        value = " ".join(sorted({*before.split(), word}))
        device.copy = copies.write(device.copy, key, value, now_ms=server.now_ms)

    for _ in range(data.draw(st.integers(1, 12))):
        what = data.draw(st.sampled_from(["write", "sync", "sync", "expire", "merge"]))
        if what == "write":
            write()
        elif what == "expire":
            server.end_sessions()
        elif what == "merge":
            key = data.draw(KEYS)
            word = f"w{sum(map(len, written.values()))}"
            written.setdefault(key, set()).add(word)
            known = server.values(f"{NAME}.old").get(key, "")
            server.put(f"{NAME}.old", {key: " ".join(sorted({*known.split(), word}))})
        else:
            data.draw(st.sampled_from(devices)).sync(
                server,
                lambda: data.draw(FATES),
                lambda: write() if data.draw(RARELY) else None,
            )
    settle(server, devices)
    found = {key: set(value.split()) for key, value in server.values().items()}
    assert found == written


@QUIET
@given(
    data=st.data(),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12),
)
def test_what_the_server_refuses_stands_alone(data, sizes):
    """A value that is too long is set aside and named; all others are there."""
    server = Server(limits=sync.SyncLimits(record_value_chars=20))
    device = Device()
    for number, size in enumerate(sizes):
        device.copy = copies.write(device.copy, f"k{number}", "x" * size, now_ms=1)

    device.sync(server, lambda: data.draw(FATES))
    report = device.sync(server).report

    too_long = {f"k{n}" for n, size in enumerate(sizes) if size > 20}
    assert {*report.set_aside} == too_long
    assert {*server.values()} == {f"k{n}" for n in range(len(sizes))} - too_long
    assert {*device.copy.values} == {f"k{n}" for n in range(len(sizes))}
    assert device.sync(server).report.pushed == ()
