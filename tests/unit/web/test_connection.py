"""Bounds on what a client may do before its request is whole."""

import asyncio
import socket
import time

import pytest
import structlog.testing

from receiver.store.record import Entry, RecordResult
from receiver.telemetry import metrics
from receiver.telemetry.refusals import Refusals
from receiver.web.app import PublicApp
from receiver.web.connection import Connection
from tests.unit.web.serving import SOURCES, WITHIN_S, FakeStore, Site, request, served, signed
from tests.waiting.aio import until

LIMIT_S = 0.3
HEALTHZ = request("GET", "/healthz")
POST = b"POST /webhooks/photoverse HTTP/1.1\r\n"


@pytest.fixture
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "request_timeout_s", LIMIT_S)


async def drip(site: Site, first: bytes, then: bytes) -> float:
    """Say *first*, then *then* over and over; return the seconds until the other side hung up."""
    loop = asyncio.get_running_loop()
    async with site.wire() as wire, asyncio.timeout(30 * LIMIT_S):
        await wire.say(first)
        began = loop.time()
        hung_up = asyncio.create_task(wire.rest())
        while not hung_up.done():
            wire.writer.write(then)
            await asyncio.wait([hung_up], timeout=LIMIT_S / 5)
        return loop.time() - began


@pytest.mark.usefixtures("short_limit")
class TestDeadlines:
    @pytest.mark.parametrize(
        ("first", "then"),
        [
            (b"", b""),
            (b"GET /healthz HTTP/1.1\r\n", b""),
            (b"GET /healthz HTTP/1.1\r\n", b"a: b\r\n"),
            (HEALTHZ + b"GET /healthz", b"x"),
        ],
        ids=["silence", "headers never finished", "headers dripping", "second request dripping"],
    )
    async def test_hangs_up(self, site: Site, first: bytes, then: bytes) -> None:
        """Who does not finish the headers in time is hung up on, in a first request or a later one."""
        assert await drip(site, first, then) >= LIMIT_S * 0.9

    async def test_body_that_nobody_reads(self, site: Site) -> None:
        """A body dripping into a route that takes none holds no connection open."""
        await drip(site, request("GET", "/healthz", headers={"Content-Length": "100000"}), b"x")

    async def test_keeps_idle_connections(self, site: Site) -> None:
        """Between requests a connection may rest for longer than headers may take."""
        async with site.wire() as wire:
            for _ in range(2):
                await wire.say(HEALTHZ)
                assert (await wire.hear()).status == 200
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(wire.reader.read(1), LIMIT_S * 2)

    async def test_slow_answer_is_not_cut_off(self, store: FakeStore) -> None:
        """The limit is for headers: an answer may take longer."""
        looked = asyncio.Event()

        async def check() -> None:
            await looked.wait()

        store.check = check  # type: ignore[method-assign]
        async with (
            served(PublicApp(SOURCES, store.record, store.check, Refusals())) as site,
            site.wire() as wire,
        ):
            await wire.say(request("GET", "/readyz"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(wire.reader.read(1), LIMIT_S * 2)
            looked.set()
            assert (await wire.hear()).status == 200

    async def test_pipelined_requests(self, site: Site) -> None:
        """Requests sent in one breath are answered one by one."""
        async with site.wire() as wire:
            await wire.say(HEALTHZ * 3)
            assert [(await wire.hear()).status for _ in range(3)] == [200] * 3

    async def test_each_request_has_its_own(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """A stream of requests, of which one is always under way, goes on for as long as it likes."""
        limit_s = 5 * LIMIT_S  # what one of them may take on a busy machine
        monkeypatch.setattr(Connection, "request_timeout_s", limit_s)
        loop = asyncio.get_running_loop()
        ends = loop.time() + limit_s * 1.5
        async with site.wire() as wire:
            await wire.say(HEALTHZ[:9])
            while loop.time() < ends:
                await wire.say(HEALTHZ[9:] + HEALTHZ[:9])
                assert (await wire.hear()).status == 200


class TestConnection:
    @pytest.mark.parametrize(
        "head",
        [
            b"nonsense\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 20_000,
            b"GET /healthz HTTP/1.1\r\nHost: h\r\n" + b"x:\r\n" * 101,
            POST + b"Host: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            POST + b"Host: h\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            POST + b"Host: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ],
        ids=[
            "nonsense",
            "no host",
            "endless header",
            "endless headers",
            "two lengths",
            "endless length",
            "bad chunk",
        ],
    )
    async def test_bad_request(self, site: Site, head: bytes) -> None:
        """What is no HTTP is 400 and the end of the connection."""
        async with site.wire() as wire:
            await wire.say(head)
            assert (await wire.rest()).startswith(b"HTTP/1.1 400")

    async def test_bad_requests_do_not_flood_the_log(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A hundred strangers talking nonsense are worth a line or two, not a hundred."""
        with structlog.testing.capture_logs() as lines:
            for _ in range(100):
                async with site.wire() as wire:
                    await wire.say(b"nonsense\r\n\r\n")
                    await wire.rest()
        assert len(lines) + len(caplog.records) <= 2

    async def test_bad_body_of_a_route_that_takes_none(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A stranger cannot make us print tracebacks."""
        async with site.wire() as wire:
            await wire.say(b"GET /healthz HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
            await wire.rest()
        assert [record for record in caplog.records if record.exc_info] == []


class TestWire:
    async def test_half_closed(self, site: Site) -> None:
        """A client that closes its side after its request gets its answer."""
        async with site.wire() as wire:
            wire.writer.write(HEALTHZ)
            wire.writer.write_eof()
            assert (await wire.rest()).startswith(b"HTTP/1.1 200")

    async def test_half_closed_behind_several(
        self, store: FakeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It gets all of them, also where the first is there long before the last."""
        recorded, looked, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        eof_received = Connection.eof_received

        def noted(self: Connection) -> bool:
            ended.set()
            return eof_received(self)

        async def record(entry: Entry) -> RecordResult:
            await recorded.wait()
            return await store.record(entry)

        async def check() -> None:
            await looked.wait()

        monkeypatch.setattr(Connection, "eof_received", noted)
        post = request("POST", "/webhooks/photoverse", b"{}", signed(b"{}", now=int(time.time())))
        async with served(PublicApp(SOURCES, record, check, Refusals())) as site, site.wire() as wire:
            wire.writer.write(post + request("GET", "/readyz"))
            wire.writer.write_eof()
            await ended.wait()
            recorded.set()
            assert (await wire.hear()).status == 200
            looked.set()
            assert (await wire.hear()).status == 200

    async def test_length_beside_chunks(self, site: Site, store: FakeStore) -> None:
        """The chunks count, and the connection ends: RFC 9112, section 6.1."""
        signature = signed(b"{}", now=int(time.time()))
        head = request("POST", "/webhooks/photoverse", headers={**signature, "Transfer-Encoding": "chunked"})
        async with site.wire() as wire:
            await wire.say(head + b"2\r\n{}\r\n0\r\n\r\n")
            answer = await wire.hear()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await wire.rest() == b""
        assert [entry.body for entry in store.entries] == [b"{}"]

    @pytest.mark.parametrize("target", ["http://receiver/healthz", "https://receiver:443/healthz?x=1"])
    async def test_absolute_target(self, site: Site, target: str) -> None:
        """A target may name scheme and host, as a client writes it to a proxy: RFC 9112, section 3.2.2."""
        assert (await site.request("GET", target)).status == 200

    async def test_offer_of_http_2(self, site: Site) -> None:
        """An offer to upgrade is not taken up, and costs neither this request nor the next."""
        offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAA"}
        async with site.wire() as wire:
            for _ in range(2):
                headers = {**offer, **signed(b"{}", now=int(time.time()))}
                await wire.say(request("POST", "/webhooks/photoverse", b"{}", headers))
                assert (await wire.hear()).status == 200

    async def test_offer_of_an_old_client(self, site: Site) -> None:
        """HTTP/1.0 knows no Host, also beside an offer."""
        async with site.wire() as wire:
            await wire.say(b"GET /healthz HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
            assert (await wire.hear()).status == 200

    async def test_refusal_right_behind_an_offer(self, site: Site) -> None:
        """What follows an offer may be refused like anything else."""
        offer = request("GET", "/healthz", headers={"Connection": "Upgrade", "Upgrade": "h2c"})
        async with site.wire() as wire:
            await wire.say(offer + b"GET /healthz HTTP/1.1\r\n\r\n")
            assert [(await wire.hear()).status for _ in range(2)] == [200, 400]

    @pytest.mark.parametrize("blanks", [" ", "\t", " \t "])
    async def test_blanks_behind_a_value(self, site: Site, blanks: str) -> None:
        """They are no part of it: RFC 9110, section 5.5."""
        headers = {name: value + blanks for name, value in signed(b"{}", now=int(time.time())).items()}
        assert (await site.request("POST", "/webhooks/photoverse", b"{}", headers)).status == 200

    async def test_a_body_without_an_end(self, site: Site) -> None:
        """A request whose last coding is not chunked is refused, not waited for: RFC 9112, section 6.3."""
        for last in (b"identity", b"unchunked"):
            async with site.wire() as wire:
                await wire.say(POST + b"Host: h\r\nTransfer-Encoding: " + last + b"\r\n\r\n")
                assert (await wire.hear()).status == 400

    async def test_an_old_client_is_not_told_to_go_on(self, site: Site) -> None:
        """HTTP/1.0 knows no 100 Continue: RFC 9110, section 10.1.1."""
        async with site.wire() as wire:
            await wire.say(b"GET /healthz HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")
            assert (await wire.hear()).status == 200

    async def test_expects_continue(self, site: Site) -> None:
        """A client that asks first is told to go on, or gets its refusal without sending the body."""
        async with site.wire() as wire:
            headers = {**signed(b"{}", now=int(time.time())), "Expect": "100-continue"}
            head = request("POST", "/webhooks/photoverse", b"{}", headers)[:-2]
            await wire.say(head)
            assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await wire.say(b"{}")
            assert (await wire.hear()).status == 200
            await wire.say(
                request("POST", "/x", headers={"Content-Length": "999999", "Expect": "100-continue"})
            )
            assert (await wire.hear()).status == 413

    @pytest.mark.parametrize("size", [3_000, 50_000, 200_000])
    async def test_large_body_is_whole(self, site: Site, store: FakeStore, size: int) -> None:
        """A body that is parsed in many slices is the body that was sent, chunked or not."""
        body = bytes(number * 7 % 251 for number in range(size))
        headers = signed(body, now=int(time.time()))
        assert (await site.request("POST", "/webhooks/photoverse", body, headers)).status == 200
        chunks = b"".join(
            b"%x\r\n%b\r\n" % (len(body[start : start + 999]), body[start : start + 999])
            for start in range(0, size, 999)
        )
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        async with site.wire() as wire:
            head = POST + b"Host: h\r\nTransfer-Encoding: chunked\r\n" + lines.encode() + b"\r\n"
            await wire.say(head + chunks + b"0\r\n\r\n")
            assert (await wire.hear()).status == 200
        assert [entry.body for entry in store.entries] == [body, body]

    @pytest.mark.parametrize("size", [300_000, 900_000, 3_000_000])
    async def test_refusal_of_a_large_body_arrives(self, site: Site, size: int) -> None:
        """A client that reads only after it has sent everything finds the answer, not a reset."""
        for headers in ({}, {"Transfer-Encoding": "chunked"}):
            body = b"x" * size if not headers else b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size)
            lines = headers or {"Content-Length": str(size)}
            head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            async with site.wire() as wire:
                await wire.say(POST + b"Host: h\r\n" + head.encode() + b"\r\n" + body)
                assert (await wire.hear()).status == 413

    @pytest.mark.parametrize(
        "headers",
        [b"X: " + b"x" * 17_000 + b"\r\n", b"".join(b"x-%d: y\r\n" % number for number in range(101))],
        ids=["large", "many"],
    )
    @pytest.mark.parametrize("pieces", [1, 40])
    async def test_header_bounds(self, site: Site, headers: bytes, pieces: int) -> None:
        """Headers beyond the bound are refused, whether they come in one segment or in many."""
        whole = POST + b"Host: h\r\n" + headers + b"\r\n"
        step = len(whole) // pieces + 1
        async with site.wire() as wire:
            for start in range(0, len(whole), step):
                await wire.say(whole[start : start + step])
                await asyncio.sleep(0)
            answer = await wire.hear()
        assert (answer.status, answer.json["error"]["code"]) == (400, "headers_too_large")

    async def test_a_refused_head_has_no_body(self, site: Site, subtests: pytest.Subtests) -> None:
        """As any answer to HEAD has none, whether its end had come or not: RFC 9110, section 9.3.2."""
        bad = {
            "a long target": b"/%b HTTP/1.1\r\nHost: h\r\n\r\n" % (b"x" * 17_000),
            "a target without end": b"/%b" % (b"x" * 17_000),
            "headers without end": b"/healthz HTTP/1.1\r\nX: %b" % (b"x" * 17_000),
            "no host": b"/healthz HTTP/1.1\r\n\r\n",
            "a large body": b"/healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 999999\r\n\r\n",
            "no header": b"/healthz HTTP/1.1\r\nHost: h\r\n:\r\n\r\n",
        }
        for name, rest in bad.items():
            with subtests.test(name):
                async with site.wire() as wire:
                    wire.writer.write(b"HEAD " + rest)
                    head, _, body = (await wire.rest()).partition(b"\r\n\r\n")
                    assert head.startswith(b"HTTP/1.1 4")
                    assert body == b""
                async with site.wire() as wire:
                    await wire.say(b"GET " + rest)
                    assert (await wire.hear()).json["error"]

    async def test_one_byte_at_a_time(self, site: Site) -> None:
        """However finely a request is cut, it is the same request."""
        signature = signed(b"{}", now=int(time.time()))
        whole = request("POST", "/webhooks/photoverse", b"{}", signature)
        async with site.wire() as wire:
            for byte in whole:
                wire.writer.write(bytes([byte]))
                await asyncio.sleep(0)
            assert (await wire.hear()).status == 200

    async def test_body_in_too_many_pieces(self, site: Site) -> None:
        """Chunks of one byte cost time each: a body may come in 4,096."""
        async with site.wire() as wire:
            await wire.say(POST + b"Host: h\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 4097)
            assert (await wire.hear()).status == 413

    async def test_many_pipelined(self, site: Site) -> None:
        """Any number of requests may be sent in one breath; each is answered, in order."""
        posts = [
            request("POST", "/webhooks/photoverse", b"{}", signed(b"{}", now=int(time.time())))
            if number % 3
            else HEALTHZ
            for number in range(200)
        ]
        async with site.wire() as wire:
            await wire.say(b"".join(posts))
            bodies = [(await wire.hear()).json["status"] for _ in posts]
        assert bodies == ["quarantined" if number % 3 else "ok" for number in range(200)]

    async def test_no_more_is_read_while_many_wait(
        self, store: FakeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The rest is not looked at again and again meanwhile."""
        recorded, waiting, read_on = asyncio.Event(), list[Entry](), Connection.read_on
        looks = [0]

        async def record(entry: Entry) -> RecordResult:
            waiting.append(entry)
            await recorded.wait()
            return await store.record(entry)

        def noted(self: Connection) -> None:
            looks[0] += 1
            read_on(self)

        monkeypatch.setattr(Connection, "read_on", noted)
        post = request("POST", "/webhooks/photoverse", b"{}", signed(b"{}", now=int(time.time())))
        async with served(PublicApp(SOURCES, record, store.check, Refusals())) as site, site.wire() as wire:
            await wire.say(post * 40)
            await until(lambda: len(waiting) >= 16)
            before = looks[0]
            for _ in range(200):
                await asyncio.sleep(0)
            assert looks[0] - before < 100
            recorded.set()
            assert [(await wire.hear()).status for _ in range(40)] == [200] * 40

    async def test_answers_that_nobody_takes(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of who asks on and on and takes no answer little is read, and little is kept; nothing is lost."""
        unsent = [0]
        flush = Connection._flush

        def noted(self: Connection) -> None:
            flush(self)
            unsent.append(self._transport.get_write_buffer_size())

        monkeypatch.setattr(Connection, "_flush", noted)
        monkeypatch.setattr(Connection, "request_timeout_s", 30.0)
        count = 60_000
        loop = asyncio.get_running_loop()
        with socket.socket() as asking:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            asking.setblocking(False)
            await loop.sock_connect(asking, ("127.0.0.1", site.port))
            saying = asyncio.create_task(loop.sock_sendall(asking, HEALTHZ * count))
            await until(lambda: max(unsent) > 0)
            await asyncio.wait([saying], timeout=0.5)
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            heard = bytearray()
            async with asyncio.timeout(WITHIN_S * 3):
                while heard.count(b"HTTP/1.1 200") < count:
                    heard += await loop.sock_recv(asking, 1 << 20)
            await saying
        assert max(unsent) < 64 * 1024

    async def test_leaves_in_mid_body(self, site: Site) -> None:
        """A client that went away is counted as that, and not as a slow one."""
        left = metrics.REFUSED.labels("client_left")
        before = left._value.get()
        with structlog.testing.capture_logs() as lines:
            async with site.wire() as wire:
                await wire.say(request("POST", "/webhooks/photoverse", b"{", {"Content-Length": "9"}))
            await until(lambda: left._value.get() > before)
        assert "slow_body" not in str(lines)

    @pytest.mark.parametrize(
        "value", ["", "identity", "Identity, identity", " , identity", "utf-8", "aws-chunked", "none", "json"]
    )
    async def test_plain_encodings(self, site: Site, value: str) -> None:
        """A Content-Encoding that names no coding means plain bytes, which the signature covers."""
        headers = {"Content-Encoding": value, **signed(b"{}", now=int(time.time()))}
        assert (await site.request("POST", "/webhooks/photoverse", b"{}", headers)).status == 200

    @pytest.mark.parametrize("value", ["gzip", "identity, gzip", "br", "ZSTD", "utf-8, deflate"])
    async def test_coded(self, site: Site, value: str) -> None:
        """A coding is refused once the body has been read, so that the refusal arrives."""
        answer = await site.request(
            "POST", "/webhooks/photoverse", b"x" * 200_000, {"Content-Encoding": value}
        )
        assert answer.status == 415
