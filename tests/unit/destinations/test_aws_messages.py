"""AWS requests: never more than the service takes."""

from dataclasses import replace

import orjson
import pytest

from receiver.destinations import Message
from receiver.destinations.aws_messages import attributes, batch_entries, chunks, size_bytes, text
from tests.messages import message


def _cut(batch: list[Message], max_bytes: int) -> list[list[Message]]:
    return list(chunks(batch, size_bytes=size_bytes, max_bytes=max_bytes))


class TestChunks:
    def test_ten_messages_at_most(self) -> None:
        """A request never has more entries than the services take."""
        assert [len(chunk) for chunk in _cut([message(n) for n in range(23)], 1_048_576)] == [10, 10, 3]

    @pytest.mark.parametrize("max_bytes", [1_048_576, 262_144])
    def test_never_more_bytes_than_the_service_takes(self, max_bytes: int) -> None:
        """A request never has more bytes than the service takes, attributes included; the order is kept."""
        batch = [message(n, prompt="é" * (max_bytes // 5)) for n in range(5)]
        cut = _cut(batch, max_bytes)
        assert [len(chunk) for chunk in cut] == [2, 2, 1]
        assert all(sum(map(size_bytes, chunk)) <= max_bytes for chunk in cut)
        assert [each for chunk in cut for each in chunk] == batch

    def test_a_message_too_large_stands_alone(self) -> None:
        """What fits in no request does not take its neighbours with it."""
        batch = [message(0), message(1, prompt="x" * 1_048_576), message(2)]
        assert [[each.id for each in chunk] for chunk in _cut(batch, 1_048_576)] == [
            [each.id] for each in batch
        ]


class TestSizeBytes:
    def test_attributes_count(self) -> None:
        """SQS and SNS count body, names, types and values, in bytes of UTF-8."""
        made = message(1, prompt="é")
        expected = sum(
            len(name) + len(value["DataType"] + value["StringValue"])
            for name, value in attributes(made).items()
        )
        assert size_bytes(made) == len(made.body) + expected


class TestText:
    def test_characters_that_sqs_refuses_are_escaped(self) -> None:
        """U+FFFE and U+FFFF become JSON escapes, after a backslash too, and the JSON stays the same."""
        odd = message(1, prompt="a\\\ufffe\uffffb")
        assert not {"\ufffe", "\uffff"} & set(text(odd))
        assert orjson.loads(text(odd)) == orjson.loads(odd.body)


class TestAttributes:
    def test_an_empty_attribute_is_left_out(self) -> None:
        """SQS refuses empty attribute values."""
        assert set(attributes(replace(message(1), source=""))) == {"id", "type", "subject"}


class TestBatchEntries:
    @pytest.mark.parametrize("fifo", [True, False])
    def test_group_and_deduplication_only_for_fifo(self, *, fifo: bool) -> None:
        """A standard queue gets neither: there a group would mean fair queueing by tenant."""
        _, made = batch_entries([message(0), message(1)], fifo=fifo)
        assert made["Id"] == "1"
        assert made.get("MessageGroupId") == ("gen_1" if fifo else None)
        assert made.get("MessageDeduplicationId") == (message(1).id if fifo else None)
