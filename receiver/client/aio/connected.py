"""The common part of both clients: connected, closed at the end of a block, and never copied."""

from types import TracebackType
from typing import Self

from receiver.client.aio.caller import Caller
from receiver.client.config import NOT_CARRIED, Config
from receiver.client.wire import AsyncTransport


class Connected:
    """A client with its own connections."""

    _caller: Caller

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._caller.config.base_url!r})"

    async def close(self) -> None:
        """Close every connection of this process and event loop.

        The client may still be used; it will reconnect.
        """
        await self._caller.close()

    def __reduce__(self) -> str:
        raise TypeError(NOT_CARRIED)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def http_transport(config: Config) -> AsyncTransport:
    """Return what carries exchanges over the network."""
    # Imported on first use: the HTTP library takes longer to import than everything else here.
    from receiver.client.aio.transport import HttpTransport  # noqa: PLC0415

    return HttpTransport(config.timeout, proxy=config.proxy)
