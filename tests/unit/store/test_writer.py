"""One writer at a time, and in a forked process connections of its own."""

from pathlib import Path

import pytest
from sqlalchemy import text

from receiver.errors import StoreUnavailable
from receiver.store import writer
from receiver.store.engine import connect
from receiver.store.writer import Writer


class TestWriter:
    def test_closes_the_file_for_a_fork(self, tmp_path: Path) -> None:
        """So the child inherits no lock of it; whoever comes after opens it again."""
        engine = connect(f"sqlite:///{tmp_path}/x.db")
        turn = Writer(engine)
        for after in (turn.after_fork_in_parent, turn.after_fork):
            with turn, engine.begin() as connection:
                connection.execute(text("SELECT 1"))
            assert (tmp_path / "x.db-wal").exists()
            turn.before_fork()
            assert not (tmp_path / "x.db-wal").exists()
            after()
        with turn, engine.begin() as connection:
            connection.execute(text("SELECT 1"))
        engine.dispose()

    def test_a_file_that_is_in_use_all_the_while(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The fork does not wait for ever; the parent goes on, and the child refuses."""
        monkeypatch.setattr(writer, "_QUIET_S", 0.01)
        engine = connect(f"sqlite:///{tmp_path}/x.db")
        turn = Writer(engine)
        with turn:
            turn.before_fork()
            turn.after_fork_in_parent()
        with turn:
            turn.before_fork()
        turn.after_fork()
        with pytest.raises(StoreUnavailable, match="forked"), turn:
            pass
        engine.dispose()
