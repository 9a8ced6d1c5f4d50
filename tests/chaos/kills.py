"""Processes that end at random moments under load, and what arrived all the same."""

import json
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.acceptance.service import MORTAL, Running, Service, kill, service
from tests.benchmark.outage_systems import System, destinations
from tests.chaos.load import REFUSED, Load
from tests.servers import assets, postgres

COMMANDS: Final = {"sqlite": ("serve",), "postgresql": ("web", "worker", "worker")}
_START_S: Final = 120.0
"""However busy the machine is."""
_STANDSTILL_S: Final = 60.0
"""What has not arrived after so long without any arrival is lost."""


@dataclass(frozen=True)
class Ended:
    """What some rounds came to."""

    rounds: int
    accepted: int
    answers: dict[str, int]
    lost: dict[str, int]
    """By destination: accepted events that did not arrive; for the file also those without their asset."""
    costly: int
    """Requests that a stop in good order cost: unanswered, or answered with something else than 200."""

    @property
    def is_fine(self) -> bool:
        return not any(self.lost.values()) and not self.costly


def ended(folder: Path, database: str, rounds: int, how: signal.Signals) -> Ended:
    """End processes with *how*, one a round, and start each again; wait for what was accepted."""
    folder.mkdir()
    with ExitStack() as stack:
        queues = stack.enter_context(destinations("http", "redis"))
        settings = {name: value for queue in queues for name, value in queue.settings.items()}
        if database == "postgresql":
            settings["RECEIVER_DATABASE_URL"] = stack.enter_context(postgres.running(durable=True)).url
        origin = stack.enter_context(assets.serving()).url
        offered = stack.enter_context(service(folder, python=sys.executable, **MORTAL, **settings))
        offered.run("migrate")
        load = Load(offered.port, origin)
        running = [offered.start(command, within_s=_START_S) for command in COMMANDS[database]]
        with load.running():
            for round_ in range(rounds):
                load.stop.wait(random.uniform(0.05, 0.8))
                victim = random.randrange(len(running))
                _end(running[victim], how)
                running[victim] = offered.start(COMMANDS[database][victim], within_s=_START_S)
                print(
                    f"  round {round_ + 1} of {rounds}, {len(load.accepted)} accepted", end="\r", flush=True
                )
        lost = _lost(offered, queues, set(load.accepted))
    answers = dict(load.answers)
    costly = sum(answers.values()) - answers.get("200", 0) - answers.get(REFUSED, 0)
    return Ended(rounds, len(load.accepted), answers, lost, costly if how is signal.SIGTERM else 0)


def _end(process: Running, how: signal.Signals) -> None:
    if how is signal.SIGKILL:
        kill(process)
        return
    process.send_signal(how)
    process.wait(60)


def _lost(offered: Service, queues: list[System], accepted: set[str]) -> dict[str, int]:
    """Count what is not at each destination once nothing arrives any more."""
    arrived: dict[str, Callable[[], set[str]]] = {
        "messages": lambda: set(_whole(offered.folder / "messages.jsonl")),
        **{queue.name: partial(_taken, queue) for queue in queues},
    }
    return {name: _missing(look, accepted) for name, look in arrived.items()}


def _taken(queue: System) -> set[str]:
    return set(queue.taken())


def _missing(look: Callable[[], set[str]], accepted: set[str]) -> int:
    missing, since = len(accepted), time.monotonic()
    while missing and time.monotonic() < since + _STANDSTILL_S:
        time.sleep(1)
        if (now := len(accepted - look())) < missing:
            missing, since = now, time.monotonic()
    return missing


def _whole(path: Path) -> Iterator[str]:
    """Read the ids of messages whose asset, if they have one, is in the bucket."""
    if not path.exists():
        return  # nothing was forwarded yet
    with path.open() as lines:
        for line in lines:
            message = json.loads(line)
            if message["type"].endswith("failed"):
                yield message["id"]
                continue
            asset = message["data"]["asset"]
            if asset["status"] == "mirrored" and Path(asset["url"].removeprefix("file://")).is_file():
                yield message["id"]
