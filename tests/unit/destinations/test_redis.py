"""Redis streams: entries, and what each refusal of the server means."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest
import redis.asyncio
import trustme

from receiver.destinations import Destination, open_destination
from receiver.destinations.options import Cluster
from receiver.destinations.redis import RedisStream, Target
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, Outcome, Retry
from tests.messages import message
from tests.servers.relay import asking, client_files, relayed
from tests.servers.require import free_ports
from tests.servers.valkey import ValkeyPair, ValkeyServer, cluster, holder, move_slot, moving_slot, sentinel


@asynccontextmanager
async def _open(url: str, **options: str) -> AsyncIterator[Destination]:
    destination = open_destination("stream", url, options)
    try:
        yield destination
    finally:
        await destination.aclose()


@pytest.fixture
async def server(valkey_server: ValkeyServer) -> AsyncIterator[Any]:
    """Return a client of an empty server; untyped, because the driver types sync and async answers as one."""
    async with redis.asyncio.Redis.from_url(valkey_server.url, protocol=2, decode_responses=True) as client:
        await client.flushall()
        yield client


class TestConnect:
    def test_the_query_and_the_variables_are_the_same_options(self) -> None:
        """`?stream=` is an option too, and a variable wins over it."""
        url = "redis://host/0?stream=from-url&maxlen=5"
        destination = open_destination("stream", url, {"STREAM": "from-variable"})
        assert isinstance(destination, RedisStream)
        assert (destination._options.stream, destination._options.maxlen) == ("from-variable", 5)

    def test_credentials_are_decoded(self) -> None:
        """A password with reserved characters is written percent-encoded."""
        destination = open_destination("stream", "redis://me:p%40ss%2F@host:7000/3", {})
        assert isinstance(destination, RedisStream)
        assert destination._target == Target("", False, "", 3, Cluster(("host:7000",), "me", "p@ss/", {}))
        assert destination._target.addresses == [("host", 7000)]

    def test_sentinels_and_clusters(self) -> None:
        """Several servers stand in one URL; Sentinels also have a name for the primary."""
        sentinel = open_destination("stream", "rediss+sentinel://me:pw@a,b:1/main/2?stream=x", {})
        cluster = open_destination("stream", "redis+cluster://[::1],b:7001", {})
        assert isinstance(sentinel, RedisStream)
        assert isinstance(cluster, RedisStream)
        servers = Cluster(("a:26379", "b:1"), "me", "pw", {"stream": "x"})
        assert sentinel._target == Target("sentinel", True, "main", 2, servers)
        assert sentinel._target.addresses == [("a", 26379), ("b", 1)]
        assert cluster._target.addresses == [("::1", 6379), ("b", 7001)]

    @pytest.mark.parametrize(
        "url",
        ["redis://a,b/0", "redis+sentinel://a", "redis+cluster://a/1", "redis://a/x", "redis+cluster:///0"],
    )
    def test_a_url_that_leads_nowhere_is_refused(self, url: str) -> None:
        """The message shows what such a URL looks like."""
        with pytest.raises(
            ConfigError, match=r"STREAM__URL must look like redis(\+\w+)?://user:password@host"
        ):
            open_destination("stream", url, {})

    @pytest.mark.parametrize(
        ("option", "value"),
        [("maxlen", "0"), ("stream", ""), ("stram", "x"), ("wait", "0"), ("wait_timeout_s", "10")],
    )
    def test_a_bad_option_is_refused(self, option: str, value: str) -> None:
        """Every option is checked at start, and the message names it."""
        with pytest.raises(ConfigError, match=f"RECEIVER_DESTINATIONS__STREAM__{option.upper()}"):
            open_destination("stream", "redis://host/0", {option: value})


class TestSend:
    async def test_fields_of_an_entry(self, valkey_server: ValkeyServer, server: Any) -> None:
        """An entry holds id, type, subject and the envelope, and its stream id is the receipt."""
        async with _open(valkey_server.url) as destination:
            [outcome] = await destination.send([message(1)])
        entries = await server.xrange("receiver:events")
        assert outcome == Delivered(entries[0][0])
        assert entries[0][1] == {
            "id": message(1).id,
            "type": message(1).type,
            "subject": "gen_1",
            "event": message(1).body.decode(),
        }

    async def test_maxlen_trims_the_stream(self, valkey_server: ValkeyServer, server: Any) -> None:
        """`maxlen` keeps the stream near that length."""
        async with _open(valkey_server.url, maxlen="10") as destination:
            await destination.send([message(number) for number in range(500)])
        assert 10 <= await server.xlen("receiver:events") < 500

    async def test_a_key_of_another_type_is_named(self, valkey_server: ValkeyServer, server: Any) -> None:
        """A key that is no stream is a Retry naming the key and the setting."""
        await server.set("taken", "x")
        async with _open(valkey_server.url, stream="taken") as destination:
            [outcome] = await destination.send([message(1)])
        assert isinstance(outcome, Retry)
        assert "'taken'" in outcome.error
        assert "RECEIVER_DESTINATIONS__STREAM__STREAM" in outcome.error

    async def test_a_full_server_is_a_retry(self, valkey_server: ValkeyServer, server: Any) -> None:
        """Out of memory is the server's trouble: the event is kept until there is room."""
        async with _open(valkey_server.url) as destination:
            await server.config_set("maxmemory", "1")
            try:
                [outcome] = await destination.send([message(1)])
            finally:
                await server.config_set("maxmemory", "0")
            assert isinstance(outcome, Retry)
            assert "used memory > 'maxmemory'" in outcome.error
            assert isinstance((await destination.send([message(1)]))[0], Delivered)

    async def test_a_replica_is_a_retry(self, valkey_server: ValkeyServer, server: Any) -> None:
        """A read-only replica, as during a failover, is a Retry."""
        async with _open(valkey_server.url) as destination:
            await server.replicaof("127.0.0.1", 9)
            try:
                [outcome] = await destination.send([message(1)])
            finally:
                await server.replicaof("NO", "ONE")
            assert isinstance((await destination.send([message(2)]))[0], Delivered)
        assert isinstance(outcome, Retry)
        assert "read only" in outcome.error

    async def test_a_server_that_refused_is_dialled_anew(self, valkey_pair: ValkeyPair) -> None:
        """Behind one name, what a demoted primary refuses the new one gets, whatever was connected before."""
        old, new = valkey_pair.replica, valkey_pair.primary
        old.ask(b"REPLICAOF NO ONE")
        async with relayed(old.port) as relay, _open(f"redis://127.0.0.1:{relay.port}/0") as destination:
            both = await asyncio.gather(destination.send([message(1)]), destination.send([message(2)]))
            assert all(isinstance(each, Delivered) for [each] in both)
            relay.target = new.port
            old.ask(f"REPLICAOF 127.0.0.1 {new.port}".encode())
            [refused] = await destination.send([message(3)])
            both = await asyncio.gather(destination.send([message(3)]), destination.send([message(4)]))
        assert isinstance(refused, Retry)
        assert all(isinstance(each, Delivered) for [each] in both)

    async def test_a_missing_password_names_the_url(self, valkey_server: ValkeyServer, server: Any) -> None:
        """NOAUTH for a whole batch leaves nothing unread on the connection that the next batch could get."""
        async with _open(valkey_server.url) as destination:
            await server.config_set("requirepass", "hunter2")
            try:
                outcomes = await destination.send([message(1), message(2)])
            finally:
                await server.config_set("requirepass", "")
            assert all(isinstance(each, Retry) and "__URL" in each.error for each in outcomes)
            [late] = await destination.send([message(3)])
        assert isinstance(late, Delivered)
        entries = await server.xrange("receiver:events")
        assert [entry["id"] for _, entry in entries] == [message(3).id]

    async def test_a_user_without_the_right_is_named(self, valkey_server: ValkeyServer, server: Any) -> None:
        """A user who may not XADD is the operator's to correct, and no event is lost."""
        await server.execute_command("ACL", "SETUSER", "reader", "on", ">hunter2", "~*", "+xrange")
        url = valkey_server.url.replace("//", "//reader:hunter2@")
        try:
            async with _open(url) as destination:
                [outcome] = await destination.send([message(1)])
        finally:
            await server.execute_command("ACL", "DELUSER", "reader")
        assert isinstance(outcome, Retry)
        assert "XADD" in outcome.error
        assert "hunter2" not in outcome.error

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            (b"+OK", "is not Redis"),
            (b":5", "is not Redis"),
            (b"$-1", "is not Redis"),
            (b"*0", "is not Redis"),
            (b"-ERR max number of clients reached", "takes no more connections"),
            (b"-MASTERDOWN Link with MASTER is down", "Link with MASTER is down"),
            (b"-", "refused the entry"),
            (b"HTTP/1.1 400 Bad Request", "could not be reached"),
        ],
    )
    async def test_an_answer_that_names_no_entry_is_a_retry(self, answer: bytes, why: str) -> None:
        """Only the id of an entry confirms it, and a connection that told anything else is left."""
        dialled = 0

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal dialled
            dialled += 1
            with suppress(OSError, asyncio.IncompleteReadError):
                while words := int((await reader.readuntil(b"\n"))[1:]):
                    command = [
                        (await reader.readuntil(b"\n"), await reader.readuntil(b"\n"))[1]
                        for _ in range(words)
                    ]
                    writer.write((answer if command[0] == b"XADD\r\n" else b"+OK") + b"\r\n")
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        async with server, _open(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}") as destination:
            for _ in range(2):
                [outcome] = await destination.send([message(1)])
                assert isinstance(outcome, Retry)
                assert why in outcome.error
        assert dialled == 2

    async def test_a_batch_is_written_once(self) -> None:
        """When the connection breaks before the answer, nothing below us sends the batch again."""
        commands: list[bytes] = []

        async def hang_up_on_xadd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while (chunk := await reader.read(65536)) and b"XADD" not in chunk:
                writer.write(b"+OK\r\n" * chunk.count(b"*"))
            commands.append(chunk)
            writer.close()

        server = await asyncio.start_server(hang_up_on_xadd, "127.0.0.1", 0)
        async with _open(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0") as destination:
            [outcome] = await destination.send([message(1)])
        server.close()
        await server.wait_closed()
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__STREAM__URL" in outcome.error
        assert b"".join(commands).count(b"XADD") == 1


class TestWait:
    async def test_a_replica_that_has_it_is_enough(self, valkey_pair: ValkeyPair) -> None:
        """With `wait`, an entry counts once so many replicas have it, and they do."""
        valkey_pair.join()
        async with _open(valkey_pair.primary.url, wait="1", stream="wait:enough") as destination:
            outcomes = await destination.send([message(1), message(2)])
        assert all(isinstance(outcome, Delivered) for outcome in outcomes)
        assert await _length(valkey_pair.replica, "wait:enough") == 2

    async def test_too_few_replicas_are_a_retry(self, valkey_pair: ValkeyPair) -> None:
        """One replica is not two, and the error says so within its own time, naming the setting."""
        valkey_pair.join()
        options = {"wait": "2", "wait_timeout_s": "0.2", "stream": "wait:few"}
        async with _open(valkey_pair.primary.url, **options) as destination:
            [outcome] = await destination.send([message(1)])
        told = "1 of 2 replicas had the entry after 0.2 s (RECEIVER_DESTINATIONS__STREAM__WAIT)"
        assert outcome == Retry(told)

    async def test_a_frozen_replica_is_a_retry_until_it_is_back(self, valkey_pair: ValkeyPair) -> None:
        """A replica that stays behind holds deliveries up; what it missed counts once it has it."""
        valkey_pair.join()
        options = {"wait": "1", "wait_timeout_s": "0.3", "stream": "wait:frozen"}
        async with _open(valkey_pair.primary.url, **options) as destination:
            valkey_pair.replica.freeze()
            try:
                outcomes = await destination.send([message(1), message(2)])
            finally:
                valkey_pair.replica.thaw()
            assert all(isinstance(each, Retry) and "0 of 1" in each.error for each in outcomes)
            valkey_pair.join()
            outcomes = await destination.send([message(1), message(2)])
        assert all(isinstance(outcome, Delivered) for outcome in outcomes)

    async def test_without_wait_a_frozen_replica_does_not_matter(self, valkey_pair: ValkeyPair) -> None:
        """The primary's word is enough unless asked for more."""
        valkey_pair.join()
        valkey_pair.replica.freeze()
        try:
            async with _open(valkey_pair.primary.url, stream="wait:without") as destination:
                assert isinstance((await destination.send([message(1)]))[0], Delivered)
        finally:
            valkey_pair.replica.thaw()

    async def test_a_user_without_the_right_is_named(self, valkey_server: ValkeyServer, server: Any) -> None:
        """A user who may XADD and not WAIT is told what is missing, and no event is lost."""
        await server.execute_command("ACL", "SETUSER", "writer", "on", ">hunter2", "~*", "+xadd")
        try:
            async with _open(valkey_server.url.replace("//", "//writer:hunter2@"), wait="1") as destination:
                [outcome] = await destination.send([message(1)])
        finally:
            await server.execute_command("ACL", "DELUSER", "writer")
        assert isinstance(outcome, Retry)
        assert "XADD and WAIT" in outcome.error


async def _length(server: ValkeyServer, stream: str) -> int:
    async with redis.asyncio.Redis.from_url(server.url, protocol=2) as client:
        return int(await client.xlen(stream))


async def _send(url: str, **options: str) -> Sequence[Outcome]:
    async with _open(url, **options) as destination:
        return await destination.send([message(1)])


class TestSentinel:
    async def test_the_primary_of_now_is_found(self, valkey_pair: ValkeyPair, tmp_path: Path) -> None:
        """Sentinels are asked at each dial: a failover costs one attempt, and silent Sentinels none."""
        valkey_pair.join()
        with sentinel(tmp_path, valkey_pair.primary, "main") as port:
            url = f"redis+sentinel://127.0.0.1:{free_ports(1)[0]},127.0.0.1:{port}/main"
            async with _open(url, stream="by:sentinel") as destination:
                assert isinstance((await destination.send([message(1)]))[0], Delivered)
            [unknown] = await _send(url.replace("main", "other"))
        assert await _length(valkey_pair.primary, "by:sentinel") == 1
        assert unknown == Retry(
            "no Sentinel knows a primary called 'other' (RECEIVER_DESTINATIONS__STREAM__URL)"
        )


class TestCluster:
    async def test_the_node_that_has_the_stream_is_found(self, tmp_path: Path) -> None:
        """Any node will do to begin with, dead ones cost nothing, and a slot that moves is followed."""
        with cluster(tmp_path) as (one, other):
            seeds = f"127.0.0.1:{free_ports(1)[0]},127.0.0.1:{one.port},127.0.0.1:{other.port}"
            for seed in (one.port, other.port):
                async with _open(f"redis+cluster://127.0.0.1:{seed}") as destination:
                    assert isinstance((await destination.send([message(1)]))[0], Delivered)
            async with _open(f"redis+cluster://{seeds}") as destination:
                assert isinstance((await destination.send([message(2)]))[0], Delivered)
                move_slot("receiver:events", (one, other))
                assert isinstance((await destination.send([message(3)]))[0], Delivered)
            lost = [await _send(f"redis://127.0.0.1:{each.port}") for each in (one, other)]
        assert sorted(type(each).__name__ for [each] in lost) == ["Delivered", "Retry"]
        assert any(
            "begin the URL with redis+cluster:" in each.error for [each] in lost if isinstance(each, Retry)
        )

    async def test_a_slot_on_its_way_is_followed(self, tmp_path: Path) -> None:
        """While the slot moves, the stream is written to where it is, in order and once."""
        with cluster(tmp_path) as (one, other):
            async with _open(f"redis+cluster://127.0.0.1:{one.port},127.0.0.1:{other.port}") as destination:
                assert isinstance((await destination.send([message(1)]))[0], Delivered)
                with moving_slot("receiver:events", (one, other)):
                    sent = [*await destination.send([message(2), message(3)])]
                    sent += await destination.send([message(4)])
                sent += await destination.send([message(5)])
            now = holder("receiver:events", (one, other))
            async with redis.asyncio.Redis.from_url(now.url, protocol=2) as client:
                entries = cast("list[Any]", await client.xrange("receiver:events"))
        assert [type(each) for each in sent] == [Delivered] * 4
        assert [fields[b"subject"] for _, fields in entries] == [b"gen_%d" % number for number in range(1, 6)]


class TestTls:
    async def test_why_it_failed_and_who_we_are(
        self, valkey_server: ValkeyServer, server: Any, tmp_path: Path
    ) -> None:
        """A server that wants a certificate gets ours; whatever does not fit is told in words."""
        ca = trustme.CA()
        files = client_files(ca, tmp_path)
        async with relayed(valkey_server.port, tls=asking(ca)) as relay:
            url = f"rediss://127.0.0.1:{relay.port}/0"
            assert isinstance((await _send(url, **files))[0], Delivered)
            [stranger] = await _send(url)
            [anonymous] = await _send(url, ca_file=files["ca_file"])
            [plain] = await _send(url.replace("rediss", "redis"))
        assert isinstance(stranger, Retry)
        assert isinstance(anonymous, Retry)
        assert "SSLCertVerificationError: " in stranger.error
        assert "__CERT_FILE" in anonymous.error or "certificate required" in anonymous.error
        assert isinstance(plain, Retry)
        assert "begin RECEIVER_DESTINATIONS__STREAM__URL with rediss:" in plain.error
