"""The open questions of the document, and their possible answers."""

import re
from pathlib import Path

import pytest

from receiver.sandbox import Dialect
from receiver.sandbox.dialect import switches

UNSAID = (
    "C07 C08 C09 C11 C20 C22 C23 C24 C26 C27 C28 C29 C30 C43 C44 C47 C52 C53 C54 C55 C57 C59 C60 C61 C72 C74"
)
UNSAID_TOO = "C82 C83 C84 C85 C88 C93 C94 C95 C97 C102"


class TestRandom:
    def test_the_same_seed_is_the_same_reading(self) -> None:
        """So that a failure can be repeated."""
        assert Dialect.random(7) == Dialect.random(7) != Dialect.random(8)

    @pytest.mark.parametrize("switch", switches())
    def test_reaches_every_reading_of_every_switch(self, switch: str) -> None:
        """No switch is stuck."""
        seen = {getattr(Dialect.random(seed), switch) for seed in range(100)}
        assert seen == set(switches()[switch])


class TestSwitches:
    @pytest.mark.parametrize("switch", switches())
    def test_each_has_a_default_and_another_reading(self, switch: str) -> None:
        """A switch that cannot be turned is none."""
        readings = switches()[switch]
        assert len(readings) > 1
        assert getattr(Dialect(), switch) in readings

    def test_every_unsaid_row_has_one(self) -> None:
        """As the page says, which names the rows of each."""
        page = (Path(__file__).parents[3] / "docs/sandbox.md").read_text()
        rows = dict(re.findall(r"(?m)^\| `(\w+)` \| ([C0-9, ]+|errors) \|", page))
        assert list(rows) == list(switches())
        answered = set(re.findall(r"C\d+", " ".join(rows.values())))
        assert answered >= set(f"{UNSAID} {UNSAID_TOO}".split())
