"""Standard output as a queue."""

import os

import orjson

from receiver.destinations import open_destination
from receiver.destinations.stdout import Options, Stdout
from receiver.outcomes import Delivered, Retry
from tests.messages import message


class TestConnect:
    def test_it_is_the_real_standard_output(self) -> None:
        """`stdout:` writes to descriptor 1."""
        destination = open_destination("q", "stdout:", {})
        assert isinstance(destination, Stdout)
        assert destination._fd == 1


class TestSend:
    async def test_lines_before_the_reader_left_are_delivered(self) -> None:
        """A reader that stops reading gets whole lines first; only what it did not get is a Retry."""
        read_end, write_end = os.pipe()
        destination = Stdout(Options(timeout_s=0.1), fd=write_end)
        batch = [message(number, prompt="x" * 3000) for number in range(100)]
        outcomes = await destination.send(batch)
        taken = list(outcomes).count(Delivered())
        assert 0 < taken < len(batch)
        assert all(isinstance(outcome, Retry) for outcome in outcomes[taken:])
        os.close(write_end)
        with os.fdopen(read_end, "rb") as reader:
            lines = reader.read().splitlines()
        assert lines[:taken] == [each.body for each in batch[:taken]]

    async def test_an_event_after_a_torn_line_starts_on_its_own(self) -> None:
        """A line cut by a slow reader does not swallow the next one."""
        read_end, write_end = os.pipe()
        destination = Stdout(Options(timeout_s=0.1), fd=write_end)
        [torn] = await destination.send([message(1, prompt="x" * 200_000)])
        assert isinstance(torn, Retry)
        os.set_blocking(read_end, False)
        half = os.read(read_end, 1_000_000)
        assert half
        assert await destination.send([message(2)]) == [Delivered()]
        os.close(write_end)
        with os.fdopen(read_end, "rb") as reader:
            rest = reader.read()
        assert rest.startswith(b"\n")
        assert orjson.loads(rest) == orjson.loads(message(2).body)
