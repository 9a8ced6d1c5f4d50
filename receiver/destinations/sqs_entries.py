"""What an SQS request holds: messages cut into batches, each message as an entry."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from receiver.destinations import Message

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef, SendMessageBatchRequestEntryTypeDef

# Both from the documentation of SendMessageBatch in botocore 1.44.5 (1 MiB since 2025, 256 KiB before).
MAX_ENTRIES: Final = 10
MAX_BYTES: Final = 1_048_576


def chunks(batch: Sequence[Message]) -> Iterator[list[Message]]:
    """Cut *batch* into requests that SQS takes; a message too large for any stays alone."""
    chunk: list[Message] = []
    room = MAX_BYTES
    for message in batch:
        size = size_bytes(message)
        if chunk and (len(chunk) == MAX_ENTRIES or size > room):
            yield chunk
            chunk, room = [], MAX_BYTES
        chunk.append(message)
        room -= size
    if chunk:
        yield chunk


def size_bytes(message: Message) -> int:
    """Return what SQS counts: body, and name, type and value of every attribute."""
    attributes = sum(len(name) + len("String") + len(value.encode()) for name, value in _attributes(message))
    return len(_body(message).encode()) + attributes


def entry(entry_id: str, message: Message, *, fifo: bool) -> "SendMessageBatchRequestEntryTypeDef":
    """Return *message* as SQS takes it, named *entry_id* within its request."""
    made: SendMessageBatchRequestEntryTypeDef = {
        "Id": entry_id,
        "MessageBody": _body(message),
        "MessageAttributes": {name: _attribute(value) for name, value in _attributes(message)},
    }
    if fifo:
        made["MessageGroupId"] = message.generation_id
        made["MessageDeduplicationId"] = message.id
    return made


def _body(message: Message) -> str:
    # In JSON these two can only stand inside a string, where the escape means the same.
    return message.body.decode().replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def _attributes(message: Message) -> list[tuple[str, str]]:
    pairs = [
        ("id", message.id),
        ("type", message.type),
        ("source", message.source),
        ("subject", message.generation_id),
    ]
    return [(name, value) for name, value in pairs if value]


def _attribute(value: str) -> "MessageAttributeValueTypeDef":
    return {"DataType": "String", "StringValue": value}
