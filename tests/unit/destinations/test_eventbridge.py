"""EventBridge: what rules can match on, and what each refusal means. moto stands in for Amazon."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import orjson
import pytest
from botocore.stub import ANY, Stubber

from receiver.destinations.aws import AwsDestination
from receiver.destinations.eventbridge import EventBus
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Retry
from tests.messages import TYPE, message
from tests.servers.sqs import SqsServer
from tests.unit.destinations.sending import open_aws, send_and_close

ARN = "arn:aws:events:eu-central-1:123456789012:event-bus/events"
pytestmark = pytest.mark.usefixtures("aws_environment")


def _receive(server: SqsServer, queue_url: str) -> list[Any]:
    with closing(server.client()) as client:
        found = client.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
    return [orjson.loads(each["Body"]) for each in found.get("Messages", [])]


@pytest.fixture
def bus() -> AwsDestination:
    """Return a destination at AWS, for tests that let nothing leave it, with its requests in order."""
    return open_aws(f"eventbridge:{ARN}", concurrency="1")


@pytest.fixture
def aws(bus: AwsDestination) -> Iterator[Stubber]:
    """Script what AWS answers, where moto cannot be made to."""
    with Stubber(bus._service.client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


class TestConnect:
    @pytest.mark.parametrize(("bus", "region"), [(ARN, "eu-central-1"), ("default", "eu-west-1")])
    def test_the_region_is_the_arn_s_or_the_environment_s(self, bus: str, region: str) -> None:
        """An ARN says where the bus is; a name alone does not."""
        assert open_aws(f"eventbridge:{bus}")._service.client.meta.region_name == region

    @pytest.mark.parametrize("bus", ["", "my bus", "arn:aws:sns:eu-west-1:123456789012:events"])
    def test_what_is_no_bus_is_refused(self, bus: str) -> None:
        """The message names the setting and shows both forms."""
        with pytest.raises(ConfigError, match=r"QUEUE__URL must be `eventbridge:`.*eventbridge:default"):
            open_aws(f"eventbridge:{bus}")

    @pytest.mark.parametrize("source", ["aws.events", "", "two words"])
    def test_a_source_that_is_refused_there_is_refused_at_start(self, source: str) -> None:
        """`aws.` is Amazon's own: every event would be refused."""
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__QUEUE__SOURCE"):
            open_aws(f"eventbridge:{ARN}", source=source)


class TestMessage:
    async def test_a_target_gets_what_rules_match_on(self, sqs_server: SqsServer, sqs_queue: str) -> None:
        """Source, type and subject are where rules look for them; the envelope is the detail."""
        name = sqs_queue.rpartition("/")[2]
        arn = sqs_server.create_bus(name, queue=name)
        bus = open_aws(f"eventbridge:{arn}", endpoint_url=sqs_server.endpoint_url)
        [outcome] = await send_and_close(bus, message(1))
        [received] = _receive(sqs_server, sqs_queue)
        assert outcome == Delivered(received["id"])
        assert (received["source"], received["detail-type"]) == ("co.aivisualstudio", TYPE)
        assert received["resources"] == ["gen_1"]
        assert received["detail"] == orjson.loads(message(1).body)

    async def test_a_rule_matches_the_source_that_is_set(self, sqs_server: SqsServer, sqs_queue: str) -> None:
        """`source` is what the bus's owner wants it to be."""
        name = sqs_queue.rpartition("/")[2]
        arn = sqs_server.create_bus(name, queue=name, pattern='{"source": ["com.example.media"]}')
        for source in ("co.aivisualstudio", "com.example.media"):
            bus = open_aws(f"eventbridge:{arn}", endpoint_url=sqs_server.endpoint_url, source=source)
            await send_and_close(bus, message(1))
        assert [each["source"] for each in _receive(sqs_server, sqs_queue)] == ["com.example.media"]


class TestSizeBytes:
    def test_what_eventbridge_counts(self, bus: AwsDestination) -> None:
        """Source, type, resources and detail, in bytes of UTF-8."""
        service = bus._service
        assert isinstance(service, EventBus)
        words = "co.aivisualstudio" + TYPE + "gen_1"
        assert service.size_bytes(message(1, prompt="é")) == len(message(1, prompt="é").body) + len(words)


class TestSend:
    async def test_a_failed_entry_fails_alone(self, bus: AwsDestination, aws: Stubber) -> None:
        """A bad detail is final, rights and trouble are tried again, and silence is no success."""
        entries = [
            {"ErrorCode": "MalformedDetail", "ErrorMessage": "why"},
            {"ErrorCode": "ThrottlingException"},
            {"EventId": "e-2"},
            {"ErrorCode": "NotAuthorizedForSourceException"},
        ]
        aws.add_response("put_events", {"FailedEntryCount": 3, "Entries": entries})
        outcomes = await send_and_close(bus, *(message(n) for n in range(5)))
        assert [type(outcome) for outcome in outcomes] == [GivenUp, Retry, Delivered, Retry, Retry]

    async def test_a_count_alone_delivers_nothing(self, bus: AwsDestination, aws: Stubber) -> None:
        """`FailedEntryCount: 0` without entries confirms no event."""
        aws.add_response("put_events", {"FailedEntryCount": 0, "Entries": []})
        [outcome] = await send_and_close(bus, message(1))
        assert isinstance(outcome, Retry)

    async def test_a_request_stays_below_a_mebibyte(self, bus: AwsDestination, aws: Stubber) -> None:
        """Three events of 400 kB are two requests, and one of more than a mebibyte is none."""
        for ids in (["a", "b"], ["c"]):
            entries = [{"EventId": each} for each in ids]
            aws.add_response(
                "put_events", {"FailedEntryCount": 0, "Entries": entries}, {"Entries": [ANY] * len(ids)}
            )
        batch = [message(n, prompt="x" * 400_000) for n in range(3)]
        *taken, given_up = await send_and_close(bus, *batch, message(4, prompt="x" * 1_048_576))
        assert taken == [Delivered("a"), Delivered("b"), Delivered("c")]
        assert isinstance(given_up, GivenUp)
        assert "takes 1048575 at most" in given_up.error

    @pytest.mark.parametrize(
        "code", ["ResourceNotFoundException", "AccessDeniedException", "InternalException"]
    )
    async def test_a_refused_request_is_a_retry(self, bus: AwsDestination, aws: Stubber, code: str) -> None:
        """Bus, rights and trouble are not the event's fault; the error names the setting."""
        aws.add_client_error("put_events", code, "hunter2")
        [outcome] = await send_and_close(bus, message(1))
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error
        assert "hunter2" not in outcome.error

    async def test_a_refused_batch_is_asked_again_one_by_one(self, bus: AwsDestination, aws: Stubber) -> None:
        """A request that is refused for its size or form is taken apart."""
        aws.add_client_error("put_events", "ValidationException")
        aws.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "a"}]})
        aws.add_client_error("put_events", "ValidationException")
        outcomes = await send_and_close(bus, message(0), message(1))
        assert [type(outcome) for outcome in outcomes] == [Delivered, GivenUp]
