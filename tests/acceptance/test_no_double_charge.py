"""Invariant 9: a paid POST is never sent twice when its outcome is unknown.

Every fault at every point of a paid POST, against the sandbox, by programs that may die between two steps.
`NO_DOUBLE_CHARGE_RUNS` sets how many seeded runs there are, `NO_DOUBLE_CHARGE_SEED` where they start.
"""

import os
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Engine

from receiver.client import (
    Client,
    ClientError,
    Generation,
    MemoryLedger,
    NotCharged,
    OutcomeUnknown,
    Timeout,
)
from receiver.client.ledger import SETTLING_S
from receiver.errors import StoreUnavailable
from receiver.sandbox import Fault, Knobs, Sandbox
from receiver.sandbox.clock import SystemClock
from receiver.sandbox.faults import FaultKind
from receiver.store.engine import connect
from receiver.store.ledger import StoreLedger
from tests.contract.provider_clients import KINDS, Make, clients
from tests.contract.sandbox_dialects import DIALECTS
from tests.stored import migrated
from tests.unit.client.memory_ledger import Crash, CrashingLedger
from tests.unit.client.relay import Cut, relay

RUNS: Final = int(os.environ.get("NO_DOUBLE_CHARGE_RUNS", "100"))
FIRST_SEED: Final = int(os.environ.get("NO_DOUBLE_CHARGE_SEED", "1"))
WORKERS: Final = 8

STILL: Final = Knobs(progression="manual", rate_limit=10**9, rate_window_s=1, credits=10**9)
"""Nothing finishes: only what was accepted counts here."""
FAULT_KINDS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)
HASTY: Final = Timeout(connect_s=2, read_s=0.25, total_s=1)
STRIDE: Final = 32
"""Between the bytes at which a connection is cut, so that it stays quick; 1 tries all of them."""
PATIENT: Final = Timeout(connect_s=5, read_s=20, total_s=30)


class Ahead(SystemClock):
    """The time of one sandbox and of the programs that use it: it runs ahead by what they sleep."""

    def __init__(self) -> None:
        self._ahead_s = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return time.time() + self._ahead_s

    def pass_(self, seconds: float) -> None:
        """Let so much time pass, and sleep a thousandth of it."""
        with self._lock:
            self._ahead_s += seconds
        time.sleep(min(seconds, 5) / 1000)


@dataclass(frozen=True)
class Provider:
    """A sandbox, and its clock."""

    sandbox: Sandbox
    clock: Ahead


@dataclass
class Wish:
    """One submission that somebody asks for, however often."""

    ref: str
    kind: str
    prompt: str
    made: Generation | None = None
    refused: bool = False
    ruled_out: bool = False
    """Recovery said that nothing was charged for it."""
    doubt: OutcomeUnknown | None = None


