"""A guest becomes part of an account while devices of both are offline or half-way."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from core.client_sync_world import NAME, Device, Server
from core.test_client_sync_properties import union
from millpond.core.client_sync import copies
from millpond.core.client_sync.copies import Copy
from millpond.core.client_sync.following import follow

KEYS = st.sampled_from(["a", "b", "c"])
FATES = st.sampled_from(["answered"] * 4 + ["unasked", "unheard", "crashed"])
MERGED = f"{NAME}.guest"


def take_over(account: Server, guest: Server) -> None:
    """Do what the server does in a merge: counts stay, and so does a free name."""
    state = guest.datasets.get(NAME)
    if state is None or not state.exists:
        return
    own = account.datasets.get(NAME)
    name = NAME if own is None else MERGED
    account.datasets[name] = state
    account.records[name] = guest.records[NAME]


def settle(server: Server, devices: list[Device]) -> None:
    """Let everybody be heard, until all agree."""
    for _ in range(3):
        for device in devices:
            assert device.sync(server).report.failed is None
    for device in devices:
        assert device.copy.values == server.values()
        assert (device.copy.unsent, device.copy.sent) == ([], None)
    assert [name for name, each in server.datasets.items() if each.exists] == [NAME]


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_nothing_that_guest_or_account_wrote_is_lost(data):
    """Whatever was sent, half sent or never sent of either, all of it is there."""
    guest_server, account_server = Server(), Server()
    guest, elsewhere = Device(merge=union), Device(merge=union)
    here = Device(merge=union)  # the account, as it was known on the guest's device
    homes = [(guest, guest_server), (elsewhere, account_server), (here, account_server)]
    written: dict[str, set[str]] = {}

    for number in range(data.draw(st.integers(1, 10))):
        device, server = data.draw(st.sampled_from(homes))
        if data.draw(st.booleans()):
            device.sync(server, lambda: data.draw(FATES))
            continue
        key, word = data.draw(KEYS), f"w{number}"
        written.setdefault(key, set()).add(word)
        value = " ".join(sorted({*device.copy.values.get(key, "").split(), word}))
        device.copy = copies.write(device.copy, key, value, now_ms=number)
    take_over(account_server, guest_server)
    before = here.copy.values
    here.copy = follow(here.copy, guest.copy, MERGED, union)

    assert here.copy.values.keys() >= guest.copy.values.keys() | before.keys()
    account_server.put(NAME, {"d": "there"})
    settle(account_server, [here, elsewhere])
    found = account_server.values()
    assert {k: set(v.split()) for k, v in found.items() if k != "d"} == written


@settings(deadline=None, max_examples=100)
@given(
    pushed=st.dictionaries(KEYS, st.sampled_from("12"), min_size=1),
    later=st.dictionaries(KEYS, st.sampled_from([None, "3"])),
)
def test_a_guest_s_own_dataset_goes_on_as_it_was(pushed, later):
    """In an account without the dataset edits and removals hold, whatever the clock."""
    guest_server, account_server = Server(), Server()
    guest = Device(merge=lambda key, base, mine, theirs: theirs.value)
    for key, value in pushed.items():
        guest.copy = copies.write(guest.copy, key, value, now_ms=50)
    guest.sync(guest_server)
    for key, value in later.items():
        guest.copy = copies.write(guest.copy, key, value, now_ms=1)
    expected = guest.copy.values
    take_over(account_server, guest_server)

    guest.copy = follow(Copy(), guest.copy, MERGED, guest.merge)
    assert guest.copy.values == expected
    guest.sync(account_server)

    assert guest.copy.values == account_server.values() == expected
