"""Put events on an Amazon EventBridge bus.

URL: `eventbridge:` in front of the bus's ARN or name. See docs/destinations/eventbridge.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from receiver.destinations import Message, aws
from receiver.destinations.aws import AwsDestination, Service, open_client
from receiver.destinations.aws_messages import Limits
from receiver.destinations.options import matching, option, read_options, setting
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Outcome, Retry

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef, PutEventsResultEntryTypeDef

_BUS: Final = re.compile(
    r"(?:arn:aws[a-z-]*:events:([a-z0-9-]+):[0-9]{12}:event-bus/)?[A-Za-z0-9._-][A-Za-z0-9._/-]{0,255}"
)
_source: Final = matching(
    r"(?!aws\.)[A-Za-z0-9._/:@-]{1,256}",
    "up to 256 letters, digits and . _ / : @ -, and must not begin with `aws.`",
)
_REFUSED_FOR_GOOD: Final = frozenset({"InvalidArgument", "MalformedDetail"})
# From the documentation of PutEvents in botocore 1.44.5: a request stays below 1 MB (256 KB before 2026).
_MAX_BYTES: Final = 1_048_575


@dataclass(frozen=True, slots=True)
class Options(aws.Options):
    """Options besides the URL."""

    source: str = option(_source, "co.aivisualstudio")


def connect(name: str, url: str, options: Mapping[str, str]) -> AwsDestination:
    """Return the destination for an `eventbridge:` URL. See `receiver.destinations.Connect`."""
    bus = url.partition(":")[2]
    parts = _BUS.fullmatch(bus)
    if parts is None:
        raise ConfigError(
            f"{setting(name, 'url')} must be `eventbridge:` and then the ARN or the name of a bus: "
            "eventbridge:arn:aws:events:eu-west-1:123456789012:event-bus/events, eventbridge:default"
        )
    settings = read_options(Options, name, options)
    opening = partial(open_client, "events", name, settings, region=parts[1], url=None)
    return AwsDestination(name, EventBus(opening, bus, settings.source), settings)


class EventBus(Service):
    """One bus, through `PutEvents`."""

    title = "EventBridge"
    target = "bus"
    limits = Limits(request=_MAX_BYTES, message=_MAX_BYTES)
    blaming = frozenset({"ValidationException", "RequestEntityTooLargeException"})

    def __init__(self, opening: "Callable[[], EventBridgeClient]", bus: str, source: str) -> None:
        self.open = opening
        self.client = opening()
        self._bus = bus
        self._source = source

    def size_bytes(self, message: Message) -> int:
        """Return the size that EventBridge counts: source, type, resources and detail.

        Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/calculate-putevents-entry-size.html
        """
        words = (self._source, message.type, message.generation_id)
        return len(message.body) + sum(len(word.encode()) for word in words)

    def entries(self, chunk: Sequence[Message]) -> "Sequence[PutEventsRequestEntryTypeDef]":
        """Return *chunk* in the form of `PutEvents`."""
        return [self._entry(message) for message in chunk]

    def put(self, entries: "Sequence[PutEventsRequestEntryTypeDef]") -> Sequence[Outcome]:
        """Send one request; see `receiver.destinations.aws.Service`."""
        answer = self.client.put_events(Entries=entries)
        if answer["FailedEntryCount"] == 0 and len(answer["Entries"]) == len(entries):
            return [Delivered(entry["EventId"]) for entry in answer["Entries"]]
        unsaid: list[PutEventsResultEntryTypeDef] = [{}] * len(entries)
        return [_outcome(entry) for entry in [*answer["Entries"], *unsaid][: len(entries)]]

    def _entry(self, message: Message) -> "PutEventsRequestEntryTypeDef":
        return {
            "EventBusName": self._bus,
            "Source": self._source,
            "DetailType": message.type,
            "Resources": [message.generation_id],
            "Detail": message.body.decode(),
        }


def _outcome(entry: "PutEventsResultEntryTypeDef") -> Outcome:
    if "EventId" in entry:
        return Delivered(entry["EventId"])
    if "ErrorCode" not in entry:
        return Retry("EventBridge did not report on this event")
    code = entry["ErrorCode"]
    said = " ".join(f"EventBridge refused the event: {code} {entry.get('ErrorMessage', '')}".split())[:300]
    return GivenUp(said) if code in _REFUSED_FOR_GOOD else Retry(said)
