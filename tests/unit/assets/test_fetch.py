"""Downloads from real servers that misbehave, each response row of the vectors among them."""

import asyncio
import gzip
import hashlib
import itertools
import logging
import socket
import ssl
import time
import tracemalloc
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpcore2
import pytest

from receiver.assets import Fetched, NotFetched, connections
from receiver.assets.fetch import Fetcher
from receiver.assets.guard import check_url
from receiver.assets.trust import trusting
from tests.unit.assets.conftest import (
    HOST,
    MP4,
    PNG,
    MakeFetcher,
    RawServer,
    Serve,
    answers,
    chunked,
    files,
    response,
    vectors,
    whole,
    write_until_hung_up,
)
from tests.waiting.aio import until

Test = TypeVar("Test", bound=Callable[..., Any])
COVERED: set[str] = set()


def row(scenario: str) -> Callable[[Test], Test]:
    """Mark the test of one response row of the shared vectors."""
    COVERED.add(scenario)
    return lambda test: test


class ReroutedNetwork(httpcore2.AnyIOBackend):
    """A network on which every address leads to one private listener; it records what was dialled."""

    def __init__(self, port: int) -> None:
        self.dialled: list[str] = []
        self._port = port

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        self.dialled.append(host)
        return await super().connect_tcp("127.0.0.1", self._port, timeout, local_address, socket_options)


def reroute(fetcher: Fetcher, server: RawServer) -> ReroutedNetwork:
    network = ReroutedNetwork(server.port)
    fetcher._network._network = network
    return network


def permanent(code: str) -> NotFetched:
    return NotFetched(code, permanent=True)


def not_yet(code: str) -> NotFetched:
    """Permanent, once the file had time to appear."""
    return NotFetched(code, permanent=True, may_appear=True)


def retryable(code: str) -> NotFetched:
    return NotFetched(code, permanent=False)


