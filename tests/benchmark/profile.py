"""Where the time of `receiver web` goes: py-spy looks 200 times a second at which code has the interpreter.

Waiting for a disk or a database lets go of the interpreter and is not in it: it does not bound one process.
"""

import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmark.contenders import Contender
from tests.benchmark.cpu import user_and_kernel_s
from tests.benchmark.load import NEW
from tests.benchmark.rounds import Size, loading

_SIZE: Final = Size(rounds=5, requests=10_000, connections=64)
_LOOKS_PER_S: Final = 200
_LONGEST_S: Final = 3600
_FRAME: Final = re.compile(r".* \((.*?)(?::\d+)?\)")
_PACKAGE: Final = re.compile(r".*/(?:site-packages/(\w+)|(receiver(?:/\w+)+)).*")
_ELSEWHERE: Final = "the interpreter's own"


@dataclass(frozen=True, slots=True)
class Profile:
    """What one process did with the interpreter."""

    busy: float
    """The part of the time in which one of its threads had it."""
    shares: Mapping[str, float]
    """Who had it then: packages, and our own modules. The standard library counts for its caller."""
    kernel: float
    """The part of the process's processor time that the kernel spent on its behalf."""


def profile(contender: Contender) -> Profile:
    """Send new deliveries to *contender* and watch its first process; exit if that is not allowed."""
    with tempfile.NamedTemporaryFile() as stacks, loading() as load:
        load(contender, NEW, "warm up", _SIZE)
        with _watching(contender.pids[0], stacks.name):
            began, before = time.monotonic(), user_and_kernel_s(contender.pids[0])
            for round_ in range(_SIZE.rounds):
                load(contender, NEW, f"profile {round_}", _SIZE)
            seconds, after = time.monotonic() - began, user_and_kernel_s(contender.pids[0])
        found = _count(Path(stacks.name).read_text().splitlines())
    looks = found.total()
    user, kernel = (then - once for then, once in zip(after, before, strict=True))
    shares = {part: count / looks for part, count in found.items()}
    return Profile(looks / (_LOOKS_PER_S * seconds), shares, kernel / (user + kernel))


@contextmanager
def _watching(pid: int, stacks: str) -> Iterator[None]:
    argv = [f"{sysconfig.get_path('scripts')}/py-spy", "record", "--gil", "--full-filenames", "--function"]
    argv += ["--pid", str(pid), "--rate", str(_LOOKS_PER_S), "--duration", str(_LONGEST_S)]
    argv += ["--format", "raw", "--output", stacks]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as spy:
        assert spy.stdout
        said = spy.stdout.readline()
        if "Sampling" not in said:
            spy.wait()
            sys.exit(f"py-spy may not look at process {pid}: {said.strip()} (be root, or allow ptrace)")
        yield
        spy.send_signal(signal.SIGINT)
        spy.communicate()


def _count(stacks: list[str]) -> Counter[str]:
    """Count the looks, from lines `frame;frame;frame looks`, the outermost frame first."""
    found: Counter[str] = Counter()
    for stack in stacks:
        frames, _, looks = stack.rpartition(" ")
        found[_package(frames.split(";"))] += int(looks)
    return found


def _package(frames: list[str]) -> str:
    for frame in reversed(frames):
        path = _FRAME.fullmatch(frame)
        package = _PACKAGE.fullmatch(path[1]) if path else None
        if package:
            return package[1] or package[2].replace("/", ".")
    return _ELSEWHERE
