"""How `receiver sandbox` is told to behave."""

from typing import Any

import pytest
from click.testing import CliRunner

from receiver.cli.behaviour import dialect_of
from receiver.cli.sandbox import sandbox
from receiver.sandbox import OPERATION_NAMES, Dialect
from receiver.sandbox.controls import FAULT_KINDS, KNOB_NAMES
from receiver.sandbox.dialect import switches


class TestTeaching:
    def test_names_everything(self) -> None:
        """The help has every knob, switch, operation and kind of fault."""
        words = CliRunner().invoke(sandbox, ["--help"]).output.replace(",", " ").split()
        assert {*KNOB_NAMES, *switches(), *OPERATION_NAMES, *FAULT_KINDS} <= set(words)


class TestOptions:
    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("--knob", "los_rate=1", "there is no knob 'los_rate'; did you mean loss_rate?"),
            ("--dialect", "oder=up", "there is no switch 'oder'; did you mean order?"),
            ("--dialect", "randm", "'randm' is neither default nor random, nor NAME=VALUE"),
            ("--fault", "generate.image:stal", "there is no kind of fault 'stal'; did you mean stall?"),
        ],
    )
    def test_refuse_nonsense(self, option: str, value: str, message: str) -> None:
        """In one line, with the name that was probably meant, before anything is started."""
        ended = CliRunner().invoke(sandbox, [option, value])
        line = f"Error: Invalid value for '{option}': {message}"
        assert (ended.exit_code, ended.output.splitlines()[-1]) == (2, line)


class TestDialectOf:
    @pytest.mark.parametrize(
        ("readings", "dialect"),
        [
            ((), Dialect()),
            (("random",), Dialect.random(7)),
            (("random", "default"), Dialect()),
            ((("order", "oldest_first"), ("total", "page")), Dialect(order="oldest_first", total="page")),
        ],
    )
    def test_of_what_was_given(self, readings: tuple[Any, ...], dialect: Dialect) -> None:
        """The one that was named last, and the switches on top."""
        assert dialect_of(readings, 7) == dialect

    def test_switches_of_a_random_one(self) -> None:
        """Set by hand wherever they stand; the others stay as chance has them."""
        made = dialect_of((("generate_status", 202), "random"), 7)
        assert made.generate_status == 202
        assert made.order == Dialect.random(7).order
