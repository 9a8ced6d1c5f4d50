"""`receiver migrate`."""

from receiver.store.migrations import revisions
from tests.servers.require import free_ports
from tests.unit.cli.command import Command


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