@dataclass
class Account:
    """One account of the sandbox, its ledger, and the programs that use them one after the other."""

    sandbox: Sandbox
    clock: Ahead
    name: str
    url: str
    wishes: list[Wish]
    make: Make
    ledger: CrashingLedger

    def program(self, timeout: Timeout) -> Client:
        """Return a client as a new program has it: nothing is remembered but the ledger."""
        key = self.sandbox.key(account=self.name)
        return self.make(
            key, self.url, clock=self.clock.now, sleep=self.clock.pass_, ledger=self.ledger, timeout=timeout
        )

    def ask(self, wish: Wish, client: Client, *, on_unknown: str) -> None:
        """Ask once, and note how it ended."""
        send = client.generate.image if wish.kind == "image" else client.generate.video
        try:
            made = send(wish.prompt, client_ref=wish.ref, on_unknown=on_unknown)  # type: ignore[arg-type]
        except OutcomeUnknown as unknown:
            wish.doubt = unknown
        except NotCharged:
            wish.doubt, wish.ruled_out = None, True
        except (Crash, StoreUnavailable):
            wish.refused = False  # this program is gone, and with it what it knew
        except ClientError:
            wish.refused = True
        else:
            assert wish.made is None or wish.made.id == made.id, "one name, two generations"
            wish.made = made

    def settle(self) -> None:
        """Ask for whatever is in doubt once more, as a program does that starts long after the storm."""
        client = self.program(PATIENT)
        self.clock.pass_(SETTLING_S)
        for wish in self._unresolved():
            wish.doubt = None
            self.ask(wish, client, on_unknown="recover")

    def ask_again(self) -> None:
        """Ask once more for what was ruled out: it is sent, and charged once."""
        client = self.program(PATIENT)
        for wish in self.wishes:
            if wish.ruled_out:
                self.ask(wish, client, on_unknown="raise")
                assert wish.made is not None, f"{wish.ref} was ruled out, and is not sent"

    def check(self) -> None:
        """Nothing was charged that nobody asked for, and nothing is lost that was charged."""
        charged = self.sandbox.generation_ids(self.name)
        held = [wish.made.id for wish in self.wishes if wish.made is not None]
        assert len(charged) <= len(self.wishes), f"{len(charged)} charges for {len(self.wishes)} submissions"
        assert len(set(held)) == len(held), "two names, one generation"
        assert set(charged) == set(held), "charged, and nobody knows"
        for wish in self.wishes:
            assert wish.doubt is None or wish.made, f"{wish.ref} is still in doubt"
            assert wish.made or wish.refused or wish.ruled_out, f"{wish.ref} ended in silence"

    def _unresolved(self) -> list[Wish]:
        return [wish for wish in self.wishes if wish.made is None and (wish.doubt or not wish.refused)]


def fault(chance: random.Random) -> Fault:
    """Return any fault, with what fits to it."""
    kind = chance.choice(FAULT_KINDS)
    status = chance.choice((400, 403, 404, 408, 409, 429, 500, 502, 503, 504))
    seconds = chance.choice((0.01, 0.02, 0.4)) if kind == "latency" else 0.0
    return Fault(kind, status=status, seconds=seconds)


def disturb(account: Account, chance: random.Random) -> None:
    """Queue what goes wrong with one call."""
    for operation, rate in (("generate.image", 0.6), ("generate.video", 0.6), ("generations.list", 0.2)):
        if chance.random() < rate:
            account.sandbox.fail(operation, fault(chance))
    if chance.random() < 0.25:
        where = account.ledger.before if chance.random() < 0.5 else account.ledger.after
        where[chance.choice(("begin", "settle"))] = chance.choice((Crash(), StoreUnavailable("the disk")))