@pytest.fixture
def spool_dir(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture(autouse=True)
def leaves_nothing_behind(spool_dir: Path) -> Iterable[None]:
    """After every test, no file is left but those a test was handed and did not delete itself."""
    yield
    assert not files(spool_dir)


async def fetched(fetcher: Fetcher, url: object) -> tuple[Fetched, bytes]:
    asset = await fetcher.fetch(url)
    assert isinstance(asset, Fetched), asset
    with asset.open() as file:
        body = file.read()
    asset.discard()
    return asset, body


class TestGates:
    @pytest.mark.parametrize(
        "url", [None, True, ["https://x.com/"], "", "http://cdn.example.com/x", "https://[::1]/"]
    )
    async def test_blocked_url(self, make_fetcher: MakeFetcher, url: object) -> None:
        """What the URL gate refuses is final, whatever type it is."""
        assert await make_fetcher(allow=()).fetch(url) == permanent("blocked_url")

    async def test_other_cdn(self, make_fetcher: MakeFetcher) -> None:
        """With CDN hosts configured, no other public host is asked."""
        fetcher = make_fetcher(allow=(), hosts=["cdn.example.net"])
        assert await fetcher.fetch(f"https://{HOST}/x") == permanent("blocked_url")

    @row("output_url is our own service or our own bucket's public URL")
    async def test_own_host(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """Our own public names are refused even where the operator allows them; no one is dialled."""
        server = await serve(whole(), tls=False)
        fetcher = make_fetcher(deny_hosts=[HOST, "127.0.0.1/32"], allow=[HOST, "127.0.0.0/8"])
        for url in (server.url(), server.url(scheme="http"), f"http://127.0.0.1:{server.port}/x"):
            assert await fetcher.fetch(url) == permanent("blocked_url")
        assert server.connections == 0

    async def test_own_host_on_another_port(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A denied `host:port` leaves the host's other ports alone."""
        server = await serve(whole(), tls=False)
        await fetched(make_fetcher(deny_hosts=[f"{HOST}:1"]), server.url(scheme="http"))

    async def test_hostile_urls(
        self, make_fetcher: MakeFetcher, serve: Serve, subtests: pytest.Subtests
    ) -> None:
        """A hostile URL is final; no name is looked up for it, and no one is connected to."""
        server, asked = await serve(whole()), list[str]()

        async def resolve(host: str, _port: int) -> list[str]:
            asked.append(host)
            return ["93.184.215.14"]

        for url_row in [r for r in vectors("url") if r["must"] == "reject"]:
            with subtests.test(url_row["why"]):
                fetcher = make_fetcher(allow=(), hosts=url_row.get("host_allowlist"), resolve=resolve)
                network = reroute(fetcher, server)
                assert await fetcher.fetch(url_row["url"]) == permanent("blocked_url")
                assert (asked, network.dialled, server.connections) == ([], [], 0)

    @pytest.mark.parametrize(
        "url_row", [r for r in vectors("url") if r["must"] == "allow"], ids=lambda r: r["why"]
    )
    async def test_honest_urls(
        self, make_fetcher: MakeFetcher, serve: Serve, url_row: dict[str, Any]
    ) -> None:
        """An honest URL is fetched from where its name leads, with its path as browsers send it."""
        target = check_url(url_row["url"])
        host, path = target.host, target.path_and_query
        server = await serve(whole(), name=host)
        fetcher = make_fetcher(
            allow=(), hosts=url_row.get("host_allowlist"), resolve=answers("93.184.215.14")
        )
        network = reroute(fetcher, server)
        await fetched(fetcher, url_row["url"])
        assert network.dialled == ["93.184.215.14"]
        assert server.requests[0].startswith(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n".encode())

    @pytest.mark.parametrize(
        "public_row", [r for r in vectors("resolve") if r["must"] == "allow"], ids=lambda r: r["scenario"]
    )
    async def test_public_answers(
        self, make_fetcher: MakeFetcher, serve: Serve, public_row: dict[str, Any]
    ) -> None:
        """A name whose addresses are public is fetched from the first of them."""
        server = await serve(whole())
        fetcher = make_fetcher(allow=(), resolve=answers(public_row["resolves_to"]))
        network = reroute(fetcher, server)
        await fetched(fetcher, f"https://{HOST}/x")
        assert (network.dialled, server.connections) == (public_row["resolves_to"][:1], 1)

    async def test_private_answers(
        self, make_fetcher: MakeFetcher, serve: Serve, subtests: pytest.Subtests
    ) -> None:
        """A public name with an address that is not public is final, and nothing is dialled."""
        server = await serve(whole())
        for private_row in [r for r in vectors("resolve") if r["must"] == "reject"]:
            with subtests.test(private_row["scenario"]):
                fetcher = make_fetcher(allow=(), resolve=answers(private_row["resolves_to"]))
                network = reroute(fetcher, server)
                expected = (
                    retryable("dns") if private_row.get("code") == "dns" else permanent("blocked_address")
                )
                assert await fetcher.fetch(f"https://{HOST}/x") == expected
                assert network.dialled == []
                assert server.connections == 0

    @row("DNS answers public on the first lookup and 127.0.0.1 on the second")
    async def test_rebinding(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """The address that was checked is the one that is dialled; the next lookup is checked again."""
        server = await serve(response(PNG, f"Content-Length: {len(PNG)}", "Connection: close"))
        fetcher = make_fetcher(allow=(), resolve=answers("93.184.215.14", "127.0.0.1"))
        network = reroute(fetcher, server)
        await fetched(fetcher, f"https://{HOST}/x")
        assert network.dialled == ["93.184.215.14"]
        assert await fetcher.fetch(f"https://{HOST}/x") == permanent("blocked_address")
        assert network.dialled == ["93.184.215.14"]
        assert server.connections == 1

    async def test_allowed_network_opens_a_public_name(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """An operator whose CDN is inside allows its network, and https on 443 stays the rule."""
        server = await serve(whole())
        fetcher = make_fetcher(allow=["10.0.0.0/8"], resolve=answers("10.0.0.5"))
        network = reroute(fetcher, server)
        await fetched(fetcher, f"https://{HOST}/x")
        assert network.dialled == ["10.0.0.5"]

    async def test_malformed_settings(self, spool_dir: Path) -> None:
        """Malformed lists are refused when the fetcher is made."""
        for setting in ({"allow": ["10.0.0.1/8"]}, {"deny_hosts": ["http://x"]}):
            with pytest.raises(ValueError, match="network"):
                Fetcher(spool_dir=spool_dir, **setting)  # type: ignore[arg-type]


class TestNetworkFaults:
    @row("NXDOMAIN / SERVFAIL")
    async def test_dns(self, make_fetcher: MakeFetcher) -> None:
        """A name that does not resolve may resolve later."""

        async def resolve(_host: str, _port: int) -> list[str]:
            raise socket.gaierror(socket.EAI_AGAIN, "temporary failure")

        assert await make_fetcher(resolve=resolve).fetch(f"https://{HOST}/x") == retryable("dns")
        assert await make_fetcher(resolve=answers([])).fetch(f"https://{HOST}/x") == retryable("dns")

    async def test_refused_connection(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A port where no one listens may be listened on later."""
        server = await serve(whole())
        await server.stop()
        assert await make_fetcher().fetch(server.url()) == retryable("connect")

    @pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
    async def test_hang_up_before_the_head(
        self, make_fetcher: MakeFetcher, serve: Serve, said: bytes
    ) -> None:
        """A server that hangs up before its head is complete may answer later."""
        server = await serve(said)
        assert await make_fetcher().fetch(server.url()) == retryable("connect")

    async def test_untrusted_certificate(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A certificate of an unknown authority is not accepted, and no request is sent."""
        server = await serve(whole())
        fetcher = make_fetcher(ssl_context=ssl.create_default_context())
        assert await fetcher.fetch(server.url()) == retryable("tls")
        assert server.requests == []

    async def test_certificate_of_another_host(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """The certificate must be the host's, though the connection is made to an address."""
        server = await serve(whole(), name="other.example.com")
        assert await make_fetcher().fetch(server.url()) == retryable("tls")

    @pytest.mark.parametrize(
        ("name", "host", "is_its"),
        [
            ("*.s3.example.com", "my_bucket.s3.example.com", True),
            ("*.s3.example.com", "my_bucket.example.com", False),
            ("*.s3.example.com", "a.my_bucket.s3.example.com", False),
            ("s3.example.com", "my_bucket.s3.example.com", False),
        ],
    )
    async def test_underscore(
        self, make_fetcher: MakeFetcher, serve: Serve, name: str, host: str, is_its: bool
    ) -> None:
        """A wildcard covers one label with an underscore, and no name that is not its host's."""
        server = await serve(whole(), name=name)
        url = f"https://{host}:{server.port}/x"
        if is_its:
            await fetched(make_fetcher(allow=[host]), url)
        else:
            assert await make_fetcher(allow=[host]).fetch(url) == retryable("tls")
            assert server.requests == []

    async def test_underscore_and_stranger(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """Nor does one that an unknown authority signed."""
        server = await serve(whole(), name="*.example.com")
        unnamed = partial(trusting, None, check_name=False)
        fetcher = make_fetcher(allow=["my_cdn.example.com"], unnamed_ssl_context=unnamed)
        assert await fetcher.fetch(f"https://my_cdn.example.com:{server.port}/x") == retryable("tls")
        assert server.requests == []

    async def test_underscore_and_no_authorities(
        self, make_fetcher: MakeFetcher, serve: Serve, tmp_path: Path
    ) -> None:
        """Nor one whose authorities cannot be read any more: they are, when such a host first comes."""
        server = await serve(whole(), name="*.example.com")
        unnamed = partial(trusting, str(tmp_path / "gone.pem"), check_name=False)
        fetcher = make_fetcher(allow=["my_cdn.example.com"], unnamed_ssl_context=unnamed)
        assert await fetcher.fetch(f"https://my_cdn.example.com:{server.port}/x") == retryable("tls")
        assert server.requests == []

    async def test_no_tls_at_all(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A server that speaks plain HTTP on an https port is a TLS failure."""

        async def greet(writer: asyncio.StreamWriter) -> None:
            writer.write(whole())
            writer.close()

        async with await asyncio.start_server(
            lambda _reader, writer: greet(writer), "127.0.0.1", 0
        ) as server:
            port = server.sockets[0].getsockname()[1]
            assert await make_fetcher().fetch(f"https://{HOST}:{port}/x") == retryable("tls")

    @row("TLS handshake stalls after TCP connect")
    async def test_stalled_handshake(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """The connect deadline covers TLS."""
        server = await serve(whole(), tls=False)
        started = time.monotonic()
        assert await make_fetcher(connect_timeout_s=0.2).fetch(server.url()) == retryable("timeout")
        assert time.monotonic() - started < 8

    async def test_stalled_dns(self, make_fetcher: MakeFetcher) -> None:
        """And it covers DNS."""

        async def resolve(_host: str, _port: int) -> list[str]:
            await asyncio.Event().wait()
            raise AssertionError

        fetcher = make_fetcher(resolve=resolve, connect_timeout_s=0.1)
        assert await fetcher.fetch(f"https://{HOST}/x") == retryable("timeout")

    @row("1 body byte every 0.3 s")
    async def test_drip(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """The total deadline ends a body that never stops moving."""

        async def drip(writer: asyncio.StreamWriter) -> None:
            writer.write(response(PNG, "Content-Length: 99999"))
            await write_until_hung_up(writer, b"x", every_s=0.02)

        server = await serve(drip)
        started = time.monotonic()
        assert await make_fetcher(total_timeout_s=0.3).fetch(server.url()) == retryable("timeout")
        assert time.monotonic() - started < 8

    async def test_endless_informational_responses(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """The deadline ends a head that never comes."""

        async def inform(writer: asyncio.StreamWriter) -> None:
            await write_until_hung_up(writer, b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)

        server = await serve(inform)
        assert await make_fetcher(total_timeout_s=0.3).fetch(server.url()) == retryable("timeout")

    async def test_slow_head(
        self, make_fetcher: MakeFetcher, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The head has a deadline of its own, shorter than the body's."""

        async def hang(_writer: asyncio.StreamWriter) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr("receiver.assets.fetch.HEAD_TIMEOUT_S", 0.2)
        server = await serve(hang)
        assert await make_fetcher(total_timeout_s=50).fetch(server.url()) == retryable("timeout")


class TestResponses:
    @row("302 to https://127.0.0.1/")
    async def test_redirect_to_private(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A redirect to an address is refused even where the operator allows it; no one is connected to."""
        private = await serve(whole())
        location = f"Location: https://127.0.0.1:{private.port}/"
        server = await serve(whole(b"", location, status="302 Found"))
        fetcher = make_fetcher(allow=[HOST, "127.0.0.0/8"])
        assert await fetcher.fetch(server.url()) == not_yet("redirect_blocked")
        assert private.connections == 0
        assert server.connections == 1

    @row("307 to //evil.com/x (scheme-relative Location)")
    async def test_scheme_relative_redirect(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """However the target is written, its name must lead to public addresses."""
        private = await serve(whole())
        server = await serve(whole(b"", "Location: //evil.com/x", status="307 Temporary Redirect"))
        refused = replace(not_yet("redirect_blocked"), led_to="evil.com")
        assert await make_fetcher().fetch(server.url()) == refused
        assert (len(server.requests), private.connections) == (1, 0)

    @pytest.mark.parametrize(
        "location",
        [
            *("http://cdn.example.com/x", "https://cdn.example.com:8443/x", "ftp://cdn.example.com/"),
            *("https://other.example.net/x", "https://u:p@cdn.example.com/x", "https://denied.example.com/"),
        ],
    )
    async def test_redirect_through_the_url_gate(
        self, make_fetcher: MakeFetcher, serve: Serve, location: str
    ) -> None:
        """A hop passes the gates of any URL: scheme, port, the CDN's hosts, our own names."""
        server = await serve(whole(b"", f"Location: {location}", status="301 Moved Permanently"))
        fetcher = make_fetcher(
            allow=(),
            hosts=["example.com"],
            deny_hosts=["denied.example.com"],
            resolve=answers("93.184.215.14"),
        )
        reroute(fetcher, server)
        assert await fetcher.fetch(f"https://{HOST}/x") == not_yet("redirect_blocked")
        assert server.connections == 1

    async def test_no_redirect_leaves_https(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """Nor does one to plain http, though the operator allows the host on http."""
        plain = await serve(whole(), tls=False)
        server = await serve(whole(b"", f"Location: {plain.url(scheme='http')}", status="302 Found"))
        assert await make_fetcher().fetch(server.url()) == not_yet("redirect_blocked")
        assert plain.connections == 0

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_redirect(self, make_fetcher: MakeFetcher, serve: Serve, status: int) -> None:
        """A redirect is followed with a plain request that says no more than the first one did."""
        server = await serve(whole())
        first = await serve(
            whole(b"page", f"Location: {server.url('/b?c=%41')}", "Set-Cookie: a=b", status=f"{status} Moved")
        )
        assert (await fetched(make_fetcher(), first.url("/a?token=hunter2")))[1] == PNG
        sent = server.requests[0].decode()
        assert sent.startswith(f"GET /b?c=%41 HTTP/1.1\r\nHost: {HOST}:{server.port}\r\n")
        assert not {"hunter2", "cookie", "referer"} & set(sent.lower().replace(":", " ").split())
        assert len(sent.splitlines()) == len(first.requests[0].splitlines())

    @pytest.mark.parametrize(
        ("length", "became"), [(5, "image/png"), (6, "redirect_limit"), (0, "redirect_loop")]
    )
    async def test_many_redirects(
        self, make_fetcher: MakeFetcher, serve: Serve, length: int, became: str
    ) -> None:
        """Five are followed; a sixth, or a circle, has a code."""

        async def answer(writer: asyncio.StreamWriter) -> None:
            asked = len(server.requests)
            last = length and asked > length
            writer.write(
                whole() if last else whole(b"", f"Location: /{length and asked}", status="302 Found")
            )

        server = await serve(answer)
        result = await make_fetcher().fetch(server.url())
        if isinstance(result, Fetched):
            result.discard()
            assert result.content_type == became
        else:
            assert result == not_yet(became)

    async def test_last_hop_decides(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """What the last host answers counts, as if it had been asked first."""
        for status, expected in (("410 Gone", permanent("expired")), ("503 Busy", retryable("http_503"))):
            last = await serve(whole(b"", status=status))
            first = await serve(whole(b"", f"Location: {last.url()}", status="302 Found"))
            assert await make_fetcher().fetch(first.url()) == expected

    async def test_redirects_share_the_deadline(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """One deadline holds for all of them."""

        async def hang(_writer: asyncio.StreamWriter) -> None:
            await asyncio.Event().wait()

        last = await serve(hang)
        first = await serve(whole(b"", f"Location: {last.url()}", status="302 Found"))
        assert await make_fetcher(total_timeout_s=0.5).fetch(first.url()) == retryable("timeout")

    @row("200 with Refresh: 0;url= or HTML meta refresh")
    async def test_refresh(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A page that refreshes is a page, not an asset."""
        private = await serve(whole())
        page = f'<meta http-equiv="refresh" content="0;url={private.url()}">'.encode()
        server = await serve(whole(page, f"Refresh: 0;url={private.url()}", "Content-Type: video/mp4"))
        assert await make_fetcher().fetch(server.url()) == not_yet("wrong_type")
        assert private.connections == 0

    @row("one 100 kB response header")
    @pytest.mark.parametrize("size", [40_000, 100_000, 300_000])
    async def test_large_header(self, make_fetcher: MakeFetcher, serve: Serve, size: int) -> None:
        """The head is bounded."""
        server = await serve(whole(PNG, f"X-Large: {'x' * size}"))
        assert await make_fetcher().fetch(server.url()) == not_yet("framing")

    @row("Content-Length above the cap")
    async def test_declared_over_the_cap(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A body declared too large is refused before it is read, and its server is hung up on."""
        hung_up = asyncio.Event()

        async def drip(writer: asyncio.StreamWriter) -> None:
            writer.write(response(b"", "Content-Length: 1001"))
            with suppress(ConnectionError):
                await write_until_hung_up(writer, b"x", every_s=0.02)
            hung_up.set()

        server = await serve(drip)
        assert await make_fetcher(max_bytes=1000).fetch(server.url()) == permanent("too_large")
        await asyncio.wait_for(hung_up.wait(), 5)

    async def test_found_over_the_cap(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A body that declares nothing is cut off at the cap, also when it never ends."""

        async def endless(writer: asyncio.StreamWriter) -> None:
            writer.write(response(b"", "Transfer-Encoding: chunked"))
            await write_until_hung_up(writer, b"%x\r\n%s\r\n" % (len(PNG), PNG))

        server = await serve(endless)
        assert await make_fetcher(max_bytes=3 * 1024 * 1024).fetch(server.url()) == permanent("too_large")

    async def test_exactly_the_cap(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """An asset of just the cap is kept, declared or chunked."""
        for answer in (whole(), chunked(PNG)):
            server = await serve(answer)
            assert (await fetched(make_fetcher(max_bytes=len(PNG)), server.url()))[1] == PNG

    @row("Content-Length 100, then 5 bytes and close")
    async def test_cut_short(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A body shorter than declared is not kept, and may be whole next time."""
        for answer in (
            response(b"12345", "Content-Length: 100"),
            response(PNG, f"Content-Length: {len(PNG) + 1}"),
            response(PNG * 1000, f"Content-Length: {len(PNG) * 1000 + 1}"),
        ):
            server = await serve(answer)
            assert await make_fetcher().fetch(server.url()) == retryable("truncated")

    @row("chunked body cut before the last chunk")
    async def test_chunks_cut_short(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """So it is when the last chunk is missing, or a chunk is malformed."""
        for cut in (chunked(PNG)[:-5], chunked(PNG, PNG)[:-20], chunked(PNG)[:-5] + b"zz\r\n"):
            server = await serve(cut)
            assert await make_fetcher().fetch(server.url()) == retryable("truncated")

    @row("Content-Length and Transfer-Encoding together")
    async def test_two_framings(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A response with two framings is refused."""
        both = chunked(PNG).replace(b"\r\n", b"\r\nContent-Length: 5\r\n", 1)
        server = await serve(both)
        assert await make_fetcher().fetch(server.url()) == not_yet("framing")

    async def test_no_framing(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A body that ends with the connection could have been cut, so it is refused."""
        server = await serve(response(PNG))
        assert await make_fetcher().fetch(server.url()) == not_yet("framing")

    @row("negative Content-Length")
    @pytest.mark.parametrize("length", ["-1", "+5", "5, 6", "0x10", ""])
    async def test_malformed_length(self, make_fetcher: MakeFetcher, serve: Serve, length: str) -> None:
        """A length that is not a plain number is refused."""
        server = await serve(response(PNG, f"Content-Length: {length}"))
        assert await make_fetcher().fetch(server.url()) == not_yet("framing")

    async def test_lenient_heads(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A length told twice alike is one, and a folded header is one line: browsers have such files."""
        length = f"Content-Length: {len(PNG)}"
        for headers in ((length, length), (f"{length}, {len(PNG)}",), (length, "Via: a\r\n\tb")):
            server = await serve(response(PNG, *headers))
            assert isinstance(await make_fetcher().fetch(server.url()), Fetched)

    async def test_not_http(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """Something else than HTTP is refused."""
        server = await serve(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
        assert await make_fetcher().fetch(server.url()) == not_yet("framing")

    @row("Content-Encoding: gzip made of many empty members")
    async def test_compressed(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """Compressed bodies are refused unread: we asked for none."""
        server = await serve(whole(gzip.compress(b"") * 10_000, "Content-Encoding: gzip"))
        assert await make_fetcher().fetch(server.url()) == not_yet("encoding")

    async def test_other_successes(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A transforming proxy's 203 brings a file, and a 206 does if it holds all."""
        all_of_it = f"Content-Range: bytes 0-{len(PNG) - 1}/{len(PNG)}"
        for answer in (whole(status="203 Transformed"), whole(PNG, all_of_it, status="206 Partial Content")):
            server = await serve(answer)
            assert (await fetched(make_fetcher(), server.url()))[1] == PNG

    @row("204 / 304 / 200 with zero bytes")
    @pytest.mark.parametrize(
        "answer",
        [
            response(b"", status="204 No Content"),
            response(b"", status="304 Not Modified"),
            whole(b""),
            chunked(),
        ],
    )
    async def test_empty(self, make_fetcher: MakeFetcher, serve: Serve, answer: bytes) -> None:
        """No bytes are no asset, whatever the status."""
        server = await serve(answer)
        assert await make_fetcher().fetch(server.url()) == not_yet("empty")

    @row("200 image/svg+xml with <script>")
    async def test_svg(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A picture that can run scripts is none of ours, and the download stops at its head."""

        async def endless_svg(writer: asyncio.StreamWriter) -> None:
            svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script>'.ljust(600)
            writer.write(response(svg, "Content-Type: image/svg+xml", "Content-Length: 1000000"))
            await writer.drain()
            await asyncio.Event().wait()

        server = await serve(endless_svg)
        assert await make_fetcher().fetch(server.url()) == not_yet("wrong_type")

    @row('Content-Type: video/mp4; charset="\\r\\nx: y" or 10 kB of parameters')
    async def test_content_type_is_never_copied(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """The type kept is ours, whatever the server wrote; a page called a video is refused."""
        hostile = f'Content-Type: video/mp4; charset="\\r\\nx: y"; {"p" * 10_000}'
        server = await serve(whole(PNG, hostile))
        assert (await fetched(make_fetcher(), server.url()))[0].content_type == "image/png"
        page = await serve(whole(b"<html></html>" * 100, hostile))
        assert await make_fetcher().fetch(page.url()) == not_yet("wrong_type")

    @row("Content-Type: application/octet-stream with valid MP4 magic")
    async def test_octet_stream(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """What a CDN calls a stream of octets is known by its content."""
        server = await serve(whole(MP4, "Content-Type: application/octet-stream"))
        assert (await fetched(make_fetcher(), server.url()))[0].content_type == "video/mp4"

    async def test_unknown_format(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """What no table of ours has is kept as it came: it was paid for."""
        new = b"\x00NEW" * 1000
        server = await serve(whole(new, "Content-Type: image/new"))
        asset, body = await fetched(make_fetcher(), server.url())
        assert (asset.content_type, body) == ("application/octet-stream", new)

    async def test_narrowed(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """An operator may keep fewer types."""
        server = await serve(whole())
        assert await make_fetcher(types={"video/mp4"}).fetch(server.url()) == not_yet("wrong_type")
        await fetched(make_fetcher(types={"video/mp4", "image/png"}), server.url())

    @row("200 image/png chunked with a clean end")
    async def test_chunked(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A chunked body with its end marker is whole: every byte, its count and its digest."""
        server = await serve(chunked(PNG[:3], PNG[3:500], PNG[500:]))
        asset, body = await fetched(make_fetcher(), server.url())
        assert body == PNG
        assert (asset.size_bytes, asset.sha256) == (len(PNG), hashlib.sha256(PNG).hexdigest())

    async def test_smaller_than_the_head(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """An asset shorter than what deciding its type wants is kept too."""
        server = await serve(whole(b"GIF89a" + b"\0" * 20))
        assert (await fetched(make_fetcher(), server.url()))[0].content_type == "image/gif"

    @row("HTTP_PROXY / HTTPS_PROXY / NO_PROXY / .netrc set in the environment")
    async def test_environment_is_ignored(
        self, make_fetcher: MakeFetcher, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """No proxy is used, and no stored password is sent."""
        proxy, server = await serve(whole(), tls=False), await serve(whole(), tls=False)
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "")
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine {HOST} login u password hunter2\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        await fetched(make_fetcher(), server.url(scheme="http"))
        assert proxy.connections == 0
        assert b"authorization" not in server.requests[0].lower()

    @row("429/503 with Retry-After: 10^9")
    @pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
    async def test_retry_after(self, make_fetcher: MakeFetcher, serve: Serve, status: str) -> None:
        """A busy server is asked again, within the hour."""
        server = await serve(whole(b"", "Retry-After: 1000000000", status=status))
        expected = NotFetched(f"http_{status[:3]}", permanent=False, after_s=3600.0)
        assert await make_fetcher().fetch(server.url()) == expected

    @pytest.mark.parametrize("status", [403, 404])
    async def test_not_there(self, make_fetcher: MakeFetcher, serve: Serve, status: int) -> None:
        """A file that is not there may only not be there yet."""
        server = await serve(whole(b"no such file", status=f"{status} No"))
        assert await make_fetcher().fetch(server.url()) == not_yet("expired")

    @pytest.mark.parametrize("status", [400, 401, 403, 410])
    async def test_expired(self, make_fetcher: MakeFetcher, serve: Serve, status: int) -> None:
        """A URL that is said to have run out has one name, and is final, whatever the status."""
        said = b"<?xml version='1.0'?><Error><Code>ExpiredToken</Code></Error>"
        server = await serve(whole(said, status=f"{status} No"))
        assert await make_fetcher().fetch(server.url()) == permanent("expired")

    async def test_refusal_that_never_ends(
        self, make_fetcher: MakeFetcher, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a refusal says is read for a moment, up to a bound, and must not even be whole."""

        async def drip(writer: asyncio.StreamWriter) -> None:
            writer.write(response(b"<Code>ExpiredToken</Code>", "Content-Length: 99999", status="400 No"))
            await write_until_hung_up(writer, b"x", every_s=0.02)

        async def flood(writer: asyncio.StreamWriter) -> None:
            writer.write(response(b"", "Content-Length: 99999999", status="404 No"))
            await write_until_hung_up(writer, b"x" * 65536)

        monkeypatch.setattr("receiver.assets.fetch.SAID_TIMEOUT_S", 0.2)
        assert await make_fetcher().fetch((await serve(drip)).url()) == permanent("expired")
        assert await make_fetcher().fetch((await serve(flood)).url()) == not_yet("expired")
        cut = await serve(response(b"no", "Content-Length: 100", status="404 Not Found"))
        assert await make_fetcher().fetch(cut.url()) == not_yet("expired")

    @pytest.mark.parametrize("status", [404, 410, 429, 503])
    async def test_how_a_refusal_begins_is_kept(
        self, make_fetcher: MakeFetcher, serve: Serve, status: int
    ) -> None:
        """Its first 2 KiB; and of a page in the asset's place as much."""
        refused = await serve(whole(b"why " * 5_000, status=f"{status} No"))
        found = await make_fetcher().fetch(refused.url())
        assert isinstance(found, NotFetched)
        assert found.said == b"why " * 512
        page = await make_fetcher().fetch((await serve(whole(b"<html>Sign in"))).url())
        assert isinstance(page, NotFetched)
        assert (page.code, page.said) == ("wrong_type", b"<html>Sign in")

    async def test_other_refusals(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """Any other refusal has its own status for a name."""
        server = await serve(whole(b"", status="402 Payment Required"))
        assert await make_fetcher().fetch(server.url()) == not_yet("http_402")

    @row("upstream sends x-amz-website-redirect-location, Cache-Control or Content-Disposition")
    async def test_no_header_is_kept(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """An asset is its bytes and what we found out about them; nothing else of the response is left."""
        headers = ("x-amz-website-redirect-location: https://evil.com/", "Cache-Control: public")
        server = await serve(whole(PNG, *headers, "Content-Disposition: inline; filename=x.html"))
        asset, _ = await fetched(make_fetcher(), server.url())
        assert asset == Fetched(None, len(PNG), hashlib.sha256(PNG).hexdigest(), "image/png")

    def test_every_row_of_the_vectors_has_a_test(self) -> None:
        """The marks above and the response rows are the same set."""
        assert {r["scenario"] for r in vectors("response")} == COVERED

    async def test_begins_no_upload_of_what_has_no_parts(
        self, serve: Serve, make_fetcher: MakeFetcher
    ) -> None:
        """It is uploaded once it is whole."""
        site = await serve(whole(MP4))
        for part_bytes, count in ((len(MP4), 0), (len(MP4) - 1, 1)):
            begun: list[Fetched] = []
            found = await make_fetcher(part_bytes=part_bytes).fetch(site.url(), begun.append)
            assert isinstance(found, Fetched)
            assert len(begun) == count


class TestRequest:
    async def test_what_is_sent(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """The path and query go out byte for byte, and no header but these four."""
        server = await serve(whole())
        await fetched(make_fetcher(), server.url("/a%2Fb//../c?X-Sig=%41&y=/?"))
        line, *headers = server.requests[0].decode().split("\r\n")
        assert line == "GET /a%2Fb//../c?X-Sig=%41&y=/? HTTP/1.1"
        assert {h.partition(":")[0].lower() for h in headers if h} == {
            *("host", "accept", "accept-encoding", "user-agent"),
        }
        assert f"Host: {HOST}:{server.port}" in headers
        assert "Accept-Encoding: identity" in headers

    async def test_cookies_are_not_returned(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """A cookie that a server sets is forgotten."""
        server = await serve(whole(PNG, "Set-Cookie: a=b"))
        fetcher = make_fetcher()
        for _ in range(2):
            await fetched(fetcher, server.url())
        assert all(b"cookie" not in request.lower() for request in server.requests)

    async def test_allowed_literal(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """An allowed address is fetched over http, on its port, without any resolver."""
        server = await serve(whole(), tls=False)
        fetcher = make_fetcher(allow=["127.0.0.0/8"], resolve=answers([]))
        await fetched(fetcher, f"http://127.0.0.1:{server.port}/x")

    async def test_query_is_never_logged(
        self, make_fetcher: MakeFetcher, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Not even at debug level does a signed query reach a log."""
        server = await serve(whole())
        with caplog.at_level(logging.DEBUG):
            await fetched(make_fetcher(), server.url("/x?X-Sig=hunter2"))
        assert "hunter2" not in caplog.text


class TestResources:
    async def test_memory_is_bounded(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """64 MiB pass through less than 8 MiB of memory."""
        block = PNG.ljust(64 * 1024, b"\0")

        async def stream(writer: asyncio.StreamWriter) -> None:
            writer.write(response(b"", "Transfer-Encoding: chunked"))
            for _ in range(1024):
                writer.writelines((b"%x\r\n" % len(block), block, b"\r\n"))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
            await writer.drain()

        server = await serve(stream, tls=False)
        tracemalloc.start()
        try:
            asset = await make_fetcher(total_timeout_s=600).fetch(server.url(scheme="http"))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert isinstance(asset, Fetched)
        assert asset.path
        assert asset.size_bytes == asset.path.stat().st_size == 64 * 1024 * 1024
        assert peak < 8 * 1024 * 1024
        asset.discard()

    async def test_cancelled(self, make_fetcher: MakeFetcher, serve: Serve, spool_dir: Path) -> None:
        """A cancelled download raises as cancellations do, and its file is gone at once."""

        async def stall(writer: asyncio.StreamWriter) -> None:
            writer.write(response(PNG.ljust(3 * 1024 * 1024), "Content-Length: 99999999"))
            await writer.drain()
            await asyncio.Event().wait()

        server = await serve(stall)
        task = asyncio.create_task(make_fetcher().fetch(server.url()))
        await until(lambda: files(spool_dir))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not files(spool_dir)

    async def test_spool_failure(self, make_fetcher: MakeFetcher, serve: Serve, spool_dir: Path) -> None:
        """When our own disk fails, the asset may be fine later."""
        server = await serve(whole(PNG.ljust(2 * 1024 * 1024)))
        fetcher = make_fetcher()
        await asyncio.to_thread(spool_dir.rmdir)
        await asyncio.to_thread(spool_dir.touch)  # no folder can be made there
        assert await fetcher.fetch(server.url()) == retryable("spool")
        await asyncio.to_thread(spool_dir.unlink)

    async def test_many_at_once(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """One fetcher serves many downloads, and a host that hangs holds up only its own."""

        async def hang(_writer: asyncio.StreamWriter) -> None:
            await asyncio.Event().wait()

        hanging, server = await serve(hang), await serve(whole())
        fetcher = make_fetcher(total_timeout_s=5)
        stuck = [asyncio.create_task(fetcher.fetch(hanging.url())) for _ in range(20)]
        done = await asyncio.gather(*(fetched(fetcher, server.url()) for _ in range(20)))
        assert {body for _, body in done} == {PNG}
        assert not any(task.done() for task in stuck)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


class TestKeptConnections:
    async def test_is_used_again(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """One download after the other takes one connection; another host gets one of its own."""
        server, other = await serve(whole(), stays=True), await serve(whole(), stays=True, tls=False)
        fetcher = make_fetcher()
        for number in range(3):
            assert (await fetched(fetcher, server.url(f"/{number}")))[1] == PNG
        assert (await fetched(fetcher, other.url(scheme="http")))[1] == PNG
        assert (server.connections, len(server.requests), other.connections) == (1, 3, 1)

    async def test_not_with_bytes_behind_the_answer(self, make_fetcher: MakeFetcher, serve: Serve) -> None:
        """Bytes that a server sends after its answer are not taken for its next answer."""
        server = await serve(whole() + whole(MP4), stays=True)
        fetcher = make_fetcher()
        for _ in range(2):
            assert (await fetched(fetcher, server.url()))[1] == PNG
        assert server.connections == 2

    @pytest.mark.parametrize("tls", [True, False])
    async def test_not_with_bytes_that_come_later(
        self, make_fetcher: MakeFetcher, serve: Serve, *, tls: bool
    ) -> None:
        """Nor those that come while nobody asks."""
        read = asyncio.Event()

        async def answer(writer: asyncio.StreamWriter) -> None:
            writer.write(whole())
            await read.wait()
            writer.write(whole(MP4))

        server = await serve(answer, stays=True, tls=tls)
        fetcher, url = make_fetcher(), server.url(scheme="https" if tls else "http")
        assert (await fetched(fetcher, url))[1] == PNG
        ((kept,),) = fetcher._connections._idle.values()
        assert not kept.stream.get_extra_info("is_readable")
        read.set()
        await until(lambda: kept.stream.get_extra_info("is_readable"))
        assert (await fetched(fetcher, url))[1] == PNG
        assert server.connections == 2

    @pytest.mark.parametrize("answers", [b"", b"HTTP/1.1 2"], ids=["silently", "in its answer"])
    async def test_host_hangs_up_as_it_is_asked(
        self, make_fetcher: MakeFetcher, serve: Serve, answers: bytes
    ) -> None:
        """A kept connection that ends with the next request costs no attempt: another is dialled."""
        asked = itertools.count()

        async def answer(writer: asyncio.StreamWriter) -> None:
            if next(asked) == 1:
                writer.write(answers)
                await writer.drain()
                writer.close()
            else:
                writer.write(whole())

        server = await serve(answer, stays=True)
        fetcher = make_fetcher()
        for _ in range(2):
            assert (await fetched(fetcher, server.url()))[1] == PNG
        assert (server.connections, len(server.requests)) == (2, 3)

    async def test_is_closed_before_long(
        self, make_fetcher: MakeFetcher, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody's connections are held for hosts that are not asked again."""
        monkeypatch.setattr(connections, "_IDLE_S", 0.01)
        server = await serve(whole(), stays=True)
        await fetched(make_fetcher(), server.url())
        await until(lambda: server.ended == 1)

    async def test_not_after_an_answer_that_was_not_read(
        self, make_fetcher: MakeFetcher, serve: Serve
    ) -> None:
        """What is left of a refusal is no beginning of an answer."""
        refusal = response(b"x" * 10_000_000, "Content-Length: 10000000", status="500 No")
        server = await serve(refusal, stays=True)
        fetcher = make_fetcher()
        for _ in range(2):
            assert await fetcher.fetch(server.url()) == retryable("http_500")
        assert server.connections == 2
