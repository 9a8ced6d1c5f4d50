"""SIGHUP: settings taken anew by running processes, without losing a request, or refused as a whole."""

import http.client
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from receiver.signatures import sign
from tests.acceptance.service import Running, Service, failed, service
from tests.answer import Answer
from tests.servers.require import free_ports
from tests.waiting.blocking import until

OLD: Final = "whsec_old_0123456789abcdef"
NEW: Final = "whsec_new_0123456789abcdef"
TOKEN: Final = "pull_0123456789abcdef"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Service]:
    with service(tmp_path) as running:
        configure(running, secrets=[OLD])
        yield running


def configure(running: Service, *, secrets: list[str], extra: str = "") -> None:
    """Write `receiver.toml`: a source called `second`, and what else there is to be."""
    text = f"{extra}\n[sources.second]\nsecrets = {json.dumps(secrets)}\n"
    (running.folder / "receiver.toml").write_text(text)


def destination(running: Service, name: str, **options: str) -> str:
    """Return what adds a file destination to `receiver.toml`."""
    named = {"url": f"file://{running.folder}/{name}.jsonl", **options}
    return f"[destinations.{name}]\n" + "".join(
        f"{key} = {json.dumps(value)}\n" for key, value in named.items()
    )


def reload(running: Service, *processes: Running, fact: str = "settings reloaded") -> dict[str, Any]:
    """Send SIGHUP, and return what each of the processes says to it, the last."""
    before = len(running.logged(fact))
    for process in processes:
        process.send_signal(signal.SIGHUP)
    return until(lambda: running.logged(fact)[before + len(processes) - 1 :])[0]


def deliver(running: Service, generation_id: str, secret: str) -> Answer:
    body = failed(generation_id)
    signature = sign(body, secret=secret.encode(), timestamp=int(time.time()))
    return running.request("POST", "/webhooks/second", body, {"X-Webhook-Signature": signature})


class TestTakenAnew:
    def test_secrets(self, running: Service) -> None:
        """From then on a delivery is genuine by the new secret, and by the old one no more."""
        process = running.start()
        assert (deliver(running, "gen_1", OLD).status, deliver(running, "gen_2", NEW).status) == (200, 401)
        configure(running, secrets=[NEW])
        said = reload(running, process)
        assert said["changed"] == ["RECEIVER_SOURCES__SECOND__SECRETS"]
        assert (deliver(running, "gen_3", OLD).status, deliver(running, "gen_4", NEW).status) == (401, 200)
        assert NEW not in running.log()
        assert len(running.logged("worker started")) == 1, "deliveries did not wait for it"

    def test_destinations_and_routing(self, running: Service) -> None:
        """A new destination gets what comes from then on, one that is gone nothing, and filters are new."""
        process = running.start()
        first = deliver(running, "gen_1", OLD).json["event_id"]
        until(lambda: running.forwarded(first))
        configure(running, secrets=[OLD], extra=destination(running, "late"))
        reload(running, process)
        second = deliver(running, "gen_2", OLD).json["event_id"]
        until(lambda: running.forwarded(second, "late"))
        configure(running, secrets=[OLD], extra=destination(running, "late", filter="data.kind == 'video'"))
        reload(running, process)
        third = deliver(running, "gen_3", OLD).json["event_id"]
        until(lambda: running.forwarded(third))
        configure(running, secrets=[OLD])
        reload(running, process)
        fourth = deliver(running, "gen_4", OLD).json["event_id"]
        until(lambda: running.forwarded(fourth))
        assert [one["id"] for one in running.messages("late")] == [second]

    def test_a_broken_bucket_stops_nothing(self, running: Service) -> None:
        """At start it would be a mistake; now webhooks are answered, and what has no asset is sent."""
        process = running.start()
        until(lambda: running.logged("worker started"))
        assets = running.folder / "assets"
        assets.rename(running.folder / "unmounted")
        assets.touch()
        configure(running, secrets=[OLD], extra=destination(running, "late"))
        reload(running, process)
        id_ = deliver(running, "gen_1", OLD).json["event_id"]
        until(lambda: running.forwarded(id_, "late"))
        [said] = running.logged("bucket does not answer; assets wait")
        assert str(assets) in said["error"]

    def test_web_and_worker_apart(self, running: Service) -> None:
        """Each takes its part: web the secrets, worker the destinations."""
        web, worker = running.start("web"), running.start("worker")
        until(lambda: running.logged("worker started"))
        configure(running, secrets=[NEW], extra=destination(running, "late"))
        reload(running, web, worker)
        id_ = deliver(running, "gen_1", NEW).json["event_id"]
        until(lambda: running.forwarded(id_, "late"))

    def test_consumers_and_operators(self, running: Service) -> None:
        """A new pull destination is answered for, also by another token, and operators may name it."""
        pull, admin = free_ports(2)
        running.settings |= {"RECEIVER_PULL_PORT": str(pull), "RECEIVER_ADMIN_PORT": str(admin)}
        running.settings["RECEIVER_ADMIN_TOKEN"] = TOKEN
        process = running.start()
        assert replay(admin).status_code == 400
        jobs = f'pull_token = "{TOKEN}"\n[destinations.jobs]\nurl = "pull:"\n'
        configure(running, secrets=[OLD], extra=jobs)
        reload(running, process)
        assert replay(admin).status_code == 200
        id_ = deliver(running, "gen_1", OLD).json["event_id"]
        found = until(lambda: lease(pull, TOKEN, wait_s=20).json()["messages"])
        assert [one["id"] for one in found] == [id_]
        poll = http.client.HTTPConnection("127.0.0.1", pull, timeout=90)
        known = {"Authorization": f"Bearer {TOKEN}"}
        poll.request("POST", "/v1/pull/jobs/lease", b'{"wait_s": 60}', known)
        for _ in range(3):  # asked behind it, so when these are answered that one waits
            assert lease(pull, TOKEN).status_code == 200
        configure(running, secrets=[OLD], extra=jobs.replace(TOKEN, TOKEN[::-1]))
        reload(running, process)
        assert json.loads(poll.getresponse().read())["messages"] == []
        poll.close()
        assert (lease(pull, TOKEN).status_code, lease(pull, TOKEN[::-1]).status_code) == (401, 200)

    def test_no_request_is_lost(self, running: Service) -> None:
        """While settings change ten times, every delivery is answered 200, and arrives."""
        process = running.start()
        ids: list[str] = []
        ends = threading.Event()

        def post() -> None:
            while not ends.is_set():
                answer = deliver(running, f"gen_{len(ids)}", OLD)
                assert answer.status == 200
                ids.append(answer.json["event_id"])

        posting = threading.Thread(target=post)
        posting.start()
        try:
            for round_ in range(10):
                more = destination(running, "late") if round_ % 2 else ""
                configure(running, secrets=[OLD, NEW] if round_ % 2 else [NEW, OLD], extra=more)
                reload(running, process)
            assert posting.is_alive()
        finally:
            ends.set()
            posting.join()
        until(lambda: set(ids) <= {one["id"] for one in running.messages()})
        assert process.poll() is None
        assert "Traceback" not in running.log()


