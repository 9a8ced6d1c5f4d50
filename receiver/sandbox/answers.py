"""JSON answers, whatever text they carry."""

from typing import Any

from starlette.responses import JSONResponse

from receiver.sandbox import letters


class Answer(JSONResponse):
    """One JSON answer. A prompt may hold half of a surrogate pair, which UTF-8 cannot, and JSON can."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return letters.body(content)
