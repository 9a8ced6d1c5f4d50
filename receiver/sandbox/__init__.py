"""The provider's API on loopback: for experiments, development and tests."""

from receiver.sandbox.clock import Clock, ManualClock, SystemClock
from receiver.sandbox.dialect import Dialect
from receiver.sandbox.faults import Fault
from receiver.sandbox.provider import OPERATION_NAMES
from receiver.sandbox.sandbox import Sandbox
from receiver.sandbox.state import DEFAULT_WEBHOOK_SECRET, Knobs, Seen, Sent

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
