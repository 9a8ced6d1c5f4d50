"""What a forked process must not share with its parent: connections, and locks that a thread holds."""

import os
from collections.abc import Callable
from typing import Final
from weakref import WeakSet


class Forkable:
    """An object that a forked process continues to use. Subclasses call `watch`."""

    def before_fork(self) -> None:
        """Prepare, in the parent."""

    def after_fork(self) -> None:
        """Drop what belongs to the parent. Nothing else runs in this process yet."""

    def after_fork_in_parent(self) -> None:
        """Continue, in the parent."""


_watched: Final[WeakSet[Forkable]] = WeakSet()


def watch(thing: Forkable) -> None:
    """Notify *thing* of every fork from now on, as long as it exists."""
    _watched.add(thing)


def _all(tell: Callable[[Forkable], None]) -> Callable[[], None]:
    def call() -> None:
        for thing in list(_watched):
            tell(thing)

    return call


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_all(lambda thing: thing.before_fork()),
        after_in_parent=_all(lambda thing: thing.after_fork_in_parent()),
        after_in_child=_all(lambda thing: thing.after_fork()),
    )
