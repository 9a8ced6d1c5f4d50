"""One paid call: what is sent, and what stays here."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypedDict, get_args

from receiver import documents
from receiver.client.errors import InvalidParameter
from receiver.client.parameters import Inherit, Omit
from receiver.client.results import ModelList
from receiver.contract import (
    DEFAULT_IMAGE_MODEL,
    DEFAULT_VIDEO_MODEL,
    KINDS,
    ImageAspectRatio,
    ImageFormat,
    Kind,
    VideoAspectRatio,
)
from receiver.submissions import Submission

OnUnknown = Literal["raise", "recover"]
"""What to do if it is unknown whether a paid call was accepted."""

LONGEST_REF: Final = 200
_FOR_ONE_KIND: Final[Mapping[str, Kind]] = {
    "output_format": "image",
    "duration": "video",
    "first_frame_image": "video",
}


class Asked(TypedDict, total=False):
    """Parameters of a generation besides its kind and prompt."""

    model: str | Omit
    aspect_ratio: ImageAspectRatio | VideoAspectRatio | Omit
    output_format: ImageFormat | Omit
    duration: int | Omit
    first_frame_image: str | Omit
    webhook_url: str | Inherit | None
    client_ref: str | None
    metadata: Mapping[str, object] | None
    on_unknown: OnUnknown
    max_credits: int | None


def check_asked(kind: Kind, asked: Asked) -> None:
    """Refuse an unknown kind, and parameters of the other one.

    Raises:
        InvalidParameter: which one, and why.
    """
    if kind not in KINDS:
        raise InvalidParameter("kind", f"must be one of {', '.join(KINDS)}; not {kind!r}")
    for name in asked:
        if _FOR_ONE_KIND.get(name, kind) != kind:
            raise InvalidParameter(name, f"is for a {_FOR_ONE_KIND[name]} only")


@dataclass(frozen=True, slots=True)
class PaidCall:
    """A paid call, checked."""

    kind: str
    body: Mapping[str, Any]
    client_ref: str
    metadata: Mapping[str, object]
    on_unknown: OnUnknown
    max_credits: int | None

    def submission(self, now: float) -> Submission:
        """Return the row to record before sending."""
        return Submission(
            self.client_ref, self.kind, self.body, "sending", metadata=self.metadata, sent_at=now
        )

    def is_that_of(self, submission: Submission) -> bool:
        """Whether *submission* requested the same. The webhook URL may differ.

        If its request was pruned, it counts as the same: otherwise its name would be charged again.
        """
        same = not submission.request or essence(submission.request) == essence(self.body)
        return submission.kind == self.kind and same


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a paid call besides its body."""

    client_ref: str | None
    metadata: Mapping[str, object] | None
    on_unknown: OnUnknown
    max_credits: int | None


def paid_call(kind: str, body: Mapping[str, Any], terms: Terms, *, durable: bool) -> PaidCall:
    """Return the call, or refuse it. *durable* says that a ledger was configured.

    Raises:
        InvalidParameter: which one, and why.
    """
    if terms.on_unknown not in get_args(OnUnknown):
        raise InvalidParameter("on_unknown", f"must be 'raise' or 'recover'; not {terms.on_unknown!r}")
    if not durable and (terms.client_ref is not None or terms.metadata is not None):
        name = "metadata" if terms.client_ref is None else "client_ref"
        raise InvalidParameter(name, "is kept in a ledger: give the client one with ledger=")
    return PaidCall(
        kind,
        body,
        secrets.token_hex(16) if terms.client_ref is None else _ref(terms.client_ref),
        _metadata({} if terms.metadata is None else terms.metadata),
        terms.on_unknown,
        _credits(terms.max_credits),
    )


def _ref(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= LONGEST_REF:
        raise InvalidParameter("client_ref", f"must be 1 to {LONGEST_REF} printable characters")
    return value


def _metadata(value: object) -> Mapping[str, object]:
    try:
        written = json.dumps(value, allow_nan=False, ensure_ascii=False)
        copy = documents.read(written.encode())
    except (TypeError, ValueError, RecursionError):
        copy = written = None
    # Parsed like events, which carry it: no serializer writes wider numbers or lone surrogates.
    if not isinstance(copy, dict) or copy != value or json.dumps(copy, ensure_ascii=False) != written:
        raise InvalidParameter("metadata", "must be an object that JSON can hold, in numbers of 64 bits")
    return copy


def _credits(value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise InvalidParameter("max_credits", f"must be a whole number of 0 or more; not {value!r}")
    return value


def essence(body: Mapping[str, object]) -> dict[str, object]:
    """Return the request without its webhook URL."""
    return {name: value for name, value in body.items() if name != "webhook_url"}


_DEFAULTS: Mapping[str, str] = {"image": DEFAULT_IMAGE_MODEL, "video": DEFAULT_VIDEO_MODEL}


def model_of(kind: str, body: Mapping[str, object]) -> str:
    """Return the model that a body requests, or the default if it names none."""
    return str(body.get("model", _DEFAULTS.get(kind, "")))


def check_price(call: PaidCall, models: ModelList) -> None:
    """Refuse *call* if its model costs too much, or its price is unknown.

    Raises:
        InvalidParameter: nothing was sent.
    """
    wanted = model_of(call.kind, call.body)
    price = next((model.credits_per_generation for model in models if model.id == wanted), None)
    if call.max_credits is None or (price is not None and price <= call.max_credits):
        return
    cost = "has no known price" if price is None else f"costs {price}"
    raise InvalidParameter("max_credits", f"is {call.max_credits}, and {wanted} {cost}")
