"""The real command in this process, and a provider on loopback to run it against."""

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import receiver.client
from receiver.cli import connection
from receiver.cli.main import main
from receiver.sandbox import Dialect, Knobs, Sandbox
from tests.contract.provider_clients import quickly

QUICK = Knobs(image_delay_s=0.02, video_delay_s=0.02, duplicate_rate=0, rate_limit=100_000)

nothing_is_sent = pytest.mark.parametrize("dialect", [Dialect()], ids=["default"], scope="module")
"""Marks a test that ends before the provider is asked: there the dialect makes no difference."""


@dataclass(frozen=True)
class Ended:
    """How one run of the command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """What `--json` printed."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def object(self) -> dict[str, Any]:
        """The only object that `--json` printed."""
        (found,) = self.objects
        return found


Run = Callable[..., Ended]
"""Takes the arguments of the command; the standard input as `stdin`, and settings by name."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `receiver` in an empty folder, with the given settings only, and with short waits."""
    monkeypatch.chdir(tmp_path)
    times = _Times()
    client = functools.partial(receiver.client.Client, clock=times.now)
    monkeypatch.setattr(receiver.client, "Client", client)
    monkeypatch.setattr(connection, "wait_aloud", functools.partial(connection.wait_aloud, sleep=times.sleep))
    return _run


@pytest.fixture
def knobs() -> Knobs:
    """How `sandbox` behaves: it is quick and has no rate limit to speak of."""
    return QUICK


@pytest.fixture
def sandbox(dialect: Dialect, knobs: Knobs, undertaker: ThreadPoolExecutor) -> Iterator[Sandbox]:
    """A provider of every dialect."""
    with ExitStack() as stack:
        yield stack.enter_context(Sandbox(knobs=knobs, dialect=dialect))
        undertaker.submit(stack.pop_all().close)


@pytest.fixture
def ask(run: Run, sandbox: Sandbox) -> Run:
    """Run `receiver` with a good key for `sandbox`."""

    def asking(*arguments: str, **settings: str) -> Ended:
        usual = {"RECEIVER_API_KEY": sandbox.key(), "RECEIVER_API_BASE_URL": sandbox.url}
        return run(*arguments, **{**usual, **settings})

    return asking


class _Times:
    """A clock that runs ahead by what was slept, because nobody sleeps for long."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        return time.time() + self._ahead

    def sleep(self, seconds: float) -> None:
        quickly(seconds)
        self._ahead += seconds


def _run(*arguments: str, stdin: str | bytes = "", **settings: str) -> Ended:
    ours = (name for name in os.environ if name.startswith("RECEIVER_"))
    env: dict[str, str | None] = {**dict.fromkeys(ours), **settings}
    with (
        CliRunner().isolation(input=stdin, env=env) as (out, err, _),
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr(sys, "argv", ["receiver", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        sys.stdout.flush()
        sys.stderr.flush()
        return Ended(int(ended.value.code or 0), out.getvalue().decode(), err.getvalue().decode())
