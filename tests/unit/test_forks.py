"""What a forked process must have of its own."""

import gc
import os

import pytest

from receiver import forks


class Noted(forks.Forkable):
    def __init__(self, said: list[str]) -> None:
        self.said = said
        forks.watch(self)

    def before_fork(self) -> None:
        self.said.append("before")

    def after_fork(self) -> None:
        self.said.append("child")

    def after_fork_in_parent(self) -> None:
        self.said.append("parent")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
class TestWatch:
    def test_is_told_of_each_fork(self) -> None:
        """In the parent before and after, in the child after."""
        noted = Noted([])
        told, tell = os.pipe()
        if (pid := os.fork()) == 0:
            os.write(tell, " ".join(noted.said).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        assert os.read(told, 100) == b"before child"
        assert noted.said == ["before", "parent"]
        os.close(told)
        os.close(tell)

    def test_keeps_nothing_alive(self) -> None:
        """What nobody uses any more is not told."""
        said: list[str] = []
        Noted(said)
        gc.collect()
        if (pid := os.fork()) == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        assert said == []
