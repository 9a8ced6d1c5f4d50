"""A connection to NATS that is opened once and reports when it is lost.

The library would reconnect in the background, for longer than a batch may take, and leave waiting publishers
to their own timeouts.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error, NoServersError, SecureConnWantedError
from nats.js.errors import APIError, NoStreamResponseError

_GOODBYE_S: Final = 1.0
_API: Final = "$JS.API"
_API_S: Final = 1.0
_DENIED: Final = "permissions violation"
_NO_RESPONDERS: Final = "503"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A stream has the message."""

    stream: str
    sequence: int


class NoCertificateError(Error):
    """The server asks for a certificate, and we have none."""


class NeverAcknowledgesError(Error):
    """A stream takes the subject but never acknowledges (`no_ack`)."""


class Connection(Client):
    """One connection. *on_trouble* is called when it is lost, or when the server refuses a publication."""

    def __init__(self, on_trouble: Callable[["Connection"], None]) -> None:
        super().__init__()
        self.trouble: Exception | None = None
        """The latest error."""
        self._on_trouble = on_trouble
        self._insist_on_tls = False
        self._has_certificate = False
        self._inbox = ""
        self._waiting: dict[str, asyncio.Future[Acknowledged]] = {}
        self._tokens = map(str, count(1))
        self._denied = asyncio.Event()

    async def dial(self, *, insist_on_tls: bool, has_certificate: bool = False, **options: Any) -> None:
        """Connect to the first server that answers, trying each twice at most.

        Raises:
            nats.errors.Error, OSError: none answered, or it refused us.
        """
        self._insist_on_tls = insist_on_tls
        self._has_certificate = has_certificate
        try:
            await self.connect(
                **options,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                error_cb=self._note,
                closed_cb=self._lost,
            )
        except NoServersError as error:
            raise self.trouble or error from None

    async def publish_acknowledged(
        self, subject: str, body: bytes, headers: Mapping[str, str]
    ) -> Acknowledged:
        """Publish one message and wait until a stream has it, however long that takes.

        Anyone may subscribe to the subject and reply, so replies that are not acknowledgements are ignored.
        The library's `publish` accepts the first reply as one.

        Raises:
            NoStreamResponseError: no stream takes it.
            APIError: a stream refused it.
        """
        token = next(self._tokens)
        waiting: asyncio.Future[Acknowledged] = asyncio.get_running_loop().create_future()
        self._waiting[token] = waiting
        try:
            await self.publish(subject, body, reply=f"{self._inbox}.{token}", headers=dict(headers))
            return await waiting
        finally:
            del self._waiting[token]

    async def open_inbox(self) -> None:
        """Subscribe to the subject of acknowledgements."""
        self._inbox = self.new_inbox()
        await self.subscribe(f"{self._inbox}.*", cb=self._replied)

    async def check_stream(self, subject: str) -> None:
        """Check whether the stream of *subject* acknowledges, if the server says so.

        Raises:
            NeverAcknowledgesError: it does not.
        """
        # Here too, anyone may reply.
        match await self._ask("STREAM.NAMES", {"subject": subject}):
            case {"streams": [str(name), *_]}:
                match await self._ask(f"STREAM.INFO.{name}", {}):
                    case {"config": {"no_ack": True}}:
                        raise NeverAcknowledgesError(name)

    async def _ask(self, what: str, body: Mapping[str, str]) -> dict[str, Any]:
        """Query JetStream's API, which needs its own permission; the result is empty if nobody answers."""
        asking = asyncio.ensure_future(
            self.request(f"{_API}.{what}", json.dumps(body).encode(), timeout=_API_S)
        )
        denied = asyncio.ensure_future(self._denied.wait())
        try:
            await asyncio.wait({asking, denied}, return_when=asyncio.FIRST_COMPLETED)
            return _object(asking.result().data) if asking.done() else {}
        except (Error, TimeoutError):
            return {}
        finally:
            asking.cancel()
            denied.cancel()
            await asyncio.gather(asking, denied, return_exceptions=True)

    async def _replied(self, reply: Msg) -> None:
        waiting = self._waiting.get(reply.subject.rpartition(".")[2])
        if waiting is None or waiting.done():
            return
        if (reply.headers or {}).get("Status") == _NO_RESPONDERS:
            waiting.set_exception(NoStreamResponseError())
        elif isinstance(answer := _read(reply.data), Acknowledged):
            waiting.set_result(answer)
        elif answer is not None:
            waiting.set_exception(answer)

    async def hang_up(self) -> None:
        """Close it, waiting only briefly for the server."""
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self.close()
        except TimeoutError:
            if self._transport is not None:
                self._transport.close()  # type: ignore[no-untyped-call]  # the library's

    def _connect_command(self) -> bytes:
        # The library encrypts only if the server asks for it. Else it would send the credentials in the
        # clear.
        if self._insist_on_tls and not self._server_info.get("tls_required"):
            raise SecureConnWantedError
        # With TLS 1.3, the refusal comes after the handshake, and may be lost with the connection.
        if self._server_info.get("tls_verify") and not self._has_certificate:
            raise NoCertificateError
        return super()._connect_command()

    async def _note(self, error: Exception) -> None:
        if _API.lower() in str(error).lower():
            self._denied.set()  # which is harmless
            return
        self.trouble = error
        if _DENIED in str(error).lower():
            self._on_trouble(self)

    async def _lost(self) -> None:
        self.trouble = self.trouble or self.last_error
        self._on_trouble(self)


def _read(data: bytes) -> Acknowledged | APIError | None:
    """Parse a PubAck; None if it is not one."""
    answer = _object(data)
    error = answer.get("error")
    if isinstance(error, dict) and isinstance(error.get("err_code"), int):
        return APIError(error.get("code"), str(error.get("description", "")), error["err_code"])
    stream, sequence = answer.get("stream"), answer.get("seq")
    if not isinstance(stream, str) or type(sequence) is not int or not stream or sequence < 1:
        return None
    return Acknowledged(stream, sequence)


def _object(data: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        answer = json.loads(data)
        if isinstance(answer, dict):
            return answer
    return {}
