"""The audit log: an operator's action is recorded before it is done, or it is not done."""

import secrets
from typing import Final

from receiver import clock
from receiver.events import event_id
from receiver.store import Store
from receiver.store.audit import Deed, write_down
from receiver.store.operations import Order

_ENTROPY_BYTES: Final = 10
_MOST_CHARS: Final = 1_000


async def note(store: Store, who: str, what: str, on: str = "") -> Deed:
    """Record that *who* does *what*."""
    deed = new_deed(who, what, on)
    await store.transact(write_down, deed)
    return deed


def new_deed(who: str, what: str, on: str = "") -> Deed:
    """Return an audit entry for this moment."""
    at_ms = clock.now_ms()
    id_ = event_id(at_ms, secrets.token_bytes(_ENTROPY_BYTES))
    return Deed(id_, at_ms, who, what, on[:_MOST_CHARS])


def aim(order: Order) -> str:
    """Describe the target of *order* in one line."""
    chosen = [f"{name}={_text(value)}" for name, value in order.wanted.to_json().items()]
    if order.destinations:
        chosen.append(f"to {_text(order.destinations)}")
    return " ".join(chosen)


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
