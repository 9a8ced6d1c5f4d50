"""Bounds of size and time on the body."""

import time

import pytest

from receiver.web.body import MAX_BODY_BYTES
from tests.unit.web.serving import FakeStore, Site, request, signed

PATH = "/webhooks/photoverse"


def chunked(*chunks: bytes, headers: str = "") -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{headers}\r\n".encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


class TestReadBody:
    async def test_largest(self, site: Site, store: FakeStore) -> None:
        """256 KiB are taken, declared or in chunks, byte for byte."""
        body = b"x" * MAX_BODY_BYTES
        now = int(time.time())
        assert (await site.deliver(body, now=now)).status == 200
        signature = signed(body, now=now)["X-Webhook-Signature"]
        async with site.wire() as wire:
            await wire.say(
                chunked(body[:70_000], body[70_000:], headers=f"X-Webhook-Signature: {signature}\r\n")
            )
            await wire.say(b"0\r\n\r\n")
            assert (await wire.hear()).status == 200
        assert [entry.body for entry in store.entries] == [body, body]

    async def test_declared_too_large(self, site: Site) -> None:
        """One byte more is refused by its Content-Length, before any of it arrives."""
        async with site.wire() as wire:
            await wire.say(request("POST", PATH, headers={"Content-Length": str(MAX_BODY_BYTES + 1)}))
            answer = await wire.hear()
            assert await wire.rest() == b""
        assert (answer.status, answer.headers["connection"]) == (413, "close")

    async def test_sent_too_large(self, site: Site) -> None:
        """Where nothing was declared it is refused once too much has come."""
        async with site.wire() as wire:
            await wire.say(chunked(b"x" * (MAX_BODY_BYTES + 1)))
            answer = await wire.hear()
        assert (answer.status, answer.headers["connection"]) == (413, "close")

    @pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "IDENTITY-ish"])
    async def test_encoded(self, site: Site, encoding: str) -> None:
        """What is signed is unclear under an encoding, so there is none."""
        answer = await site.request("POST", PATH, b"{}", {"Content-Encoding": encoding})
        assert (answer.status, answer.headers["connection"]) == (415, "close")

    async def test_identity_is_no_encoding(self, site: Site) -> None:
        """`identity` says that nothing was done."""
        body = b"{}"
        headers = {"Content-Encoding": "Identity", **signed(body, now=int(time.time()))}
        assert (await site.request("POST", PATH, body, headers)).status == 200

    async def test_gone_in_the_middle(self, site: Site, store: FakeStore) -> None:
        """A client that goes away leaves nothing behind and hurts nobody."""
        async with site.wire() as wire:
            await wire.say(request("POST", PATH, b"{", {"Content-Length": "9"}))
        answer = await site.request("GET", "/healthz")
        assert answer.status == 200
        assert store.entries == []

    async def test_truncated_chunks(self, site: Site, store: FakeStore) -> None:
        """A body cut off before its last chunk is never taken for whole, though what came is signed."""
        signature = signed(b"{}", now=int(time.time()))["X-Webhook-Signature"]
        async with site.wire() as wire:
            await wire.say(chunked(b"{}", headers=f"X-Webhook-Signature: {signature}\r\n"))
            wire.writer.write_eof()
            await wire.rest()
        assert store.entries == []
