"""HTTP: what is sent, and what each answer means."""

import asyncio
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import trustme

from receiver.destinations import Destination, open_destination
from receiver.destinations.http import HttpEndpoint, Options
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Outcome, Retry
from receiver.signatures import verify
from tests.messages import TRACEPARENT, message
from tests.servers.http_sink import Answer, HttpSink, Received, http_sink
from tests.servers.relay import asking, client_files

NEW, OLD = "new-secret-0123456789", "old-secret-0123456789"


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with http_sink() as running:
        yield running


@asynccontextmanager
async def _open(url: str, **options: str) -> AsyncIterator[Destination]:
    destination = open_destination("hook", url, options)
    try:
        yield destination
    finally:
        await destination.aclose()


async def _post(url: str, **options: str) -> Outcome:
    async with _open(url, **options) as destination:
        [outcome] = await destination.send([message(1)])
    return outcome


class TestRequest:
    async def test_headers_and_body(self, sink: HttpSink) -> None:
        """The envelope is the body, and the event id the idempotency key."""
        assert await _post(sink.url + "?tenant=7") == Delivered()
        [request] = sink.received
        assert (request.method, request.target, request.body) == ("POST", "/hook?tenant=7", message(1).body)
        assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
        assert request.headers["idempotency-key"] == message(1).id
        assert "authorization" not in request.headers
        assert "x-receiver-signature" not in request.headers
        assert "traceparent" not in request.headers

    async def test_the_trace_is_a_header(self, sink: HttpSink) -> None:
        """Where events are traced, the consumer's framework goes on with it."""
        async with _open(sink.url) as destination:
            await destination.send([message(1, traceparent=TRACEPARENT)])
        [request] = sink.received
        assert request.headers["traceparent"] == TRACEPARENT

    async def test_every_secret_signs_newest_first(self, sink: HttpSink) -> None:
        """During a rotation a consumer verifies with either secret, whichever it has."""
        options = Options(secrets=(NEW.encode(), OLD.encode()))
        destination = HttpEndpoint("hook", httpx2.URL(sink.url), options, clock=lambda: 1_700_000_000.9)
        await destination.send([message(1)])
        await destination.aclose()
        [request] = sink.received
        header = request.headers["x-receiver-signature"]
        assert header.startswith("t=1700000000,v1=")
        assert header.count("t=") == 1
        for secret in (NEW, OLD):
            verify([header.encode()], request.body, secrets=[secret.encode()], now=1_700_000_000, mode="raw")
        newest = header.split(",")[1].removeprefix("v1=")
        verify(
            [f"t=1700000000,v1={newest}".encode()], request.body, secrets=[NEW.encode()], now=1_700_000_000
        )

    async def test_the_signature_header_can_be_renamed(self, sink: HttpSink) -> None:
        """`signature_header` names the header; the time in it is the present."""
        await _post(sink.url, secrets=f"{NEW}, {OLD}", signature_header="X-Ours")
        assert sink.received[0].headers["x-ours"].count("v1=") == 2

    async def test_bearer_token(self, sink: HttpSink) -> None:
        """`bearer_token` becomes the Authorization header."""
        await _post(sink.url, bearer_token="abc")
        assert sink.received[0].headers["authorization"] == "Bearer abc"

    async def test_userinfo_is_basic_authentication(self, sink: HttpSink) -> None:
        """User and password in the URL are decoded and sent as Basic, and are not part of the target."""
        await _post(sink.url.replace("//", "//me:p%40ss@"))
        assert sink.received[0].headers["authorization"] == "Basic bWU6cEBzcw=="

    async def test_no_url_is_logged(self, sink: HttpSink, caplog: pytest.LogCaptureFixture) -> None:
        """A webhook URL may itself be a secret, so no library below us logs it."""
        caplog.set_level(logging.INFO)
        await _post(sink.url + "?key=hunter2", bearer_token="hunter2hunter2")
        assert "hunter2" not in caplog.text

    async def test_environment_proxies_are_not_used(
        self, sink: HttpSink, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy in the environment does not get to see the events."""
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "")
        assert await _post(sink.url) == Delivered()


class TestOutcome:
    @pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
    async def test_2xx_is_delivered(self, sink: HttpSink, status: int) -> None:
        """Any success counts."""
        sink.answer = lambda _: Answer(status)
        assert await _post(sink.url) == Delivered()

    @pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 599])
    async def test_these_are_tried_again_when_asked(self, sink: HttpSink, status: int) -> None:
        """Passing troubles are Retry, after the wait that Retry-After names."""
        sink.answer = lambda _: Answer(status, {"Retry-After": "17"})
        outcome = await _post(sink.url)
        assert isinstance(outcome, Retry)
        assert outcome.after_s == 17

    async def test_a_date_counts_from_the_endpoints_own(self, sink: HttpSink) -> None:
        """How far its clock is from ours makes no difference."""
        dates = {"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After": "Sun, 06 Nov 1994 08:50:07 GMT"}
        sink.answer = lambda _: Answer(503, dates)
        outcome = await _post(sink.url)
        assert isinstance(outcome, Retry)
        assert outcome.after_s == 30

    @pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 407, 411, 413, 415, 421, 426, 451])
    async def test_verdicts_about_the_endpoint(self, sink: HttpSink, status: int) -> None:
        """An expired token, a missing route, a proxy's limit: no message's fault; the setting is named."""
        sink.answer = lambda _: Answer(status, {"Retry-After": "17"}, body=b"hunter2")
        outcome = await _post(sink.url)
        assert isinstance(outcome, Retry)
        assert outcome.after_s == 17
        assert f"answered {status}: " in outcome.error
        assert "RECEIVER_DESTINATIONS__HOOK__" in outcome.error
        assert "hunter2" not in outcome.error

    @pytest.mark.parametrize("status", [400, 410, 422])
    async def test_verdicts_about_the_message_are_final(self, sink: HttpSink, status: int) -> None:
        """The consumer refused this event for good."""
        sink.answer = lambda _: Answer(status, body=b"hunter2")
        outcome = await _post(sink.url)
        assert isinstance(outcome, GivenUp)
        assert str(status) in outcome.error
        assert "hunter2" not in outcome.error

    @pytest.mark.parametrize("status", [301, 302, 304, 307, 308])
    async def test_redirects_are_not_followed(self, sink: HttpSink, status: int) -> None:
        """An address is the operator's to change: Retry, naming the setting, with no second request."""
        sink.answer = lambda _: Answer(status, {"Location": sink.url + "/elsewhere"})
        outcome = await _post(sink.url)
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__HOOK__URL" in outcome.error
        assert len(sink.received) == 1

    async def test_something_else_than_http_is_a_retry(self) -> None:
        """A server that speaks another protocol is not an exception."""

        async def banner(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            writer.close()

        server = await asyncio.start_server(banner, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        outcome = await _post(f"http://127.0.0.1:{port}/")
        server.close()
        await server.wait_closed()
        assert isinstance(outcome, Retry)


class TestAnswer:
    async def test_a_short_answer_keeps_the_connection(self, sink: HttpSink) -> None:
        """Messages sent one after the other share a connection."""
        sink.answer = lambda _: Answer(200, body=b"thank you")
        async with _open(sink.url) as destination:
            for number in range(5):
                assert await destination.send([message(number)]) == [Delivered()]
        assert sink.connections == 1

    async def test_a_long_answer_is_cut(self, sink: HttpSink) -> None:
        """A body beyond 64 KiB is not read to its end; the status counts all the same."""
        sink.answer = lambda _: Answer(200, body=b"x" * 1_000_000)
        async with _open(sink.url) as destination:
            assert await destination.send([message(1)]) == [Delivered()]
            assert await destination.send([message(2)]) == [Delivered()]
        assert sink.connections == 2

    @pytest.mark.parametrize(("status", "kind"), [(503, Retry), (404, Retry), (302, Retry), (422, GivenUp)])
    async def test_how_a_refusal_begins_is_kept(self, sink: HttpSink, status: int, kind: type) -> None:
        """Its first 2 KiB, in however many parts it comes; the line for the operator has none of it."""
        sink.answer = lambda _: Answer(status, body=b"why " * 50_000)
        outcome = await _post(sink.url)
        assert isinstance(outcome, Retry | GivenUp)
        assert isinstance(outcome, kind)
        assert outcome.said == b"why " * 512
        assert "why" not in outcome.error

    async def test_an_answer_that_never_ends_does_not_hold_us_up(self, sink: HttpSink) -> None:
        """A body that stops half way costs a second, and the status counts all the same."""
        sink.answer = lambda _: Answer(200, {"Content-Length": "10"}, b"x")
        assert await asyncio.wait_for(_post(sink.url), timeout=8) == Delivered()
        sink.answer = lambda _: Answer(500, {"Content-Length": "10"}, b"half")
        outcome = await asyncio.wait_for(_post(sink.url), timeout=8)
        assert isinstance(outcome, Retry)
        assert outcome.said == b"half"


class TestSend:
    async def test_a_batch_is_sent_concurrently_up_to_the_limit(self, sink: HttpSink) -> None:
        """A full batch is in flight at once, over as many connections as the limit allows."""
        sink.may_answer.clear()
        async with _open(sink.url, concurrency="3") as destination:
            assert (destination.max_batch, destination.concurrency) == (1, 3)
            sending = asyncio.ensure_future(destination.send([message(number) for number in range(3)]))
            async with asyncio.timeout(15):
                while sink.connections < 3:  # noqa: ASYNC110  # a counter, not an event
                    await asyncio.sleep(0.01)
            sink.may_answer.set()
            assert await sending == [Delivered()] * 3
        assert sink.connections == 3

    async def test_outcomes_keep_the_order_of_the_batch(self, sink: HttpSink) -> None:
        """Each outcome belongs to the message in its place, whichever answer came first."""

        def answer(request: Received) -> Answer:
            return Answer(200 + int(request.headers["idempotency-key"][-1]) * 100)

        sink.answer = answer
        async with _open(sink.url) as destination:
            outcomes = await destination.send([message(number) for number in (3, 0, 2)])
        assert [type(outcome) for outcome in outcomes] == [Retry, Delivered, GivenUp]


class TestTls:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    async def tls_sink(self, authority: trustme.CA) -> AsyncIterator[HttpSink]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        async with http_sink(tls=context) as running:
            yield running

    async def test_an_unknown_authority_is_a_retry(self, tls_sink: HttpSink) -> None:
        """Certificates are checked against the system's authorities, and no event is sent before."""
        outcome = await _post(tls_sink.url)
        assert isinstance(outcome, Retry)
        assert tls_sink.received == []

    async def test_ca_file_adds_a_private_authority(
        self, tls_sink: HttpSink, authority: trustme.CA, tmp_path: Path
    ) -> None:
        """`ca_file` lets a private authority vouch for the endpoint."""
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        assert await _post(tls_sink.url, ca_file=str(tmp_path / "ca.pem")) == Delivered()

    async def test_a_client_certificate_is_shown_and_renewed(
        self, authority: trustme.CA, tmp_path: Path
    ) -> None:
        """`cert_file` and `key_file` are who we are; files that were replaced count after a refusal."""
        files = client_files(authority, tmp_path)
        async with http_sink(tls=asking(authority)) as sink:
            anonymous = await _post(sink.url, ca_file=files["ca_file"])
            assert await _post(sink.url, **files) == Delivered()
            client_files(trustme.CA(), tmp_path)  # of an authority that the endpoint does not know
            authority.cert_pem.write_to_path(tmp_path / "ca.pem")
            async with _open(sink.url, **files) as destination:
                [refused] = await destination.send([message(1)])
                client_files(authority, tmp_path)
                await destination.send([message(1)])
                assert await destination.send([message(1)]) == [Delivered()]
            in_the_clear = await _post(sink.url.replace("https:", "http:"))
        assert isinstance(anonymous, Retry)
        assert "__CERT_FILE" in anonymous.error or "certificate required" in anonymous.error
        assert isinstance(in_the_clear, Retry)
        assert "if it wants TLS, begin RECEIVER_DESTINATIONS__" in in_the_clear.error
        assert isinstance(refused, Retry)

    async def test_authorities_are_renewed(
        self, tls_sink: HttpSink, authority: trustme.CA, tmp_path: Path
    ) -> None:
        """An authority added to `ca_file` counts after a refusal; an unreadable file changes nothing."""
        ca_file = tmp_path / "ca.pem"
        trustme.CA().cert_pem.write_to_path(ca_file)
        async with _open(tls_sink.url, ca_file=str(ca_file)) as destination:
            assert isinstance((await destination.send([message(1)]))[0], Retry)
            ca_file.write_text("half a fi")
            assert isinstance((await destination.send([message(1)]))[0], Retry)
            authority.cert_pem.write_to_path(ca_file)
            await destination.send([message(1)])
            assert await destination.send([message(1)]) == [Delivered()]


class TestConnect:
    def test_a_bad_option_is_refused(self, subtests: pytest.Subtests) -> None:
        """Every option is checked at start, and the message names it without its value."""
        for option, value in (
            ("secrets", "hunter2"),
            ("secrets", f"{NEW},"),
            ("secrets", ""),
            ("signature_header", "X Ours"),
            ("signature_header", "X-Ours\r\nHost: hunter2"),
            ("bearer_token", "hunter2\r\nHost: x"),
            ("concurrency", "0"),
            ("timeout_s", "0"),
            ("ca_file", "/nonexistent"),
        ):
            with subtests.test(option=option):
                with pytest.raises(ConfigError) as refused:
                    open_destination("hook", "https://host/x", {option: value})
                assert f"RECEIVER_DESTINATIONS__HOOK__{option.upper()}" in str(refused.value)
                assert "hunter2" not in str(refused.value)

    def test_two_ways_to_authenticate_are_refused(self) -> None:
        """A bearer token and a password would overwrite each other."""
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__HOOK__BEARER_TOKEN"):
            open_destination("hook", "https://me:pw@host/x", {"bearer_token": "abc"})

    def test_a_queue_url_is_recognised(self) -> None:
        """An SQS queue URL without its `sqs:` is told apart from a webhook."""
        with pytest.raises(ConfigError, match="put `sqs:` in front"):
            open_destination("hook", "https://sqs.eu-west-1.amazonaws.com/123456789012/events", {})


class TestFormat:
    async def test_posts_what_a_chat_takes(self) -> None:
        """With a format the shape of the chat is posted as plain JSON, and that is what is signed."""
        secret = "0123456789abcdef"
        async with http_sink() as sink, _open(sink.url, format="slack", secrets=secret) as destination:
            [outcome] = await destination.send([message(1)])
        [received] = sink.received
        assert isinstance(outcome, Delivered)
        assert received.headers["content-type"] == "application/json"
        assert json.loads(received.body)["text"] == "generation.completed gen_1"
        signature = received.headers["x-receiver-signature"].encode()
        verify([signature], received.body, secrets=[secret.encode()], now=time.time(), mode="raw")

    def test_another_format_is_refused(self) -> None:
        """The message names the option and what it accepts."""
        with pytest.raises(ConfigError, match="FORMAT must be one of: cloudevents, slack, teams"):
            open_destination("chat", "https://h.example/x", {"format": "irc"})
