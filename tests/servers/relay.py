"""A TCP relay in front of a real server: what is behind a name may change, and TLS may be asked for."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass
class Relay:
    """Connections that are made from now on lead to *target*; those that are there stay where they are."""

    target: int
    port: int = 0

    async def lead(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tls: ssl.SSLContext | None = None,
        upon: bytes = b"",
    ) -> None:
        try:
            if tls is not None and await reader.readexactly(len(upon)) == upon:
                writer.write(b"S")
                await writer.start_tls(tls)
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
            return
        await asyncio.gather(_pass(reader, their_writer), _pass(their_reader, writer))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    except (OSError, ssl.SSLError):
        pass
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def relayed(
    target: int, *, tls: ssl.SSLContext | None = None, upon: bytes = b""
) -> AsyncIterator[Relay]:
    """Relay to the port *target*, encrypted on our side if *tls* is given: at once, or *upon* asking so.

    Whoever asks is told as PostgreSQL does, with an `S`.
    """
    relay = Relay(target)
    tasks: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(relay.lead(reader, writer, tls if upon else None, upon))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=None if upon else tls)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def asking(authority: trustme.CA, *, client_certificate: bool = True) -> ssl.SSLContext:
    """Return what a server at 127.0.0.1 encrypts with that asks for a certificate of the same *authority*."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    if client_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_files(authority: trustme.CA, folder: Path) -> dict[str, str]:
    """Write a client's certificate into *folder*; return the options that name its files."""
    certificate = authority.issue_cert("receiver.internal")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_pem.write_to_path(folder / "client.key")
    (folder / "client.key").chmod(0o600)
    certificate.cert_chain_pems[0].write_to_path(folder / "client.pem")
    return {
        "ca_file": f"{folder}/ca.pem",
        "cert_file": f"{folder}/client.pem",
        "key_file": f"{folder}/client.key",
    }
