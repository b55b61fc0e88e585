"""
A run: some devices, some accidents, and what has to be true in the end.

What may not be lost
--------------------
*Merged by words* (`union`, in the clear or encrypted). A write that was acknowledged to
the app adds a word. Each such word is in the end at the server and on all devices,
unless somebody deleted it: while a deletion of the dataset is under way, from the app's
word until that device has synchronized, the words go that its device shows and those
that are at the server. The archived client also gives up what it has not sent when it
hears of a deletion, for that is all its app can do.

*By a rule* (`newest`, `mine`, `theirs`). Of two writes that did not know each other one
is to go, that is the rule. But a write knows the value that its device showed, and an
older value never comes back over one that was written in its knowledge. So the value in
the end is no ancestor of any acknowledged write, removals included. Where datasets are
deleted, tombstones expire or identities merge, values do come back that a device had
not sent; such runs have the other promises alone.

*Always*: all agree; nothing is there that nobody wrote; each synchronization ends, in
not too many calls; once all were heard, nobody has anything left to say; no merged
dataset stays.

Everything is drawn from the seed, and one thing happens at a time; what happens while a
call is under way happens in the proxy, between the call and its answer.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mixed.devices import Developer, DiedError, OldDevice, OurDevice

KEYS: Final = ("a", "b")  # few, so that much meets
NAMES_OF_OBJECTS: Final = ("constructor", "__proto__")
# The archived client cannot take those last: it keeps its records in an object.
FATES: Final = (
    *("answered",) * 3,
    *("unasked", "unheard", "unheard"),
    *("killed before", "killed after"),
    *("meanwhile before", "meanwhile after") * 2,
)
ROUNDS_MAX: Final = 8
TOMBSTONES_MAX: Final = 6  # that the server keeps
JUMPS_MS: Final = (-7_200_000, -60_000, 0, 45_000, 3_600_000)

Device = OurDevice | OldDevice


@dataclass
class Run:
    """
    One run.

    Args:
        by_words: the merge is `union`.
        rough: datasets are deleted, tombstones expire, identities merge.
    """

    seed: int
    devices: Sequence[Device]
    developer: Developer
    by_words: bool
    rough: bool
    log: list[str] = field(default_factory=list)
    acknowledged: set[tuple[str, str]] = field(default_factory=set)
    perhaps: set[tuple[str, str]] = field(default_factory=set)
    spared: set[tuple[str, str]] = field(default_factory=set)
    writes: list[tuple[str, str]] = field(default_factory=list)
    parents: dict[str, str | None] = field(default_factory=dict)
    deleting: set[int] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    inside: bool = False
    busy: Device | None = None  # whose call is under way
    overlapping: bool = False  # its app writes, while its calls are

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.number = 0
        self.keys = KEYS
        if all(each.kills for each in self.devices):
            self.keys = self.random.choice([KEYS, NAMES_OF_OBJECTS])
        for each in self.devices:
            each.wire.meanwhile = self.meanwhile

    def go(self, steps: int) -> None:
        """Let things happen, then let everybody be heard, then look."""
        for _ in range(steps):
            self.step()
        self.settle()
        self.look()

    def step(self) -> None:
        """Let one thing happen."""
        words = ["write"] * 5 + ["sync"] * 6 + ["overlap"] * 2
        words += ["jump", "kill", "die", "developer_writes"]
        if not self.by_words:
            words += ["remove"]
        if self.rough:
            words += ["delete", "expire", "merge", "sign_in", "sign_in"]
        self.do(self.random.choice(words), self.random.choice(self.devices))

    def meanwhile(self) -> None:
        """Let something happen elsewhere while a call is under way."""
        if self.inside:
            return
        self.inside = True
        try:
            other = self.random.choice([e for e in self.devices if e is not self.busy])
            word = self.random.choice(["write", "write", "sync", "developer_writes"])
            if word == "write" and isinstance(self.busy, OurDevice):
                other = self.random.choice([self.busy, other])
            if self.overlapping and self.busy is not None:
                word, other = "write", self.busy
            self.do(word, other, calm=True)
        finally:
            self.inside = False

    def do(self, what: str, device: Device, *, calm: bool = False) -> None:
        """Do something on a device, or at the server."""
        self.log.append(f"{what} {device}")
        self.counts[what] = self.counts.get(what, 0) + 1
        self.note_deletions()
        try:
            if what == "sync":
                self.sync(device, calm=calm)
            elif what in ("write", "remove"):
                self.write(device, remove=what == "remove")
            else:
                getattr(self, what)(device)
        except DiedError:
            self.log.append(f"{device} died")
        finally:
            if not calm:
                self.busy = None
                device.wire.fates.clear()
        self.note_deletions()

    # What happens

    def write(self, device: Device, *, remove: bool = False) -> None:
        key, word = self.random.choice(self.keys), self.new_word()
        if self.by_words:
            self.perhaps.add((key, word))
            device.add(key, word)
            self.acknowledged.add((key, word))
            return
        parent = device.values().get(key)
        if not remove:
            self.perhaps.add((key, word))
        self.parents[word] = parent
        if not remove:
            device.set(key, word)
        elif parent is not None:
            device.remove(key)
        self.writes.append((key, word))

    def sync(self, device: Device, *, calm: bool) -> None:
        if not calm:
            self.busy = device
            most = self.random.choice([0, 2, 3, 5])
            fates = [self.random.choice(FATES) for _ in range(most)]
            if not device.kills:
                fates = [each for each in fates if not each.startswith("killed")]
            device.wire.fates = fates
            self.log.append(f"  {fates}")
            for each in fates:
                self.counts[each] = self.counts.get(each, 0) + 1
        report = device.sync()
        self.log.append(f"  {report}")
        if isinstance(device, OldDevice):
            self.spared |= {(key, w) for key in self.keys for w in device.purged}
        if report["failed"] is None:
            self.deleting.discard(self.devices.index(device))

    def overlap(self, device: Device) -> None:
        """Write, and go on writing while that is sent."""
        if isinstance(device, OurDevice):
            self.write(device)
            self.busy, self.overlapping = device, True
            device.wire.fates = ["meanwhile before", "meanwhile after"] * 2
            try:
                self.log.append(f"  {device.sync()}")
            finally:
                self.overlapping = False

    def jump(self, device: Device) -> None:
        if isinstance(device, OurDevice):
            device.jump(self.random.choice(JUMPS_MS))

    def kill(self, device: Device) -> None:
        if isinstance(device, OurDevice):
            device.kill()

    def die(self, device: Device) -> None:
        """Die while something is stored."""
        if isinstance(device, OurDevice):
            device.do("die_at", write=self.random.randrange(12))
            self.write(device)
            device.sync()
            device.kill()

    def developer_writes(self, device: Device) -> None:
        if self.developer.world.sealed:
            return  # it has no key
        key, word = self.random.choice(self.keys), self.new_word()
        self.perhaps.add((key, word))
        if self.by_words:
            self.developer.add(key, word)
            self.acknowledged.add((key, word))
        else:
            self.parents[word] = self.developer.set(key, word)
            self.writes.append((key, word))

    def delete(self, device: Device) -> None:
        if isinstance(device, OurDevice):
            shown = device.values()
            self.deleting.add(self.devices.index(device))
            self.spare(shown)
            device.do("delete")

    def sign_in(self, device: Device) -> None:
        """Let a guest become the user, whatever becomes of the calls for it."""
        if isinstance(device, OurDevice) and device.user is None:
            device.wire.fates = self.random.choices(FATES, k=2)
            device.sign_in(self.developer)

    def expire(self, device: Device) -> None:
        if self.developer.values():
            self.developer.expire(TOMBSTONES_MAX)

    def merge(self, device: Device) -> None:
        if self.developer.world.sealed:
            return  # nothing there is encrypted
        key, word = self.random.choice(self.keys), self.new_word()
        self.perhaps.add((key, word))
        self.developer.merge(key, word)
        self.acknowledged.add((key, word))

    def new_word(self) -> str:
        self.number += 1
        return f"w{self.number}"

    def spare(self, values: dict[str, str]) -> None:
        self.spared |= {(key, w) for key, text in values.items() for w in text.split()}

    def note_deletions(self) -> None:
        """While somebody deletes, what is at the server may go."""
        if self.deleting and self.by_words:
            self.spare(self.developer.values())

    # What has to be true

    def settle(self) -> None:
        """Let everybody be heard until nobody has anything to say."""
        for device in self.devices:
            if isinstance(device, OurDevice) and device.user is None:
                device.sign_in(self.developer)
        for number in range(ROUNDS_MAX):
            self.log.append(f"round {number}")
            quiet = True
            for device in sorted(self.devices, key=lambda each: not each.kills):
                self.note_deletions()
                report = device.sync()
                self.log.append(f"  {device}: {report}")
                self.deleting.discard(self.devices.index(device))
                if isinstance(device, OldDevice):
                    self.spared |= {(k, w) for k in self.keys for w in device.purged}
                    quiet = quiet and report["failed"] is None
                else:
                    assert report["failed"] is None
                    assert not report["set_aside"]
                    said = [report[each] for each in ("pulled", "pushed", "merged")]
                    quiet = quiet and not any(said)
            if quiet and number:
                return
        raise AssertionError("they have no end of things to say")

    def look(self) -> None:
        """See whether all is well."""
        shown = [device.values() for device in self.devices]
        ours = [v for v, d in zip(shown, self.devices, strict=True) if d.kills]
        final = ours[0]
        for device, values in zip(self.devices, shown, strict=True):
            assert values == final, device
        for device in self.devices:
            if isinstance(device, OurDevice):
                assert device.do("unsent") == []
                device.wire.calls = 0
                device.sync()
                assert device.wire.calls == 1, f"{device} does not rest"
        assert self.developer.values() == final
        assert not [each for each in self.developer.names() if each != "prefs"]
        found = {(key, w) for key, text in final.items() for w in text.split()}
        assert found <= self.perhaps
        if self.by_words:
            assert self.acknowledged - self.spared <= found, "lost"
        elif not self.rough:
            for key, word in self.writes:
                assert final.get(key) not in self.known_to(word), "an older value"

    def known_to(self, word: str | None) -> set[str]:
        """Give the values that were known, directly or not, where one was written."""
        found: set[str] = set()
        while word is not None and (word := self.parents.get(word)) is not None:
            found.add(word)
        return found


def describe(run: Run) -> dict[str, Any]:
    """Say what a run had in it."""
    return {"seed": run.seed, "devices": [*map(str, run.devices)], **run.counts}
