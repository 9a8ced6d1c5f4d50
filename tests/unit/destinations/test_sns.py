"""SNS: what subscribers can filter on, and what each refusal means. moto stands in for Amazon."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from botocore.stub import Stubber

from receiver.destinations.aws import AwsDestination
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Retry
from tests.messages import TRACEPARENT, message
from tests.servers.sqs import SqsServer
from tests.unit.destinations.sending import open_aws, send_and_close

ARN = "arn:aws:sns:eu-central-1:123456789012:events"
pytestmark = pytest.mark.usefixtures("aws_environment")


def _receive(server: SqsServer, queue_url: str) -> list[Any]:
    with closing(server.client()) as client:
        found = client.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
    return [*found.get("Messages", [])]


@pytest.fixture
def topic() -> AwsDestination:
    """Return a destination at AWS, for tests that let nothing leave it, with its requests in order."""
    return open_aws(f"sns:{ARN}", concurrency="1")


@pytest.fixture
def aws(topic: AwsDestination) -> Iterator[Stubber]:
    """Script what AWS answers, where moto cannot be made to."""
    with Stubber(topic._service.client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


class TestConnect:
    @pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
    def test_the_region_is_the_arn_s(self, partition: str) -> None:
        """The region need not be said twice, in any partition."""
        topic = open_aws(f"sns:arn:{partition}:sns:cn-north-1:123456789012:events.fifo")
        assert topic._service.client.meta.region_name == "cn-north-1"

    def test_a_fifo_topic_is_sent_one_request_at_a_time(self) -> None:
        """Two requests at once could swap events of one generation."""
        assert (open_aws(f"sns:{ARN}").concurrency, open_aws(f"sns:{ARN}.fifo").concurrency) == (4, 1)

    @pytest.mark.parametrize(
        "arn", ["events", "arn:aws:sqs:eu-west-1:123456789012:events", f"{ARN}:endpoint"]
    )
    def test_what_is_no_topic_is_refused(self, arn: str) -> None:
        """The message names the setting and shows an ARN."""
        with pytest.raises(ConfigError, match=r"QUEUE__URL must be `sns:`.*sns:arn:aws:sns:"):
            open_aws(f"sns:{arn}")


class TestMessage:
    async def test_a_subscriber_gets_the_message_and_its_attributes(
        self, sqs_server: SqsServer, sqs_queue: str
    ) -> None:
        """A raw subscription hands on the body as it is, and the attributes to filter on."""
        name = sqs_queue.rpartition("/")[2]
        arn = sqs_server.create_topic(name, queue=name)
        [outcome] = await send_and_close(
            open_aws(f"sns:{arn}", endpoint_url=sqs_server.endpoint_url), message(1, traceparent=TRACEPARENT)
        )
        [received] = _receive(sqs_server, sqs_queue)
        assert isinstance(outcome, Delivered)
        assert outcome.receipt
        assert received["Body"].encode() == message(1).body
        assert {key: each["StringValue"] for key, each in received["MessageAttributes"].items()} == {
            "id": message(1).id,
            "type": message(1).type,
            "source": "photoverse",
            "subject": "gen_1",
            "traceparent": TRACEPARENT,
        }

    async def test_a_filter_policy_sees_the_type(self, sqs_server: SqsServer, sqs_queue: str) -> None:
        """A subscription takes the types it names, and no others."""
        name = sqs_queue.rpartition("/")[2]
        arn = sqs_server.create_topic(name, queue=name, filter_policy=json.dumps({"type": [message(1).type]}))
        other = replace(message(2), type="co.aivisualstudio.generation.failed")
        await send_and_close(open_aws(f"sns:{arn}", endpoint_url=sqs_server.endpoint_url), other, message(1))
        assert [each["Body"].encode() for each in _receive(sqs_server, sqs_queue)] == [message(1).body]

    async def test_a_fifo_topic_orders_by_generation_and_drops_a_repeat(
        self, sqs_server: SqsServer, sqs_fifo_queue: str
    ) -> None:
        """Group and deduplication id reach the queue behind the topic."""
        name = sqs_fifo_queue.rpartition("/")[2]
        arn = sqs_server.create_topic(name, queue=name)
        topic = open_aws(f"sns:{arn}", endpoint_url=sqs_server.endpoint_url)
        await topic.send([message(1)])
        await send_and_close(topic, message(1))
        [received] = _receive(sqs_server, sqs_fifo_queue)
        assert received["Attributes"]["MessageGroupId"] == "gen_1"
        assert received["Attributes"]["MessageDeduplicationId"] == message(1).id


class TestSend:
    async def test_a_failed_entry_fails_alone(self, topic: AwsDestination, aws: Stubber) -> None:
        """`Failed[]` decides per message: the sender's fault is final, all else is tried again."""
        failed = [
            {"Id": "0", "SenderFault": True, "Code": "InvalidParameter", "Message": "why"},
            {"Id": "1", "SenderFault": True, "Code": "KMSThrottling", "Message": "why"},
            {"Id": "3", "SenderFault": False, "Code": "InternalError", "Message": "why"},
        ]
        aws.add_response("publish_batch", {"Successful": [{"Id": "2", "MessageId": "m"}], "Failed": failed})
        outcomes = await send_and_close(topic, *(message(n) for n in range(5)))
        assert [type(outcome) for outcome in outcomes] == [GivenUp, Retry, Delivered, Retry, Retry]

    async def test_a_request_stays_within_what_every_topic_takes(
        self, topic: AwsDestination, aws: Stubber
    ) -> None:
        """Two messages of 150 kB are two requests, as a topic takes 256 KiB unless set to more."""
        for _ in range(2):
            aws.add_response("publish_batch", {"Successful": [{"Id": "0", "MessageId": "m"}]})
        outcomes = await send_and_close(topic, *(message(n, prompt="x" * 150_000) for n in range(2)))
        assert [type(outcome) for outcome in outcomes] == [Delivered, Delivered]

    async def test_a_topic_set_to_more_gets_large_messages(self, topic: AwsDestination, aws: Stubber) -> None:
        """A message of 300 kB is tried alone, because the topic's MaximumMessageSize may allow it."""
        aws.add_response("publish_batch", {"Successful": [{"Id": "0", "MessageId": "m"}]})
        assert await send_and_close(topic, message(1, prompt="x" * 300_000)) == [Delivered("m")]

    async def test_a_topic_that_is_elsewhere_is_a_retry(self, topic: AwsDestination, aws: Stubber) -> None:
        """A wrong region makes every ARN invalid, which is no event's fault."""
        aws.add_client_error("publish_batch", "InvalidParameter", "Invalid parameter: TopicArn")
        [outcome] = await send_and_close(topic, message(1))
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error

    @pytest.mark.parametrize("code", ["NotFound", "AuthorizationError", "KMSAccessDenied", "Throttled"])
    async def test_a_refused_request_is_a_retry(self, topic: AwsDestination, aws: Stubber, code: str) -> None:
        """Topic, rights, keys and load are not the message's fault; the error names the setting."""
        aws.add_client_error("publish_batch", code, "hunter2")
        [outcome] = await send_and_close(topic, message(1))
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error
        assert code in outcome.error
        assert "hunter2" not in outcome.error
