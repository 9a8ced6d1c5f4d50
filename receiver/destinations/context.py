"""CloudEvents context attributes, for systems whose messages have headers.

The envelope holds them too; as headers they can be routed and filtered on without reading the body.
"""

from typing import Final

from receiver.destinations import Message
from receiver.events import SOURCE_PREFIX

CONTENT_TYPE: Final = "application/cloudevents+json"


def trace(message: Message) -> dict[str, str]:
    """Return the header, of any protocol, by which the tracing of consumers goes on with a trace.

    It says what the envelope says, as it has to where nobody is between us and the broker.

    Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/distributed-tracing.md
    """
    return {"traceparent": message.traceparent} if message.traceparent else {}


def attributes(message: Message, *, prefix: str) -> dict[str, str]:
    """Return id, source, type and subject of *message*, each name behind the *prefix* of a protocol binding.

    Source: https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents/bindings
    """
    return {
        f"{prefix}id": message.id,
        f"{prefix}source": SOURCE_PREFIX + message.source,
        f"{prefix}type": message.type,
        f"{prefix}subject": message.generation_id,
    }
