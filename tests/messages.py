"""Messages as the worker makes them, for tests of what carries them."""

from typing import Final

import orjson

from receiver.destinations import Message

TRACEPARENT: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TYPE: Final = "co.aivisualstudio.generation.completed"


def message(
    number: int, *, prompt: str = "a lighthouse in fog, ü 🎉", traceparent: str | None = None
) -> Message:
    """Return a message like the worker's, the same for the same *number*."""
    event_id, generation_id = f"0194fdc2-fa2f-7cc0-81d3-{number:012d}", f"gen_{number}"
    envelope = {"specversion": "1.0", "id": event_id, "type": TYPE, "subject": generation_id}
    body = orjson.dumps({**envelope, "data": {"prompt": prompt, "error": None}})
    return Message(event_id, "photoverse", generation_id, TYPE, "image", body, traceparent)
