"""The process around the command line: signals, pipes, and how soon it answers."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from receiver.client import Client
from receiver.sandbox import Knobs, Sandbox
from tests.stored import migrated
from tests.unit.cli.command import Command, environment
from tests.waiting.blocking import until

_PROGRAM = """
import sys
from receiver.__main__ import main
slow, sys.argv = sys.argv[1].split(), sys.argv[2:]
try:
    main()
finally:
    loaded = set(slow) & set(sys.modules)
    assert not loaded, loaded
"""


_INTERRUPTED_WHILE_IT_IMPORTS = """
import os, signal, sys
from receiver.__main__ import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored where tests run in the background

class Interruption:
    def find_spec(self, name, *_):
        if name == "receiver.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interruption())
main()
"""


_NEVER = (
    "alembic boto3 psycopg prometheus_client rich starlette structlog uvicorn httpx2 receiver.client"
    " sqlmodel sqlalchemy.orm sqlalchemy.dialects.postgresql"
)
_NOR = "asyncio pydantic sqlalchemy"


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


class TestMain:
    def test_ctrl_c_before_anything_is_imported(self) -> None:
        """The process ends, and does not say where it was."""
        argv = [sys.executable, "-c", _INTERRUPTED_WHILE_IT_IMPORTS, "--help"]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")

    def test_ctrl_c_is_130(self, command: Command) -> None:
        """With one line that says so, and no traceback."""
        with Sandbox(knobs=Knobs(image_delay_s=600, duplicate_rate=0)) as sandbox:
            key = sandbox.key()
            with Client(key, base_url=sandbox.url) as client:
                asked = client.generate.image("x")
            settings = {"RECEIVER_API_KEY": key, "RECEIVER_API_BASE_URL": sandbox.url}
            with command.started("generations", "wait", asked.id, **settings) as process:
                until(lambda: any(seen.operation == "generations.get" for seen in sandbox.seen))
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=20)
        assert process.returncode == 130
        assert said.strip() == "receiver: interrupted"

    def test_output_that_cannot_be_written_is_a_failure(
        self, tmp_path: Path, subtests: pytest.Subtests
    ) -> None:
        """In one line with the reason, on a full disk and where standard output was closed."""
        for words in ("config", "--help"):
            for to, why in ((">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")):
                with subtests.test(words, to=to):
                    command = f'"{sys.executable}" -m receiver {words} {to}'
                    ended = subprocess.run(
                        ["sh", "-c", command],
                        cwd=tmp_path,
                        env=environment({}),
                        capture_output=True,
                        text=True,
                        check=False,
                    )
                    said = f"receiver: the output cannot be written: {why}\n"
                    assert (ended.returncode, ended.stderr) == (1, said)

    def test_an_argument_that_is_no_text(self, tmp_path: Path) -> None:
        """No database can be asked for it."""
        ended = subprocess.run(
            [sys.executable, "-m", "receiver", "find", b"\xff"],
            cwd=tmp_path,
            env=environment({}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 2
        assert ended.stderr.splitlines()[-1] == "receiver: an argument is not valid UTF-8"

    def test_a_reader_that_left_is_no_crash(self, tmp_path: Path) -> None:
        """As in `receiver … | head`: no traceback."""
        reading, writing = os.pipe()
        os.close(reading)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "receiver", "completion", "fish"],
                stdout=writing,
                stderr=subprocess.PIPE,
                check=False,
                timeout=30,
                text=True,
            )
        finally:
            os.close(writing)
        assert (done.returncode, done.stderr) == (1, "")

    def test_a_refusal_is_one_message(self, command: Command) -> None:
        """On standard error, with the status for it."""
        done = command.run_cold("models")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("receiver: RECEIVER_API_KEY is not set")

    @pytest.mark.parametrize("words", ["--help", "image --help", "generations wait --help", "--version"])
    def test_help_is_quick(self, words: str) -> None:
        """It loads nothing that takes long to load."""
        command = [sys.executable, "-c", _PROGRAM, f"{_NEVER} {_NOR}", "receiver", *words.split()]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    @pytest.mark.parametrize("words", ["events list", "destinations list"])
    def test_looking_is_quick(self, words: str, command: Command) -> None:
        """A command that reads the database loads nothing that migrates, serves, forwards or measures."""
        url = migrated(command.folder / "receiver.db")
        argv = [sys.executable, "-c", _PROGRAM, _NEVER, "receiver", *words.split()]
        settings = environment({"RECEIVER_DATABASE_URL": url})
        subprocess.run(argv, check=True, capture_output=True, timeout=55, env=settings)
