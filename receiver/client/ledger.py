"""The ledger: every paid request, written down before it is sent, so that none is ever sent twice."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from receiver.submissions import Submission

SETTLING_S: Final = 960.0
"""How long it may take until what was sent is accepted and listed: 15 minutes on the way, one to be listed.

Until then an order that is not listed may still come. Afterwards it never will: the client gives a paid
request up after five minutes at most, and sends none that it noted more than seconds before.
"""


class Events(Protocol):
    """Knows which generations ended, because a webhook, or reconciling, brought their events. Blocking."""

    def outcomes(self, generation_ids: Collection[str]) -> Mapping[str, Mapping[str, object]]:
        """Return the provider's `data` object of the terminal event of those that have one, by id."""
        ...


class Ledger(Events, Protocol):
    """Keeps submissions. Blocking, and safe to share between threads: `AsyncClient` calls it in a thread.

    Every method may raise `receiver.errors.StoreUnavailable`; then the client sends nothing, or, when it has
    sent already, leaves the row as it is.
    """

    def begin(self, submission: Submission) -> Submission | None:
        """Write *submission*, which is `sending`, to disk; return None if it may be sent.

        Return the row that was there already, unchanged, if `client_ref` is taken: then nothing may be sent.
        A `refused` row does not take it, because nothing was charged for it: it is replaced by *submission*
        whole, by one caller only when several try at once.
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
        """Write down the outcome of a submission. A `submitted` row is final: settling it again does nothing.

        Nor does it if *sent_at* is given and is not the row's: then the name was freed and used again since.

        Raises:
            GenerationClaimed: (`receiver.errors`) another row has it; nothing was written.
        """
        ...

    def renew(self, client_ref: str, *, was: float, sent_at: float) -> bool:
        """Move a row that is still `sending`, since *was*, to *sent_at*; tell whether it was.

        False means that another call settled it meanwhile: then nothing may be sent.
        """
        ...

    def get(self, client_ref: str) -> Submission | None:
        """Return the row of that name."""
        ...

    def claimed(self, generation_ids: Collection[str]) -> set[str]:
        """Return which of these belong to a row already."""
        ...

    def list(self, *, state: str | None = None, limit: int = 100) -> Sequence[Submission]:
        """Return the rows, or those in *state*, latest `sent_at` first."""
        ...

    def outcome(self, generation_id: str) -> Mapping[str, object] | None:
        """Return the provider's `data` object (`id`, `status`, `output_url`…) of the terminal event.

        None when no such event arrived yet.
        """
        ...
