"""The ten promises of docs/architecture.md, each kept by real processes."""

import hashlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from receiver.client import Client, OutcomeUnknown
from receiver.signatures import sign
from receiver.store.engine import connect
from tests.acceptance.service import MORTAL, SECRET, Service, completed, failed, kill, service
from tests.answer import Answer
from tests.servers.assets import PNG, AssetHost, serving
from tests.servers.postgres import PostgresServer, add_database
from tests.servers.require import free_ports
from tests.servers.silent import silent_url
from tests.waiting.blocking import until


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Service]:
    with service(tmp_path) as offered:
        yield offered


def accepted_id(answer: Answer) -> str:
    """Return the event id of a 200."""
    assert answer.status == 200, answer
    return str(answer.json["event_id"])


class TestInvariant1:
    def test_answer_leaves_after_the_commit(self, receiver: Service) -> None:
        """A 2xx leaves only after the row is on disk: a process killed before answering has committed."""
        process = receiver.start("web", crash_at="commit")
        with pytest.raises((OSError, HTTPException)):
            receiver.deliver(completed("gen_1", None))
        process.wait()
        assert receiver.rows("SELECT generation_id FROM event") == [("gen_1",)]

    def test_every_commit_reaches_the_disk(self, receiver: Service) -> None:
        """SQLite runs with synchronous=FULL: each accepted delivery costs at least one fsync of the log."""
        process = receiver.start("web")
        receiver.deliver(completed("gen_1", None))
        assert process.poll() is None
        engine = connect(f"sqlite:///{receiver.folder}/receiver.db")
        with engine.begin() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        engine.dispose()


class TestInvariant2:
    def test_a_failing_store_is_503_and_the_retry_is_accepted(
        self, tmp_path: Path, doomed_postgres_server: PostgresServer
    ) -> None:
        """A fault of ours is 503 with Retry-After; once the store is back the same delivery is accepted."""
        postgres = doomed_postgres_server
        with service(tmp_path, RECEIVER_DATABASE_URL=add_database(postgres)) as receiver:
            receiver.run("migrate")
            receiver.start("web")
            assert receiver.deliver(completed("gen_1", None)).status == 200
            postgres.kill()
            refused = receiver.deliver(completed("gen_2", None))
            ready = receiver.request("GET", "/readyz")
            postgres.start()
            again = until(lambda: (a := receiver.deliver(completed("gen_2", None))).status == 200 and a)
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert ready.status == 503
        assert isinstance(again, Answer)
        assert again.json["status"] == "accepted"


class TestInvariant3:
    def test_fifty_parallel_copies_make_one_event(self, receiver: Service) -> None:
        """Fifty copies of one delivery at once: one is accepted, the others name its event."""
        receiver.start()
        body = failed("gen_1")
        with ThreadPoolExecutor(50) as threads:
            answers = list(threads.map(lambda _: receiver.deliver(body), range(50)))
        assert {answer.status for answer in answers} == {200}
        assert sorted(answer.json["status"] for answer in answers) == ["accepted"] + ["duplicate"] * 49
        assert len({answer.json["event_id"] for answer in answers}) == 1
        assert receiver.rows("SELECT repeats FROM event") == [(49,)]

    def test_completed_is_final(self, receiver: Service) -> None:
        """A failure after the completion is late and never forwarded; before it, both are."""
        receiver.start()
        told = [failed("gen_a"), completed("gen_a", None), completed("gen_b", None), failed("gen_b")]
        answers = [receiver.deliver(body).json["status"] for body in told]
        assert answers == ["accepted", "accepted", "accepted", "late"]
        until(lambda: len(receiver.messages()) == 3)
        last = accepted_id(receiver.deliver(failed("gen_c")))
        until(lambda: receiver.forwarded(last))
        assert len(receiver.messages()) == 4

    def test_dedupe_outlives_a_restart(self, receiver: Service) -> None:
        """The first event's id is given after a restart too."""
        process = receiver.start()
        first = accepted_id(receiver.deliver(failed("gen_1")))
        kill(process)
        receiver.start()
        assert receiver.deliver(failed("gen_1")).json == {"status": "duplicate", "event_id": first}


