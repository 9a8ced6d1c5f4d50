"""The common part of the AWS destinations: a client, a few threads, deadlines, and the meaning of refusals.

Credentials come from where every AWS tool looks for them: environment, profile, container or instance role.
"""

import asyncio
import contextlib
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar
from urllib.parse import urlsplit

import boto3.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from receiver.destinations import Message
from receiver.destinations.aws_messages import MAX_ENTRIES, Limits, batch_entries, chunks, size_bytes
from receiver.destinations.options import SendingOptions, count, option, setting, word
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Outcome, Retry
from receiver.threads import DaemonThreads

_TEMPORARY: Final = re.compile(
    "Throttl|AccessDenied|Authoriz|Kms|InvalidSecurity|OverLimit|Unavailable|Internal", re.IGNORECASE
)
_EMPTY: Final = re.compile("EmptyBatch")
_MISSING: Final = re.compile("NonExistent|DoesNotExist|(?<!KMS)(?<!Kms)NotFound")
_REFUSED_CREDENTIALS: Final = re.compile(
    "AccessDenied|Authoriz|Token|Signature|Credential|AccessKey|InvalidSecurity|AuthFailure|"
    "UnrecognizedClient|^40[13]$"
)
_NO_AWS_ANSWER: Final = (ResponseParserError, KeyError, AttributeError, TypeError)
"""Errors from a 200 that is not from AWS, such as a proxy's page."""
_NO_CREDENTIALS: Final = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)

P = ParamSpec("P")
Result = TypeVar("Result")


def endpoint(text: str) -> str:
    """Parse the address of a server that speaks an AWS protocol."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("an http: or https: address without user or password")
    return text


@dataclass(frozen=True, slots=True)
class Options(SendingOptions):
    """Options besides the URL."""

    region: str | None = option(word, None)
    endpoint_url: str | None = option(endpoint, None)
    concurrency: int = option(count(at_most=32), 4)


class Service(ABC):
    """One queue, topic or bus, through its API."""

    title: str
    """The service's usual name: `SQS`."""
    target: str
    """The kind of thing that the URL names: `queue`."""
    limits: Limits
    """Its size limits."""
    open: Callable[[], Any]
    """Opens a boto3 client, with the credentials that there are now."""
    client: Any
    """The client in use; its `close` is all that is called."""
    ordered: bool = False
    """Whether requests must be sent one after another, to keep the order."""
    blaming: frozenset[str] = frozenset()
    """Error codes for a valid request with one bad message."""

    def size_bytes(self, message: Message) -> int:
        """Return the size of *message* as the service counts it."""
        return size_bytes(message)

    def entries(self, chunk: Sequence[Message]) -> Sequence[Any]:
        """Return the messages of one request in the API's form."""
        return batch_entries(chunk, fifo=self.ordered)

    @abstractmethod
    def put(self, entries: Sequence[Any]) -> Sequence[Outcome]:
        """Send one request with at most `MAX_ENTRIES` of them; blocks.

        Raises:
            ClientError: the service refused the request.
            BotoCoreError: there was no request, or no answer.
        """

    def blames_a_message(self, code: str, _reason: str) -> bool:
        """Whether an error *code*, with its reason, is about a message and not about the request."""
        return code in self.blaming


def open_client(service: str, name: str, options: Options, *, region: str | None, url: str | None) -> Any:
    """Return a client that sends each request once; *region* and *url* come from the destination's URL.

    Raises:
        ConfigError: there is no region, or the AWS configuration cannot be read.
    """
    try:
        return boto3.session.Session().client(
            service,  # type: ignore[call-overload]  # one of many literals
            region_name=options.region or region,
            endpoint_url=options.endpoint_url or url,
            config=Config(
                connect_timeout=options.timeout_s,
                read_timeout=options.timeout_s,
                max_pool_connections=options.concurrency,
                retries={"total_max_attempts": 1, "mode": "standard"},
            ),
        )
    except NoRegionError:
        raise ConfigError(
            f"{setting(name, 'region')} must be set, to a region like eu-west-1: the URL has none"
        ) from None
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(f"no AWS client for {setting(name, 'url')}: {type(error).__name__}") from error


