"""What the commands print of rows that nobody wants."""

from pathlib import Path

import pytest

from tests.unit.awkward import GONE, LONG, fill
from tests.unit.cli.running import Run
from tests.unit.cli.stored import DESTINATIONS, in_store

COMMANDS = (
    "status",
    "workers",
    "audit",
    f"find {LONG}",
    "find gen_1",
    "events list",
    f"events show {LONG}",
    "deliveries list",
    f"deliveries list --destination {GONE}",
    f"deliveries show gen_1 {GONE}",
    "destinations list",
    "quarantine list",
    f"quarantine list --source {GONE}",
    "operations list",
    "submissions list",
)


class TestAwkwardRows:
    @pytest.mark.parametrize("manner", ["", "terminal", "--json"])
    def test_are_printed(
        self,
        run: Run,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        manner: str,
        subtests: pytest.Subtests,
    ) -> None:
        """By every command, and nothing of them commands a terminal or passes for a line of ours."""
        in_store(tmp_path, fill)
        if manner == "terminal":
            monkeypatch.setenv("TTY_COMPATIBLE", "1")
            monkeypatch.setenv("NO_COLOR", "1")
        for command in COMMANDS:
            with subtests.test(command=command):
                ended = run(*command.split(), *(["--json"] if manner == "--json" else []), **DESTINATIONS)
                assert ended.status == 0, ended.err
                said = ended.out + ended.err
                assert "\u202e" not in said
                assert "\x1b[31m" not in said
                assert not any(line.startswith(("&amp;", "\ufffd[31m")) for line in ended.err.splitlines())
