"""The client's results as records: the same fields whatever the provider's dialect."""

from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from receiver.cli.output import Record

if TYPE_CHECKING:
    from receiver.client import Generation, RateLimit, Submission

GENERATION_COLUMNS: Final = "id, type, status, credits_charged as credits, created_at as created, prompt"


def record(result: Any, *, without: frozenset[str] = frozenset()) -> Record:
    """Return the fields of a client's result, except `raw` and those in *without*."""
    return {
        one.name: getattr(result, one.name)
        for one in fields(result)
        if one.name != "raw" and one.name not in without
    }


def generation(result: "Generation", file: Path | None = None) -> Record:
    """Return a generation, with the *file* it was downloaded to, if it was."""
    return {**record(result), **({} if file is None else {"file": str(file)})}


def rate_limit(result: "RateLimit") -> Record:
    """Return the rate limit, its times readable."""
    return {
        **record(result),
        "reset_at": None if result.reset_at is None else _time(result.reset_at),
        "skew_s": round(result.skew_s, 3),
        "observed_at": _time(result.observed_at),
    }


def submission(result: "Submission") -> Record:
    """Return a row of the ledger, its time readable and its prompt a field of its own."""
    return {
        "client_ref": result.client_ref,
        "state": result.state,
        "kind": result.kind,
        "generation_id": result.generation_id,
        "sent_at": None if result.sent_at is None else _time(result.sent_at),
        "prompt": result.request.get("prompt"),
        "request": dict(result.request),
        "metadata": dict(result.metadata),
        "error": result.error,
    }


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
