"""`receiver backup` and `restore`, of a SQLite file that is open."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from receiver.store.migrations import revisions
from tests.servers.require import free_ports
from tests.stored import an_event, delivered
from tests.unit.cli.command import Command
from tests.unit.cli.running import Run
from tests.unit.cli.stored import in_store

LIVING = "import sys; file = open(sys.argv[1]); print(flush=True); sys.stdin.read()"


def moved_away(tmp_path: Path) -> None:
    for path in (tmp_path / "data").glob("receiver.db*"):
        path.rename(tmp_path / path.name)


class TestBackup:
    def test_a_copy_that_can_be_restored(self, run: Run, tmp_path: Path) -> None:
        """Taken while another has it open and has just written; put back it holds the same events."""
        event = an_event()
        in_store(tmp_path, lambda store: delivered(store, event))
        database = tmp_path / "data/receiver.db"
        with closing(sqlite3.connect(database)) as other:
            other.execute("BEGIN IMMEDIATE")
            told = run("backup", "copy.db", "--json").object
        assert (told["events"], told["revision"]) == (1, revisions()[0])
        assert [path.name for path in tmp_path.glob("*copy*")] == ["copy.db"]
        moved_away(tmp_path)
        assert run("restore", "copy.db", "--json").object["events"] == 1
        assert run("events", "show", event.id, "--json").object["id"] == event.id

    def test_overwrites_nothing(self, run: Run, tmp_path: Path) -> None:
        """Neither a file in place of the copy, nor the database."""
        in_store(tmp_path, lambda store: delivered(store, an_event()))
        (tmp_path / "copy.db").write_bytes(b"precious")
        assert "copy.db exists" in run("backup", "copy.db").err
        assert (tmp_path / "copy.db").read_bytes() == b"precious"
        run("backup", "other.db")
        assert "receiver.db exists: stop every process" in run("restore", "other.db").err

    def test_where_it_cannot_be_written(self, run: Run, tmp_path: Path) -> None:
        """The message is of the copy: nobody is to think that the database is broken."""
        in_store(tmp_path, lambda store: delivered(store, an_event()))
        assert "there is no folder nowhere" in run("backup", "nowhere/copy.db").err
        assert "cannot copy data/receiver.db to /proc/copy.db" in run("backup", "/proc/copy.db").err

    def test_no_database(self, run: Run) -> None:
        """Nothing is made where there is nothing to back up, and PostgreSQL has its own tools."""
        assert "there is no data/receiver.db" in run("backup", "copy.db").err
        ended = run("backup", "copy.db", RECEIVER_DATABASE_URL="postgresql://h/d")
        assert "pg_dump" in ended.err


class TestRestore:
    def test_not_under_a_living_process(self, run: Run, tmp_path: Path) -> None:
        """One that has the removed file open would go on with it, and its commits be lost."""
        in_store(tmp_path, lambda store: delivered(store, an_event()))
        run("backup", "copy.db")
        living = [sys.executable, "-c", LIVING, str(tmp_path / "data/receiver.db")]
        with subprocess.Popen(living, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            for path in (tmp_path / "data").glob("receiver.db*"):
                path.unlink()
            said = run("restore", "copy.db").err
            process.communicate()
        assert f"still open: stop {process.pid}" in said
        assert run("restore", "copy.db").status == 0

    def test_only_what_is_whole_and_ours(self, run: Run, tmp_path: Path) -> None:
        """No damaged file, no other database, none of a newer release, and nothing is left behind."""
        in_store(tmp_path, lambda store: delivered(store, *(an_event(f"gen_{n}") for n in range(50))))
        run("backup", "whole.db")
        moved_away(tmp_path)
        whole = (tmp_path / "whole.db").read_bytes()
        (tmp_path / "damaged.db").write_bytes(whole[:20_000] + b"x" * 9_000 + whole[29_000:])
        (tmp_path / "text.db").write_text("no database at all, and long enough to be read as the head of one")
        with closing(sqlite3.connect(tmp_path / "other.db")) as other, other:
            other.execute("CREATE TABLE other (x)")
        (tmp_path / "newer.db").write_bytes(whole)
        with closing(sqlite3.connect(tmp_path / "newer.db")) as newer, newer:
            newer.execute("UPDATE alembic_version SET version_num = '9999'")
        for name, why in [
            ("damaged.db", ""),
            ("text.db", "not a database"),
            ("other.db", "not a database of the receiver"),
            ("newer.db", "newer release"),
        ]:
            ended = run("restore", name)
            assert ended.status
            assert name in ended.err
            assert why in ended.err
        assert list((tmp_path / "data").glob("*receiver.db*")) == []


class TestMigrate:
    def test_says_what_it_did(self, command: Command) -> None:
        """From empty to this release's revision; again, it says that there was nothing to do."""
        newest = revisions()[0]
        first, second = command.run("migrate"), command.run("migrate")
        assert (first.returncode, first.stdout) == (0, f"schema empty -> {newest}\n")
        assert (second.returncode, second.stdout) == (0, f"schema already at {newest}\n")

    def test_dead_server(self, command: Command) -> None:
        """A database that does not answer is one line and exit code 1, without the password."""
        url = f"postgresql://u:hunter2@127.0.0.1:{free_ports(1)[0]}/d"
        done = command.run("migrate", RECEIVER_DATABASE_URL=url)
        assert done.returncode == 1
        assert done.stderr.startswith("receiver: store_unavailable: ")
        assert "Traceback" not in done.stderr
        assert "hunter2" not in done.stderr
