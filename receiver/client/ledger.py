"""The ledger: every paid request, recorded before it is sent, so that none is sent twice."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from receiver.submissions import Submission

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
