"""A ledger that dies, or fails, at the moment a test chooses."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from receiver.client import Ledger, MemoryLedger, Submission

T = TypeVar("T")


class Crash(BaseException):
    """The program is gone: nothing of it runs on."""


class CrashingLedger:
    """What was written stays, like on a disk; `before` and `after` name the steps around which it fails."""

    def __init__(self, kept: Ledger | None = None) -> None:
        self.before: dict[str, BaseException] = {}
        self.after: dict[str, BaseException] = {}
        self._kept: Ledger = MemoryLedger() if kept is None else kept

    def begin(self, submission: Submission) -> Submission | None:
        """Write *submission* down."""
        return self._around("begin", lambda: self._kept.begin(submission))

    def settle(
        self,
        client_ref: str,
        *,
        state: str,
        generation_id: str | None = None,
        error: str | None = None,
        sent_at: float | None = None,
    ) -> None:
        """Write down what became of it."""
        self._around(
            "settle",
            lambda: self._kept.settle(
                client_ref, state=state, generation_id=generation_id, error=error, sent_at=sent_at
            ),
        )

    def renew(self, client_ref: str, *, was: float, sent_at: float) -> bool:
        """Move a row that is still `sending`."""
        return self._around("renew", lambda: self._kept.renew(client_ref, was=was, sent_at=sent_at))

    def get(self, client_ref: str) -> Submission | None:
        """Return the row of that name."""
        return self._kept.get(client_ref)

    def claimed(self, generation_ids: Collection[str]) -> set[str]:
        """Return which of these belong to a row already."""
        return self._kept.claimed(generation_ids)

    def list(self, *, state: str | None = None, limit: int = 100) -> Sequence[Submission]:
        """Return the rows."""
        return self._kept.list(state=state, limit=limit)

    def outcome(self, generation_id: str) -> Mapping[str, object] | None:
        """Return the `data` of the terminal event."""
        return self._around("outcome", lambda: self._kept.outcome(generation_id))

    def outcomes(self, generation_ids: Collection[str]) -> Mapping[str, Mapping[str, object]]:
        """Return the `data` of the terminal events."""
        return self._around("outcome", lambda: self._kept.outcomes(generation_ids))

    def _around(self, step: str, work: Callable[[], T]) -> T:
        _raise(self.before.pop(step, None))
        result = work()
        _raise(self.after.pop(step, None))
        return result


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error
