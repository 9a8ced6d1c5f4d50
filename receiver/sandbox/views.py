"""What the API shows of each thing, in each dialect."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from receiver.contract import COMPLETED, FAILED
from receiver.sandbox.catalogue import Model
from receiver.sandbox.dialect import Dialect, timestamp
from receiver.sandbox.state import ApiKey, Generation, Webhook

Shown = dict[str, Any]


def accepted(record: Generation, dialect: Dialect) -> Shown:
    """The response to `POST /generate/…`."""
    if record.status != "processing":
        return generation(record, dialect)
    return _generation(record, dialect) | {"status": record.status}


def generation(record: Generation, dialect: Dialect) -> Shown:
    """The response to `GET /generations/:id`, and a row of the list."""
    return _generation(record, dialect) | _ending(record, dialect)


def event(record: Generation, dialect: Dialect) -> Shown:
    """The body of a webhook."""
    finished = timestamp(record.completed_at or record.created_at, dialect)
    data = {
        "id": record.id,
        "type": record.job.type,
        "status": record.status,
        "prompt": record.job.prompt,
        **_output(record, dialect),
        "created_at": timestamp(record.created_at, dialect),
        "completed_at": finished,
    }
    inside, beside = _failure(record, dialect)
    payload = {"event": event_type(record), "data": data | inside, "created_at": finished} | beside
    return payload | _extra(dialect, "event")


def event_type(record: Generation) -> str:
    """The event type for how *record* ended."""
    return COMPLETED if record.status == "completed" else FAILED


def model(record: Model, dialect: Dialect) -> Shown:
    """A row of `GET /models`."""
    return asdict(record) | _extra(dialect, "model")


def webhook(record: Webhook, dialect: Dialect, *, new: bool = False) -> Shown:
    """The response to webhook calls; with the secret only for a *new* one, unless the dialect repeats it."""
    shown = {
        "id": record.id,
        "url": record.url,
        "events": list(record.events),
        "created_at": timestamp(record.created_at, dialect),
    }
    is_shown = dialect.webhook_secret_field and (new or dialect.webhook_secret_again)
    secret = {dialect.webhook_secret_field: record.secret} if is_shown else {}
    return shown | secret | _activity(record, dialect) | _extra(dialect, "webhook")


def disabled(record: Webhook, dialect: Dialect) -> bool:
    """Whether *record* failed so often that nothing is sent to it until it is changed."""
    return 0 < dialect.webhook_disabled_after <= record.failures_in_a_row


def api_key(record: ApiKey, dialect: Dialect, *, new: bool = False) -> Shown:
    """The response to key calls; with the key itself only when it is *new*."""
    shown = {
        "id": record.id,
        "name": record.name,
        "scopes": list(record.scopes),
        "ip_allowlist": list(record.ip_allowlist),
        "expires_at": None if record.expires_at is None else timestamp(record.expires_at, dialect),
        "created_at": timestamp(record.created_at, dialect),
    }
    return shown | ({dialect.key_field: record.key} if new else {}) | _extra(dialect, "api_key")


def listed(rows: Sequence[Shown], dialect: Dialect, *, name: str, filtered: int, unfiltered: int) -> Any:
    """Return a page of *rows* in its wrapper, with the total as the dialect counts it."""
    if not dialect.list_wrapper:
        return rows
    totals = {"filtered": filtered, "unfiltered": unfiltered, "page": len(rows)}
    total = {"total": totals[dialect.total]} if dialect.total in totals else {}
    return {name if dialect.list_wrapper == "name" else dialect.list_wrapper: rows, **total}


def wrapped(shown: Shown, wrapper: str) -> Shown:
    """Return one thing, in a wrapper if the dialect has one."""
    return {wrapper: shown} if wrapper else shown


def _generation(record: Generation, dialect: Dialect) -> Shown:
    unfinished = record.status == "processing"
    shown = {
        "id": record.id,
        "status": dialect.unfinished_status if unfinished else record.status,
        "prompt": record.job.prompt,
        "model": record.job.model,
        "type": record.job.type,
        "credits_charged": record.credits_charged,
        "created_at": timestamp(record.created_at, dialect),
    }
    return shown | _echo(record, dialect) | _extra(dialect, "generation")


def _ending(record: Generation, dialect: Dialect) -> Shown:
    completed_at = None if record.completed_at is None else timestamp(record.completed_at, dialect)
    inside, beside = _failure(record, dialect)
    return {**_output(record, dialect), "completed_at": completed_at, **inside, **beside}


def _output(record: Generation, dialect: Dialect) -> Shown:
    hidden = record.status == "failed" and dialect.failed_output_url == "absent"
    return {} if hidden else {"output_url": record.output_url}


def _failure(record: Generation, dialect: Dialect) -> tuple[Shown, Shown]:
    """Return how a failure is shown: inside the generation, and next to it."""
    reason, field = record.error, dialect.failure_field
    if reason is None or not field:
        return {}, {}
    if field == "top_level":
        return {}, {"error": reason}
    if field == "error_object":
        return {"error": {"code": "generation_failed", "message": reason}}, {}
    return {field: reason}, {}


def _echo(record: Generation, dialect: Dialect) -> Shown:
    if not dialect.echo_parameters:
        return {}
    job = record.job
    form = {"duration": job.duration} if job.type == "video" else {"output_format": job.output_format}
    return {"aspect_ratio": job.aspect_ratio, **form, "webhook_url": job.webhook_url}


def _activity(record: Webhook, dialect: Dialect) -> Shown:
    return {"active": not disabled(record, dialect)} if dialect.webhook_disabled_after else {}


def _extra(dialect: Dialect, kind: str) -> Shown:
    return {"object": kind, "metadata": {}} if dialect.extra_fields else {}
