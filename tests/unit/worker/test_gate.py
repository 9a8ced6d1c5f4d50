"""The gate before what may be away."""

from dataclasses import dataclass, field

import pytest

from receiver.outcomes import Retry
from receiver.worker.breaker import Breaker
from receiver.worker.gate import GATE_RULES, Gate


@dataclass
class Outage:
    """A gate with a clock that a test moves."""

    now: float = 1000.0
    told: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        breaker = Breaker(GATE_RULES, clock=lambda: self.now, chance=lambda: 0.5)
        self.gate = Gate(breaker, lambda gate: self.told.append(gate.is_down))

    def begin(self) -> None:
        for name in ("a", "b", "c"):
            self.gate.failed(name, Retry("down"))
        assert self.gate.is_shut

    def wait(self) -> None:
        self.now += self.gate.wait_s()


@pytest.fixture
def outage() -> Outage:
    return Outage()


class TestIsFoundAway:
    def test_while_somebody_tries(self, outage: Outage) -> None:
        """Nobody knows of what nobody has asked for in a minute, though the gate is shut to all but one."""
        outage.begin()
        outage.wait()
        outage.now += 59
        assert outage.gate.is_found_down
        outage.now += 2
        assert (outage.gate.is_found_down, outage.gate.is_down) == (False, True)
        with outage.gate.passing():
            assert outage.gate.is_found_down


class TestFailed:
    def test_shuts(self, outage: Outage) -> None:
        """Three failures in a row, of more than one, shut it; all of them are parked."""
        parked = [outage.gate.failed(name, Retry(f"no {name}")) for name in ("a", "a", "a", "b")]
        assert all(seconds is not None and seconds <= 5 for seconds in parked)
        assert outage.told == [True]
        assert (outage.gate.is_down, outage.gate.is_shut, outage.gate.error) == (True, True, "no b")

    def test_tries_every_few_seconds(self, outage: Outage) -> None:
        """However long it lasts, somebody tries within five seconds."""
        outage.begin()
        for _ in range(50):
            assert 0 < outage.gate.wait_s() <= 5
            outage.wait()
            outage.gate.failed("a", Retry("down"))

    def test_one_alone(self, outage: Outage) -> None:
        """It shuts no gate, since it may be its own fault, and soon tries every five seconds at the most."""
        parked = [outage.gate.failed("a", Retry("down")) for _ in range(20)]
        assert parked[10:] == [5.0] * 10
        assert not outage.gate.is_shut

    def test_leaves_it_alone_as_long_as_asked(self, outage: Outage) -> None:
        """A Retry-After holds for everybody."""
        for name in ("a", "b", "c"):
            outage.gate.failed(name, Retry("http_429", 60.0))
        assert outage.gate.wait_s() == 60

    def test_own_fault(self, outage: Outage) -> None:
        """What fails again although others passed meanwhile is not parked."""
        outage.gate.failed("bad", Retry("http_500"))
        outage.gate.passed("good")
        assert outage.gate.failed("bad", Retry("http_500")) is None


class TestPassing:
    def test_one_tries(self, outage: Outage) -> None:
        """When the wait is over one may pass, and nobody else until that one is back."""
        outage.begin()
        outage.wait()
        with outage.gate.passing():
            assert outage.gate.is_shut
            outage.gate.passed("a")
        assert (outage.gate.is_down, outage.gate.is_shut) == (False, False)
        assert outage.told == [True, False]

    def test_many_pass_while_it_is_open(self, outage: Outage) -> None:
        """Nobody waits for anybody then; and who was under way before is not the one that tries."""
        with outage.gate.passing():
            outage.begin()
            outage.wait()
            with outage.gate.passing():
                assert outage.gate.is_shut

    def test_cut_off(self, outage: Outage) -> None:
        """A try that is cancelled leaves the place to another."""
        outage.begin()
        outage.wait()
        with pytest.raises(RuntimeError), outage.gate.passing():
            raise RuntimeError
        assert not outage.gate.is_shut


class TestParkedS:
    def test_never_at_once(self, outage: Outage) -> None:
        """What stands before a shut gate while somebody tries is not claimed again and again meanwhile."""
        outage.begin()
        assert outage.gate.parked_s() == max(1.0, outage.gate.wait_s())
        outage.wait()
        assert outage.gate.parked_s() == 1.0
