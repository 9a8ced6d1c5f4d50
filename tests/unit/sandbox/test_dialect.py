"""The open questions of the document, and their possible answers."""

import re
from pathlib import Path

import pytest

from receiver.sandbox import Dialect
from receiver.sandbox.dialect import switches


class TestRandom:
    def test_the_same_seed_is_the_same_reading(self) -> None:
        """So that a failure can be repeated."""
        assert Dialect.random(7) == Dialect.random(7) != Dialect.random(8)

    def test_reaches_every_reading_of_every_switch(self, subtests: pytest.Subtests) -> None:
        """No switch is stuck."""
        dialects = [Dialect.random(seed) for seed in range(100)]
        for switch, readings in switches().items():
            with subtests.test(switch=switch):
                assert {getattr(dialect, switch) for dialect in dialects} == set(readings)


class TestSwitches:
    def test_each_has_a_default_and_another_reading(self, subtests: pytest.Subtests) -> None:
        """A switch that cannot be turned is none."""
        for switch in switches():
            with subtests.test(switch=switch):
                readings = switches()[switch]
                assert len(readings) > 1
                assert getattr(Dialect(), switch) in readings

    def test_the_page_has_each_in_order(self) -> None:
        """With the rows that it answers; those of the document are in docs/contract.md."""
        page = (Path(__file__).parents[3] / "docs/sandbox.md").read_text()
        rows = re.findall(r"(?m)^\| `(\w+)` \| (?:C[C0-9, ]+|errors) \|", page)
        assert rows == list(switches())
