"""CloudEvents attributes as headers."""

import orjson

from receiver.deliver import message
from receiver.destinations import Message
from receiver.destinations.context import attributes
from tests.unit.work import delivery_job


class TestAttributes:
    def test_they_say_what_the_envelope_says(self) -> None:
        """Each header has the value that the same attribute has in the body."""
        sent = message(delivery_job())
        assert isinstance(sent, Message)
        envelope = orjson.loads(sent.body)
        headers = attributes(sent, prefix="ce-")
        assert headers == {f"ce-{name}": envelope[name] for name in ("id", "source", "type", "subject")}
