"""`receiver completion`, and what the script asks of us."""

import shutil
import subprocess

import pytest

from tests.unit.cli.command import Command
from tests.unit.cli.running import Run


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_prints_the_script(self, run: Run, shell: str) -> None:
        """Which asks the command itself what fits."""
        ended = run("completion", shell)
        assert ended.status == 0
        assert f"_RECEIVER_COMPLETE={shell}_complete" in ended.out

    def test_refuses_another_shell(self, run: Run) -> None:
        """The message names those there are."""
        ended = run("completion", "tcsh")
        assert ended.status == 2
        assert "bash" in ended.err

    @pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
    def test_bash_takes_the_script(self, run: Run) -> None:
        """It has no syntax errors."""
        subprocess.run(["bash", "-n"], input=run("completion", "bash").out, text=True, check=True)

    def test_completes_commands_and_choices(self, command: Command) -> None:
        """What the script asks is answered with names of commands, options and values."""
        words = {"COMP_WORDS": "receiver image --format ", "COMP_CWORD": "3"}
        assert command.run(_RECEIVER_COMPLETE="bash_complete", **words).stdout.split() == [
            "plain,webp",
            "plain,png",
            "plain,jpg",
        ]
        words = {"COMP_WORDS": "receiver gen", "COMP_CWORD": "1"}
        assert command.run(_RECEIVER_COMPLETE="bash_complete", **words).stdout == "plain,generations\n"
