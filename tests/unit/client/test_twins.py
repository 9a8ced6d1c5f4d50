"""`receiver.client.blocking` is `receiver.client.aio` with the awaiting removed: `make twins` writes it."""

import inspect
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from receiver.client import AsyncClient, Client

ROOT = Path(__file__).parents[3]
TOOL = Path("tools/unasync.py")
CLIENT = Path("receiver/client")


def public_methods(client: object) -> Iterator[tuple[str, object]]:
    for name, part in [("", client), *vars(client).items()]:
        if not name.startswith("_"):
            for method, value in inspect.getmembers(part, callable):
                if not method.startswith("_"):
                    yield f"{name}.{method}", value


def check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / TOOL), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


class TestModules:
    def test_each_is_what_the_awaiting_one_gives(self) -> None:
        """Neither half can be changed alone, and each pattern is of use."""
        done = check(ROOT)
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_change_of_one_half_is_found_and_carried_over(self, tmp_path: Path) -> None:
        """The check names the file, and a pattern that matches nothing; the command writes the file."""
        shutil.copytree(ROOT / CLIENT, tmp_path / CLIENT)
        (tmp_path / TOOL).parent.mkdir()
        shutil.copy(ROOT / "pyproject.toml", tmp_path)
        (tmp_path / "receiver/__init__.py").touch()
        start = "AWAITING_REMOVED: Final = ("
        source = (ROOT / TOOL).read_text().replace(start, f'{start}("no_such_name", ""),')
        (tmp_path / TOOL).write_text(source)
        twin = tmp_path / CLIENT / "blocking/session.py"
        before = twin.read_text()
        twin.write_text(f"{before}\nX = 1\n")
        done = check(tmp_path)
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            "receiver/client/blocking/session.py is not what session.py in aio gives",
            "matches nothing: no_such_name",
        ]
        subprocess.run([sys.executable, tmp_path / TOOL], capture_output=True, check=False, timeout=60)
        assert twin.read_text() == before

    def test_neither_half_has_a_module_of_its_own(self) -> None:
        """Both packages list the same files."""
        aio, blocking = (
            {path.name for path in (ROOT / CLIENT / half).glob("*.py")} for half in ("aio", "blocking")
        )
        assert aio == blocking


class TestSignatures:
    def test_same_names_and_parameters(self) -> None:
        """What can be asked of one client can be asked of the other, in the same words."""
        blocking = dict(public_methods(Client("avs_live_x")))
        awaiting = dict(public_methods(AsyncClient("avs_live_x")))
        assert blocking.keys() == awaiting.keys()
        for name, method in blocking.items():
            ours = inspect.signature(method).parameters  # type: ignore[arg-type]
            theirs = inspect.signature(awaiting[name]).parameters  # type: ignore[arg-type]
            assert ours == theirs, name
