"""A submission: one generation that our client requested from the provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["sending", "submitted", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Submission:
    """One generation that was requested, or is about to be."""

    client_ref: str
    """The caller's own name for it. Unique in the ledger."""
    kind: str
    """`image` or `video`."""
    request: Mapping[str, object] = field(repr=False)
    """The JSON body that is sent; emptied after the ledger's retention."""
    state: State
    """`sending` from before the POST: after a crash, treat it like `unknown`."""
    generation_id: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    """The caller's own data, passed on with the generation's event. Never sent to the provider."""
    sent_at: float | None = None
    """In seconds since the epoch, by the client's clock."""
    error: str | None = None
    """Why it was refused, or what is in doubt."""