class AwsDestination:
    """Sends to one `Service`, from a few threads because boto3 blocks."""

    max_batch: Final = MAX_ENTRIES

    def __init__(self, name: str, service: Service, options: Options) -> None:
        self._name = name
        self._service = service
        self._options = options
        self._lanes = 1 if service.ordered else options.concurrency
        self._turns = asyncio.Semaphore(self._lanes)
        self._threads = DaemonThreads(self._lanes, name=f"{service.title}-{name}")
        self._renewing = threading.Lock()
        self._is_refused = False

    @property
    def concurrency(self) -> int:
        """One request per thread."""
        return self._lanes

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Send *batch* in as few requests as sizes allow."""
        service = self._service
        return await self._send_each(
            chunks(batch, size_bytes=service.size_bytes, max_bytes=service.limits.request)
        )

    async def _send_each(self, cut: Iterable[Sequence[Message]]) -> Sequence[Outcome]:
        outcomes = await asyncio.gather(*(self._send_chunk(chunk) for chunk in cut))
        return [outcome for of_chunk in outcomes for outcome in of_chunk]

    async def check(self) -> Delivered | Retry:
        """Send a request without messages. The service refuses it, but reports other errors first."""
        return await self._in_time(self._ask_in_vain) or Retry(self._silent)

    async def _in_time(self, call: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result | None:
        """Run *call* in a thread; return None if it took too long, not counting the wait for a thread."""
        work = partial(call, *args, **kwargs)
        try:
            async with self._turns, asyncio.timeout(self._options.timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            return None

    def _ask_in_vain(self) -> Delivered | Retry:
        try:
            self._service.put([])
        except ClientError as error:
            refusal = error.response.get("Error", {})
            code = refusal.get("Code", "unknown error")
            refused = code.rpartition(".")[2]
            if not _EMPTY.search(code) and not self._service.blames_a_message(
                refused, refusal.get("Message", "")
            ):
                return Retry(self._explain(code))
        except ParamValidationError:
            return Delivered("configured; only a message shows whether it is accepted")
        except BotoCoreError as error:
            return Retry(self._unreachable(error))
        except _NO_AWS_ANSWER as error:
            return Retry(self._unreadable(error))
        return Delivered(f"the {self._service.target} accepts requests")

    async def aclose(self) -> None:
        """Close the connections. A request that outlived its deadline is left to its own timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._service.client.close()

    async def _send_chunk(self, chunk: Sequence[Message]) -> Sequence[Outcome]:
        title, size, most = (
            self._service.title,
            self._service.size_bytes(chunk[0]),
            self._service.limits.message,
        )
        if size > most:
            return [GivenUp(f"the event has {size} bytes; {title} takes {most} at most")]
        outcomes = await self._in_time(self._request, chunk)
        if outcomes is None:
            return [Retry(self._silent)] * len(chunk)
        # It does not say which one: send them one by one, so that the others get through.
        return outcomes or await self._send_each([message] for message in chunk)

    def _request(self, chunk: Sequence[Message]) -> Sequence[Outcome]:
        """Return the outcomes; none if the service rejects one of several messages."""
        self._renew_credentials()
        entries = self._service.entries(chunk)
        try:
            outcomes = self._service.put(entries)
        except ClientError as error:
            refusal = error.response.get("Error", {})
            code = refusal.get("Code", "unknown error")
            if not self._service.blames_a_message(code.rpartition(".")[2], refusal.get("Message", "")):
                self._is_refused = self._is_refused or bool(_REFUSED_CREDENTIALS.search(code))
                return [Retry(self._explain(code))] * len(chunk)
            if len(chunk) > 1:
                return []
            return [self._detailed(chunk[0], GivenUp(f"{self._service.title} refused the event: {code}"))]
        except BotoCoreError as error:
            self._is_refused = self._is_refused or isinstance(error, _NO_CREDENTIALS)
            return [Retry(self._unreachable(error))] * len(chunk)
        except _NO_AWS_ANSWER as error:
            return [Retry(self._unreadable(error))] * len(chunk)
        return [self._detailed(*each) for each in zip(chunk, outcomes, strict=True)]

    def _renew_credentials(self) -> None:
        """After a refusal, open another client: boto3 reads credentials files only once."""
        with self._renewing, contextlib.suppress(ConfigError):
            if self._is_refused:
                renewed = self._service.open()
                self._is_refused = False
                self._service.client.close()
                self._service.client = renewed

    def _detailed(self, message: Message, outcome: Outcome) -> Outcome:
        """Add the setting to change, or the limit if that is the likely reason."""
        size, usual = self._service.size_bytes(message), self._service.limits.request
        match outcome:
            case Retry(error):
                return replace(outcome, error=f"{error} ({setting(self._name, 'url')})")
            case GivenUp(error) if size > usual:
                limit = f"it has {size} bytes, and a {self._service.target} takes {usual} unless set to more"
                return replace(outcome, error=f"{error} ({limit})")
            case _:
                return outcome

    @property
    def _silent(self) -> str:
        return f"{self._service.title} did not answer within {self._options.timeout_s:g} s"

    def _unreachable(self, error: BotoCoreError) -> str:
        what, url = type(error).__name__, setting(self._name, "url")
        if isinstance(error, _NO_CREDENTIALS):
            return f"no AWS credentials for the {self._service.target} in {url}: {what}"
        return f"{self._service.title} could not be reached: {what} ({url})"

    def _unreadable(self, error: Exception) -> str:
        url = setting(self._name, "url")
        return f"what answers for {url} does not speak like {self._service.title}: {type(error).__name__}"

    def _explain(self, code: str) -> str:
        title, target, url = self._service.title, self._service.target, setting(self._name, "url")
        if _MISSING.search(code):
            return f"{title} has no such {target}: correct {url} or create it ({code})"
        if _REFUSED_CREDENTIALS.search(code):
            return f"{title} refused the AWS credentials for the {target} in {url}: {code}"
        return f"{title} refused the request for the {target} in {url}: {code}"


def listed(title: str, answer: Mapping[str, Any], number: int) -> list[Outcome]:
    """Return the outcomes of *number* messages with their positions as Ids, as SQS and SNS list them."""
    outcomes: dict[str, Outcome] = {
        done["Id"]: Delivered(done["MessageId"]) for done in answer.get("Successful", [])
    }
    outcomes |= {failed["Id"]: _failure(title, failed) for failed in answer.get("Failed", [])}
    unsaid = Retry(f"{title} did not report on this event")
    return [outcomes.get(str(position), unsaid) for position in range(number)]


def _failure(title: str, failed: Mapping[str, Any]) -> Outcome:
    code = failed["Code"]
    why = " ".join(f"{title} refused the event: {code} {failed.get('Message', '')}".split())[:300]
    return GivenUp(why) if failed["SenderFault"] and not _TEMPORARY.search(code) else Retry(why)
