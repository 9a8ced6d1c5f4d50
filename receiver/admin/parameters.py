"""Parameters of the private API, parsed strictly: a mistyped filter would match everything."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from sqlmodel import SQLModel
from starlette.requests import Request

from receiver.admin.answers import Refusal, invalid
from receiver.operations.moments import read_moment
from receiver.operations.records import read_cursor as parse_cursor
from receiver.store.filters import Filter
from receiver.store.operations import DEFAULT_RATE
from receiver.store.window import Key

MAX_BODY_BYTES: Final = 64 * 1024
MOST_ROWS: Final = 1_000

Model = TypeVar("Model", bound=BaseModel)

Text = Annotated[str, StringConstraints(pattern="^[^\\x00]*$")]
"""Neither database holds a NUL, and PostgreSQL refuses to look for one."""


def _moment_ms(given: object) -> int:
    text = given if isinstance(given, str) else repr(given)
    return int(read_moment(text, now=datetime.now(UTC)).timestamp() * 1000)


Moment = Annotated[
    int,
    BeforeValidator(_moment_ms),
    WithJsonSchema(
        {
            "type": "string",
            "description": "a time, an age, `today` or `yesterday`",
            "examples": ["2025-01-09T12:00:00Z", "36h"],
        }
    ),
]
"""Milliseconds since the epoch, from a time as people write it."""


class Query(SQLModel):
    """A query: its values are text."""

    model_config = {"extra": "forbid"}


class Body(SQLModel):
    """A JSON object, without type conversions."""

    model_config = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


class Paging(Query):
    """The page of a list."""

    limit: int = Field(100, ge=1, le=MOST_ROWS)
    cursor: Text | None = None


class _Span(BaseModel):
    since: Moment | None = None
    until: Moment | None = None

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("since must be before until")
        return self


class Listing(Paging, _Span):
    """Which rows of a list. What does not apply to a list is ignored."""

    id: list[Text] = []
    destination: Text | None = None
    error: Text | None = None
    source: Text | None = None
    kind: Literal["image", "video", "unknown"] | None = None
    type: Text | None = None
    generation_id: Text | None = None
    order: Literal["newest", "oldest"] = "newest"


class DeliveryListing(Listing):
    """Which deliveries."""

    state: Literal["pending", "delivered", "dead", "dropped"] | None = None


class EventListing(Listing):
    """Which events."""

    state: Literal["pending", "settled", "late", "pruned"] | None = None


class BodyListing(Listing):
    """Which quarantined bodies."""

    state: Literal["open", "resolved", "dropped", "pruned"] | None = None


class _Chosen(Body, _Span):
    ids: list[Text] = []
    error: Text | None = None
    source: Text | None = None


class EventFilter(_Chosen):
    """Which settled events."""

    state: Literal["settled"] | None = None
    kind: Literal["image", "video", "unknown"] | None = None
    type: Text | None = None
    generation_id: Text | None = None


class _DeliveryFilter(_Chosen):
    destination: Text | None = None
    kind: Literal["image", "video", "unknown"] | None = None
    type: Text | None = None
    generation_id: Text | None = None


class RetriableFilter(_DeliveryFilter):
    """Which deliveries to send again, or now."""

    state: Literal["dead", "pending"] | None = None


class DeadFilter(_DeliveryFilter):
    """Which dead letters."""

    state: Literal["dead"] | None = None


class BodyFilter(_Chosen):
    """Which quarantined bodies."""

    state: Literal["open"] | None = None


class Order(Body):
    """What is done to many rows."""

    all: bool = False
    dry_run: bool = False
    rate: float = Field(DEFAULT_RATE, ge=0)


class RetryDeliveries(Order):
    """Deliveries to send again."""

    filter: RetriableFilter = RetriableFilter()


class DropDeliveries(Order):
    """Dead letters to drop."""

    filter: DeadFilter = DeadFilter()


class ReplayEvents(Order):
    """Events to send again."""

    filter: EventFilter = EventFilter()
    destinations: list[Text] = []
    missing: bool = False


class OrderBodies(Order):
    """Quarantined bodies to parse again, or to drop."""

    filter: BodyFilter = BodyFilter()


class Nothing(Body):
    """An empty body."""


class Pause(Body):
    """The reason for a pause."""

    reason: Annotated[Text, Field(max_length=500)] | None = None


class Backfill(Body, _Span):
    """Which events a destination has missed."""

    filter: Text | None = None
    dry_run: bool = False


class Search(Query):
    """The name to search for."""

    q: Annotated[Text, Field(min_length=1)]


class Submissions(Query):
    """Which submissions."""

    state: Literal["sending", "submitted", "refused", "unknown"] | None = None
    limit: int = Field(100, ge=1, le=MOST_ROWS)


class Referred(Body):
    """A submission, by its client reference, which not every path could hold."""

    client_ref: Annotated[Text, Field(min_length=1)]


class Adopt(Referred):
    """The generation that a submission became; `force`: even if type, model or prompt differ."""

    generation_id: Annotated[Text, Field(min_length=1)]
    force: bool = False


class Prune(Body):
    """Whether only to count, and how many rows to remove per second; None: the workers' rate."""

    dry_run: bool = False
    rate: float | None = Field(None, ge=1)