class TestRefused:
    @pytest.mark.parametrize(
        ("extra", "named"),
        [
            ('[destinations.late]\nurl = "ftp://h/x"', "RECEIVER_DESTINATIONS__LATE__URL"),
            (
                '[destinations.late]\nurl = "stdout:"\nfilter = "data.kind =="',
                "RECEIVER_DESTINATIONS__LATE__FILTER",
            ),
            (
                '[destinations.late]\nurl = "stdout:"\nbatch_size = "5000"',
                "RECEIVER_DESTINATIONS__LATE__BATCH_SIZE",
            ),
            ('[destinations.late]\nurl = "pull:"', "RECEIVER_PULL_TOKEN"),
            ("[destinations.late", "receiver.toml"),
        ],
    )
    def test_the_old_ones_go_on(self, running: Service, extra: str, named: str) -> None:
        """A mistake is named in the log, and changes nothing, not even what is right beside it."""
        process = running.start()
        configure(running, secrets=[NEW], extra=extra)
        assert named in reload(running, process, fact="reload refused")["error"]
        id_ = deliver(running, "gen_1", OLD).json["event_id"]
        until(lambda: running.forwarded(id_))
        configure(running, secrets=[NEW])
        reload(running, process)
        assert deliver(running, "gen_2", NEW).status == 200

    def test_what_needs_a_restart_is_said(self, running: Service) -> None:
        """What cannot change is named, and stays as it is; the rest is taken anew."""
        process = running.start()
        extra = 'admin_token = "admin_0123456789abcdef"\nasset_patience_s = 5\n'
        text = f'{extra}\n[sources.second]\nsecrets = ["{NEW}"]\napi_key = "avs_0123456789"\n'
        (running.folder / "receiver.toml").write_text(text)
        process.send_signal(signal.SIGHUP)
        [said] = until(lambda: running.logged("settings need a restart"))
        assert said["settings"] == [
            "RECEIVER_ASSET_PATIENCE_S",
            "RECEIVER_ADMIN_TOKEN",
            "RECEIVER_SOURCES__SECOND__API_KEY",
        ]
        until(lambda: running.logged("settings reloaded"))
        assert deliver(running, "gen_1", NEW).status == 200


def lease(port: int, token: str, **wish: Any) -> httpx2.Response:
    known = {"Authorization": f"Bearer {token}"}
    return httpx2.post(f"http://127.0.0.1:{port}/v1/pull/jobs/lease", json=wish, headers=known, timeout=90)


def replay(port: int) -> httpx2.Response:
    """Ask whether operators may name the destination `jobs`."""
    asked = {"all": True, "dry_run": True, "destinations": ["jobs"]}
    known = {"Authorization": f"Bearer {TOKEN}"}
    return httpx2.post(f"http://127.0.0.1:{port}/v1/events/replay", json=asked, headers=known, timeout=60)
