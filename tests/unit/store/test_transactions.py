"""One transaction, and what is said of one that failed."""

from sqlalchemy.exc import IntegrityError

from receiver.errors import StoreUnavailable
from receiver.store.transactions import describe


class TestDescribe:
    def test_one_line_without_the_statement(self) -> None:
        """What the driver said, its first line, and nothing of the statement or its values."""
        error = IntegrityError(
            "INSERT INTO event", {"body": "secret"}, ValueError("duplicate key\nDETAIL: secret")
        )
        assert describe(error) == "ValueError: duplicate key"

    def test_nothing_to_say(self) -> None:
        """An error without a text still has its name."""
        assert describe(TimeoutError()) == "TimeoutError: "

    def test_a_refusal_of_ours(self) -> None:
        """What says already what is wrong is left as it is."""
        assert describe(StoreUnavailable("lost while it committed")) == "lost while it committed"
