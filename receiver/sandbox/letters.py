"""JSON for any text, as webhooks and answers carry it, and the signature over a webhook's compact form."""

import json
from typing import Any, Literal

from starlette.responses import JSONResponse

from receiver.contract import SIGNATURE_HEADER
from receiver.signatures import sign

BodyForm = Literal["compact", "pretty", "escaped"]
SignatureForm = Literal["one", "two", "reversed"]


def body(payload: object, form: BodyForm = "compact") -> bytes:
    """Return the body to send.

    `compact` is what `JSON.stringify` prints: no whitespace, and nothing escaped but lone surrogates.
    """
    match form:
        case "pretty":
            text = json.dumps(payload, ensure_ascii=False, indent=2)
        case "escaped":
            text = json.dumps(payload, separators=(",", ":"))
        case "compact":
            text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def headers(
    payload: object, *, secret: str, former: str, timestamp: int, form: SignatureForm = "one"
) -> dict[str, str]:
    """Return the headers. Whatever the form of the body, the document signs the compact one."""
    signed = body(payload)
    signature = sign(signed, secret=secret.encode(), timestamp=timestamp)
    time, _, digest = signature.partition(",")
    if form == "two":
        outdated = sign(signed, secret=former.encode(), timestamp=timestamp).partition(",")[2]
        signature = f"{time},{outdated},{digest}"
    elif form == "reversed":
        signature = f"{digest},{time}"
    return {"Content-Type": "application/json", SIGNATURE_HEADER: signature}


class Answer(JSONResponse):
    """A JSON response. A prompt may contain half a surrogate pair, which UTF-8 cannot encode and JSON can."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return body(content)
