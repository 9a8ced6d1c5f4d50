"""A failover of PostgreSQL under `receiver web` and `receiver worker`: killed, frozen, switched over.

    python -m tests.field.postgresql        prints its rows of docs/field.md

The servers come with `make setup`; HAProxy is Debian's `haproxy`.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Final

import pytest

from tests.field import haproxy
from tests.field.drill import Drill, Report, run
from tests.field.failover import Pair, ask, failover, pair, wait
from tests.servers import postgres
from tests.servers.postgres import PostgresServer

_DETECTED_S: Final = 3.0
"""What takes over needs a while to see that the primary is gone."""


def _killed(servers: Pair) -> None:
    servers.old.kill()
    time.sleep(_DETECTED_S)
    servers.promote()


def _frozen(servers: Pair) -> None:
    servers.old.freeze()
    time.sleep(_DETECTED_S)
    servers.promote()


def _frozen_and_back(servers: Pair) -> None:
    """The old primary goes on where it was, and takes itself for the primary until somebody fences it."""
    _frozen(servers)
    time.sleep(15)
    servers.old.thaw()
    time.sleep(15)
    servers.old.kill()


def _cut_off(servers: Pair) -> None:
    servers.cut_off()
    time.sleep(2)
    _killed(servers)


def _turned_read_only(servers: Pair) -> None:
    """The old primary lives and keeps its connections."""
    servers.configure(servers.old, "default_transaction_read_only", "on")
    [end] = ask(servers.old, "SELECT pg_current_wal_lsn()::text")
    wait(lambda: ask(servers.new, f"SELECT pg_last_wal_replay_lsn() >= '{end}'") == [True])
    servers.promote()


def _stopped(servers: Pair) -> None:
    servers.old.stop()
    servers.promote()
    servers.rejoin()


@dataclass(frozen=True)
class _Situation:
    text: str
    trouble: Callable[[Pair], None]
    within_s: float
    """The longest silence that is all right, with what the detection takes."""


_KILLED: Final = _Situation("the primary is killed, the standby promoted 3 s later", _killed, 12)
_FROZEN: Final = _Situation("the primary freezes (SIGSTOP), the standby is promoted 3 s later", _frozen, 20)
_BACK: Final = _Situation(
    "the same, after 15 s the old primary goes on, and 15 s later it is killed", _frozen_and_back, 40
)
_READ_ONLY: Final = _Situation(
    "switchover: the primary turns read-only and keeps its connections", _turned_read_only, 10
)
_STOPPED: Final = _Situation("switchover: the primary stops, and comes back as a standby", _stopped, 10)
_CUT_OFF: Final = _Situation(
    "the standby is cut off, 2 s later the primary is killed, 3 s later the standby promoted", _cut_off, 15
)
_SYNCHRONOUS: Final = (_KILLED, _FROZEN, _BACK, _READ_ONLY, _STOPPED, _CUT_OFF)
_ASYNCHRONOUS: Final = (_KILLED, _FROZEN, _READ_ONLY, _CUT_OFF)
_BEHIND_HAPROXY: Final[Sequence[tuple[str, str, bool, Sequence[_Situation]]]] = (
    ("`httpchk`, `shutdown-sessions`", haproxy.BY_ROLE, True, (_KILLED, _FROZEN, _READ_ONLY)),
    ("`httpchk`", haproxy.BY_ROLE, False, (_KILLED, _FROZEN, _READ_ONLY)),
    ("`pgsql-check`, `backup`", haproxy.BY_STARTUP, False, (_KILLED, _FROZEN)),
)


async def _synchronous(report: Report) -> None:
    for situation in _SYNCHRONOUS:
        await _row(report, "two hosts, synchronous", situation)


async def _asynchronous(report: Report) -> None:
    for situation in _ASYNCHRONOUS:
        await _row(report, "two hosts, asynchronous", situation, synchronous=False)


async def _behind(report: Report, name: str, check: str, ends_sessions: bool, situation: _Situation) -> None:
    through = partial(haproxy.leading, check=check, ends_sessions=ends_sessions)
    await _row(report, f"HAProxy ({name}), synchronous", situation, through=through)


def _behind_haproxy() -> Iterator[Drill]:
    """Return a drill for each row, so that one that takes long ends by itself."""
    try:
        haproxy.program()
    except pytest.skip.Exception as error:
        sys.stderr.write(f"SKIPPED postgresql behind haproxy: {error}\n")
        return
    for name, check, ends_sessions, situations in _BEHIND_HAPROXY:
        for situation in situations:
            yield partial(_behind, name=name, check=check, ends_sessions=ends_sessions, situation=situation)


async def _row(
    report: Report,
    how: str,
    situation: _Situation,
    *,
    synchronous: bool = True,
    through: Callable[[Pair], AbstractContextManager[str]] = lambda servers: nullcontext(servers.url),
) -> None:
    text = f"{how}: {situation.text}"
    try:
        with pair(synchronous=synchronous) as servers, through(servers) as url:

            def trouble() -> PostgresServer:
                situation.trouble(servers)
                return servers.new

            told, held = await asyncio.to_thread(failover, url, trouble)
    except Exception as error:  # noqa: BLE001  # one situation is one row
        report.fails(text, f"{type(error).__name__}: {error}")
    else:
        report.row(text, told, held, within_s=situation.within_s, may_lose=not synchronous)


def _version() -> str:
    with postgres.running(durable=False) as server:
        return f"PostgreSQL {ask(server, 'SHOW server_version')[0]}"


def main() -> int:
    """Print the rows; return how many are not as they should be."""
    return run("postgresql", _version, _synchronous, _asynchronous, *_behind_haproxy())


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
