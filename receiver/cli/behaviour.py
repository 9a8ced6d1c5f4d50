"""How `receiver sandbox` is made to behave: knobs, switches of its dialect, and faults."""

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from receiver.sandbox import Dialect
    from receiver.sandbox.controls import QueuedFault

T = TypeVar("T")


class Teaching(click.Command):
    """A command whose help ends with everything that its options can name."""

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names; what each does is in docs/sandbox.md."""
        from receiver.sandbox.controls import FAULT_KINDS, KNOB_NAMES
        from receiver.sandbox.dialect import switches
        from receiver.sandbox.provider import OPERATION_NAMES

        for heading, names in (
            ("Knobs", KNOB_NAMES),
            ("Switches of the dialect", tuple(switches())),
            ("Operations with faults", OPERATION_NAMES),
            ("Kinds of faults", FAULT_KINDS),
        ):
            with formatter.section(heading):
                formatter.write_text(", ".join(names))


class Knob(click.ParamType[tuple[str, Any]]):
    """A knob, and how it is turned."""

    name = "knob"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Read `loss_rate=0.5`."""
        from receiver.sandbox.controls import knob_in_words

        return _read(self, knob_in_words, value, param, ctx)


class Reading(click.ParamType["str | tuple[str, Any]"]):
    """A whole dialect, or one switch of it."""

    name = "dialect"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> "str | tuple[str, Any]":
        """Read `default`, `random` or `order=oldest_first`."""
        from receiver.sandbox.controls import switch_in_words

        if value in {"default", "random"}:
            return str(value)
        if "=" not in value:
            self.fail(f"{value!r} is neither default nor random, nor NAME=VALUE", param, ctx)
        return _read(self, switch_in_words, value, param, ctx)


class FaultOrder(click.ParamType["QueuedFault"]):
    """What is to go wrong, with which calls."""

    name = "fault"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "QueuedFault":
        """Read `generate.image:status=503,times=2`."""
        from receiver.sandbox.controls import fault_in_words

        return _read(self, fault_in_words, value, param, ctx)


def dialect_of(readings: "Sequence[str | tuple[str, Any]]", seed: int) -> "Dialect":
    """Return the dialect that was named last, with the switches that were set."""
    from dataclasses import replace

    from receiver.sandbox import Dialect

    named = [each for each in readings if isinstance(each, str)]
    base = Dialect.random(seed) if named[-1:] == ["random"] else Dialect()
    return replace(base, **dict(each for each in readings if not isinstance(each, str)))


def _read(
    kind: click.ParamType[Any],
    read: "Callable[[str], T]",
    value: Any,
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> T:
    from receiver.sandbox.refusals import Refusal

    try:
        return read(value)
    except Refusal as refusal:
        kind.fail(str(refusal), param, ctx)
