"""SQS requests: never more than SQS takes."""

from dataclasses import replace

import orjson
import pytest

from receiver.destinations.sqs_entries import chunks, entry, size_bytes
from tests.messages import message


class TestChunks:
    def test_ten_messages_at_most(self) -> None:
        """A request never has more entries than SQS takes."""
        assert [len(chunk) for chunk in chunks([message(n) for n in range(23)])] == [10, 10, 3]

    def test_a_mebibyte_at_most(self) -> None:
        """A request never has more bytes than SQS takes, attributes included, and the order is kept."""
        batch = [message(n, prompt="é" * 200_000) for n in range(5)]
        cut = list(chunks(batch))
        assert [len(chunk) for chunk in cut] == [2, 2, 1]
        assert all(sum(map(size_bytes, chunk)) <= 1_048_576 for chunk in cut)
        assert [each for chunk in cut for each in chunk] == batch

    def test_a_message_too_large_stands_alone(self) -> None:
        """What fits in no request does not take its neighbours with it."""
        batch = [message(0), message(1, prompt="x" * 1_048_576), message(2)]
        assert [[each.id for each in chunk] for chunk in chunks(batch)] == [[each.id] for each in batch]


class TestSizeBytes:
    def test_attributes_count(self) -> None:
        """SQS counts body, names, types and values, in bytes of UTF-8."""
        made = entry("0", message(1, prompt="é"), fifo=False)
        attributes = made["MessageAttributes"].items()
        expected = sum(
            len(name) + len(value["DataType"] + value["StringValue"]) for name, value in attributes
        )
        assert size_bytes(message(1, prompt="é")) == len(message(1, prompt="é").body) + expected


class TestEntry:
    @pytest.mark.parametrize("fifo", [True, False])
    def test_group_and_deduplication_only_for_fifo(self, *, fifo: bool) -> None:
        """A standard queue gets neither: there a group would mean fair queueing by tenant."""
        made = entry("7", message(1), fifo=fifo)
        assert made["Id"] == "7"
        assert made.get("MessageGroupId") == ("gen_1" if fifo else None)
        assert made.get("MessageDeduplicationId") == (message(1).id if fifo else None)

    def test_an_empty_attribute_is_left_out(self) -> None:
        """SQS refuses empty attribute values."""
        made = entry("0", replace(message(1), source=""), fifo=False)
        assert set(made["MessageAttributes"]) == {"id", "type", "subject"}

    def test_characters_that_sqs_refuses_are_escaped(self) -> None:
        """U+FFFE and U+FFFF become JSON escapes, after a backslash too, and the JSON stays the same."""
        odd = message(1, prompt="a\\\ufffe\uffffb")
        body = entry("0", odd, fifo=False)["MessageBody"]
        assert not {"\ufffe", "\uffff"} & set(body)
        assert orjson.loads(body) == orjson.loads(odd.body)