def run(seed: int, provider: Provider, database: Engine) -> Account:
    """Let several programs ask for a few things while everything goes wrong."""
    ledger = CrashingLedger(stored(database, f"run {seed}") if seed % 8 == 0 else MemoryLedger())
    with clients(KINDS[seed % 2 or seed % 16 // 8]) as make:
        return _run(seed, provider, make, ledger)


def _run(seed: int, provider: Provider, make: Make, ledger: CrashingLedger) -> Account:
    chance = random.Random(seed)
    same_prompt = chance.random() < 0.2
    wishes = [
        Wish(f"{seed}/{n}", chance.choice(("image", "video")), "a fox" if same_prompt else f"a fox {n}")
        for n in range(chance.choice((1, 1, 2, 3)))
    ]
    sandbox, clock = provider.sandbox, provider.clock
    account = Account(sandbox, clock, f"run {seed}", sandbox.url, wishes, make, ledger)
    for _ in range(chance.choice((1, 2))):
        client = account.program(HASTY)
        if chance.random() < 0.3:
            client.models.list()  # leaves a connection that may be used again
        for wish in wishes:
            disturb(account, chance)
            ask_at_once(account, wish, client, chance)
    account.sandbox._provider.faults.clear()
    account.ledger.before.clear()
    account.ledger.after.clear()
    account.settle()
    account.check()
    account.ask_again()
    account.check()
    return account


def ask_at_once(account: Account, wish: Wish, client: Client, chance: random.Random) -> None:
    """Ask once, or several times at the same moment under one name."""
    on_unknown = chance.choice(("raise", "recover"))
    askers = chance.choice((1, 1, 1, 3))
    with ThreadPoolExecutor(askers) as pool:
        asked = [pool.submit(account.ask, wish, client, on_unknown=on_unknown) for _ in range(askers)]
    for asking in asked:
        asking.result()


@pytest.fixture(scope="module")
def providers() -> Iterator["queue.SimpleQueue[Provider]"]:
    """Return a sandbox of every dialect, which the runs take in turn."""
    free: queue.SimpleQueue[Provider] = queue.SimpleQueue()
    with ExitStack() as stack:
        for seed, dialect in enumerate(DIALECTS.values()):
            clock = Ahead()
            sandbox = Sandbox(knobs=STILL, dialect=dialect, seed=seed, clock=clock)
            free.put(Provider(stack.enter_context(sandbox), clock))
        yield free


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Return the store's database, which every eighth run has its ledger in."""
    engine = connect(migrated(tmp_path_factory.mktemp("ledger") / "receiver.db"), busy_timeout_s=30)
    yield engine
    engine.dispose()


def stored(engine: Engine, source: str) -> StoreLedger:
    """Return the ledger of one account."""
    return StoreLedger(engine, source)


class TestStorm:
    @pytest.mark.timeout(300)
    def test_nothing_is_ever_charged_twice(
        self, providers: "queue.SimpleQueue[Provider]", database: Engine
    ) -> None:
        """Seeded runs of any faults and crashes, in every dialect: charges never exceed what was asked for.

        Each ends as a generation, a refusal, or in doubt; and recovery then leaves no doubt.
        """

        def one(seed: int) -> Account:
            provider = providers.get()
            try:
                return run(seed, provider, database)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, {provider.sandbox.dialect}: {error}") from error
            finally:
                providers.put(provider)

        with ThreadPoolExecutor(WORKERS) as pool:
            accounts = list(pool.map(one, range(FIRST_SEED, FIRST_SEED + RUNS)))
        ends = Counter(_end(wish) for account in accounts for wish in account.wishes)
        print(f"{RUNS} runs, {sum(ends.values())} submissions: {dict(ends)}")  # noqa: T201  # pytest -s
        assert all(ends[end] for end in ("generation", "refusal", "ruled out, then sent")) or RUNS < 50


class TestEveryByte:
    @pytest.mark.parametrize("side", ["request", "answer"])
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.timeout(120)
    def test_a_cut_charges_at_most_once(self, kind: str, side: Literal["request", "answer"]) -> None:
        """The connection ends after any byte of a paid POST or of its answer; recovery then finds it."""
        with Sandbox(knobs=STILL) as sandbox, relay(urlsplit(sandbox.url).port or 0) as wire:
            with clients(kind) as make:
                account = Account(
                    sandbox,
                    Ahead(),
                    "bytes",
                    sandbox.url.replace(sandbox.origin, wire.origin),
                    [],
                    make,
                    CrashingLedger(),
                )
                client = account.program(PATIENT)
                client.models.list()  # a connection that lives on, and is not used for what may charge
                account.ask(Wish("whole", "image", "whole"), client, on_unknown="raise")
                length = wire.passed[side]
                for after_bytes in [*range(0, length, STRIDE), length - 1, length]:
                    wish = Wish(f"{side} {after_bytes}", "image", f"cut after {after_bytes}")
                    account.wishes.append(wish)
                    wire.cuts.append(Cut(side, after_bytes, reset=after_bytes % 2 == 0))
                    account.ask(wish, client, on_unknown="raise")
                    before = sandbox.charges("bytes")
                    wish.doubt = None
                    account.ask(wish, client, on_unknown="recover")
                    assert sandbox.charges("bytes") == before, f"charged again: {wish}"
            account.wishes.append(Wish("whole", "image", "whole"))
            charged = sandbox.charges("bytes")
            assert charged <= len(account.wishes)
            assert charged - 1 == sum(wish.made is not None for wish in account.wishes)


def _end(wish: Wish) -> str:
    if wish.made is None:
        return "refusal"
    return "ruled out, then sent" if wish.ruled_out else "generation"
