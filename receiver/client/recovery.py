"""Finding a paid request in the provider's list when its answer was lost.

The API document has no idempotency key and no search, so we compare. Kind, model and prompt must be the same,
and the generation must be newer than the request. A single match that nobody else claims is ours.
`receiver.client.verdicts` says what none or several mean.

The document does not show a row of the list either. So a row with another wording is not taken as ours, but
does not prove that ours is missing.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from receiver.client.ledger import SETTLING_S
from receiver.client.pagination import Walk
from receiver.client.paid_calls import model_of
from receiver.client.results import Generation, GenerationPage
from receiver.contract import IMAGE_ASPECT_RATIOS, KINDS, PAGE_SIZE_MAX
from receiver.submissions import Submission

_ELLIPSIS: Final = re.compile(r"…|\.{3}")


def same_words(shown: str, sent: str) -> bool:
    """Whether both are equal except for blanks."""
    return shown.split() == sent.split()


def same_letters(shown: str, sent: str) -> bool:
    """Whether both are equal except for case, accents, punctuation, blanks and HTML entities."""
    return _letters(shown) == _letters(sent)


def may_be(shown: str, sent: str) -> bool:
    """Whether *shown* may be *sent* with text removed or added at either end."""
    whole, start = _letters(sent), _letters(_ELLIPSIS.split(shown, maxsplit=1)[0])
    return start in whole or whole in _letters(shown)


def _letters(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", html.unescape(text)).casefold()
    return "".join(filter(str.isalnum, decomposed))


LOOKS_S: Final = (0.0, 1.0, 3.0, 6.0)
"""Pauses before each search: a request may take a moment to be listed."""
_MOST_PAGES: Final = 20
_MOST_PAGES_FOR_CERTAINTY: Final = 100
_SKEW_S: Final = 5.0
_UNKNOWN_SKEW_S: Final = 60.0
_LONGEST_JOURNEY_S: Final = 900.0
"""A generation created later than this after the request was recorded is somebody else's."""
_WRONG_CLOCK_S: Final = 900.0
"""How wrong the sending machine's clock may be before we conclude that nothing was accepted."""


@dataclass(frozen=True, slots=True)
class InDoubt:
    """A request without an answer, as the provider's list may show it."""

    kind: str
    request: Mapping[str, object] = field(repr=False)
    sent_at: float
    """In seconds since the epoch, by the client's clock."""

    def fits(self, made: Generation, skew_s: float | None) -> bool:
        """Whether *made* matches the request exactly. *skew_s* is the provider's clock minus ours."""
        return self.same_request(made) and self.same_time(made, skew_s)

    def same_request(self, made: Generation) -> bool:
        """Whether *made* is shown with this kind, model and prompt; kind and model may be missing."""
        ratio, asked = made.raw.get("aspect_ratio"), self.request.get("aspect_ratio")
        return (
            made.type in {None, self.kind}
            and made.model in {None, model_of(self.kind, self.request)}
            and made.prompt is not None
            and same_words(made.prompt, str(self.request.get("prompt")))
            and (ratio is None or asked is None or ratio == asked)
        )

    def could_claim(self, made: Generation) -> bool:
        """Whether *made* may be this, shown completely, perhaps with different characters."""
        return self._resembles(made, same_letters)

    def could_be(self, made: Generation) -> bool:
        """Whether *made*, as shown, may be this."""
        return self._resembles(made, may_be)

    def _resembles(self, made: Generation, alike: Callable[[str, str], bool]) -> bool:
        # Only a different documented word excludes a match, and the provider may change the default model.
        ratio, model = made.raw.get("aspect_ratio"), self.request.get("model")
        return (
            (made.type == self.kind or made.type not in KINDS)
            and (ratio not in IMAGE_ASPECT_RATIOS or self.request.get("aspect_ratio") in {None, ratio})
            and (made.model is None or model is None or alike(made.model, str(model)))
            and (made.prompt is None or alike(made.prompt, str(self.request.get("prompt"))))
        )

    def same_time(self, made: Generation, skew_s: float | None) -> bool:
        """Whether *made* was created soon after this was sent, or has no time."""
        if made.created_at is None:
            return True
        age_s = made.created_at.timestamp() - self.sent_at - (skew_s or 0.0)
        return -_margin_s(skew_s) <= age_s <= _LONGEST_JOURNEY_S

    def fits_nearly(self, made: Generation, skew_s: float | None) -> bool:
        """Whether *made* could match the request, even with a wrong clock."""
        if made.created_at is None:
            return self.could_be(made)
        age_s = made.created_at.timestamp() - self.sent_at - (skew_s or 0.0)
        near = -_WRONG_CLOCK_S <= age_s <= _LONGEST_JOURNEY_S + _WRONG_CLOCK_S
        return near and self.could_be(made)

    def has_settled(self, now: float) -> bool:
        """Whether it would be listed by *now* if it had been accepted."""
        return now >= self.sent_at + SETTLING_S


