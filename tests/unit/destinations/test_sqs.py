"""SQS: how batches are cut, what a message carries, and what each refusal means."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest
from botocore.stub import Stubber

from receiver.destinations.aws import AwsDestination
from receiver.destinations.sqs import SqsQueue
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Retry
from tests.messages import TRACEPARENT, message
from tests.servers.sqs import SqsServer
from tests.unit.destinations.sending import open_aws, send_and_close

AWS = "https://sqs.eu-west-1.amazonaws.com/123456789012/events"
pytestmark = pytest.mark.usefixtures("aws_environment")


def _queue_of(destination: AwsDestination) -> SqsQueue:
    assert isinstance(destination._service, SqsQueue)
    return destination._service


@pytest.fixture
def queue() -> AwsDestination:
    """Return a destination at AWS, for tests that let nothing leave it."""
    return open_aws(f"sqs:{AWS}")


@pytest.fixture
def aws(queue: AwsDestination) -> Iterator[Stubber]:
    """Script what AWS answers, where moto cannot be made to."""
    with Stubber(_queue_of(queue).client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


class TestConnect:
    @pytest.mark.parametrize(
        ("url", "queue_url"),
        [
            (f"sqs:{AWS}", AWS),
            ("sqs://sqs.eu-west-1.amazonaws.com/123456789012/events", AWS),
            ("sqs+https://sqs.eu-west-1.amazonaws.com/123456789012/events", AWS),
            ("sqs+http://127.0.0.1:9324/000000000000/events", "http://127.0.0.1:9324/000000000000/events"),
            ("sqs:http://127.0.0.1:9324/000000000000/events", "http://127.0.0.1:9324/000000000000/events"),
        ],
    )
    def test_forms_of_the_url(self, url: str, queue_url: str) -> None:
        """A copied queue URL and the short forms lead to the same queue."""
        assert _queue_of(open_aws(url)).queue_url == queue_url

    @pytest.mark.parametrize(
        ("host", "region"),
        [
            ("sqs.eu-west-1.amazonaws.com", "eu-west-1"),
            ("sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("sqs-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
            ("ap-southeast-2.queue.amazonaws.com", "ap-southeast-2"),
            ("vpce-1a2b.sqs.us-east-2.vpce.amazonaws.com", "us-east-2"),
            ("127.0.0.1:9324", "eu-west-1"),
        ],
    )
    def test_the_region_is_read_from_the_host(self, host: str, region: str) -> None:
        """The region need not be said twice; without one in the host, the environment has it."""
        destination = open_aws(f"sqs://{host}/123456789012/events")
        assert _queue_of(destination).client.meta.region_name == region

    def test_without_any_region_the_setting_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A compatible server needs a region from somewhere."""
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        monkeypatch.delenv("AWS_REGION", raising=False)
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__QUEUE__REGION"):
            open_aws("sqs+http://127.0.0.1:9324/000000000000/events")

    def test_endpoint_and_region_can_be_set(self) -> None:
        """Options win over what the queue URL says."""
        told = _queue_of(
            open_aws(f"sqs:{AWS}", region="us-east-1", endpoint_url="http://127.0.0.1:9")
        ).client.meta
        assert (told.region_name, told.endpoint_url) == ("us-east-1", "http://127.0.0.1:9")

    @pytest.mark.parametrize(
        ("option", "value"), [("concurrency", "99"), ("endpoint_url", "ftp://x"), ("regoin", "eu-west-1")]
    )
    def test_a_bad_option_is_refused(self, option: str, value: str) -> None:
        """Every option is checked at start, and the message names it."""
        with pytest.raises(ConfigError, match=f"RECEIVER_DESTINATIONS__QUEUE__{option.upper()}"):
            open_aws(f"sqs:{AWS}", **{option: value})


class TestMessage:
    async def test_attributes_of_a_standard_message(self, sqs_server: SqsServer, sqs_queue: str) -> None:
        """Consumers can filter on attributes without parsing the body; the receipt is the SQS message id."""
        [outcome] = await send_and_close(open_aws(f"sqs:{sqs_queue}"), message(1, traceparent=TRACEPARENT))
        received = _receive(sqs_server, sqs_queue)
        assert outcome == Delivered(received["MessageId"])
        assert {name: each["StringValue"] for name, each in received["MessageAttributes"].items()} == {
            "id": message(1).id,
            "type": message(1).type,
            "source": "photoverse",
            "subject": "gen_1",
            "traceparent": TRACEPARENT,
        }
        assert "MessageGroupId" not in received["Attributes"]

    async def test_group_and_deduplication_of_a_fifo_message(
        self, sqs_server: SqsServer, sqs_fifo_queue: str
    ) -> None:
        """A FIFO queue orders by generation and drops a repeated event id."""
        queue = open_aws(f"sqs:{sqs_fifo_queue}")
        assert await queue.send([message(1)])
        await send_and_close(queue, message(1))
        received = _receive(sqs_server, sqs_fifo_queue)
        assert received["Attributes"]["MessageGroupId"] == "gen_1"
        assert received["Attributes"]["MessageDeduplicationId"] == message(1).id
        assert _receive(sqs_server, sqs_fifo_queue) is None

    async def test_characters_that_sqs_refuses_are_escaped(
        self, sqs_server: SqsServer, sqs_queue: str
    ) -> None:
        """U+FFFE and U+FFFF arrive as JSON escapes: the same JSON, and no poisoned message."""
        odd = message(1, prompt="a\ufffe\uffffb\\u")
        await send_and_close(open_aws(f"sqs:{sqs_queue}"), odd)
        body = _receive(sqs_server, sqs_queue)["Body"]
        assert "\ufffe" not in body
        assert "\uffff" not in body
        assert orjson.loads(body) == orjson.loads(odd.body)


