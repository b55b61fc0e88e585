"""Deadlines of tests are stretched by how slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from millpond.testing import deadlines
from millpond.testing.deadlines import Deadline, factor, seconds
from millpond.testing.server import wait_until


@dataclass
class Machine:
    """A machine whose clock and load the test sets."""

    now_s: float = 1000.0
    slow: float = 1.0
    measured: list[float] = field(default_factory=list)

    def measure(self) -> float:
        self.measured.append(self.now_s)
        return self.slow


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A quiet machine on which nothing was measured yet."""
    made = Machine()
    monkeypatch.setattr(deadlines, "_measured", [])
    monkeypatch.setattr(deadlines, "_measure", made.measure)
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: made.now_s)
        yield made


def test_a_quiet_machine_gets_what_is_written(machine: Machine) -> None:
    """Ten seconds are ten seconds."""
    deadline = Deadline(10)
    machine.now_s += 9.9
    assert not deadline.passed()
    machine.now_s += 0.2
    assert deadline.passed()
    assert deadline.left_s() == 0


def test_a_busy_machine_gets_more(machine: Machine) -> None:
    """A time is stretched by how slow the machine is."""
    machine.slow = 4.0
    deadline = Deadline(10)

    assert seconds(10) == 40
    machine.now_s += 39
    assert not deadline.passed()
    machine.now_s += 2
    assert deadline.passed()


def test_load_that_comes_later_moves_a_deadline(machine: Machine) -> None:
    """What was quiet when the wait began may be busy when it should end."""
    deadline = Deadline(10)
    assert factor() == 1
    machine.slow = 3.0
    machine.now_s += 11

    assert not deadline.passed()
    assert deadline.left_s() == pytest.approx(19)


def test_load_counts_for_a_while_after_it_has_gone(machine: Machine) -> None:
    """What is waited for may have been held up by it."""
    machine.slow = 5.0
    assert factor() == 5
    machine.slow = 1.0
    machine.now_s += 30
    assert factor() == 5
    machine.now_s += 61
    assert factor() == 1


def test_the_machine_is_not_measured_all_the_time(machine: Machine) -> None:
    """Asking is free for some seconds after a measurement."""
    for _ in range(100):
        factor()

    assert machine.measured == [1000.0]


def test_this_machine_can_be_measured() -> None:
    """The factor is never below one, and has a bound: a wait must end."""
    assert 1 <= factor() <= 20


def test_what_never_comes_is_told(machine: Machine) -> None:
    """The error names the condition and the factor."""
    looks: list[float] = []

    def never() -> bool:
        looks.append(machine.now_s)
        machine.now_s += 8
        return False

    with pytest.raises(TimeoutError, match=r"never.*10 s, times 1\.0"):
        wait_until(never, timeout_s=10, pause_s=0)
    assert len(looks) == 2


def test_limits_of_tests_are_stretched_before_they_are_set(
    request: pytest.FixtureRequest,
) -> None:
    """Ours is called before that of the plugin that starts the clock."""
    # Of a hook, the last one is called first.
    called = request.config.hook.pytest_runtest_protocol.get_hookimpls()[::-1]
    modules = [each.function.__module__ for each in called]

    ours = next(n for n, name in enumerate(modules) if name.endswith("conftest"))
    assert ours < modules.index("pytest_timeout")
