"""Publish events on an Amazon SNS topic, standard or FIFO.

URL: `sns:` in front of the topic's ARN. A FIFO topic gets one request at a time, to keep the order.
See docs/destinations/sns.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from receiver.destinations import Message
from receiver.destinations.aws import AwsDestination, Options, Service, listed, open_client
from receiver.destinations.aws_messages import Limits, batch_entries
from receiver.destinations.options import read_options, setting
from receiver.errors import ConfigError
from receiver.outcomes import Outcome

if TYPE_CHECKING:
    from mypy_boto3_sns.client import SNSClient

_ARN: Final = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")
# Both from the documentation of PublishBatch in botocore 1.44.5: the default, and the maximum setting.
_USUAL_BYTES: Final = 262_144
_MAX_BYTES: Final = 1_048_576


def connect(name: str, url: str, options: Mapping[str, str]) -> AwsDestination:
    """Return the destination for an `sns:` URL. See `receiver.destinations.Connect`."""
    arn = url.partition(":")[2]
    parts = _ARN.fullmatch(arn)
    if parts is None:
        raise ConfigError(
            f"{setting(name, 'url')} must be `sns:` and then the topic's ARN: "
            "sns:arn:aws:sns:eu-west-1:123456789012:events"
        )
    settings = read_options(Options, name, options)
    opening = partial(open_client, "sns", name, settings, region=parts[1], url=None)
    return AwsDestination(name, SnsTopic(opening, arn), settings)


class SnsTopic(Service):
    """One topic, through `PublishBatch`."""

    title = "SNS"
    target = "topic"
    limits = Limits(request=_USUAL_BYTES, message=_MAX_BYTES)
    blaming = frozenset(
        {"BatchRequestTooLong", "InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid"}
    )

    def __init__(self, opening: "Callable[[], SNSClient]", arn: str) -> None:
        self.open = opening
        self.client = opening()
        self.ordered = arn.endswith(".fifo")
        self._arn = arn

    def entries(self, chunk: Sequence[Message]) -> Sequence[Any]:
        """Return *chunk* in the form of `PublishBatch`."""
        return batch_entries(chunk, fifo=self.ordered, body="Message")

    def put(self, entries: Sequence[Any]) -> Sequence[Outcome]:
        """Send one request; see `receiver.destinations.aws.Service`."""
        answer = self.client.publish_batch(TopicArn=self._arn, PublishBatchRequestEntries=entries)
        return listed(self.title, answer, len(entries))

    def blames_a_message(self, code: str, reason: str) -> bool:
        """Whether one message caused a refused request, not the configured topic."""
        return super().blames_a_message(code, reason) and "TopicArn" not in reason
