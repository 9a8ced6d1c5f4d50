"""docs/contract.md maps every row of the provider's document to a test that exists."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from receiver.contract import ERROR_STATUS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/contract.md").read_text()
NUMBERS = chain(
    range(1, 12), range(20, 31), range(40, 48), range(50, 62), range(70, 75), range(80, 98), range(100, 103)
)
ROWS = [f"C{number:02}" for number in NUMBERS]
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

    @pytest.mark.parametrize("row", [*ROWS, *ERROR_STATUS])
    def test_each_names_tests_that_exist(self, row: str) -> None:
        """At least one, and none that is gone."""
        named = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", TABLE[row])
        assert named, f"{row} has no test"
        assert len(named) == TABLE[row].count("`") // 2, f"{row} names something that is no test"
        for path, name in named:
            assert (ROOT / path).is_file(), path
            assert name in defined_in(path), f"{path}::{name}"
