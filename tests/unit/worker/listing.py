"""A provider's list of generations, ordered and paged in every way that its document leaves open."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from receiver.client import Generation, GenerationPage, NotFound
from receiver.client.parse import generation, generations

NOW: Final = 1_736_424_000_000
"""Milliseconds since the epoch."""


def row(number: int, status: str = "completed", *, at_ms: int | None = NOW, **fields: Any) -> dict[str, Any]:
    """Write one generation as the provider lists it."""
    written = None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
    done = (
        {"completed_at": written, "output_url": "https://cdn.example.com/a.png"}
        if status == "completed"
        else {}
    )
    made = {"id": f"gen_{number}", "type": "image", "status": status, "prompt": f"p {number}", "model": "m"}
    return {**made, "created_at": written, **done, **fields}


def page(*rows: dict[str, Any], total: int | None = None) -> GenerationPage:
    """Read rows as the client does."""
    return generations({"data": list(rows), **({} if total is None else {"total": total})})


@dataclass
class Listing:
    """The list, oldest first in `rows`."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    order: Sequence[int] | str = "newest_first"
    """`newest_first`, `oldest_first`, or the positions of the rows in any other order."""
    widest: int = 100
    """The provider gives no more rows on a page than this."""
    total: int | None = None
    """What the provider says the total is."""
    widths: list[int] = field(default_factory=list)
    """Instead of `widest` for the next pages, one by one."""
    asked: list[tuple[int, int]] = field(default_factory=list)
    got: list[str] = field(default_factory=list)
    arriving: list[dict[str, Any]] = field(default_factory=list)
    """Made one by one, with every page that is read."""
    hidden: set[str] = field(default_factory=set)
    """Left out of the list, and shown by themselves."""
    error: Exception | None = None

    async def list(self, *, limit: int, offset: int) -> GenerationPage:
        self.asked.append((limit, offset))
        if self.error is not None:
            raise self.error
        widest = self.widths.pop(0) if self.widths else self.widest
        rows = self._ordered()[offset : offset + min(limit, widest)]
        if self.arriving:
            self.rows.append(self.arriving.pop(0))
        return page(*rows, total=self.total)

    async def get(self, generation_id: str) -> Generation:
        self.got.append(generation_id)
        for each in self.rows:
            if each["id"] == generation_id:
                return generation(each)
        raise NotFound("no such generation")

    def _ordered(self) -> Sequence[dict[str, Any]]:
        shown = [each for each in self.rows if each["id"] not in self.hidden]
        if self.order == "newest_first":
            return shown[::-1]
        if isinstance(self.order, str):
            return shown
        known = [shown[position] for position in self.order if position < len(shown)]
        return known + shown[len(self.order) :]
