"""Destinations as operators see them, and a message that says it is a test."""

import secrets
from collections.abc import Mapping
from contextlib import aclosing
from functools import partial
from typing import Final

import orjson

from receiver import clock, routing
from receiver.admin.parts import Target
from receiver.destinations import Message
from receiver.events import SOURCE_PREFIX, TYPE_PREFIX, event_id
from receiver.outcomes import Outcome
from receiver.wiring.destinations import build_destination

_TEST_TYPE: Final = f"{TYPE_PREFIX}receiver.test"


def build_target(name: str, options: Mapping[str, str]) -> Target:
    """Return a configured destination, for operators."""
    kind = options.get("url", "").strip().partition(":")[0].lower()
    return Target(kind, partial(send_test, name, options))


async def send_test(name: str, options: Mapping[str, str]) -> Outcome:
    """Send one message that says it is a test, on its own connection."""
    _, own = routing.take(name, options)
    async with aclosing(build_destination(name, own)) as destination:
        [outcome] = await destination.send([_test_message()])
    return outcome


def _test_message() -> Message:
    id_ = event_id(clock.now_ms(), secrets.token_bytes(10))
    body = {
        "specversion": "1.0",
        "id": id_,
        "source": f"{SOURCE_PREFIX}operator",
        "type": _TEST_TYPE,
        "subject": "test",
        "datacontenttype": "application/json",
        "data": {"message": "A test message, sent by an operator of receiver."},
    }
    return Message(id_, "operator", "test", _TEST_TYPE, "unknown", orjson.dumps(body))