class TestInvariant4:
    def test_forwarded_with_the_mirrored_asset(self, receiver: Service, asset_host: AssetHost) -> None:
        """The message goes out once the asset is in the bucket, and says where and what it is."""
        receiver.start()
        event_id = accepted_id(receiver.deliver(completed("gen_1", f"{asset_host.url}/a.webp?sig=x")))
        (message,) = until(lambda: receiver.forwarded(event_id))
        asset = message["data"]["asset"]
        stored = Path(urlsplit(asset["url"]).path)
        assert stored == receiver.folder / "assets/photoverse/image/2025/01/09/gen_1.png"
        assert stored.read_bytes() == PNG
        assert (asset["content_type"], asset["size_bytes"]) == ("image/png", len(PNG))
        assert asset["sha256"] == hashlib.sha256(PNG).hexdigest()

    def test_forwarded_without_the_asset_when_it_is_gone(
        self, receiver: Service, asset_host: AssetHost
    ) -> None:
        """An asset that is gone for good does not hold the event back; the reason is in the message."""
        asset_host.status = 410
        receiver.start()
        event_id = accepted_id(receiver.deliver(completed("gen_1", f"{asset_host.url}/a.png")))
        (message,) = until(lambda: receiver.forwarded(event_id))
        assert message["data"]["asset"]["status"] == "failed"
        assert message["data"]["asset"]["error"] == "expired"

    def test_waits_for_an_asset_that_may_come(self, receiver: Service) -> None:
        """While the file may still come or appear nothing is forwarded; then it is, mirrored."""
        receiver.start()
        statuses = {"127.0.0.1": 503, "127.0.0.2": 404, "127.0.0.3": 202}
        with ExitStack() as stack:
            hosts = [stack.enter_context(serving(address)) for address in statuses]
            for host, status in zip(hosts, statuses.values(), strict=True):
                host.status = status
                receiver.deliver(completed(f"gen_{status}", f"{host.url}/a.png"))
            until(lambda: len({one["event_id"] for one in receiver.logged("asset postponed")}) == 3)
            assert receiver.messages() == []
            for host in hosts:
                host.status = 200
            until(lambda: len(receiver.messages()) == 3)
        assert {message["data"]["asset"]["status"] for message in receiver.messages()} == {"mirrored"}


class TestInvariant5:
    @pytest.fixture
    def receiver(self, tmp_path: Path) -> Iterator[Service]:
        with service(tmp_path, **MORTAL) as offered:
            yield offered

    @pytest.mark.parametrize("point", ["commit", "claim", "fetch", "upload", "settle", "send"])
    def test_killed_at(self, receiver: Service, asset_host: AssetHost, point: str) -> None:
        """Killed at any step, the event is forwarded with its asset once the lease has run out."""
        body = completed("gen_1", f"{asset_host.url}/a.png")
        if point == "claim":  # which only those do who were handed nothing
            web = receiver.start("web")
            crashing = receiver.start("worker", crash_at=point)
        else:
            crashing = receiver.start(crash_at=point)
        with suppress(OSError, HTTPException):  # it may die before it has answered
            receiver.deliver(body)
        crashing.wait()
        if point == "claim":
            kill(web)
        receiver.start()
        event_id = accepted_id(receiver.deliver(body))
        messages = until(lambda: receiver.forwarded(event_id))
        assert {message["data"]["asset"]["status"] for message in messages} == {"mirrored"}
        assert receiver.rows("SELECT count(*), sum(repeats) FROM event") == [(1, 1)]

    @pytest.mark.parametrize("point", ["event taken", "delivery taken"])
    def test_killed_at_a_handover(self, receiver: Service, asset_host: AssetHost, point: str) -> None:
        """Killed with work in its hands that nobody claimed, it leaves that to others once the lease ends."""
        crashing = receiver.start(crash_at=point)
        bodies: list[bytes] = []
        while crashing.poll() is None:  # nothing is handed over before the table is known
            bodies.append(completed(f"gen_{len(bodies)}", f"{asset_host.url}/a.png"))
            with suppress(OSError, HTTPException):
                receiver.deliver(bodies[-1])
        receiver.start()
        ids = {accepted_id(receiver.deliver(body)) for body in bodies}
        until(lambda: ids <= {message["id"] for message in receiver.messages()})
        assert {message["data"]["asset"]["status"] for message in receiver.messages()} == {"mirrored"}

    def test_killed_with_what_has_no_asset(self, receiver: Service) -> None:
        """Found, settled and begun by a worker that dies then, it goes once that one's lease has run out."""
        receiver.start("web")
        crashing = receiver.start("worker", crash_at="settled as found")
        event_id = accepted_id(receiver.deliver(failed("gen_1")))
        crashing.wait()
        receiver.start("worker")
        assert until(lambda: receiver.forwarded(event_id))

    @pytest.mark.parametrize("point", ["recording put off", "confirming put off"])
    def test_killed_before_a_commit_that_was_put_off(self, receiver: Service, point: str) -> None:
        """What waits to share a transaction was promised to nobody, or is sent again under its id."""
        crashing = receiver.start(crash_at=point)
        acknowledged: set[str] = set()
        bodies = iter(failed(f"gen_{number}") for number in range(1_000))
        while crashing.poll() is None:
            with suppress(OSError, HTTPException):
                acknowledged.add(accepted_id(receiver.deliver(next(bodies))))
        receiver.start()
        acknowledged.add(accepted_id(receiver.deliver(failed("gen_0"))))
        until(lambda: acknowledged <= {message["id"] for message in receiver.messages()})
        until(lambda: receiver.rows("SELECT count(*) FROM delivery WHERE state <> 'delivered'") == [(0,)])

    def test_killed_again_and_again(self, receiver: Service, asset_host: AssetHost) -> None:
        """Killed at random moments under load, every acknowledged event is forwarded, none is invented."""
        acknowledged: set[str] = set()
        asked: set[str] = set()
        chance = random.Random(5)
        for round_ in range(4):
            process = receiver.start()
            killer = threading.Timer(chance.uniform(0.05, 0.4), process.kill)
            killer.start()
            with suppress(OSError, HTTPException):
                for number in range(60):
                    asked.add(f"gen_{round_}_{number}")
                    body = completed(f"gen_{round_}_{number}", f"{asset_host.url}/{number}.png")
                    acknowledged.add(accepted_id(receiver.deliver(body)))
            killer.cancel()
            kill(process)
        receiver.start()
        until(lambda: {m["id"] for m in receiver.messages()} >= acknowledged)
        assert acknowledged
        assert {m["subject"] for m in receiver.messages()} <= asked
        assert {m["data"]["asset"]["status"] for m in receiver.messages()} == {"mirrored"}

    def test_database_restart(self, tmp_path: Path, doomed_postgres_server: PostgresServer) -> None:
        """PostgreSQL killed and restarted under load: what was acknowledged is forwarded."""
        postgres = doomed_postgres_server
        with service(tmp_path, RECEIVER_DATABASE_URL=add_database(postgres), **MORTAL) as receiver:
            receiver.run("migrate")
            receiver.start()
            acknowledged = []
            for number in range(30):
                if number == 10:
                    postgres.kill()
                if number == 20:
                    postgres.start()
                answer = receiver.deliver(failed(f"gen_{number}"))
                assert answer.status in {200, 503}
                if answer.status == 200:
                    acknowledged.append(answer.json["event_id"])
            assert 0 < len(acknowledged) < 30
            until(lambda: {m["id"] for m in receiver.messages()} >= set(acknowledged))


