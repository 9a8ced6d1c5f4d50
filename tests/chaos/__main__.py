"""`make chaos`: hostile clients, restarts under load, and kill -9, each for as long as you like.

Prints what was seen, and ends with status 1 if anything was lost, refused, or too slow for genuine senders.
"""

import argparse
import http.client
import random
import signal
import sys
import tempfile
import threading
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.service import Service, completed, failed, kill, service, until
from tests.chaos.hostile import ATTACKS, attacked
from tests.servers import assets, postgres

P99_MS = 250
MEMORY_MIB = 20
LOG_LINES = 200


def main() -> None:
    """Run what was asked for."""
    options = _options()
    lost = 0
    with tempfile.TemporaryDirectory() as folder:
        if options.seconds:
            lost += hostile(Path(folder) / "hostile", options.seconds)
        for database in ("sqlite", "postgresql"):
            lost += killed(Path(folder) / f"kill-{database}", database, options.rounds, signal.SIGKILL)
        lost += killed(Path(folder) / "term", "sqlite", options.rounds // 10, signal.SIGTERM)
    sys.exit(1 if lost else 0)


def hostile(folder: Path, seconds: float) -> int:
    """Let each kind of stranger in for *seconds*; return how many kinds genuine senders noticed."""
    folder.mkdir()
    noticed = 0
    with service(folder) as web:
        web.run("migrate")
        web.start("web")
        for name in ATTACKS:
            seen = attacked(web, name, seconds=seconds)
            is_fine = (
                set(seen.answers) == {"200"}
                and seen.p99_ms <= P99_MS
                and seen.more_memory_mib <= MEMORY_MIB
                and seen.log_lines <= LOG_LINES
            )
            noticed += not is_fine
            print(
                f"{name:24} {seen.answers} p99 {seen.p99_ms:6.0f} ms, {seen.more_memory_mib:5.1f} MiB more,"
                f" {seen.log_lines:4} lines{'' if is_fine else '   <-- over a bound'}",
                flush=True,
            )
    return noticed


@dataclass
class Load:
    """Genuine deliveries, each tried again until it is answered 200; half of them have an asset."""

    service: Service
    origin: str
    accepted: dict[str, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Deliver until told to stop."""
        number = 0
        while not self.stop.is_set():
            number += 1
            name = f"gen_{threading.get_ident()}_{number}"
            url = f"{self.origin}/{name}.png"
            self._deliver(name, completed(name, url) if number % 2 else failed(name))

    def _deliver(self, name: str, body: bytes) -> None:
        while not self.stop.is_set():
            try:
                answer = self.service.deliver(body)
            except (OSError, http.client.HTTPException):
                self.answers["no answer"] += 1
                self.stop.wait(0.05)
                continue
            self.answers[str(answer.status)] += 1
            if answer.status == 200:
                self.accepted[answer.json["event_id"]] = name
                return


def killed(folder: Path, database: str, rounds: int, how: signal.Signals) -> int:
    """End processes at random moments under load; return how many accepted events did not arrive whole."""
    folder.mkdir()
    with ExitStack() as stack:
        settings = {"RECEIVER_ASSETS_URL": f"file://{folder}/assets"}
        if database == "postgresql":
            settings["RECEIVER_DATABASE_URL"] = stack.enter_context(postgres.running(durable=True)).url
        origin = stack.enter_context(assets.serving()).url
        offered = stack.enter_context(service(folder, **settings))
        offered.run("migrate")
        commands = ("serve",) if database == "sqlite" else ("web", "worker", "worker")
        running = [offered.start(command) for command in commands]
        load = Load(offered, origin)
        threads = [threading.Thread(target=load.run, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for round_ in range(rounds):
            load.stop.wait(random.uniform(0.05, 0.8))
            victim = random.randrange(len(commands))
            if how is signal.SIGKILL:
                kill(running[victim])
            else:
                running[victim].send_signal(how)
                running[victim].wait(60)
            running[victim] = offered.start(commands[victim])
            print(f"  round {round_ + 1} of {rounds}, {len(load.accepted)} accepted", end="\r", flush=True)
        load.stop.set()
        for thread in threads:
            thread.join()
        missing = _missing(offered, load.accepted)
    name = f"{database}, {how.name}"
    print(f"{name:24} {rounds} rounds, {len(load.accepted)} accepted, {missing} lost, {dict(load.answers)}")
    return missing


def _missing(offered: Service, accepted: dict[str, str]) -> int:
    """Wait for the outbox to empty; count accepted events without a message, or without their asset."""
    with suppress(AssertionError):
        until(lambda: accepted.keys() <= {message["id"] for message in offered.messages()}, seconds=120)
    whole = {message["id"] for message in offered.messages() if _is_whole(message)}
    return len(accepted.keys() - whole)


def _is_whole(message: dict[str, Any]) -> bool:
    if message["type"].endswith("failed"):
        return True
    asset = message["data"]["asset"]
    return asset["status"] == "mirrored" and Path(asset["url"].removeprefix("file://")).is_file()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="for each kind of stranger; 0: none")
    parser.add_argument("--rounds", type=int, default=200, help="kill -9, on each database")
    return parser.parse_args()


if __name__ == "__main__":
    main()
