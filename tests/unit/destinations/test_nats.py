"""NATS JetStream: what is published, and what each refusal means."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import pytest
import trustme
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy

from receiver.destinations import open_destination
from receiver.destinations.nats import JetStream
from receiver.destinations.nats_connection import Connection
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Retry
from tests.messages import TRACEPARENT, TYPE, message
from tests.servers import nats as nats_servers
from tests.servers.nats import MAX_PAYLOAD, PASSWORD, READER, WRITER, NatsServer
from tests.servers.relay import client_files
from tests.servers.require import free_ports
from tests.servers.silent import silent_url
from tests.unit.destinations.consumers import consume
from tests.unit.destinations.sending import opened, send

_SEED = "SUAI7WRJR2WZD62T5OZF36IF7SAQ57TOKUXKYWCXQEYK6PGVW6SBEX2YDA"


def _creds(seed: str) -> str:
    return f"-----BEGIN NATS USER JWT-----\nx\n---\n-----BEGIN USER NKEY SEED-----\n{seed}\n---\n"


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    """Return a connection of the consumer's side."""
    async with await nats_server.client() as connected:
        yield connected


@pytest.fixture
async def subject(client: Client, nats_subject: str) -> str:
    """Return a subject that a stream of its own takes."""
    await _add_stream(client, nats_subject)
    return nats_subject


async def _add_stream(client: Client, subject: str, **config: Any) -> str:
    name = subject.replace(".", "-")
    await client.jetstream().add_stream(name=name, subjects=[subject], **config)
    return name


