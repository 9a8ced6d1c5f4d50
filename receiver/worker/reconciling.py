"""Reconciles: one duty per source, done by one worker at a time."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from receiver import clock
from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.passes import Turn, end_turn, save_cursor, take_turn
from receiver.worker.cursor import Cursor
from receiver.worker.leases import Leases
from receiver.worker.reconcile_pass import Account, Pass, Report

_LONGEST_REST_S: Final = 5.0
"""How often to check whether the turn is due: another worker's may have run out."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReconcileRules:
    """How often and how far to look."""

    interval_s: float = 300.0
    max_requests: int = 20
    """Per pass."""
    look_back_s: float = 24 * 3600.0
    """How far back the very first pass goes."""

    def cursor(self, kept: str | None) -> Cursor:
        """Return the cursor that was *kept*, or the first one."""
        return Cursor.load(kept, otherwise_ms=clock.now_ms() - int(self.look_back_s * 1000))


@dataclass(frozen=True, slots=True)
class Reconciling:
    """Reconciles one account at intervals."""

    store: Store
    leases: Leases
    account: Account
    rules: ReconcileRules

    async def run(self) -> None:
        """Reconcile at once, and then whenever it is due, until cancelled."""
        await self._try(at_once=True)
        while True:
            await asyncio.sleep(min(self.rules.interval_s, _LONGEST_REST_S))
            await self._try(at_once=False)

    async def turn(self, *, at_once: bool) -> Report | None:
        """Reconcile if it is due; with *at_once*, unless another worker is. None if it was not our turn."""
        with self.leases.claim(1) as claim:
            turn = await self.store.transact_promptly(
                take_turn, claim, source=self.account.source, at_once=at_once
            )
            if turn is None:
                return None
            report = await self._pass(turn).run()
            await self.store.transact_promptly(
                end_turn, turn, due_ms=clock.now_ms() + int(self.rules.interval_s * 1000)
            )
        return report

    def _pass(self, turn: Turn) -> Pass:
        async def save(cursor: Cursor, looks: Mapping[str, int]) -> bool:
            return await self.store.transact_promptly(save_cursor, turn, cursor.dump(), looks)

        cursor = self.rules.cursor(turn.cursor)
        return Pass(self.store, self.account, cursor, max_requests=self.rules.max_requests, save=save)

    async def _try(self, *, at_once: bool) -> None:
        source = self.account.source
        try:
            report = await self.turn(at_once=at_once)
        except StoreUnavailable as error:
            log.warning("not reconciled", source=source, error=str(error))
        except Exception:
            # The turn ends with its lease, and then it is tried again.
            log.exception("reconcile crashed", source=source)
        else:
            if report is not None:
                _log(report)


def _log(report: Report) -> None:
    facts = log.bind(source=report.source, requests=report.requests, seen=report.seen, waiting=report.waiting)
    if report.failure is not None:
        facts.warning("not reconciled", error=report.failure.code, recorded=len(report.recorded))
    else:
        facts.info("reconciled", recorded=len(report.recorded), complete=report.complete)
