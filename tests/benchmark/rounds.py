"""Rounds in which every contender takes its turn, so that all see the same machine."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from tests.benchmark.contenders import Contender
from tests.benchmark.cpu import cpu_s, machine_busy_s
from tests.benchmark.load import NEW, Load

DUPLICATES: Final = "duplicates"


class Cell(NamedTuple):
    """What is measured in each round: one contender under one kind of load."""

    contender: str
    kind: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one cell."""

    load: Load
    cpu_s: float
    """Of the server, with its database."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is sent."""

    rounds: int
    requests: int
    """Of each cell in each round."""
    connections: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of it."""

    size: Size
    samples: Mapping[Cell, Sequence[Sample]]
    """One for each round, in their order: those of the same place saw the same machine."""
    others: float
    """The part of the machine's processors that went to processes that are none of ours."""
    stored: int = 0
    """Events that were there before, for the contenders with many."""


def measure(contenders: Mapping[str, Contender], cells: Sequence[Cell], size: Size) -> Measured:
    """Run one round to warm up and the others to count. Exits if an answer is not what it must be."""
    samples: dict[Cell, list[Sample]] = {cell: [] for cell in cells}
    with loading() as load:
        for round_ in range(size.rounds + 1):
            if round_ == 1:
                began, busy, ours = time.monotonic(), machine_busy_s(), cpu_s(os.getpid())
            for cell in cells:
                _say(f"round {round_} of {size.rounds}: {cell.contender}, {cell.kind}")
                sample = load(contenders[cell.contender], cell.kind, f"round {round_}", size)
                if round_:
                    samples[cell].append(sample)
        _say("")
        spent = (time.monotonic() - began) * (os.cpu_count() or 1)
        others = max(machine_busy_s() - busy - (cpu_s(os.getpid()) - ours), 0) / spent
    return Measured(size, samples, others)


@contextmanager
def loading() -> Iterator[Callable[[Contender, str, str, Size], Sample]]:
    """Start the process that sends the load, and offer to send one round."""
    argv = [sys.executable, "-m", "tests.benchmark.load"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def send(contender: Contender, kind: str, seed: str, size: Size) -> Sample:
            assert process.stdin
            assert process.stdout
            before = contender.cpu_s()
            sent = NEW if kind == DUPLICATES else kind  # of the same seed, so what was new before
            words = contender.port, sent, seed, size.requests, size.connections
            print(json.dumps(words), file=process.stdin, flush=True)
            answer = process.stdout.readline()
            if not answer:
                sys.exit(f"the load ended with status {process.wait()}")
            return Sample(Load(**json.loads(answer)), contender.cpu_s() - before)

        yield send


def _say(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
