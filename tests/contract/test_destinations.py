"""What every destination promises, shown on each real system."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import orjson
import pytest

from receiver.destinations import Destination, Message, open_destination
from receiver.outcomes import Delivered, GivenUp, Outcome, Retry
from tests.contract.destination_systems import SYSTEMS
from tests.contract.systems.http import Http
from tests.contract.systems.system import WRONG_SECRET, System
from tests.messages import message
from tests.servers.sqs import SqsServer

Note = Callable[[str, object], None]
UNDIALLED: Final = ("stdout", "pull", "eventbridge")
"""Whose check dials nothing: there is no server, or no message that its client would dial for."""


@pytest.fixture(params=SYSTEMS)
async def system(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    async with SYSTEMS[request.param](request) as opened:
        yield opened


@contextlib.asynccontextmanager
async def _connected(system: System, *, timeout_s: float = 10.0) -> AsyncIterator[Destination]:
    async with contextlib.aclosing(system.connect(timeout_s=timeout_s)) as destination:
        yield destination


async def _send_all(destination: Destination, messages: Sequence[Message]) -> list[Outcome]:
    """Send *messages* as a worker does, so many batches at once as the destination takes."""
    at_once = asyncio.Semaphore(destination.concurrency)

    async def send(batch: Sequence[Message]) -> Sequence[Outcome]:
        async with at_once:
            told = await destination.send(batch)
        assert len(told) == len(batch), "one outcome per message"
        return told

    size = destination.max_batch
    batches = [messages[start : start + size] for start in range(0, len(messages), size)]
    return [outcome for told in await asyncio.gather(*map(send, batches)) for outcome in told]


def _all(kind: type[Outcome], outcomes: Sequence[Outcome]) -> bool:
    return bool(outcomes) and all(isinstance(outcome, kind) for outcome in outcomes)


def _ids(bodies: Sequence[bytes]) -> set[str]:
    return {orjson.loads(body)["id"] for body in bodies}


class TestSend:
    async def test_hundreds_of_events_arrive_once_each_byte_for_byte(self, system: System) -> None:
        """Without faults, every event is there exactly once, with the body it was given."""
        messages = [message(number) for number in range(300)]
        async with _connected(system) as destination:
            for start in range(0, len(messages), 50):
                assert _all(Delivered, await _send_all(destination, messages[start : start + 50]))
                # A consumer that keeps up, because moto takes the longer the more a queue holds.
                await system.received()
        assert sorted(await system.received()) == sorted(each.body for each in messages)

    async def test_an_empty_batch_has_no_outcomes(self, system: System) -> None:
        """Nothing in, nothing out."""
        async with _connected(system) as destination:
            assert list(await destination.send([])) == []

    async def test_a_server_that_dies_and_comes_back_loses_nothing(
        self, system: System, request: pytest.FixtureRequest
    ) -> None:
        """What was delivered before stays, and the rest follows: over a new connection, or over the first.

        `receiver check` finds it down.
        """
        messages = [message(number) for number in range(30)]
        async with _connected(system) as known, _connected(system) as new:
            assert _all(Delivered, await _send_all(known, messages[:10]))
            await system.down()
            assert _all(Retry, await _send_all(known, messages[10:20]))
            assert _all(Retry, await _send_all(new, messages[20:]))
            async with _connected(system, timeout_s=3) as checked:
                found = await checked.check()
            await system.up()
            assert _all(Delivered, await _send_all(known, messages[10:20]))
            assert _all(Delivered, await _send_all(new, messages[20:]))
        assert isinstance(found, Retry) == (request.node.callspec.params["system"] not in UNDIALLED), found
        assert _ids(await system.received()) == {each.id for each in messages}

    async def test_a_server_that_dies_in_the_middle_of_a_batch_is_a_retry(self, system: System) -> None:
        """A batch whose answer never came is a Retry as a whole, and can be sent again afterwards."""
        messages = [message(number) for number in range(5)]
        async with _connected(system, timeout_s=2.0) as destination:
            assert _all(Delivered, await _send_all(destination, messages[:1]))
            await system.hang()
            sending = asyncio.ensure_future(_send_all(destination, messages))
            _, pending = await asyncio.wait({sending}, timeout=0.2)
            assert pending, "the batch is on its way"
            await system.down()
            assert _all(Retry, await sending)
            await system.resume()
            await system.up()
            assert _all(Delivered, await _send_all(destination, messages))
        assert _ids(await system.received()) == {each.id for each in messages}

    async def test_a_server_that_hangs_is_a_retry_within_the_timeout(self, system: System) -> None:
        """A server that accepts and never answers costs the timeout, no more, and does no harm afterwards."""
        messages = [message(number) for number in range(5)]
        async with _connected(system, timeout_s=0.3) as destination:
            await system.hang()
            started = time.monotonic()
            assert _all(Retry, await _send_all(destination, messages))
            elapsed = time.monotonic() - started
            await system.resume()
        async with _connected(system) as destination:
            assert _all(Delivered, await _send_all(destination, messages))
        assert elapsed < 5
        assert _ids(await system.received()) == {each.id for each in messages}

    async def test_a_late_answer_is_not_taken_for_the_next(self, system: System) -> None:
        """An answer that comes too late is never taken for the answer to a later message."""
        late, next_ones = (
            [message(number) for number in range(3)],
            [message(number) for number in range(3, 8)],
        )
        async with _connected(system, timeout_s=2.0) as destination:
            await system.hang()
            assert _all(Retry, await _send_all(destination, late))
            await system.resume()
            assert _all(Delivered, await _send_all(destination, next_ones))
            assert _all(Delivered, await _send_all(destination, late))
        assert _ids(await system.received()) == {each.id for each in [*late, *next_ones]}

    async def test_a_slow_server_is_waited_for(self, system: System) -> None:
        """A server that takes its time, but less than the timeout, costs no second attempt."""
        messages = [message(number) for number in range(5)]
        async with _connected(system) as destination:
            await system.hang()
            sending = asyncio.ensure_future(_send_all(destination, messages))
            _, pending = await asyncio.wait({sending}, timeout=0.2)
            assert pending, "nothing is taken for granted before the answer"
            await system.resume()
            assert _all(Delivered, await sending)
        assert sorted(await system.received()) == sorted(each.body for each in messages)

    async def test_a_poisoned_message_does_not_affect_its_neighbours(
        self, system: System, record_property: Note
    ) -> None:
        """A message that is refused for good is GivenUp, in its place; the others are Delivered."""
        poison = system.poison(3)
        record_property("applies", poison is not None)
        odd = message(3, prompt="\0\ufffe\uffff")
        await _send_in_between(system, poison or odd, GivenUp if poison else Delivered)

    async def test_an_oversize_message_does_not_affect_its_neighbours(
        self, system: System, record_property: Note
    ) -> None:
        """A message that is too large is GivenUp, in its place; where nothing is too large it arrives.

        An HTTP 413 is as often a proxy's limit, set wrong for a minute: whether it counts is for the breaker.
        """
        oversize = system.oversize(3)
        record_property("applies", oversize is not None)
        large = message(3, prompt="x" * 2**21)
        refused = Retry if isinstance(system, Http) else GivenUp
        await _send_in_between(system, oversize or large, refused if oversize else Delivered)

    async def test_wrong_credentials_cost_no_event_and_name_the_setting(
        self, system: System, record_property: Note
    ) -> None:
        """The error says which setting to correct, and not what it holds."""
        destination = system.wrong_credentials()
        record_property("applies", destination is not None)
        if destination is None:
            return
        async with contextlib.aclosing(destination):
            [outcome] = await destination.send([message(1)])
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__" in outcome.error
        assert WRONG_SECRET not in outcome.error
        assert await system.received() == []


class TestAclose:
    async def test_closing_with_work_in_flight_is_prompt_and_loses_nothing(self, system: System) -> None:
        """A send that is cut off, as when a worker stops, holds up nobody; its messages can be sent again."""
        messages = [message(number) for number in range(5)]
        destination = system.connect()
        await system.hang()
        sending = asyncio.ensure_future(destination.send(messages))
        _, pending = await asyncio.wait({sending}, timeout=0.2)
        assert pending, "the batch is on its way"
        sending.cancel()
        async with asyncio.timeout(5):
            await asyncio.gather(sending, return_exceptions=True)
            await destination.aclose()
        await system.resume()
        async with _connected(system) as another:
            assert _all(Delivered, await _send_all(another, messages))
        assert _ids(await system.received()) == {each.id for each in messages}

    async def test_closing_an_unused_destination_is_fine(self, system: System) -> None:
        """A destination that never sent anything closes without dialling."""
        await system.hang()
        async with asyncio.timeout(5):
            await system.connect().aclose()
        await system.resume()


class TestMisconfigured:
    """A mistake of the operator's costs no event, and the error says which setting to correct."""

    async def test_file_that_is_a_folder(self, tmp_path: object) -> None:
        """A folder where the file should be is a Retry."""
        [outcome] = await _send_once(f"file:{tmp_path}")
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error

    async def test_sqs_without_such_a_queue(self, sqs_server: SqsServer, aws_environment: None) -> None:
        """A queue that does not exist is a Retry."""
        [outcome] = await _send_once(f"sqs:{sqs_server.endpoint_url}/123456789012/nowhere")
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error


async def _send_once(url: str, **options: str) -> Sequence[Outcome]:
    async with contextlib.aclosing(open_destination("queue", url, options)) as destination:
        return await destination.send([message(1)])


async def _send_in_between(system: System, odd: Message, expected: type[Outcome]) -> None:
    good = [message(number) for number in (1, 2, 4, 5, 6)]
    async with _connected(system) as destination:
        outcomes = await destination.send([*good[:2], odd, *good[2:]])
    assert [type(each) for each in outcomes] == [Delivered] * 2 + [expected] + [Delivered] * 3
    arrived = [*good, odd] if expected is Delivered else good
    assert _ids(await system.received()) == {each.id for each in arrived}
