"""What every destination promises, shown on each real system."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import orjson
import pytest

from receiver.destinations import Destination, Message, open_destination
from receiver.outcomes import Delivered, GivenUp, Outcome, Retry
from tests.contract.destination_systems import SYSTEMS
from tests.contract.systems.http import Http
from tests.contract.systems.sqs import Sqs
from tests.contract.systems.system import System
from tests.messages import message
from tests.servers.http_sink import Answer, http_sink
from tests.servers.sqs import SqsServer
from tests.servers.valkey import ValkeyServer


@pytest.fixture(params=SYSTEMS)
async def system(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    async with SYSTEMS[request.param](request) as opened:
        yield opened


@asynccontextmanager
async def _connected(system: System, *, timeout_s: float = 10.0) -> AsyncIterator[Destination]:
    destination = system.connect(timeout_s=timeout_s)
    try:
        yield destination
    finally:
        await destination.aclose()


async def _send_all(destination: Destination, messages: Sequence[Message]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for start in range(0, len(messages), destination.max_batch):
        batch = messages[start : start + destination.max_batch]
        told = await destination.send(batch)
        assert len(told) == len(batch), "one outcome per message"
        outcomes += told
    return outcomes


def _all(kind: type[Outcome], outcomes: Sequence[Outcome]) -> bool:
    return bool(outcomes) and all(isinstance(outcome, kind) for outcome in outcomes)


def _ids(bodies: Sequence[bytes]) -> set[str]:
    return {orjson.loads(body)["id"] for body in bodies}


class TestSend:
    async def test_a_thousand_events_arrive_once_each_byte_for_byte(self, system: System) -> None:
        """Without faults, every event is there exactly once, with the body it was given."""
        messages = [message(number) for number in range(1000)]
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

    async def test_a_server_that_is_down_at_start_gets_everything_once_it_is_up(self, system: System) -> None:
        """Every message is a Retry while the server is down; the same destination works when it comes up."""
        messages = [message(number) for number in range(5)]
        await system.down()
        async with _connected(system) as destination:
            assert _all(Retry, await _send_all(destination, messages))
            await system.up()
            assert _all(Delivered, await _send_all(destination, messages))
        assert _ids(await system.received()) == {each.id for each in messages}

    async def test_a_server_that_dies_and_comes_back_loses_nothing(self, system: System) -> None:
        """What was delivered before an outage stays, and the rest follows over a new connection."""
        messages = [message(number) for number in range(40)]
        async with _connected(system) as destination:
            assert _all(Delivered, await _send_all(destination, messages[:20]))
            await system.down()
            assert _all(Retry, await _send_all(destination, messages[20:]))
            await system.up()
            assert _all(Delivered, await _send_all(destination, messages[20:]))
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

    @pytest.mark.parametrize("system", ["http", "sqs", "sqs-fifo"], indirect=True)
    async def test_a_refused_message_does_not_affect_its_neighbours(self, system: System) -> None:
        """A message that is refused for good is GivenUp, in its place; the others are Delivered."""
        assert isinstance(system, Http | Sqs)
        good = [message(number) for number in range(5)]
        bad = system.refuse(message(5))
        async with _connected(system) as destination:
            outcomes = await destination.send([*good[:2], bad, *good[2:]])
        assert [type(outcome) for outcome in outcomes] == [Delivered] * 2 + [GivenUp] + [Delivered] * 3
        assert _ids(await system.received()) == {each.id for each in good}


class TestMisconfigured:
    """A mistake of the operator's costs no event, and the error says which setting to correct."""

    async def test_file_that_is_a_folder(self, tmp_path: object) -> None:
        """A folder where the file should be is a Retry."""
        [outcome] = await _send_once(f"file:{tmp_path}")
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error

    async def test_http_with_a_wrong_token(self) -> None:
        """A 401 names the token's setting, and not the token."""
        async with http_sink() as sink:
            sink.answer = lambda _: Answer(401)
            [outcome] = await _send_once(sink.url, bearer_token="hunter2hunter2")
        assert isinstance(outcome, GivenUp)
        assert "RECEIVER_DESTINATIONS__QUEUE__BEARER_TOKEN" in outcome.error
        assert "hunter2" not in outcome.error

    async def test_redis_with_a_wrong_password(self, valkey_server: ValkeyServer) -> None:
        """A refused password is a Retry that names the URL's setting, and not the password."""
        [outcome] = await _send_once(f"redis://someone:hunter2@127.0.0.1:{valkey_server.port}/0")
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error
        assert "hunter2" not in outcome.error

    async def test_sqs_without_such_a_queue(self, sqs_server: SqsServer, aws_environment: None) -> None:
        """A queue that does not exist is a Retry."""
        [outcome] = await _send_once(f"sqs:{sqs_server.endpoint_url}/123456789012/nowhere")
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error


class TestAclose:
    async def test_closing_an_unused_destination_is_fine(self, system: System) -> None:
        """A destination that never sent anything closes without dialling."""
        await system.down()
        await system.connect().aclose()
        await system.up()


async def _send_once(url: str, **options: str) -> Sequence[Outcome]:
    destination = open_destination("queue", url, options)
    try:
        return await destination.send([message(1)])
    finally:
        await destination.aclose()
