"""The document's error envelope."""

from typing import Any

from receiver.contract import ERROR_STATUS
from receiver.sandbox.dialect import Dialect
from receiver.sandbox.letters import Answer


class Refusal(Exception):
    """Ends a request with one of the document's errors."""

    def __init__(self, code: str, message: str, *, status: int | None = None, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self._details = details
        self._status = status or ERROR_STATUS[code]

    def response(self, dialect: Dialect | None = None) -> Answer:
        """Return the answer."""
        details = self._told(dialect.invalid_details) if dialect else self._details
        error = {"code": self.code, "message": str(self)} | ({"details": details} if details else {})
        return Answer({"error": error}, self._status)

    def _told(self, form: str) -> dict[str, Any]:
        """Return the details. The document does not say how they name a wrong field."""
        if "field" not in self._details or form == "field":
            return self._details
        return {"fields": {self._details["field"]: str(self)}} if form == "fields" else {}
