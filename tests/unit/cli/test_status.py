"""`receiver status` and `receiver workers`."""

import http.client
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.cli import status as module
from receiver.clock import now_ms
from receiver.errors import StoreUnavailable
from receiver.operations.stages import Overview
from receiver.settings import Settings
from receiver.store import Store
from receiver.store.destinations import pause
from receiver.store.outages import note_outages
from receiver.store.spools import Process, see_spool, sign_off
from receiver.store.tables import PACE, SUBMISSION
from receiver.wiring.accounts import pace_names
from tests.servers.require import free_ports
from tests.stored import an_event, dead, settled
from tests.unit.cli.command import SECRET, Command, wait_for
from tests.unit.cli.running import Run
from tests.unit.cli.stored import DESTINATIONS, in_store
from tests.unit.wiring.configured import settings

KILLED = Process("web-1", 4711)


async def _some(store: Store) -> None:
    await dead(store, an_event("gen_1"))
    await settled(store, an_event("gen_2"))
    await store.transact_promptly(pause, "audit", reason=None, now_ms=now_ms())
    await store.transact(see_spool, "0" * 32, now_ms=now_ms())
    await store.transact(see_spool, "1" * 32, now_ms=now_ms() - 90_000, process=KILLED)


class TestStatus:
    def test_says_that_the_file_is_new(self, run: Run) -> None:
        """In the wrong folder, nothing waits and all seems well; the second time the file is there."""
        first, second = run("status"), run("status")
        assert "data/receiver.db is new" in first.err
        assert "RECEIVER_DATABASE_URL" in first.err
        assert (first.status, second.status) == (0, 0)
        assert "is new" not in second.err

    def test_names_the_setting_of_a_database_that_is_down(self, run: Run) -> None:
        """The driver says only where it tried to connect. The name is the one that was set."""
        for name in ("RECEIVER_DATABASE_URL", "DATABASE_URL"):
            ended = run("status", **{name: "postgresql://user@127.0.0.1:1/receiver"})
            assert ended.status == 1
            assert ended.err.endswith(f"\n{name} says which database that is.\n")
        assert run("status", DATABASE_URL="mysql://x").err.startswith("receiver: DATABASE_URL: 'mysql' is")

    def test_as_an_object(self, run: Run, tmp_path: Path) -> None:
        """Each stage with what waits in it and since when; dead letters, quarantine and workers."""
        in_store(tmp_path, _some)
        found = run("status", "--json", **DESTINATIONS).object
        stages = {one["stage"]: one for one in found["stages"]}
        assert list(stages) == ["mirror", "late assets", "audit", "orders"]
        assert (stages["audit"]["waiting"], stages["audit"]["state"]) == (2, "paused")
        assert (stages["orders"]["waiting"], stages["orders"]["state"]) == (1, "running")
        assert stages["orders"]["oldest_s"] > 1_000_000
        assert (found["dead_letters"], found["quarantined"], found["workers_alive"]) == (1, 0, 1)

    def test_says_what_to_do(self, run: Run, tmp_path: Path) -> None:
        """About each thing that is wrong, beside the table."""
        in_store(tmp_path, _some)
        ended = run("status", **DESTINATIONS)
        assert ended.out.splitlines()[0].startswith("stage\tstate\twaiting")
        assert "`receiver destinations resume audit`" in ended.err
        assert "`receiver deliveries list --state dead`" in ended.err
        assert "`receiver deliveries list --state pending --destination orders` says why" in ended.err
        assert "No worker" not in ended.err

    def test_what_is_down(self, run: Run, tmp_path: Path) -> None:
        """Buckets and asset hosts, as any worker finds them, with their errors."""
        down = {("asset_host", "cdn.example"): "http_503", ("bucket", "*"): "Access\nDenied"}
        in_store(tmp_path, lambda store: store.transact(note_outages, down, now_ms=now_ms() - 65_000))
        found = run("status", "--json").object["outages"]
        assert [(one["kind"], one["name"], one["error"]) for one in found] == [
            ("bucket", "*", "Access\nDenied"),
            ("asset_host", "cdn.example", "http_503"),
        ]
        said = run("status").err
        assert re.search(r"The bucket has been down for \dm \d+s: Access Denied", said)
        assert "The asset host cdn.example has been down for" in said
        assert "`receiver check` tries the bucket now" in said
        checked = run("check", "--json", RECEIVER_WEBHOOK_SECRETS="whsec_0123456789abcdef")
        assert checked.status == 1
        assert "asset host" in {one["part"] for one in checked.objects}

    def test_the_rate_limit(self, run: Run, tmp_path: Path) -> None:
        """Of each API key, as whoever asked the provider last was told."""
        assert run("status", "--json").object["rate_limits"] == []
        key = {"RECEIVER_API_KEY": "avs_live_0123456789"}
        unknown = {"source": "photoverse", "limit": None, "left": None}
        assert run("status", "--json", **key).object["rate_limits"] == [unknown]
        assert "rate limit photoverse\tnot known" in run("status", **key).out
        [name] = pace_names(settings(api_key="avs_live_0123456789"))
        row = {"name": name, "most": 60, "remaining": 7, "reset_ms": now_ms() + 30_000}
        row |= {"opened_ms": 0, "paused_ms": 0, "skew_ms": 0}
        in_store(tmp_path, lambda store: store.transact(lambda c: c.execute(PACE.insert(), [row])))
        assert run("status", "--json", **key).object["rate_limits"] == [{**unknown, "limit": 60, "left": 7}]
        assert "7 of 60 requests left" in run("status", **key).out

    def test_credits(self, run: Run, tmp_path: Path) -> None:
        """What the provider said when it last refused a generation for lack of them, and when that was."""
        assert run("status", "--json").object["credits"] == []
        row = {
            "client_ref": "order-1",
            "source": "photoverse",
            "kind": "image",
            "request": "{}",
            "told": "{}",
        }
        refused = {
            "state": "refused",
            "sent_ms": now_ms() - 65_000,
            "error": "insufficient_credits: x (2 left)",
        }
        in_store(
            tmp_path,
            lambda store: store.transact(lambda c: c.execute(SUBMISSION.insert(), [{**row, **refused}])),
        )
        [found] = run("status", "--json").object["credits"]
        assert (found["source"], found["left"]) == ("photoverse", 2)
        assert re.search(
            r"credits photoverse\t2 left when a request was refused \dm \d+s ago", run("status").out
        )

    def test_watched_while_the_database_is_down(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """The last figures stay, with a line that says so, until it is back; Ctrl-C ends it."""
        look, looks = module._look, iter(["look", "away", "away", "look"])

        def looked(settings: Settings) -> Overview:
            if next(looks) == "away":
                raise StoreUnavailable("connection refused")
            return look(settings)

        def slept(_seconds: float, times: Iterator[int] = iter(range(3))) -> None:  # noqa: B008
            if next(times, None) is None:
                raise KeyboardInterrupt

        monkeypatch.setattr(module, "_look", looked)
        monkeypatch.setattr(time, "sleep", slept)
        ended = run("status", "--watch")
        assert ended.status == 130
        assert ended.out.count("stage\tstate") == 2
        assert ended.err.count("the figures above are old: connection refused") == 2

    def test_without_a_worker(self, run: Run, tmp_path: Path) -> None:
        """What waits waits for somebody to start one."""
        in_store(tmp_path, lambda store: settled(store, an_event()))
        assert "No worker is alive" in run("status", **DESTINATIONS).err


class TestWorkers:
    def test_lists_who_was_seen(self, run: Run, tmp_path: Path) -> None:
        """The latest first; one that has not said so for three minutes is gone."""
        in_store(tmp_path, _some)
        found = run("workers", "--json").objects
        assert [(one["spool"][0], one["state"]) for one in found] == [("0", "alive"), ("1", "gone")]
        assert [(one["host"], one["pid"]) for one in found] == [(None, None), ("web-1", 4711)]
        leased = run("workers", "--json", RECEIVER_LEASE_S="300").objects
        assert [one["state"] for one in leased] == ["alive", "alive"]
        in_store(tmp_path, lambda store: store.transact(sign_off, "1" * 32, now_ms=now_ms(), process=KILLED))
        assert [one["state"] for one in run("workers", "--json").objects] == ["stopped", "alive"]


class TestRefusals:
    def test_asks_a_running_process(self, command: Command) -> None:
        """The addresses that a process refused, by the client that its trusted proxy names."""
        ports = [str(port) for port in free_ports(2)]
        settings = {
            "RECEIVER_WEBHOOK_SECRETS": SECRET,
            "RECEIVER_PORT": ports[0],
            "RECEIVER_ADMIN_PORT": ports[1],
            "RECEIVER_TRUSTED_PROXIES": "127.0.0.1",
            "RECEIVER_LOG_FORMAT": "json",
        }
        with command.started("serve", **settings) as process:
            wait_for(process, "listening")
            for _ in range(3):
                connection = http.client.HTTPConnection("127.0.0.1", int(ports[0]), timeout=20)
                connection.request("POST", "/webhooks/photoverse", b"{}", {"X-Forwarded-For": "192.0.2.7"})
                assert connection.getresponse().status == 401
                connection.close()
            found = command.run("refusals", "--json", **settings)
        assert [json.loads(line) for line in found.stdout.splitlines()] == [
            {"address": "192.0.2.7", "requests": 3}
        ]

    def test_nobody_to_ask(self, command: Command) -> None:
        """Without a running process it says what to start, and where to look."""
        (port,) = free_ports(1)
        done = command.run("refusals", RECEIVER_ADMIN_TOKEN="0123456789abcdef", RECEIVER_ADMIN_PORT=str(port))
        assert done.returncode != 0
        assert f"the admin API at http://127.0.0.1:{port} cannot be reached" in done.stderr
        assert "Traceback" not in done.stderr
