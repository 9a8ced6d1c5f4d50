"""What the AWS destinations send: messages grouped into requests, each as text and attributes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from receiver.destinations import Message
from receiver.destinations.context import trace

MAX_ENTRIES: Final = 10
"""The most messages that SQS, SNS and EventBridge accept in one request."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Maximum sizes of a service, in bytes as that service counts them."""

    request: int
    """All messages of one request together."""
    message: int
    """One message. It may exceed `request` if the limit can be raised: it is then tried alone."""


def chunks(
    batch: Sequence[Message], *, size_bytes: Callable[[Message], int], max_bytes: int
) -> Iterator[list[Message]]:
    """Split *batch* into requests that the service accepts; a message that is too large stays alone."""
    chunk: list[Message] = []
    room = max_bytes
    for message in batch:
        size = size_bytes(message)
        if chunk and (len(chunk) == MAX_ENTRIES or size > room):
            yield chunk
            chunk, room = [], max_bytes
        chunk.append(message)
        room -= size
    if chunk:
        yield chunk


def size_bytes(message: Message) -> int:
    """Return the size that SQS and SNS count: body, and name, type and value of every attribute."""
    attributes = sum(len(name) + len("String") + len(value.encode()) for name, value in _pairs(message))
    return len(text(message).encode()) + attributes


def batch_entries(chunk: Sequence[Message], *, fifo: bool, body: str = "MessageBody") -> list[dict[str, Any]]:
    """Return the messages of one request in SQS's form; SNS has another name for the *body*.

    The Id of each is its position.
    """
    return [
        {
            "Id": str(place),
            body: text(message),
            "MessageAttributes": attributes(message),
            **(
                {"MessageGroupId": message.generation_id, "MessageDeduplicationId": message.id}
                if fifo
                else {}
            ),
        }
        for place, message in enumerate(chunk)
    ]


def text(message: Message) -> str:
    """Return the body without the two characters that SQS refuses, U+FFFE and U+FFFF."""
    # In JSON, these two occur only inside a string, where the escape means the same.
    return message.body.decode().replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def attributes(message: Message) -> Mapping[str, Mapping[str, str]]:
    """Return the attributes that consumers and subscriptions can filter on without parsing the body."""
    return {name: {"DataType": "String", "StringValue": value} for name, value in _pairs(message)}


def _pairs(message: Message) -> list[tuple[str, str]]:
    pairs = [
        ("id", message.id),
        ("type", message.type),
        ("source", message.source),
        ("subject", message.generation_id),
        *trace(message).items(),
    ]
    return [(name, value) for name, value in pairs if value]
