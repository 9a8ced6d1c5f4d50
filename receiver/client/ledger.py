"""The ledger: every paid request, recorded before it is sent, so that none is sent twice."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol, cast

from receiver import forks
from receiver.errors import GenerationClaimed
from receiver.submissions import State, Submission

SETTLING_S: Final = 960.0
"""How long a request may take until it is accepted and listed: 15 minutes in transit, one to be listed.

Until then, an unlisted order may still appear. Afterwards it never will: the client gives up a paid request
after five minutes at most, and sends none that it recorded more than seconds before.
"""


class Events(Protocol):
    """Knows finished generations, from the events of webhooks or reconciling. Blocking."""

    def outcomes(self, generation_ids: Collection[str]) -> Mapping[str, Mapping[str, object]]:
        """Return the provider's `data` objects from terminal events, by id."""
        ...


class Ledger(Events, Protocol):
    """Keeps submissions. Blocking, and safe to share between threads: `AsyncClient` calls it in a thread.

    Every method may raise `receiver.errors.StoreUnavailable`. Then the client sends nothing, or leaves the
    row as it is if it has already sent.
    """

    def begin(self, submission: Submission) -> Submission | None:
        """Store *submission*, which is `sending`, durably; return None if it may be sent.

        If `client_ref` is taken, return the existing row, unchanged: then nothing may be sent. A `refused`
        row does not count, because nothing was charged for it. It is replaced by *submission*, and by only
        one of several concurrent callers.
        """
        ...

    def settle(
        self,
        client_ref: str,
        *,
        state: str,
        generation_id: str | None = None,
        error: str | None = None,
        sent_at: float | None = None,
    ) -> None:
        """Record the outcome of a submission. A `submitted` row is final: settling it again does nothing.

        Nor does it if *sent_at* is given and is not the row's: then the name was freed and used again since.

        Raises:
            GenerationClaimed: (`receiver.errors`) another row has it; nothing was written.
        """
        ...

    def renew(self, client_ref: str, *, was: float, sent_at: float) -> bool:
        """Move a row that is still `sending`, since *was*, to *sent_at*; return whether it was.

        False means that another call settled it meanwhile: then nothing may be sent.
        """
        ...

    def get(self, client_ref: str) -> Submission | None:
        """Return the row of that name."""
        ...

    def claimed(self, generation_ids: Collection[str]) -> set[str]:
        """Return which of these already belong to a row."""
        ...

    def list(self, *, state: str | None = None, limit: int = 100) -> Sequence[Submission]:
        """Return the rows, or those in *state*, latest `sent_at` first."""
        ...

    def outcome(self, generation_id: str) -> Mapping[str, object] | None:
        """Return the provider's `data` object (`id`, `status`, `output_url`…) of the terminal event.

        None when no such event arrived yet.
        """
        ...


class MemoryLedger(forks.Forkable):
    """Keeps submissions in memory: for tests, and for a client that was given no other ledger.

    Args:
        limit: rows to keep; the oldest settled ones are forgotten first. None keeps all.
    """

    def __init__(self, *, limit: int | None = None) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._rows: dict[str, Submission] = {}
        self._outcomes: dict[str, Mapping[str, object]] = {}
        forks.watch(self)

    def after_fork(self) -> None:
        """Wait for no thread of the parent."""
        self._lock = threading.Lock()

    def begin(self, submission: Submission) -> Submission | None:
        """Record *submission*; return None if it may be sent, else the existing row."""
        with self._lock:
            earlier = self._rows.get(submission.client_ref)
            if earlier is not None and earlier.state != "refused":
                return earlier
            self._rows.pop(submission.client_ref, None)
            self._rows[submission.client_ref] = submission
            self._forget()
            return None

    def settle(
        self,
        client_ref: str,
        *,
        state: str,
        generation_id: str | None = None,
        error: str | None = None,
        sent_at: float | None = None,
    ) -> None:
        """Record the outcome of a submission; `submitted` is final.

        Raises:
            GenerationClaimed: another row has this generation.
        """
        with self._lock:
            row = self._rows.get(client_ref)
            if row is None or row.state == "submitted" or sent_at not in {None, row.sent_at}:
                return
            if generation_id is not None and generation_id in self._generations():
                raise GenerationClaimed(f"{generation_id} belongs to another submission")
            settled = cast("State", state)
            self._rows[client_ref] = replace(row, state=settled, generation_id=generation_id, error=error)

    def renew(self, client_ref: str, *, was: float, sent_at: float) -> bool:
        """Move a row that is `sending` since *was* to *sent_at*; False when it no longer is."""
        with self._lock:
            row = self._rows.get(client_ref)
            if row is None or (row.state, row.sent_at) != ("sending", was):
                return False
            self._rows[client_ref] = replace(row, sent_at=sent_at)
            return True

    def get(self, client_ref: str) -> Submission | None:
        """Return the row of that name."""
        with self._lock:
            return self._rows.get(client_ref)

    def claimed(self, generation_ids: Collection[str]) -> set[str]:
        """Return which of these already belong to a row."""
        with self._lock:
            return set(generation_ids) & self._generations()

    def list(self, *, state: str | None = None, limit: int = 100) -> Sequence[Submission]:
        """Return the rows, or those in *state*, latest first."""
        with self._lock:
            rows = [row for row in self._rows.values() if state in {None, row.state}]
        return sorted(rows, key=lambda row: row.sent_at or 0.0, reverse=True)[:limit]

    def outcome(self, generation_id: str) -> Mapping[str, object] | None:
        """Return the `data` of the terminal event, if it was put here."""
        with self._lock:
            return self._outcomes.get(generation_id)

    def outcomes(self, generation_ids: Collection[str]) -> Mapping[str, Mapping[str, object]]:
        """Return the `data` of those terminal events that were put here."""
        with self._lock:
            return {name: self._outcomes[name] for name in generation_ids if name in self._outcomes}

    def put_outcome(self, data: Mapping[str, object]) -> None:
        """Keep the `data` of a terminal event, as a webhook brought it."""
        with self._lock:
            self._outcomes[str(data["id"])] = data

    def _generations(self) -> set[str]:
        return {row.generation_id for row in self._rows.values() if row.generation_id is not None}

    def _forget(self) -> None:
        if self._limit is None or len(self._rows) <= self._limit:
            return
        settled = (ref for ref, row in self._rows.items() if row.state in {"submitted", "refused"})
        oldest = next(settled, None)
        if oldest is not None:
            del self._rows[oldest]
