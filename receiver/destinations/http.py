"""POST events to an HTTP endpoint, one request per event.

The signature covers the time of the attempt. A 409 means that an earlier attempt with the same
Idempotency-Key is still in progress. Redirects are not followed: the address is configured, so only the
operator may change it. See docs/destinations/http.md.
"""

import asyncio
import base64
import contextlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import httpx2

from receiver.destinations import Message
from receiver.destinations.chat import FORMATS
from receiver.destinations.context import trace
from receiver.destinations.options import count, matching, one_of, option, read_options, setting, word
from receiver.destinations.reasons import cause, hung_up
from receiver.destinations.tls import TlsOptions, advice, check_certificate, context, renew
from receiver.errors import ConfigError
from receiver.outcomes import MAX_SAID_BYTES, Delivered, GivenUp, Outcome, Retry
from receiver.retry_after import retry_after_s
from receiver.signatures import check_secrets, sign

_CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
_ABOUT_THE_MESSAGE: Final = frozenset({400, 410, 422})
"""Permanent refusals. Any other 4xx may come from a proxy, a token or a route, and concern the whole
endpoint."""
_NOT_NOW: Final = frozenset({408, 409, 423, 425, 429})
_CREDENTIALS: Final = frozenset({401, 403, 407})
_MAX_PORT: Final = 65_535
_MAX_ANSWER_BYTES: Final = 64 * 1024
_DRAIN_S: Final = 1.0
_header_name: Final = matching(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "the name of an HTTP header")
_SQS_HOST: Final = re.compile(r"sqs[.-].*\.amazonaws\.com(\.cn)?")


def _secrets(text: str) -> tuple[bytes, ...]:
    secrets = tuple(part.strip().encode() for part in text.split(","))
    try:
        check_secrets(secrets)
    except ValueError as error:
        raise ValueError(f"comma-separated signing secrets, newest first, but {error}") from None
    return secrets


@dataclass(frozen=True, slots=True)
class Options(TlsOptions):
    """Options besides the URL."""

    secrets: tuple[bytes, ...] = option(_secrets, (), secret=True)
    signature_header: str = option(_header_name, "X-Receiver-Signature")
    bearer_token: str | None = option(word, None, secret=True)
    format: Callable[[bytes], bytes] | None = option(one_of({"cloudevents": None, **FORMATS}), None)  # noqa: RUF009  a dataclass field
    concurrency: int = option(count(at_most=256), 40)


def connect(name: str, url: str, options: Mapping[str, str]) -> "HttpEndpoint":
    """Return the destination for an `http:` or `https:` URL. See `receiver.destinations.Connect`."""
    settings = read_options(Options, name, options)
    check_certificate(name, settings, encrypted=url.startswith("https:"))
    return HttpEndpoint(name, _checked(name, url), settings)


def _checked(name: str, url: str) -> httpx2.URL:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        parsed = httpx2.URL("")
    if not parsed.host or parsed.fragment or (parsed.port or 0) > _MAX_PORT:
        raise ConfigError(
            f"{setting(name, 'url')} must be a full address, like https://hooks.example.com/generations"
        )
    if _SQS_HOST.fullmatch(parsed.host):
        raise ConfigError(f"{setting(name, 'url')} is the URL of an SQS queue: put `sqs:` in front of it")
    return parsed