class Erase(Body):
    """Generations whose personal data to erase."""

    generation_ids: Annotated[list[Text], Field(min_length=1, max_length=100)]
    source: Text | None = None
    asset: bool = False
    dry_run: bool = False


def read_query(request: Request, model: type[Model]) -> Model:
    """Parse the query.

    Raises:
        Refusal: 400, a name is not known or a value cannot be read.
    """
    query = request.query_params
    given = {name: query.getlist(name) if name == "id" else query[name] for name in query}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _mistake(error, model) from None


async def read_body(request: Request, model: type[Model]) -> Model:
    """Parse the body; no body counts as an empty object.

    Raises:
        Refusal: 400, a name is not known or a value cannot be read; 413, it is longer than 64 KiB; 415, it is
            compressed.
    """
    try:
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Refusal(415, "unsupported_encoding", "Send the body without Content-Encoding.")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise Refusal(413, "payload_too_large", f"A body may have at most {MAX_BODY_BYTES} bytes.")
        return model.model_validate_json(bytes(body) or b"{}")
    except ValidationError as error:
        raise _mistake(error, model) from None


def to_filter(given: BaseModel) -> Filter:
    """Return the filter that a request asks for."""
    said = given.model_dump(exclude={"limit", "cursor", "order", "id", "ids", "since", "until"})
    ids = getattr(given, "id", None) or getattr(given, "ids", None) or ()
    times = {f"{name}_ms": getattr(given, name) for name in ("since", "until")}
    return Filter(ids=tuple(ids), **said, **times)


def path_text(request: Request, name: str) -> str:
    """Return a part of the path."""
    return _findable(request.path_params[name])


def query_text(request: Request, name: str) -> str:
    """Return a part of the query, empty where it has none."""
    return _findable(request.query_params.get(name, ""))


def one_of(request: Request, name: str, values: Collection[str]) -> str | None:
    """Return a part of the query that has one of *values*; None where it is empty.

    Raises:
        Refusal: 400, it has another.
    """
    given = request.query_params.get(name, "")
    if given and given not in values:
        raise invalid(f"{name} must be one of {', '.join(values)}")
    return given or None


def query_cursor(request: Request, parts: int) -> Key | None:
    """Return the key in the query's cursor, as `read_cursor` does."""
    return read_cursor(request.query_params.get("cursor") or None, parts)


def read_cursor(cursor: str | None, parts: int) -> Key | None:
    """Return the key in *cursor*, with this many *parts*.

    Raises:
        Refusal: 400, it is not one of our cursors.
    """
    if cursor is None:
        return None
    try:
        return parse_cursor(cursor, parts=parts)
    except ValueError:
        raise invalid("cursor must be the next_cursor of an earlier answer") from None


def _findable(text: str) -> str:
    # Neither database holds a NUL, and PostgreSQL refuses to look for one.
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _mistake(error: ValidationError, model: type[BaseModel]) -> Refusal:
    """Report the first error, and its place."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return invalid("The body is not JSON.")
    *outer, last = [str(part)[:100] for part in first["loc"]] or ["the body"]
    if first["type"] == "extra_forbidden":
        return invalid(_unknown(last, _fields(model, outer)))
    said = first["msg"].removeprefix("Value error, ")
    if not first["loc"] and first["type"] == "value_error":
        return invalid(said)
    return invalid(f"{'.'.join([*outer, last])}: {said}")


def _fields(model: Any, path: Sequence[str]) -> Sequence[str]:
    for name in path:
        model = model.model_fields[name].annotation
    return list(model.model_fields)


def _unknown(name: str, known: Sequence[str]) -> str:
    return f"{name[:100]!r} is not known here; use {', '.join(known) or 'no names'}"
