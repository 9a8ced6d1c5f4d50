"""TLS to a host with an underscore in its name, as buckets in S3 may have.

In OpenSSL, a wildcard matches only letters, digits and hyphens, so no certificate of `*.s3.amazonaws.com`
covers such a name. In browsers it also matches the underscore. OpenSSL verifies the certificate as any other.
We verify its names here, before a byte is sent.

Source: RFC 9525, section 6.3
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable

import httpcore2

Unnamed = Callable[[], ssl.SSLContext]
"""Create a context that verifies everything but the name. It is slow, and rarely needed."""


class UnderscoreStream(httpcore2.AsyncNetworkStream):
    """A connection that is not encrypted yet; *unnamed* is used instead of the usual context."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream, unnamed: Unnamed) -> None:
        self._stream = stream
        self._unnamed = unnamed

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,  # noqa: ARG002  it would refuse the name
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore2's signature
    ) -> httpcore2.AsyncNetworkStream:
        """Encrypt, and return the connection once the certificate matches the host.

        Raises:
            httpcore2.ConnectError: it does not match, or TLS failed.
            httpcore2.ConnectTimeout: it took too long.
        """
        try:
            unnamed = await asyncio.to_thread(self._unnamed)
        except ValueError as error:
            raise httpcore2.ConnectError(ssl.SSLError(str(error))) from error
        stream = await self._stream.start_tls(unnamed, server_hostname, timeout)
        certificate = stream.get_extra_info("ssl_object").getpeercert() or {}
        names = [name for kind, name in certificate.get("subjectAltName", ()) if kind == "DNS"]
        if server_hostname is None or not covers(names, server_hostname):
            await stream.aclose()
            raise httpcore2.ConnectError(ssl.SSLCertVerificationError("the certificate is of another host"))
        return stream

    async def aclose(self) -> None:
        """Hang up."""
        await self._stream.aclose()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Read without TLS."""
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Write without TLS."""
        await self._stream.write(buffer, timeout)

    def get_extra_info(self, info: str) -> object:
        """Return information about the connection."""
        return self._stream.get_extra_info(info)


def covers(names: Iterable[str], host: str) -> bool:
    """Whether one of a certificate's *names* matches *host*; a wildcard matches exactly the first label."""
    _, _, parent = host.lower().partition(".")
    accepted = {host.lower(), f"*.{parent}"} if "." in parent else {host.lower()}
    return any(name.lower() in accepted for name in names)
