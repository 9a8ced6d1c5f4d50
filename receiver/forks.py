"""What a forked process must have of its own: connections, and locks that a thread of its parent held."""

import os
from collections.abc import Callable
from typing import Final
from weakref import WeakSet


class Forkable:
    """Something that a forked process goes on using. Subclasses call `watch`."""

    def before_fork(self) -> None:
        """Get ready, in the parent."""

    def after_fork(self) -> None:
        """Leave to the parent what is the parent's. Nothing else runs in this process yet."""

    def after_fork_in_parent(self) -> None:
        """Go on."""


_watched: Final[WeakSet[Forkable]] = WeakSet()


def watch(thing: Forkable) -> None:
    """Tell *thing* of every fork from now on, as long as it is used."""
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
