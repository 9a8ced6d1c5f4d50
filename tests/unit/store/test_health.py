"""What a refused delivery says of the next."""

import sqlite3
import time
from pathlib import Path

import pytest

from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.health import Trouble
from tests.stored import an_event, migrated


class TestTrouble:
    def test_is_remembered_for_a_while(self) -> None:
        """Then a look is to find out anew."""
        now = time.monotonic()
        Trouble("DiskFull: no room", until=now).refuse()
        with pytest.raises(StoreUnavailable, match="DiskFull"):
            Trouble("DiskFull: no room", until=now + 60).refuse()

    async def test_until_a_delivery_is_recorded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A probe that finds room does not end it, nor does what fails for another reason."""
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorcode = sqlite3.SQLITE_FULL
        store = Store(migrated(tmp_path / "receiver.db"))
        for cause in (full, None):

            async def refuse(_arrival: object, cause: Exception | None = cause) -> None:
                raise StoreUnavailable("refused" if cause is None else str(cause)) from cause

            with monkeypatch.context() as patched:
                patched.setattr(store._records, "submit", refuse)
                with pytest.raises(StoreUnavailable):
                    await store.record(an_event())
            with pytest.raises(StoreUnavailable, match="disk is full"):
                await store.check()
        await store.record(an_event())
        await store.check()
        store.close()