class TestInvariant6:
    def test_nothing_unsigned_reaches_the_database(self, receiver: Service) -> None:
        """Whatever is wrong with a signature, the answer is the same bytes and nothing is written."""
        receiver.start("web")
        body = completed("gen_1", None)
        now = int(time.time())
        bad = [
            "",
            "nonsense",
            f"t={now},v1={'0' * 64}",
            f"t={now}",
            sign(body, secret=SECRET, timestamp=now - 301),
            sign(body, secret=b"another_secret_0123456789", timestamp=now),
        ]
        answers = [receiver.deliver(body, **{"X-Webhook-Signature": header}) for header in bad]
        answers.append(receiver.request("POST", "/webhooks/photoverse", body))
        assert {(answer.status, answer.body) for answer in answers} == {(401, answers[0].body)}
        assert receiver.rows("SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM quarantine)") == [
            (0,)
        ]

    def test_unreadable_is_kept(self, receiver: Service) -> None:
        """Genuine bodies that we cannot read are answered 200 and kept, byte for byte."""
        receiver.start("web")
        bodies = [
            b"not json",
            b"\xff\xfe",
            b'{"event":"generation.completed","data":{"id":"a b"}}',
            b'{"event":"generation.completed","data":{"id":"\\u0000"}}',
            b'{"event":"generation.completed","data":{"id":"\\ud800"}}',
            b"[" * 100_000,
            b'{"event":"generation.completed","data":{"id":"' + b"x" * 10_000 + b'"}}',
        ]
        answers = [receiver.deliver(body) for body in bodies]
        assert [(a.status, a.json["status"]) for a in answers] == [(200, "quarantined")] * len(bodies)
        assert {row[0] for row in receiver.rows("SELECT body FROM quarantine")} == set(bodies)


class TestInvariant7:
    def test_private_addresses_are_never_dialled(self, tmp_path: Path, asset_host: AssetHost) -> None:
        """An asset URL that leads to a private address opens no connection; the event says why."""
        urls = [
            f"http://127.0.0.1:{asset_host.server_port}/a.png",
            f"https://localhost:{asset_host.server_port}/a",
        ]
        with service(tmp_path, RECEIVER_FETCH_ALLOW="192.0.2.1") as receiver:
            receiver.start()
            ids = [
                accepted_id(receiver.deliver(completed(f"gen_{number}", url)))
                for number, url in enumerate(urls)
            ]
            messages = [until(lambda id_=id_: receiver.forwarded(id_))[0] for id_ in ids]  # type: ignore[misc]
        assert {message["data"]["asset"]["error"] for message in messages} == {"blocked_url"}
        assert asset_host.asked == []


