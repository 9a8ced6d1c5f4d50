"""docs/tutorial.md: its commands, word for word, in one shell. Only ports and the package's place differ."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.servers.require import free_ports

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/tutorial.md"
LIMIT_S = 300


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build what `pip install` gets."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def script(wheel: Path) -> str:
    """Return all commands of the page, with our values for the variables that its first block sets."""
    blocks = re.findall(r"(?m)^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL)
    if shutil.which("caddy") is None:
        blocks = [block for block in blocks if not block.startswith("caddy ")]
    text = "".join(blocks)
    names = re.findall(r"\b(\w+_PORT)=\d+", text)
    values = {name: str(port) for name, port in zip(names, free_ports(len(names)), strict=True)}
    text = re.sub(r"\b(\w+_PORT)=\d+", lambda found: f"{found[1]}={values[found[1]]}", text)
    text, count = re.subn(r"(?m)^export SOURCE='.*'", f"export SOURCE='{wheel.as_uri()}'", text)
    assert count == 1
    return f"PS4='+$SECONDS '; set -eux -o pipefail\n{text}"


@pytest.fixture(scope="module")
def followed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the tutorial in an empty folder; yield the folder, and what was printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    env = {name: value for name, value in os.environ.items() if not name.startswith("RECEIVER_")}
    env |= {
        # The dependencies are those of this environment: only our wheel is installed anew.
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_IGNORE_INSTALLED": "1",
        "PIP_NO_COMPILE": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    printed = folder / "printed"
    with printed.open("w") as output:
        shell = subprocess.Popen(
            ["bash", "-c", script(wheel)],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = shell.wait(LIMIT_S)
        finally:
            _end(shell.pid)
    text = printed.read_text()
    assert status == 0, text
    return folder, text


def _end(group: int) -> None:
    """End what the tutorial left running, or what hangs."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.mark.timeout(400)
class TestTutorial:
    def test_does_what_it_says(self, followed: tuple[Path, str]) -> None:
        """Every command succeeds, from the installed wheel, and leaves what the text promises."""
        folder, text = followed
        tried, real = folder / "try-receiver", folder / "receiver"
        assert list(tried.glob(".venv/lib/python*/site-packages/receiver/deploy/Caddyfile"))
        assert len(list((tried / "data/assets").rglob("gen_*"))) == 1
        assert '"co.aivisualstudio.generation.completed"' in (tried / "data/messages.jsonl").read_text()
        assert "generation.completed gen_" in (tried / "app.log").read_text()
        assert "invalid_signature" in text
        assert "gen_tutorial" in (real / "data/messages.jsonl").read_text()
        assert not (real / "secret.txt").exists()
        assert (real / "receiver.service").exists()

    def test_shows_no_secret(self, followed: tuple[Path, str]) -> None:
        """But for the token that it tells the reader to print."""
        folder, text = followed
        for kept in (folder / "try-receiver/secrets").iterdir():
            if kept.name != "admin_token":
                assert kept.read_text().strip() not in text