class HttpEndpoint:
    """Posts each message to one URL."""

    max_batch: Final = 1
    """A batch is as slow as its slowest message."""

    def __init__(
        self, name: str, url: httpx2.URL, options: Options, *, clock: Callable[[], float] = time.time
    ) -> None:
        """*clock* returns the Unix time in seconds."""
        self._name = name
        self._url = url
        self._options = options
        self._clock = clock
        self._headers = {
            "Content-Type": "application/json" if options.format else _CONTENT_TYPE,
            "User-Agent": "avs-receiver",
            "Accept-Encoding": "identity",
        }
        self._headers |= _authorization(name, url, options.bearer_token)
        self._has_worked = False
        self._tls = context(options)
        # The client above this transport logs every URL and keeps cookies; a webhook needs neither.
        self._transport = httpx2.AsyncHTTPTransport(
            verify=self._tls,
            trust_env=False,
            limits=httpx2.Limits(
                max_connections=options.concurrency, max_keepalive_connections=options.concurrency
            ),
        )

    @property
    def concurrency(self) -> int:
        """One request per kept connection."""
        return self._options.concurrency

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Post every message of *batch*, concurrently."""
        return await asyncio.gather(*(self._post(message) for message in batch))

    async def check(self) -> Delivered | Retry:
        """Connect, with TLS if the URL asks for it. Only a message would show the endpoint's answer."""
        is_encrypted = self._url.scheme == "https"
        port = self._url.port or (443 if is_encrypted else 80)
        try:
            async with asyncio.timeout(self._options.timeout_s):
                tls = self._tls if is_encrypted else None
                _, writer = await asyncio.open_connection(self._url.host, port, ssl=tls)
        except TimeoutError:
            return Retry(self._silence())
        except OSError as error:
            return Retry(
                f"{self._url.host} could not be reached: {cause(error)} ({setting(self._name, 'url')})"
            )
        writer.close()
        return Delivered("a connection was made; only a message shows the answer")

    async def aclose(self) -> None:
        """Close the pooled connections."""
        await self._transport.aclose()

    async def _post(self, message: Message) -> Outcome:
        try:
            async with asyncio.timeout(self._options.timeout_s):
                response = await self._transport.handle_async_request(self._request(message))
        except TimeoutError:
            return Retry(self._silence())
        except httpx2.HTTPError as error:
            renew(self._tls, self._options)
            return Retry(
                f"{self._url.host} could not be reached: {cause(error)}{self._hint(error)} "
                f"({setting(self._name, 'url')})"
            )
        self._has_worked = True
        return self._outcome(response, await _drain(response))

    def _request(self, message: Message) -> httpx2.Request:
        headers = self._headers | {"Idempotency-Key": message.id, **trace(message)}
        body = self._options.format(message.body) if self._options.format else message.body
        if self._options.secrets:
            newest, *older = (
                sign(body, secret=secret, timestamp=int(self._clock())) for secret in self._options.secrets
            )
            signature = ",".join([newest, *(signature.partition(",")[2] for signature in older)])
            headers[self._options.signature_header] = signature
        return httpx2.Request("POST", self._url, headers=headers, content=body)

    def _outcome(self, response: httpx2.Response, said: bytes) -> Outcome:
        status = response.status_code
        answered = f"{self._url.host} answered {status}"
        if response.is_success:
            return Delivered()
        if response.is_redirect:
            why = f"{answered}, a redirect, which is not followed: correct {setting(self._name, 'url')}"
            return Retry(why, said=said)
        if status in _ABOUT_THE_MESSAGE:
            return GivenUp(answered, said)
        after_s = retry_after_s(
            response.headers.get("Retry-After"), now=self._clock(), date=response.headers.get("Date")
        )
        return Retry(answered + self._advice(status), after_s, said)

    def _silence(self) -> str:
        return f"{self._url.host} did not answer within {self._options.timeout_s:g} s"

    def _hint(self, error: Exception) -> str:
        if self._has_worked or not hung_up(error):
            return ""
        encrypted = self._url.scheme == "https"
        return f": it hung up{advice(self._name, self._options, encrypted=encrypted, scheme='https:')}"

    def _advice(self, status: int) -> str:
        url, token = setting(self._name, "url"), setting(self._name, "bearer_token")
        if status in _CREDENTIALS:
            return f": check the credentials in {url} or {token}"
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return f": raise the body limit at {url}, or of a proxy in front of it"
        if 400 <= status < 500 and status not in _NOT_NOW:  # noqa: PLR2004  # all that is left of 4xx
            return f": check {url}, and any proxy in front of it"
        return ""


def _authorization(name: str, url: httpx2.URL, bearer_token: str | None) -> dict[str, str]:
    if bearer_token is None and not url.userinfo:
        return {}
    if bearer_token is None:
        credentials = f"{url.username}:{url.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}
    if url.userinfo:
        raise ConfigError(
            f"{setting(name, 'bearer_token')} and a password in {setting(name, 'url')} cannot both be set"
        )
    return {"Authorization": f"Bearer {bearer_token}"}


async def _drain(response: httpx2.Response) -> bytes:
    """Read a short answer to its end so that the connection can be reused; close on a long or slow one.

    Return how it begins.
    """
    said = b""
    try:
        with contextlib.suppress(httpx2.HTTPError, TimeoutError):
            async with asyncio.timeout(_DRAIN_S), contextlib.aclosing(response.aiter_raw()) as chunks:
                size = 0
                async for chunk in chunks:
                    size += len(chunk)
                    said += chunk[: MAX_SAID_BYTES - len(said)]
                    if size > _MAX_ANSWER_BYTES:
                        break
    finally:
        await response.aclose()
    return said
