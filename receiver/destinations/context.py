"""CloudEvents context attributes, for systems whose messages have headers.

The envelope has them too, but headers can be used for routing and filtering without reading the body.
"""

from typing import Final

from receiver.destinations import Message
from receiver.events import SOURCE_PREFIX

CONTENT_TYPE: Final = "application/cloudevents+json"


def trace(message: Message) -> dict[str, str]:
    """Return the header with which consumers continue a trace, in any protocol.

    It equals the envelope's value, as it must if nothing is between us and the broker.

    Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/distributed-tracing.md
    """
    return {"traceparent": message.traceparent} if message.traceparent else {}


def attributes(message: Message, *, prefix: str) -> dict[str, str]:
    """Return id, source, type and subject of *message*, with the *prefix* of a protocol binding.

    Source: https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents/bindings
    """
    return {
        f"{prefix}id": message.id,
        f"{prefix}source": SOURCE_PREFIX + message.source,
        f"{prefix}type": message.type,
        f"{prefix}subject": message.generation_id,
    }
