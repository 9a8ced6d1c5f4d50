"""The price check of a paid call before it is sent."""

from collections.abc import Mapping

from receiver.client.errors import InvalidParameter
from receiver.client.paid_calls import PaidCall
from receiver.client.results import ModelList
from receiver.contract import DEFAULT_IMAGE_MODEL, DEFAULT_VIDEO_MODEL

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
