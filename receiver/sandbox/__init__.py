"""The provider's API on loopback: for trying things out, for development and for tests."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from receiver.sandbox.clock import Clock, ManualClock, SystemClock
    from receiver.sandbox.dialect import Dialect
    from receiver.sandbox.faults import Fault
    from receiver.sandbox.knobs import DEFAULT_WEBHOOK_SECRET, Knobs
    from receiver.sandbox.provider import OPERATION_NAMES
    from receiver.sandbox.sandbox import Sandbox
    from receiver.sandbox.state import Seen, Sent

__all__ = [
    "DEFAULT_WEBHOOK_SECRET",
    "OPERATION_NAMES",
    "Clock",
    "Dialect",
    "Fault",
    "Knobs",
    "ManualClock",
    "Sandbox",
    "Seen",
    "Sent",
    "SystemClock",
]

_HOMES = {
    "clock": ("Clock", "ManualClock", "SystemClock"),
    "dialect": ("Dialect",),
    "faults": ("Fault",),
    "knobs": ("DEFAULT_WEBHOOK_SECRET", "Knobs"),
    "provider": ("OPERATION_NAMES",),
    "sandbox": ("Sandbox",),
    "state": ("Seen", "Sent"),
}


def __getattr__(name: str) -> Any:
    # On demand, because pytest imports this package for its fixtures, in every run of everyone who has it.
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"receiver.sandbox.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
