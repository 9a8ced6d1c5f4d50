"""docs/contract.md maps every row of the provider's document to a test that exists."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from receiver.contract import ERROR_STATUS
from receiver.sandbox import Knobs
from receiver.sandbox.dialect import switches

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/contract.md").read_text()
NUMBERS = chain(
    range(1, 12), range(20, 31), range(40, 48), range(50, 62), range(70, 75), range(80, 98), range(100, 103)
)
ROWS = [f"C{number:02}" for number in NUMBERS]
OPEN = chain(
    range(7, 12), (20, 22, 23, 24, *range(26, 30), 43, 44, 47), range(51, 56), (57, 59, 60, 61, 72, 74)
)
OPEN_TOO = (*range(82, 86), 88, 93, 94, 95, 97, 102)
UNSAID = [f"C{number:02}" for number in chain(OPEN, OPEN_TOO)]
"""Rows that the document leaves open, wholly or in part."""
SWITCH_CELLS = dict(re.findall(r"(?m)^\| (C\d+) \|.*\| (?:\w+) \| ?([^|]*) \| [^|]* \|$", PAGE))
"""The last but one."""
TABLE = dict(re.findall(r"(?m)^\| `?(C\d+|[a-z_]+)`? \|.*\| ([^|]*) \|$", PAGE))
"""The last cell of each row."""


@cache
def defined_in(path: str) -> set[str]:
    """Return the test classes and functions of a file, as pytest names them."""
    return set(_named(ast.parse((ROOT / path).read_text()).body, ""))


def _named(body: list[ast.stmt], within: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield node.name
            yield from _named(node.body, f"{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield within + node.name


class TestRows:
    def test_no_row_is_missing_or_invented(self) -> None:
        """The table has the rows of the document, in order, each once."""
        assert re.findall(r"(?m)^\| (C\d+) \|", PAGE) == ROWS

    def test_no_error_code_is_missing(self) -> None:
        """All ten, with their statuses."""
        rows = re.findall(r"(?m)^\| `([a-z_]+)` \| (\d+) \|", PAGE)
        assert {code: int(status) for code, status in rows} == ERROR_STATUS

    def test_each_names_tests_that_exist(self, subtests: pytest.Subtests) -> None:
        """At least one, and none that is gone."""
        for row in [*ROWS, *ERROR_STATUS]:
            with subtests.test(row=row):
                named = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", TABLE[row])
                assert named, f"{row} has no test"
                assert len(named) == TABLE[row].count("`") // 2, f"{row} names something that is no test"
                for path, name in named:
                    assert (ROOT / path).is_file(), path
                    assert name in defined_in(path), f"{path}::{name}"


def dialect_rows() -> dict[str, set[str]]:
    """Return the switches of each row, as the sandbox's page has them."""
    page = (ROOT / "docs/sandbox.md").read_text()
    found: dict[str, set[str]] = {row: set() for row in (*ROWS, "errors")}
    for name, rows in re.findall(r"(?m)^\| `(\w+)` \| (C[C0-9, ]+|errors) \|", page):
        for row in rows.split(", "):
            found[row].add(name)
    return found


class TestSwitches:
    def test_what_is_unsaid_is_a_switch_or_has_one_reading(self, subtests: pytest.Subtests) -> None:
        """Named, or with a reason."""
        for row in UNSAID:
            with subtests.test(row=row):
                cell = SWITCH_CELLS[row]
                assert re.search(r"`\w+`|\bone reading( of [\w ]+)?: \w+", cell), (
                    f"{row} has no switch and no reason"
                )

    def test_each_that_is_named_exists(self, subtests: pytest.Subtests) -> None:
        """In the dialect or among the knobs; and both pages know the same switches of a row."""
        for row in ROWS:
            with subtests.test(row=row):
                named = set(re.findall(r"`(\w+)`", SWITCH_CELLS[row]))
                knobs = {field.name for field in fields(Knobs)}
                assert named <= switches().keys() | knobs
                assert named - knobs == dialect_rows()[row]

    def test_no_row_marked_unsaid_is_left_out(self) -> None:
        """What the page marks so is among those that need a switch."""
        marked = re.findall(r"(?m)^\| (C\d+) \|.*\| unsaid \|", PAGE)
        assert len(marked) > 20
        assert set(marked) <= set(UNSAID)

    def test_the_errors_name_theirs(self) -> None:
        """In the text above their table."""
        assert dialect_rows()["errors"] <= set(re.findall(r"`(\w+)`", PAGE.partition("## Errors")[2]))
