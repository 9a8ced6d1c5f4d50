"""Send events to an Amazon SQS queue, standard or FIFO.

URL: `sqs:` in front of the queue URL as AWS shows it:
`sqs:https://sqs.eu-west-1.amazonaws.com/123456789012/events`. The short form
`sqs://sqs.eu-west-1.amazonaws.com/123456789012/events` means the same, and
`sqs+http://127.0.0.1:9324/000000000000/events` is for compatible servers without TLS.

Options:
    region: Default: read from the host name, else from the environment (`AWS_REGION`) or the AWS profile.
    endpoint_url: Where to send the request, if not to the queue URL's own host (a VPC endpoint).
    concurrency: Requests at once (default 4; a FIFO queue always has 1, to keep the order).
    timeout_s: Seconds for one request, connecting included (default 10).

Credentials come from where every AWS tool looks for them (environment, profile, container or instance
role); they need `sqs:SendMessage` on the queue, and `kms:GenerateDataKey` if the queue has a key of its
own.

What a consumer receives:
    Body: the CloudEvents envelope, JSON. U+FFFE and U+FFFF, which SQS refuses, arrive as their JSON
        escapes.
    Attributes (String): `id`, the event id; `type`, the CloudEvents type; `source`; `subject`, the
        generation id.
    FIFO: MessageDeduplicationId is the event id, MessageGroupId the generation id.
Delivery is at least once, on a FIFO queue too (its own deduplication ends after five minutes): skip an id
that you have seen. An event larger than the queue allows becomes a dead letter.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import boto3.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from receiver.destinations import Message
from receiver.destinations.options import count, option, read_options, seconds, setting, word
from receiver.destinations.sqs_entries import MAX_BYTES, MAX_ENTRIES, chunks, entry, size_bytes
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Outcome, Retry

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import BatchResultErrorEntryTypeDef

_REGION_IN_HOST: Final = re.compile(
    r"(?:^|\.)sqs(?:-fips)?\.([a-z]{2}(?:-[a-z]+)+-\d)\.|^([a-z]{2}(?:-[a-z]+)+-\d)\.queue\."
)
_BLAMES_A_MESSAGE: Final = frozenset(
    {"BatchRequestTooLong", "InvalidMessageContents", "InvalidParameterValue", "InvalidAttributeValue"}
)
_TEMPORARY: Final = re.compile(
    "Throttl|AccessDenied|Kms|InvalidSecurity|OverLimit|Unavailable|Internal", re.IGNORECASE
)
_REFUSED_CREDENTIALS: Final = re.compile(
    "AccessDenied|Token|Signature|Credential|AccessKey|InvalidSecurity|AuthFailure"
)
_NO_CREDENTIALS: Final = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)


def _endpoint(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("an http: or https: address without user or password")
    return text


@dataclass(frozen=True, slots=True)
class Options:
    """What may be set beside the URL."""

    region: str | None = option(word, None)
    endpoint_url: str | None = option(_endpoint, None)
    concurrency: int = option(count(at_most=32), 4)
    timeout_s: float = option(seconds, 10.0)


def connect(name: str, url: str, options: Mapping[str, str]) -> "SqsQueue":
    """Return the destination for an `sqs:` URL. See `receiver.destinations.Connect`."""
    queue_url = _queue_url(name, url)
    settings = read_options(Options, name, options)
    return SqsQueue(name, queue_url, settings, _client(name, queue_url, settings))


def _queue_url(name: str, url: str) -> str:
    scheme, _, rest = url.partition(":")
    if rest.startswith("//"):
        rest = f"{'http' if scheme.endswith('+http') else 'https'}:{rest}"
    try:
        parts = urlsplit(_endpoint(rest))
        complete = len(parts.path.strip("/").split("/")) >= 2 and not parts.query and not parts.fragment  # noqa: PLR2004
    except ValueError:
        complete = False
    if not complete:
        raise ConfigError(
            f"{setting(name, 'url')} must be `sqs:` and then the queue URL: "
            "sqs:https://sqs.eu-west-1.amazonaws.com/123456789012/events"
        )
    return rest


def _client(name: str, queue_url: str, options: Options) -> "SQSClient":
    parts = urlsplit(queue_url)
    in_host = _REGION_IN_HOST.search(parts.hostname or "")
    try:
        return boto3.session.Session().client(
            "sqs",
            region_name=options.region or (in_host and (in_host[1] or in_host[2])) or None,
            endpoint_url=options.endpoint_url or f"{parts.scheme}://{parts.netloc}",
            config=Config(
                connect_timeout=options.timeout_s,
                read_timeout=options.timeout_s,
                max_pool_connections=options.concurrency,
                retries={"total_max_attempts": 1, "mode": "standard"},
            ),
        )
    except NoRegionError:
        raise ConfigError(
            f"{setting(name, 'region')} must be set, to a region like eu-west-1: the queue URL has none"
        ) from None
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(f"no AWS client for {setting(name, 'url')}: {type(error).__name__}") from error


class SqsQueue:
    """Sends to one queue, from a few threads because boto3 blocks."""

    def __init__(self, name: str, queue_url: str, options: Options, client: "SQSClient") -> None:
        self._name = name
        self._queue_url = queue_url
        self._options = options
        self._client = client
        self._fifo = queue_url.endswith(".fifo")
        self._threads = ThreadPoolExecutor(
            1 if self._fifo else options.concurrency, thread_name_prefix=f"sqs-{name}"
        )

    @property
    def max_batch(self) -> int:
        """As many messages as fit into the requests that may run at once."""
        return MAX_ENTRIES if self._fifo else MAX_ENTRIES * self._options.concurrency

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Send *batch* in as few requests as its sizes allow."""
        outcomes = await asyncio.gather(*(self._send_chunk(chunk) for chunk in chunks(batch)))
        return [outcome for of_chunk in outcomes for outcome in of_chunk]

    async def aclose(self) -> None:
        """Close the connections. A request that outlived its deadline is left to its own timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def _send_chunk(self, chunk: Sequence[Message]) -> Sequence[Outcome]:
        if size_bytes(chunk[0]) > MAX_BYTES:
            return [GivenUp(f"the event has {size_bytes(chunk[0])} bytes; SQS takes {MAX_BYTES} at most")]
        try:
            async with asyncio.timeout(self._options.timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, self._request, chunk)
        except TimeoutError:
            return [Retry(f"SQS did not answer within {self._options.timeout_s:g} s")] * len(chunk)

    def _request(self, chunk: Sequence[Message]) -> Sequence[Outcome]:
        entries = [entry(str(index), message, fifo=self._fifo) for index, message in enumerate(chunk)]
        try:
            answer = self._client.send_message_batch(QueueUrl=self._queue_url, Entries=entries)
        except ClientError as error:
            return self._refused(chunk, error.response.get("Error", {}).get("Code", "unknown error"))
        except BotoCoreError as error:
            return [Retry(self._unreachable(error))] * len(chunk)
        outcomes: dict[str, Outcome] = {
            done["Id"]: Delivered(done["MessageId"]) for done in answer.get("Successful", [])
        }
        outcomes |= {failed["Id"]: _failure(failed) for failed in answer.get("Failed", [])}
        return [outcomes.get(each["Id"], Retry("SQS said nothing about this event")) for each in entries]

    def _refused(self, chunk: Sequence[Message], code: str) -> Sequence[Outcome]:
        blames_a_message = code.rpartition(".")[2] in _BLAMES_A_MESSAGE
        if blames_a_message and len(chunk) > 1:
            # Which one it means it does not say: ask again one by one, so that the others get through.
            return [outcome for message in chunk for outcome in self._request([message])]
        if blames_a_message:
            return [GivenUp(f"SQS refused the event: {code}")]
        return [Retry(self._explain(code))] * len(chunk)

    def _unreachable(self, error: BotoCoreError) -> str:
        if isinstance(error, _NO_CREDENTIALS):
            return f"no AWS credentials for the queue in {setting(self._name, 'url')}: {type(error).__name__}"
        return f"SQS could not be reached: {type(error).__name__} ({setting(self._name, 'url')})"

    def _explain(self, code: str) -> str:
        url = setting(self._name, "url")
        if "NonExistentQueue" in code or "QueueDoesNotExist" in code:
            return f"SQS has no such queue: correct {url} or create it ({code})"
        if _REFUSED_CREDENTIALS.search(code):
            return f"SQS refused the AWS credentials for the queue in {url}: {code}"
        return f"SQS refused the request for the queue in {url}: {code}"


def _failure(failed: "BatchResultErrorEntryTypeDef") -> Outcome:
    code = failed["Code"]
    told = " ".join(f"SQS refused the event: {code} {failed.get('Message', '')}".split())[:300]
    return GivenUp(told) if failed["SenderFault"] and not _TEMPORARY.search(code) else Retry(told)