class TestConnect:
    def test_who_we_are(self) -> None:
        """A user with a password is a user, one without is a token, decoded either way."""
        for url, user, password, token in (
            ("nats://me:p%40ss@a", "me", "p@ss", None),
            ("nats://t%40ken@a", None, None, "t@ken"),
            ("nats://a", None, None, None),
        ):
            destination = open_destination("queue", url, {})
            assert isinstance(destination, JetStream)
            dialled = destination._dial_options
            assert (dialled["user"], dialled["password"], dialled["token"]) == (user, password, token)

    @pytest.mark.parametrize("subject", ["", "a..b", "a.", "a.*", "a.>", "$JS.API", "a b"])
    def test_a_subject_that_cannot_be_published_to_is_refused(self, subject: str) -> None:
        """Wildcards, empty words and the server's own subjects are mistakes, found at start."""
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__QUEUE__SUBJECT"):
            open_destination("queue", "nats://a", {"subject": subject})

    def test_credentials_need_their_library(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without `nkeys` a credentials file is refused at start, with the command that installs it."""
        (tmp_path / "user.creds").write_text(_creds(_SEED))
        monkeypatch.setattr("receiver.destinations.nats.find_spec", lambda _: None)
        with pytest.raises(ConfigError, match=r"CREDS_FILE .*pip install 'avs-receiver\[nats\]'"):
            open_destination("queue", "nats://a", {"creds_file": f"{tmp_path}/user.creds"})

    @pytest.mark.parametrize(
        "held", ["", "BEGIN NATS USER JWT", "hunter2", _creds("SUAhunter2"), _creds("x")]
    )
    def test_a_file_without_credentials_is_refused(self, tmp_path: Path, held: str) -> None:
        """Any other file is found at start: the library would look for the JWT in it for ever."""
        (tmp_path / "user.creds").write_text(held)
        with pytest.raises(ConfigError, match="CREDS_FILE must be") as refused:
            open_destination("queue", "nats://a", {"creds_file": f"{tmp_path}/user.creds"})
        assert "hunter2" not in str(refused.value)


class TestSend:
    async def test_what_a_message_is(self, nats_server: NatsServer, client: Client, subject: str) -> None:
        """The envelope is the data; id and attributes are headers; the receipt is stream and sequence."""
        outcomes = await send(nats_server.url, subject=subject)
        name = subject.replace(".", "-")
        assert outcomes == [Delivered(f"{name}:1")]
        got = await client.jetstream().get_msg(name, 1)
        assert got.data == message(1).body
        assert got.headers == {
            "Nats-Msg-Id": f"{message(1).id}/{subject}",
            "content-type": "application/cloudevents+json",
            "ce-id": message(1).id,
            "ce-source": "urn:aivisualstudio:photoverse",
            "ce-type": TYPE,
            "ce-subject": "gen_1",
        }

    async def test_the_trace_is_a_header(self, nats_server: NatsServer, client: Client, subject: str) -> None:
        """Where events are traced, consumers' tracing finds it where it looks for it."""
        async with opened(nats_server.url, subject=subject) as destination:
            await destination.send([message(1, traceparent=TRACEPARENT)])
        got = await client.jetstream().get_msg(subject.replace(".", "-"), 1)
        assert (got.headers or {})["traceparent"] == TRACEPARENT

    async def test_the_stream_drops_a_repetition(
        self, nats_server: NatsServer, client: Client, subject: str
    ) -> None:
        """An event sent again is delivered, and there once."""
        for _ in range(2):
            [outcome] = await send(nats_server.url, subject=subject)
            assert isinstance(outcome, Delivered)
        assert (await client.jetstream().stream_info(subject.replace(".", "-"))).state.messages == 1

    async def test_one_stream_takes_an_event_of_each_destination(
        self, nats_server: NatsServer, client: Client, nats_subject: str
    ) -> None:
        """An id is known to a whole stream: under another subject, an event is no repetition."""
        subjects = [f"{nats_subject}.all", f"{nats_subject}.ads"]
        await client.jetstream().add_stream(name="shared", subjects=[f"{nats_subject}.>"])
        for each in subjects:
            await send(nats_server.url, subject=each)
        held = [(await client.jetstream().get_msg("shared", number)).subject for number in (1, 2)]
        assert held == subjects

    async def test_a_missing_stream_is_named_and_loses_nothing(
        self, nats_server: NatsServer, client: Client, nats_subject: str
    ) -> None:
        """Without a stream it is a Retry with the setting and the command; with one it works."""
        async with opened(nats_server.url, subject=nats_subject) as destination:
            [outcome] = await destination.send([message(1)])
            assert isinstance(outcome, Retry)
            assert "RECEIVER_DESTINATIONS__QUEUE__SUBJECT" in outcome.error
            assert f"nats stream add RECEIVER --subjects {nats_subject}" in outcome.error
            await _add_stream(client, nats_subject)
            [outcome] = await destination.send([message(1)])
            assert isinstance(outcome, Delivered)

    async def test_what_others_reply_is_no_acknowledgement(
        self, nats_server: NatsServer, client: Client, nats_subject: str
    ) -> None:
        """Whoever else hears the subject may reply what he likes: only the stream's word counts."""
        told = [b"", b"thanks", b"[]", b"null", b'{"ok": true}', b'{"error": "no"}', b'{"stream": "x"}']
        told += [b'{"error": {"code": 400}}', b'{"stream": 1, "seq": 1}', b'{"stream": "x", "seq": true}']

        async def reply(heard: Msg) -> None:
            for each in told:
                await client.publish(heard.reply, each)

        await client.subscribe(nats_subject, cb=reply)
        await client.flush()
        [alone] = await send(nats_server.url, subject=nats_subject, timeout_s="0.5")
        assert isinstance(alone, Retry)
        assert "or no stream with a quorum takes" in alone.error
        name = await _add_stream(client, nats_subject)
        assert await send(nats_server.url, 1, 2, subject=nats_subject) == [
            Delivered(f"{name}:1"),
            Delivered(f"{name}:2"),
        ]

    @pytest.mark.parametrize("told", [{"streams": 5}, {"streams": {}}, {"streams": [7]}, {"config": 1}])
    async def test_what_others_reply_about_the_stream(
        self,
        nats_server: NatsServer,
        client: Client,
        nats_subject: str,
        told: dict[str, object],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Nor does it matter what anybody else says to our questions about the stream."""

        async def ask(*_: object) -> dict[str, object]:  # the server answers sooner than any subscriber
            return told

        monkeypatch.setattr(Connection, "_ask", ask)
        name = await _add_stream(client, nats_subject)
        assert await send(nats_server.url, subject=nats_subject) == [Delivered(f"{name}:1")]

    async def test_a_stream_that_never_acknowledges_is_refused_at_start(
        self, nats_server: NatsServer, client: Client, nats_subject: str
    ) -> None:
        """With `no_ack` nothing is sent, where each attempt would store the event once more."""
        name = await _add_stream(client, nats_subject, no_ack=True)
        [outcome] = await send(nats_server.url, subject=nats_subject)
        assert isinstance(outcome, Retry)
        assert f"the stream '{name}' acknowledges nothing (no_ack)" in outcome.error
        assert "RECEIVER_DESTINATIONS__QUEUE__SUBJECT" in outcome.error
        assert (await client.jetstream().stream_info(name)).state.messages == 0

    async def test_a_file_of_wrong_credentials_is_named(
        self, nats_server: NatsServer, tmp_path: Path
    ) -> None:
        """Credentials that the server refuses, and a file that went bad, name the file's setting."""
        (tmp_path / "user.creds").write_text(_creds(_SEED))
        url = f"nats://127.0.0.1:{nats_server.port}"
        async with opened(url, creds_file=f"{tmp_path}/user.creds") as destination:
            [refused] = await destination.send([message(1)])
            (tmp_path / "user.creds").write_text("hunter2")
            [bad] = await destination.send([message(1)])
        for outcome in (refused, bad):
            assert isinstance(outcome, Retry)
            assert "RECEIVER_DESTINATIONS__QUEUE__CREDS_FILE" in outcome.error
            assert "hunter2" not in outcome.error

    async def test_a_full_stream_is_a_retry(
        self, nats_server: NatsServer, client: Client, nats_subject: str
    ) -> None:
        """What a full stream refuses is tried again; what it took is delivered."""
        await _add_stream(client, nats_subject, max_msgs=2, discard=DiscardPolicy.NEW)
        outcomes = await send(nats_server.url, 1, 2, 3, subject=nats_subject)
        assert [type(each) for each in outcomes] == [Delivered, Delivered, Retry]
        assert isinstance(outcomes[2], Retry)
        assert "maximum messages exceeded" in outcomes[2].error

    async def test_headers_count_towards_the_limit(self, nats_server: NatsServer, subject: str) -> None:
        """A body that fits exactly does not with its headers: given up, and the connection is not lost."""
        overhead = len(message(2).body) - len("a lighthouse in fog, ü 🎉".encode())
        big = message(2, prompt="x" * (MAX_PAYLOAD - overhead))
        assert len(big.body) == MAX_PAYLOAD
        async with opened(nats_server.url, subject=subject) as destination:
            one, outcome, three = await destination.send([message(1), big, message(3)])
        assert isinstance(one, Delivered)
        assert isinstance(three, Delivered)
        assert isinstance(outcome, GivenUp)
        assert f"{MAX_PAYLOAD} at most (max_payload)" in outcome.error

    async def test_a_user_without_the_right_is_told_at_once(
        self, nats_server: NatsServer, subject: str
    ) -> None:
        """The server says so aside and never answers; we wait no longer, and name user and subject."""
        started = time.monotonic()
        [outcome] = await send(nats_server.url_of(READER, PASSWORD), subject=subject, timeout_s="30")
        assert time.monotonic() - started < 10
        assert isinstance(outcome, Retry)
        assert "permissions violation" in outcome.error
        assert "__QUEUE__URL" in outcome.error
        assert "__QUEUE__SUBJECT" in outcome.error

    async def test_the_documented_rights_are_enough(self, nats_server: NatsServer, subject: str) -> None:
        """A user who may publish to the subject and hear the acknowledgements needs nothing else."""
        [outcome] = await send(nats_server.url_of(WRITER, PASSWORD), subject=subject)
        assert isinstance(outcome, Delivered)

    async def test_the_first_server_that_answers_is_taken(
        self, nats_server: NatsServer, subject: str
    ) -> None:
        """A server of the cluster that is down costs nothing."""
        dead = free_ports(1)[0]
        url = nats_server.url.replace("127.0.0.1", f"127.0.0.1:{dead},127.0.0.1")
        for _ in range(4):  # the order is random
            assert all(isinstance(each, Delivered) for each in await send(url, subject=subject))

    async def test_a_server_that_does_not_greet_is_told_apart(self) -> None:
        """A port where nothing is said may be anything but NATS: the reason names the URL."""
        with silent_url() as url:
            [outcome] = await send(url.replace("http", "nats"), timeout_s="0.3")
        assert isinstance(outcome, Retry)
        assert "sent no greeting" in outcome.error
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error

    async def test_a_cluster_that_is_down_is_a_retry_at_once(self) -> None:
        """Refused connections are not waited for, and the reason is the connection's."""
        started = time.monotonic()
        [outcome] = await send(f"nats://127.0.0.1:{free_ports(1)[0]}", timeout_s="30")
        assert time.monotonic() - started < 10
        assert isinstance(outcome, Retry)
        assert "ConnectionRefusedError" in outcome.error

    async def test_batches_share_one_connection(self, nats_server: NatsServer, subject: str) -> None:
        """Several sends at once dial once."""
        async with opened(nats_server.url, subject=subject) as destination:
            assert isinstance(destination, JetStream)
            await asyncio.gather(*(destination.send([message(number)]) for number in range(5)))
            connection = destination._connection
            await destination.send([message(5)])
            assert destination._connection is connection

    async def test_the_documented_consumer_handles_a_repeat_once(
        self, nats_server: NatsServer, client: Client, nats_subject: str
    ) -> None:
        """The example of the page acts on each id once, also past the stream's own window."""
        await _add_stream(client, nats_subject, duplicate_window=0.1)
        await send(nats_server.url, 1, 2, subject=nats_subject)
        stream = client.jetstream()
        deadline = time.monotonic() + 10
        while (await stream.stream_info(nats_subject.replace(".", "-"))).state.messages < 3:
            assert time.monotonic() < deadline, "the window never ended"
            await send(nats_server.url, 1, subject=nats_subject)
        subscription = await stream.pull_subscribe(nats_subject, "worker")
        handled = await consume("nats.md", subscription=subscription)
        assert [event["id"] for event in handled] == [message(1).id, message(2).id]


class TestTls:
    @pytest.fixture
    async def authority(self) -> trustme.CA:
        return trustme.CA()

    async def test_it_is_verified(self, tmp_path: Path, authority: trustme.CA) -> None:
        """A server is trusted by its authority alone; `nats:` too encrypts when the server asks for it."""
        certificate = authority.issue_cert("127.0.0.1")
        certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        tls = {"cert_file": f"{tmp_path}/cert.pem", "key_file": f"{tmp_path}/key.pem"}
        server = nats_servers.start(tmp_path, tls=tls)
        try:
            async with await nats.connect(server.url, tls=_trusting(authority)) as client:
                await _add_stream(client, "receiver.events")
            for scheme in ("nats", "nats+tls"):
                url = server.url.replace("nats:", f"{scheme}:")
                [stranger] = await send(url)
                [known] = await send(url, ca_file=f"{tmp_path}/ca.pem")
                assert isinstance(stranger, Retry)
                assert "SSLCertVerificationError" in stranger.error
                assert isinstance(known, Delivered)
        finally:
            server.kill()

    async def test_who_we_are(self, tmp_path: Path, authority: trustme.CA) -> None:
        """A server that asks for a certificate gets ours, and who shows none is told so."""
        files = client_files(authority, tmp_path)
        certificate = authority.issue_cert("127.0.0.1")
        certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        tls = {"cert_file": f"{tmp_path}/cert.pem", "key_file": f"{tmp_path}/key.pem"}
        server = nats_servers.start(tmp_path, tls=tls | {"ca_file": files["ca_file"], "verify": True})
        try:
            [anonymous] = await send(server.url, ca_file=files["ca_file"])
            [known] = await send(server.url, **files)
        finally:
            server.kill()
        assert isinstance(anonymous, Retry)
        assert "set RECEIVER_DESTINATIONS__QUEUE__CERT_FILE" in anonymous.error
        assert isinstance(known, Retry)
        assert "no stream takes" in known.error

    async def test_credentials_stay_here_without_it(self) -> None:
        """A server that offers no TLS learns nothing from `nats+tls:`, and the Retry says why."""
        heard: list[bytes] = []

        async def offer_none(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b'INFO {"max_payload": 1048576}\r\n')
            heard.append(await reader.read())
            writer.close()

        server = await asyncio.start_server(offer_none, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        [outcome] = await send(f"nats+tls://me:hunter2@127.0.0.1:{port}")
        server.close()
        await server.wait_closed()
        assert isinstance(outcome, Retry)
        assert "no TLS" in outcome.error
        assert b"".join(heard) == b""


def _trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