class TestInvariant8:
    def test_logs_hold_no_secret(self, receiver: Service, asset_host: AssetHost) -> None:
        """Secrets, signatures and signed query strings are in no log line, whatever goes wrong."""
        asset_host.status = 410
        receiver.start()
        body = completed("gen_1", f"{asset_host.url}/a.png?X-Amz-Signature=topsecretquery")
        signature = sign(body, secret=SECRET, timestamp=int(time.time()))
        event_id = accepted_id(receiver.deliver(body))
        receiver.deliver(body, **{"X-Webhook-Signature": "t=1,v1=feedfacefeedface"})
        receiver.deliver(completed("gen_2", "http://user:hunter2@127.0.0.1/x?token=topsecretquery"))
        until(lambda: receiver.forwarded(event_id))
        until(lambda: len(receiver.messages()) == 2)
        log = receiver.log()
        for secret in (SECRET.decode(), signature[-64:], "topsecretquery", "hunter2", "feedface"):
            assert secret not in log


class TestInvariant9:
    def test_paid_post_is_sent_once(self) -> None:
        """A paid POST whose connection breaks after it was sent is never sent again."""
        seen = []

        def read_and_hang_up(listener: socket.socket) -> None:
            with suppress(OSError):  # until it is shut down
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        seen.append(connection.recv(65536))

        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=read_and_hang_up, args=[listener])
            thread.start()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
            with Client("avs_live_test", base_url=url) as client, pytest.raises(OutcomeUnknown):
                client.generate.image("a lighthouse")
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
        assert len([request for request in seen if request]) == 1


class TestInvariant10:
    def test_dead_destination_delays_no_other(self, tmp_path: Path) -> None:
        """With one destination dead, the other gets its messages as if nothing were wrong."""
        dead = f"http://127.0.0.1:{free_ports(1)[0]}/"
        with service(tmp_path, RECEIVER_DESTINATIONS__DEAD__URL=dead) as receiver:
            receiver.start()
            ids = {accepted_id(receiver.deliver(failed(f"gen_{number}"))) for number in range(50)}
            until(lambda: {message["id"] for message in receiver.messages()} == ids)
            until(lambda: receiver.logged("forward postponed"))

    def test_hanging_host_delays_no_other(self, receiver: Service, asset_host: AssetHost) -> None:
        """With one asset host hanging, assets of other hosts and events without assets go through."""
        receiver.start()
        for number in range(50):
            receiver.deliver(completed(f"gen_slow_{number}", f"{asset_host.url}/hang/{number}.png"))
        with serving("127.0.0.2") as other:
            fast = {
                accepted_id(receiver.deliver(completed("gen_fast", f"{other.url}/a.png"))),
                accepted_id(receiver.deliver(failed("gen_none"))),
            }
            until(lambda: {message["id"] for message in receiver.messages()} == fast)

    def test_dead_bucket_delays_only_assets(self, tmp_path: Path, asset_host: AssetHost) -> None:
        """With the bucket gone, events without assets are forwarded; the others wait and are not lost."""
        bucket = {
            "RECEIVER_ASSETS_URL": "s3://nowhere/assets",
            "RECEIVER_S3_ENDPOINT_URL": f"http://127.0.0.1:{free_ports(1)[0]}",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
        }
        with service(tmp_path, **bucket) as receiver:
            receiver.start()
            waiting = accepted_id(receiver.deliver(completed("gen_1", f"{asset_host.url}/a.png")))
            free = accepted_id(receiver.deliver(failed("gen_2")))
            until(lambda: receiver.forwarded(free))
            until(lambda: receiver.logged("asset postponed"))
            assert receiver.forwarded(waiting) == []
            assert receiver.rows(f"SELECT state FROM event WHERE id = '{waiting}'") == [("pending",)]

    def test_hanging_bucket_delays_no_other_source(self, tmp_path: Path, asset_host: AssetHost) -> None:
        """With one source's bucket hanging, assets of another that come from the same host go through."""
        with silent_url() as endpoint:
            bucket = {
                "RECEIVER_SOURCES__ACME__SECRETS": SECRET.decode(),
                "RECEIVER_SOURCES__ACME__ASSETS_URL": "s3://silent/assets",
                "RECEIVER_S3_ENDPOINT_URL": endpoint,
                "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "x",
            }
            with service(tmp_path, **bucket) as receiver:
                receiver.start()
                for number in range(40):
                    receiver.deliver(completed(f"gen_{number}", f"{asset_host.url}/a.png"), source="acme")
                until(lambda: len(asset_host.asked) >= 8)
                living = accepted_id(receiver.deliver(completed("gen_other", f"{asset_host.url}/b.png")))
                until(lambda: receiver.forwarded(living))
                assert [message["id"] for message in receiver.messages()] == [living]
