"""Consumers that pull: real processes, killed at any moment, with the programs of the manual."""

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.acceptance.service import MORTAL, Service, failed, kill, service
from tests.servers.require import free_ports
from tests.waiting.blocking import until

PAGE: Final = Path(__file__).parents[2] / "docs/destinations/pull.md"
TOKEN: Final = "pull_0123456789abcdef"
FORGETFUL: Final = {"RECEIVER_DESTINATIONS__JOBS__VISIBILITY_S": "1"}
"""What is not acknowledged is soon given to another."""


def block(language: str, holding: str) -> str:
    """Return the example of the manual in *language* that holds some text."""
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return next(one for one in blocks if holding in one)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Service]:
    settings = {
        **MORTAL,
        "RECEIVER_DESTINATIONS__JOBS__URL": "pull:",
        "RECEIVER_PULL_TOKEN": TOKEN,
        "RECEIVER_PULL_PORT": str(free_ports(1)[0]),
    }
    with service(tmp_path, **settings) as running:
        yield running


def url(running: Service) -> str:
    return f"http://127.0.0.1:{running.settings['RECEIVER_PULL_PORT']}/v1/pull/jobs/"


def ask(running: Service, deed: str, **content: Any) -> Any:
    known = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx2.post(url(running) + deed, json=content, headers=known, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def deliver(running: Service, number: int) -> list[str]:
    return [running.deliver(failed(f"gen_{one}")).json["event_id"] for one in range(number)]


def consume(running: Service, handle: str) -> "subprocess.Popen[bytes]":
    """Start the consumer of the manual, with *handle* as what it does with an event."""
    program = f"import httpx2, os, sqlite3, time\nurl, token = {url(running)!r}, {TOKEN!r}\n{handle}\n"
    program += "db = sqlite3.connect(':memory:')\ndb.execute('CREATE TABLE seen (id TEXT PRIMARY KEY)')\n"
    program += block("python", "lease")
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=running.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def handled(running: Service) -> list[str]:
    path = running.folder / "handled.txt"
    return path.read_text().split() if path.exists() else []


WRITE: Final = "handle = lambda event: print(event['id'], file=open('handled.txt', 'a'))"
DIE: Final = "handle = lambda event: (print(event['id'], file=open('begun.txt', 'a', 1)), time.sleep(600))"


class TestConsumers:
    def test_killed_in_the_middle(self, running: Service) -> None:
        """What a killed consumer had is handled by the next, in two lines of Python more than nothing."""
        running.settings |= FORGETFUL
        running.start()
        ids = deliver(running, 5)
        doomed = consume(running, DIE)
        until((running.folder / "begun.txt").exists)
        doomed.kill()
        doomed.wait()
        assert handled(running) == []
        consumer = consume(running, WRITE)
        try:
            until(lambda: sorted(set(handled(running))) == sorted(ids))
        finally:
            consumer.kill()
            consumer.wait()

    def test_the_server_is_killed_between_lease_and_acknowledgement(self, running: Service) -> None:
        """A lease outlives the process that gave it: its consumer acknowledges to the next."""
        process = running.start()
        ids = deliver(running, 3)
        leased = until(lambda: (got := ask(running, "lease", visibility_s=60))["messages"] and got)
        rest = 3 - len(leased["messages"])
        kill(process)
        running.start()
        done = ask(running, "ack", lease=leased["lease"])["acknowledged"]
        assert sorted(done) == sorted(one["id"] for one in leased["messages"])
        for _ in range(rest):
            got = until(lambda: (one := ask(running, "lease", wait_s=10, max=1))["messages"] and one)
            done += ask(running, "ack", lease=got["lease"])["acknowledged"]
        assert sorted(done) == sorted(ids)

    def test_killed_servers_lose_nothing(self, running: Service) -> None:
        """The server dies again and again, at any moment, while consumers pull: all is handled in the end."""
        running.settings |= FORGETFUL
        process = running.start()
        ids: list[str] = []
        consumers: list[subprocess.Popen[bytes]] = []
        try:
            for round_ in range(3):
                consumers.append(consume(running, WRITE))
                ids += [running.deliver(failed(f"gen_{round_}_{one}")).json["event_id"] for one in range(10)]
                kill(process)
                process = running.start()
            consumers.append(consume(running, WRITE))
            until(lambda: set(ids) <= set(handled(running)))
        finally:
            for consumer in consumers:
                consumer.kill()
                consumer.wait()

    def test_from_a_shell(self, running: Service) -> None:
        """The lines with curl show the event, and acknowledge it."""
        running.start()
        [id_] = deliver(running, 1)
        environment = {"TOKEN": TOKEN, "URL": url(running).rstrip("/"), "PATH": "/usr/bin:/bin"}
        script = ["sh", "-ec", block("sh", "curl")]
        done = subprocess.run(
            script, env=environment, capture_output=True, text=True, check=True, timeout=150
        )
        shown, _, acknowledged = done.stdout.rpartition("\n{")
        assert json.loads(shown)["id"] == id_
        assert json.loads("{" + acknowledged)["acknowledged"] == [id_]


class TestListener:
    def test_stops_with_long_polls_under_way(self, running: Service) -> None:
        """SIGTERM answers who waits, with nothing, and ends within seconds."""
        process = running.start()
        at = url(running)
        known = {"Authorization": f"Bearer {TOKEN}"}
        poll = http.client.HTTPConnection(httpx2.URL(at).netloc.decode(), timeout=90)
        poll.request("POST", httpx2.URL(at).path + "lease", b'{"wait_s": 60}', known)
        for _ in range(3):  # asked behind it, so when these are answered that one waits
            assert ask(running, "lease")["messages"] == []
        process.terminate()
        assert json.loads(poll.getresponse().read())["messages"] == []
        poll.close()
        process.wait()

    def test_not_on_the_public_port(self, running: Service) -> None:
        """Neither there nor on the operators' listener is anything to pull."""
        running.start()
        answer = running.request("POST", "/v1/pull/jobs/lease", b"{}", {"Authorization": f"Bearer {TOKEN}"})
        assert answer.status == 404

    def test_without_a_token_nothing_starts(self, running: Service) -> None:
        """The message names both settings that could hold one."""
        del running.settings["RECEIVER_PULL_TOKEN"]
        done = running.command("serve")
        assert done.returncode == 2
        assert "RECEIVER_PULL_TOKEN" in done.stderr
        assert "RECEIVER_DESTINATIONS__JOBS__TOKEN" in done.stderr

    def test_alone(self, running: Service) -> None:
        """`receiver pull` gives out what another process settled."""
        serving = running.start()
        [id_] = deliver(running, 1)
        until(lambda: running.forwarded(id_))
        serving.terminate()
        serving.wait()
        running.start("pull")
        found = until(lambda: _lease(running))
        assert [one["id"] for one in found["messages"]] == [id_]

    def test_lists_its_backlog(self, running: Service) -> None:
        """`receiver destinations list` shows what waits for consumers."""
        running.start()
        deliver(running, 2)
        known = {"Authorization": f"Bearer {TOKEN}"}
        until(lambda: httpx2.get(url(running).rstrip("/"), headers=known, timeout=60).json()["pending"] == 2)
        listed = json.loads(running.command("destinations", "list", "--json").stdout.splitlines()[0])
        assert (listed["name"], listed["kind"], listed["pending"]) == ("jobs", "pull", 2)


def _lease(running: Service) -> Any:
    with suppress(httpx2.HTTPError):
        return ask(running, "lease")
    return None
