"""`receiver destinations backfill`, on a store that has a past."""

import asyncio
import json
import os
import pty
import secrets
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from receiver.contract import COMPLETED
from receiver.events import event_id
from receiver.store import Store
from receiver.store.claim import Claim, claim_events
from receiver.store.record import NewEvent
from receiver.store.settlements import EventSettled
from tests.acceptance.service import completed
from tests.servers import warm
from tests.stored import migrated
from tests.unit.cli.command import Command, environment
from tests.unit.cli.running import Run
from tests.waiting.blocking import until

HOUR_MS = 3_600_000
NEW = {"RECEIVER_DESTINATIONS__NEW__URL": "stdout:"}


def _event(number: int, at_ms: int) -> NewEvent:
    body = completed(f"gen_{number}", None, type="video" if number % 2 else "image")
    new_id = event_id(at_ms, secrets.token_bytes(10))
    return NewEvent(new_id, "photoverse", f"gen_{number}", COMPLETED, None, body, "webhook", at_ms)


async def _settle(folder: Path, ages_h: list[int]) -> None:
    store = Store(migrated(folder / "data/receiver.db"))
    now_ms = int(time.time() * 1000)
    events = [_event(number, now_ms - age_h * HOUR_MS) for number, age_h in enumerate(ages_h)]
    await asyncio.gather(*(store.record(event) for event in events))
    while jobs := await store.claim(
        claim_events, Claim(now_ms, now_ms + HOUR_MS, secrets.token_hex(16), 500), with_asset=False
    ):
        await asyncio.gather(*(store.settle(EventSettled(job, None, now_ms)) for job in jobs))
    store.close()


@pytest.fixture
def past(tmp_path: Path) -> Path:
    """Five events, settled long ago, of which two are videos."""
    asyncio.run(_settle(tmp_path, [50, 40, 30, 20, 10]))
    return tmp_path


def deliveries(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "data/receiver.db")) as connection, connection:
        rows = connection.execute(
            "SELECT generation_id FROM delivery JOIN event ON id = event_id ORDER BY delivery.due_ms"
        )
        return [row[0] for row in rows]


class TestBackfill:
    def test_makes_all_that_was_missed(self, run: Run, past: Path) -> None:
        """The report says how many, and a second run finds them there."""
        first = run("destinations", "backfill", "new", "--json", **NEW)
        assert first.status == 0, first.err
        assert (first.object["events"], first.object["created"], first.object["existing"]) == (5, 5, 0)
        assert deliveries(past) == [f"gen_{n}" for n in range(5)]
        again = run("destinations", "backfill", "new", "--json", **NEW).object
        assert (again["created"], again["existing"]) == (0, 5)

    def test_dry_run(self, run: Run, past: Path) -> None:
        """It counts, and makes nothing."""
        heading, line = run("destinations", "backfill", "new", "--dry-run", **NEW).out.splitlines()
        told = dict(zip(heading.split("\t"), line.split("\t"), strict=True))
        assert (told["events"], told["created"], told["dry run"]) == ("5", "5", "True")
        assert deliveries(past) == []

    def test_chooses(self, run: Run, past: Path) -> None:
        """By the destination's own options, by a further filter, and by time of receipt: all must hold."""
        ended = run(
            "destinations",
            "backfill",
            "new",
            "--since=45h",
            "--until=15h",
            "--filter=contains(['gen_1', 'gen_2', 'gen_3', 'gen_4'], subject)",
            "--json",
            **NEW,
            RECEIVER_DESTINATIONS__NEW__KINDS="video",
        )
        assert (ended.object["events"], ended.object["created"]) == (3, 2)
        assert deliveries(past) == ["gen_1", "gen_3"]

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("old",), "There is no destination 'old'; there are: new."),
            (("new", "--since=1h", "--until=2h"), "--since must be before --until"),
            (("new", "--since=tomorrow"), "neither a time"),
            (("new", "--filter=kind ="), "at character 6"),
        ],
    )
    def test_refuses(self, run: Run, past: Path, arguments: tuple[str, ...], says: str) -> None:
        """A mistake is told before anything is made, with status 2."""
        ended = run("destinations", "backfill", *arguments, **NEW)
        assert ended.status == 2
        assert says in ended.err
        assert deliveries(past) == []

    def test_wrong_option_of_the_destination(self, run: Run, past: Path) -> None:
        """What would stop a worker stops this too, by the name of the setting."""
        ended = run("destinations", "backfill", "new", **NEW, RECEIVER_DESTINATIONS__NEW__FILTER="nope(@)")
        assert ended.status == 2
        assert "RECEIVER_DESTINATIONS__NEW__FILTER" in ended.err
        assert ended.err.splitlines()[-1].strip() == "^"


class TestProgress:
    def test_interrupted_and_gone_on(self, tmp_path: Path, command: Command) -> None:
        """On a terminal a bar shows how far it came; Ctrl-C ends it in order, and the next run goes on."""
        asyncio.run(_settle(tmp_path, [1] * 1_600))
        primary, secondary = pty.openpty()
        process = warm.start(
            ["receiver", "destinations", "backfill", "new"],
            cwd=tmp_path,
            env={**environment(NEW), "TERM": "xterm"},
            stderr=secondary,
        )
        os.close(secondary)
        until(lambda: len(deliveries(tmp_path)) > 0)
        process.send_signal(signal.SIGINT)
        shown = b""
        try:
            while read := os.read(primary, 65536):
                shown += read
        except OSError:  # the other side is closed
            pass
        os.close(primary)
        assert process.wait() == 130
        made = len(deliveries(tmp_path))
        assert 0 < made < 1_600
        assert made % 200 == 0
        assert f"{made} created so far; run the same command to continue.".encode() in shown
        assert b"new: " in shown
        ended = json.loads(command.run("destinations", "backfill", "new", "--json", **NEW).stdout)
        assert (ended["created"], ended["existing"]) == (1_600 - made, made)