class TestSend:
    async def test_a_failed_entry_fails_alone(self, queue: AwsDestination, aws: Stubber) -> None:
        """`Failed[]` decides per message: the sender's fault is final, all else is tried again."""
        aws.add_response(
            "send_message_batch",
            {
                "Successful": [{"Id": "3", "MessageId": "m-3", "MD5OfMessageBody": "x"}],
                "Failed": [
                    _failed("0", sender=True, code="InvalidParameterValue"),
                    _failed("1", sender=False, code="InternalError"),
                    _failed("2", sender=True, code="RequestThrottled"),
                ],
            },
        )
        outcomes = await send_and_close(queue, *(message(n) for n in range(5)))
        assert [type(outcome) for outcome in outcomes] == [GivenUp, Retry, Retry, Delivered, Retry]

    async def test_a_message_too_large_is_given_up_unsent(self, queue: AwsDestination, aws: Stubber) -> None:
        """Beyond a mebibyte nothing is uploaded; the others go in a request of their own."""
        aws.add_response("send_message_batch", _accepted("0"))
        outcomes = await send_and_close(queue, message(0), message(1, prompt="x" * 1_048_576))
        assert [type(outcome) for outcome in outcomes] == [Delivered, GivenUp]

    async def test_a_dripping_answer_is_a_retry_within_the_timeout(self) -> None:
        """A server that keeps the connection busy does not outlast the deadline."""
        dripping = asyncio.Event()

        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            while not dripping.is_set():
                writer.write(b".")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(dripping.wait(), timeout=0.05)
            writer.close()

        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        url = f"sqs+http://127.0.0.1:{server.sockets[0].getsockname()[1]}/000000000000/events"
        sending = asyncio.ensure_future(send_and_close(open_aws(url, timeout_s="0.3"), message(1)))
        done, _ = await asyncio.wait({sending}, timeout=15)
        dripping.set()
        server.close()
        await server.wait_closed()
        assert done
        assert isinstance(sending.result()[0], Retry)

    async def test_a_refused_batch_is_asked_again_one_by_one(
        self, queue: AwsDestination, aws: Stubber
    ) -> None:
        """When SQS blames the batch for one message, only that message is given up."""
        aws.add_client_error("send_message_batch", "InvalidMessageContents")
        aws.add_response("send_message_batch", _accepted("0"))
        aws.add_client_error("send_message_batch", "AWS.SimpleQueueService.BatchRequestTooLong")
        outcomes = await send_and_close(queue, message(0), message(1))
        assert [type(outcome) for outcome in outcomes] == [Delivered, GivenUp]

    @pytest.mark.parametrize(
        "code",
        [
            "AccessDenied",
            "InvalidClientTokenId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "UnrecognizedClientException",
            "AWS.SimpleQueueService.NonExistentQueue",
            "QueueDoesNotExist",
            "KmsDisabled",
            "RequestThrottled",
            "ServiceUnavailable",
        ],
    )
    async def test_a_refused_request_is_a_retry(self, queue: AwsDestination, aws: Stubber, code: str) -> None:
        """Credentials, queue, keys and load are not the message's fault; the error names the setting."""
        aws.add_client_error("send_message_batch", code, "canonical string: hunter2\nline two")
        [outcome] = await send_and_close(queue, message(1))
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error
        assert code in outcome.error
        assert "hunter2" not in outcome.error

    async def test_missing_credentials_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without credentials nothing is sent, and nothing is lost."""
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        [outcome] = await send_and_close(open_aws("sqs+http://127.0.0.1:9/000000000000/events"), message(1))
        assert isinstance(outcome, Retry)
        assert "no AWS credentials" in outcome.error

    async def test_a_server_that_is_no_sqs_is_a_retry(self) -> None:
        """An endpoint that answers something else delivered nothing."""

        async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html></html>")
            writer.close()

        server = await asyncio.start_server(page, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        [outcome] = await send_and_close(
            open_aws(f"sqs+http://127.0.0.1:{port}/000000000000/events"), message(1)
        )
        server.close()
        await server.wait_closed()
        assert isinstance(outcome, Retry)


def _failed(entry_id: str, *, sender: bool, code: str) -> dict[str, Any]:
    return {"Id": entry_id, "SenderFault": sender, "Code": code, "Message": "why"}


def _accepted(entry_id: str) -> dict[str, Any]:
    return {"Successful": [{"Id": entry_id, "MessageId": "m", "MD5OfMessageBody": "x"}], "Failed": []}


def _receive(server: SqsServer, queue_url: str) -> Any:
    client = server.client()
    found: Mapping[str, Any] = client.receive_message(
        QueueUrl=queue_url, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"]
    )
    client.close()
    return next(iter(found.get("Messages", [])), None)
