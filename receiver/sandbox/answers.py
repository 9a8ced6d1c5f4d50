"""JSON responses for any text."""

from typing import Any

from starlette.responses import JSONResponse

from receiver.sandbox import letters


class Answer(JSONResponse):
    """A JSON response. A prompt may contain half a surrogate pair, which UTF-8 cannot encode and JSON can."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return letters.body(content)
