"""What the provider's list says about a request in doubt: accepted, not accepted, or unknown.

| the whole list, as far down as it matters, shows            | before it settled | once it settled      |
| ----------------------------------------------------------- | ----------------- | -------------------- |
| one that fits, which nobody else can claim                  | it is that one    | it is that one       |
| none that could be it, by a wrong clock or in other words   | nothing is known  | nothing was accepted |
| as many as there are open orders for the very same, or less | nothing is known  | shared out           |
| anything else                                               | candidates        | candidates           |

Orders for exactly the same thing are interchangeable, so it does not matter which one gets which generation.
But no generation may be left over, and every program must assign them the same way. Only an exact match is
assigned to an order; a person decides about possible matches.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from receiver.client.paid_calls import essence
from receiver.client.recovery import InDoubt, Search, is_contested, unclaimed
from receiver.client.results import Generation
from receiver.submissions import Submission


@dataclass(frozen=True, slots=True)
class Became:
    """It was accepted, and became this generation."""

    generation: Generation


@dataclass(frozen=True, slots=True)
class NothingAccepted:
    """It was not accepted, and no longer can be: nothing was charged for it."""


@dataclass(frozen=True, slots=True)
class StillOpen:
    """It is unknown, perhaps only for now; these are possible matches."""

    candidates: tuple[Generation, ...]


Verdict = Became | NothingAccepted | StillOpen


@dataclass(frozen=True, slots=True)
class Evidence:
    """The findings about a request in doubt."""

    search: Search
    rivals: Sequence[Submission]
    """The other open rows of the ledger, read before *claimed*."""
    claimed: Collection[str]
    """Which of the found generations belong to a row."""
    now: float
    """When the search began, by the client's clock."""
    skew_s: float | None
    """The provider's clock minus ours."""


def judge(doubt: InDoubt, client_ref: str | None, evidence: Evidence) -> Verdict:
    """Decide the outcome of *doubt*. No decision can charge one order twice."""
    alike = unclaimed(evidence.search.alike, evidence.claimed)
    found = tuple(made for made in alike if doubt.fits(made, evidence.skew_s))
    contested = any(is_contested(doubt, client_ref, evidence.rivals, made) for made in found)
    if not evidence.search.complete:
        return StillOpen(found)
    if len(found) == 1 and not contested and found[0].created_at is not None:
        return Became(found[0])
    if not doubt.has_settled(evidence.now):
        return StillOpen(found)
    near = tuple(made for made in alike if doubt.fits_nearly(made, evidence.skew_s))
    if not near:
        return NothingAccepted()
    likeliest = tuple(sorted(near, key=doubt.same_request, reverse=True))
    return _shared_out(doubt, client_ref, evidence, alike) or StillOpen(likeliest)


def _shared_out(
    doubt: InDoubt, client_ref: str | None, evidence: Evidence, alike: Sequence[Generation]
) -> Verdict | None:
    """Assign *alike* to the orders for exactly the same thing; None if that is ambiguous."""
    rows = [(doubt.sent_at, client_ref or "", doubt)]
    for row in evidence.rivals:
        rival = InDoubt(row.kind, row.request, row.sent_at or doubt.sent_at)
        twins = rival.kind == doubt.kind and essence(rival.request) == essence(doubt.request)
        if row.client_ref == client_ref or not (twins or any(map(rival.could_claim, alike))):
            continue
        if not twins or not rival.has_settled(evidence.now):
            return None
        rows.append((rival.sent_at, row.client_ref, rival))
    return _share(rows, client_ref or "", alike, evidence.skew_s)


def _share(
    rows: Sequence[tuple[float, str, InDoubt]], mine: str, alike: Sequence[Generation], skew_s: float | None
) -> Verdict | None:
    waiting, given = sorted(rows, key=lambda row: row[:2]), dict[str, Generation]()
    near = [made for made in alike if any(row[2].fits_nearly(made, skew_s) for row in rows)]
    for made in sorted(near, key=_age):
        owner = next((row for row in waiting if row[2].fits(made, skew_s)), None)
        if owner is None or made.created_at is None:
            return None
        waiting.remove(owner)
        given[owner[1]] = made
    return Became(given[mine]) if mine in given else NothingAccepted()


def _age(made: Generation) -> float:
    return 0.0 if made.created_at is None else made.created_at.timestamp()