class Search:
    """Which pages of the list to read for a request in doubt, and the matches on them.

    The document does not say the list's order: newest first ends early, oldest first is read from its end.
    """

    def __init__(self, doubt: InDoubt, *, since: float | None = None) -> None:
        """Search for *doubt*, and for everything created after *since*, by our clock."""
        self.alike: list[Generation] = []
        """Generations since then that could be it, by kind, model and prompt."""
        self.finished = False
        self.complete = False
        """Whether everything that may match was seen."""
        self._doubt = doubt
        self._since = doubt.sent_at if since is None else min(doubt.sent_at, since)
        self._most_pages = _MOST_PAGES if since is None else _MOST_PAGES_FOR_CERTAINTY
        self._walk = Walk(PAGE_SIZE_MAX)
        self._pages = 0
        self._skipped = False

    @property
    def limit(self) -> int:
        """Rows of the next page."""
        return self._walk.limit

    @property
    def offset(self) -> int:
        """Where the next page starts."""
        return self._walk.offset

    def take(self, page: GenerationPage, skew_s: float | None) -> None:
        """Note *page*."""
        self._pages += 1
        known = {made.id for made in self.alike}
        self.alike += [
            made
            for made in self._walk.take(page)
            if made.id not in known and self._doubt.could_be(made) and not self._is_older(made, skew_s)
        ]
        # `total` is only a hint: it may be too large or too small.
        if self._skipped and not (len(page) > 0 and self._is_older(page.data[0], skew_s)):
            self._walk = Walk(PAGE_SIZE_MAX)
        past = _descends(page) and self._is_older(page.data[-1], skew_s)
        self.complete = past or self._walk.finished
        self.finished = self.complete or self._pages >= self._most_pages
        self._skipped = self._pages == 1 and _ascends(page) and (page.total or 0) > len(page)
        if self._skipped:
            self._walk.skip_to((page.total or 0) - PAGE_SIZE_MAX)

    def _is_older(self, made: Generation, skew_s: float | None) -> bool:
        if made.created_at is None:
            return False
        return made.created_at.timestamp() < self._since + (skew_s or 0.0) - _margin_s(skew_s)


def is_contested(
    doubt: InDoubt, client_ref: str | None, rows: Iterable[Submission], made: Generation
) -> bool:
    """Whether another open row requested the same, so that *made* could belong to it."""
    others = [row for row in rows if row.client_ref != client_ref]
    rivals = (InDoubt(row.kind, row.request, row.sent_at or doubt.sent_at) for row in others)
    return any(rival.could_claim(made) and rival.same_time(made, None) for rival in rivals)


def unclaimed(found: Iterable[Generation], claimed: Collection[str]) -> tuple[Generation, ...]:
    """Return those that belong to nobody yet."""
    return tuple(made for made in found if made.id not in claimed)


def _margin_s(skew_s: float | None) -> float:
    return _UNKNOWN_SKEW_S if skew_s is None else _SKEW_S


def _descends(page: GenerationPage) -> bool:
    times = _times(page)
    return len(times) > 1 and times[0] > times[-1] and times == sorted(times, reverse=True)


def _ascends(page: GenerationPage) -> bool:
    times = _times(page)
    return len(times) > 1 and times[0] < times[-1] and times == sorted(times)


def _times(page: GenerationPage) -> list[datetime]:
    return [row.created_at for row in page if row.created_at]
