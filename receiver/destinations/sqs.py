"""Send events to an Amazon SQS queue, standard or FIFO.

URL: `sqs:` in front of the queue URL as AWS shows it. The short form
`sqs://sqs.eu-west-1.amazonaws.com/123456789012/events` means the same. A FIFO queue gets one request at a
time, to keep the order. See docs/destinations/sqs.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from receiver.destinations.aws import AwsDestination, Options, Service, endpoint, listed, open_client
from receiver.destinations.aws_messages import Limits
from receiver.destinations.options import read_options, setting
from receiver.errors import ConfigError
from receiver.outcomes import Outcome

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

# From the documentation of SendMessageBatch in botocore 1.44.5 (1 MiB since 2025, 256 KiB before).
MAX_BYTES: Final = 1_048_576
_REGION_IN_HOST: Final = re.compile(
    r"(?:^|\.)sqs(?:-fips)?\.([a-z]{2}(?:-[a-z]+)+-\d)\.|^([a-z]{2}(?:-[a-z]+)+-\d)\.queue\."
)


def connect(name: str, url: str, options: Mapping[str, str]) -> AwsDestination:
    """Return the destination for an `sqs:` URL. See `receiver.destinations.Connect`."""
    queue_url = _queue_url(name, url)
    settings = read_options(Options, name, options)
    parts = urlsplit(queue_url)
    in_host = _REGION_IN_HOST.search(parts.hostname or "")
    region = (in_host and (in_host[1] or in_host[2])) or None
    opening = partial(
        open_client, "sqs", name, settings, region=region, url=f"{parts.scheme}://{parts.netloc}"
    )
    return AwsDestination(name, SqsQueue(opening, queue_url), settings)


def _queue_url(name: str, url: str) -> str:
    scheme, _, rest = url.partition(":")
    if rest.startswith("//"):
        rest = f"{'http' if scheme.endswith('+http') else 'https'}:{rest}"
    try:
        parts = urlsplit(endpoint(rest))
        complete = len(parts.path.strip("/").split("/")) >= 2 and not parts.query and not parts.fragment  # noqa: PLR2004
    except ValueError:
        complete = False
    if not complete:
        raise ConfigError(
            f"{setting(name, 'url')} must be `sqs:` and then the queue URL: "
            "sqs:https://sqs.eu-west-1.amazonaws.com/123456789012/events"
        )
    return rest


class SqsQueue(Service):
    """One queue, through `SendMessageBatch`."""

    title = "SQS"
    target = "queue"
    limits = Limits(request=MAX_BYTES, message=MAX_BYTES)
    blaming = frozenset(
        {"BatchRequestTooLong", "InvalidMessageContents", "InvalidParameterValue", "InvalidAttributeValue"}
    )

    def __init__(self, opening: "Callable[[], SQSClient]", queue_url: str) -> None:
        self.open = opening
        self.client = opening()
        self.queue_url = queue_url
        self.ordered = queue_url.endswith(".fifo")

    def put(self, entries: Sequence[Any]) -> Sequence[Outcome]:
        """Send one request; see `receiver.destinations.aws.Service`."""
        answer = self.client.send_message_batch(QueueUrl=self.queue_url, Entries=entries)
        return listed(self.title, answer, len(entries))
