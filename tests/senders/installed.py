"""Senders from other languages' package indexes: `make senders` installs and builds them under `.venv`."""

import functools
import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

from tests.senders.drive import FOLDER, Sender
from tests.servers.require import missing

BUILT: Final = FOLDER.parents[1] / ".venv/senders"
_WITHIN_S: Final = 900
_COPY_JARS: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


@dataclass(frozen=True)
class Toolchain:
    """One folder of sources beside this file, and how they are built."""

    folder: str
    """Of `tests/senders`."""
    programs: tuple[str, ...]
    build: tuple[str, ...]
    senders: tuple[Sender, ...]


def _node(library: str, *, connections: int = 1) -> Sender:
    return Sender(library, ("node", "post.mjs", library), connections=connections, folder=BUILT / "npm")


def _java(name: str, source: str, *others: str) -> Sender:
    return Sender(name, ("java", "-cp", "jars/*", source), others, folder=BUILT / "maven")


TOOLCHAINS: Final = (
    Toolchain(
        "npm",
        ("npm", "node"),
        ("npm", "install", "--no-package-lock", "--no-audit", "--no-fund"),
        # undici's second request connects anew, to any server.
        (_node("undici", connections=2), _node("axios"), _node("got")),
    ),
    Toolchain(
        "maven",
        ("mvn", "java"),
        ("mvn", "--quiet", "--batch-mode", _COPY_JARS, "-DoutputDirectory=jars"),
        (_java("okhttp", "OkHttp.java"), _java("apache", "Apache.java", "expect")),
    ),
    Toolchain(
        "cargo",
        ("cargo",),
        ("cargo", "build", "--quiet"),
        (Sender("reqwest", ("target/debug/post",), folder=BUILT / "cargo"),),
    ),
)


@functools.cache
def build(toolchain: Toolchain) -> None:
    """Build its senders once, in a copy; skip the test if a program for that is not on this machine."""
    for program in toolchain.programs:
        if shutil.which(program) is None:
            missing(toolchain.folder, f"no `{program}` on the path")
    folder = shutil.copytree(FOLDER / toolchain.folder, BUILT / toolchain.folder, dirs_exist_ok=True)
    done = subprocess.run(
        toolchain.build, cwd=folder, check=False, capture_output=True, text=True, timeout=_WITHIN_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
