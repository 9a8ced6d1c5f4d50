"""Starting the service, and every way in which its settings can be wrong."""

import socket

import pytest

from receiver import __version__
from tests.unit.cli.command import SECRET, Command

LEAK = "hunter2hunter2hunter2"
SECRETS = {"RECEIVER_WEBHOOK_SECRETS": SECRET}

MISTAKES: dict[str, tuple[dict[str, str], str]] = {
    "no secret": ({}, "RECEIVER_WEBHOOK_SECRETS"),
    "short secret": ({"RECEIVER_WEBHOOK_SECRETS": "hunter2"}, "RECEIVER_WEBHOOK_SECRETS"),
    "mistyped name": ({"RECEIVER_WEBHOOK_SECRET": LEAK}, "RECEIVER_WEBHOOK_SECRETS"),
    "other database": (
        {**SECRETS, "RECEIVER_DATABASE_URL": f"mysql://u:{LEAK}@h/d"},
        "RECEIVER_DATABASE_URL",
    ),
    "database is a folder": ({**SECRETS, "RECEIVER_DATABASE_URL": "sqlite:///."}, "RECEIVER_DATABASE_URL"),
    "no bucket": ({**SECRETS, "RECEIVER_ASSETS_URL": f"ftp://{LEAK}"}, "RECEIVER_ASSETS_URL"),
}


class TestServe:
    @pytest.mark.parametrize(
        "mistake",
        MISTAKES,
    )
    def test_mistake(self, command: Command, mistake: str) -> None:
        """Each is one message that names the setting and not its value, exit code 2, no traceback."""
        settings, setting = MISTAKES[mistake]
        done = command.run("serve", **{"RECEIVER_PORT": "0", **settings})
        (message,) = [line for line in done.stderr.splitlines() if line.startswith("receiver: ")]
        assert done.returncode == 2, done.stderr
        assert setting in message
        assert LEAK not in done.stderr
        assert "Traceback" not in done.stderr

    def test_port_in_use(self, command: Command) -> None:
        """Another process on the port is named as what it is."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            done = command.run("serve", **SECRETS, RECEIVER_PORT=str(taken.getsockname()[1]))
        assert done.returncode == 2
        assert "RECEIVER_PORT" in done.stderr
        assert "Address already in use" in done.stderr
        assert "Traceback" not in done.stderr

    def test_missing_extra(self, command: Command) -> None:
        """A database whose driver is not installed says what to install."""
        (command.folder / "psycopg.py").write_text("raise ModuleNotFoundError('no', name='psycopg')")
        done = command.run_cold(
            "serve", **SECRETS, RECEIVER_DATABASE_URL="postgresql://u@h/d", PYTHONSAFEPATH=""
        )
        assert done.returncode == 2, done.stderr
        assert "pip install 'avs-receiver[postgres]'" in done.stderr
        assert "Traceback" not in done.stderr

    def test_refuses_before_it_does_anything(self, command: Command) -> None:
        """Without its secret the service starts no worker and leaves no file."""
        done = command.run("serve", RECEIVER_PORT="0")
        assert "worker started" not in done.stderr
        assert list(command.folder.iterdir()) == []


class TestCli:
    @pytest.mark.parametrize("words", [[], ["serve"], ["web"], ["worker"], ["pull"], ["admin"], ["migrate"]])
    def test_help(self, command: Command, words: list[str]) -> None:
        """Every command explains itself, whatever the settings."""
        done = command.run(*words, "--help", RECEIVER_NONSENSE="x")
        assert (done.returncode, done.stderr) == (0, "")
        assert "Usage: receiver" in done.stdout

    def test_unknown_command(self, command: Command) -> None:
        """A command that does not exist is exit code 2."""
        done = command.run("sevre")
        assert done.returncode == 2
        assert "sevre" in done.stderr

    def test_version(self, command: Command) -> None:
        """The version is the package's."""
        assert __version__ in command.run("--version").stdout
