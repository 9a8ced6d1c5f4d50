"""An SQS, SNS and EventBridge server: moto, over real HTTP.

These exist only at AWS, so moto stands in for the services themselves: the one server here that is not the
real thing. It keeps queues in memory, and does not enforce every limit that AWS documents. What reaches a
topic or a bus is read from an SQS queue that is subscribed to it.
"""

import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3.session
import pytest

from tests.servers.process import ServerProcess
from tests.servers.require import free_ports, missing

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

_REGION = "eu-west-1"
_numbers = count(1)


class SqsServer(ServerProcess):
    """moto_server; it forgets its queues when it ends."""

    def __init__(self, port: int) -> None:
        super().__init__([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port)
        # It keeps what it read of botocore's models, which takes longer than most requests.
        self._session = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test")

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> "SQSClient":
        """Return a client of this server; the caller closes it."""
        client: SQSClient = self.client_of("sqs")
        return client

    def client_of(self, service: str) -> Any:
        """Return a client of one *service*; the caller closes it."""
        return self._session.client(service, region_name=_REGION, endpoint_url=self.endpoint_url)  # type: ignore[call-overload]  # any

    def authorise(self, required: bool) -> None:
        """Have every request's signature checked, or none; no user is known, so all are refused."""
        unchecked = b"0" if required else b"inf"
        url, plain = f"{self.endpoint_url}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(url, unchecked, plain)).close()

    def create_queue(self, name: str) -> str:
        """Create the queue, FIFO if *name* ends in `.fifo`, and return its URL."""
        fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        with closing(self.client()) as client:
            return client.create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]  # type: ignore[arg-type]  # of str

    def create_topic(self, name: str, *, queue: str, filter_policy: str = "") -> str:
        """Create the topic, FIFO if *name* ends in `.fifo`, subscribe the *queue*, and return its ARN."""
        fifo = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
        subscription = {"RawMessageDelivery": "true"} | (
            {"FilterPolicy": filter_policy} if filter_policy else {}
        )
        with closing(self.client_of("sns")) as client:
            arn: str = client.create_topic(Name=name, Attributes=fifo)["TopicArn"]
            client.subscribe(
                TopicArn=arn, Protocol="sqs", Endpoint=_arn_of_queue(queue), Attributes=subscription
            )
        return arn

    def create_bus(self, name: str, *, queue: str, pattern: str = '{"source": [{"prefix": ""}]}') -> str:
        """Create the bus with a rule that hands what matches *pattern* to the *queue*; return its ARN."""
        with closing(self.client_of("events")) as client:
            arn: str = client.create_event_bus(Name=name)["EventBusArn"]
            client.put_rule(Name="to-queue", EventBusName=name, EventPattern=pattern)
            target = {"Id": "queue", "Arn": _arn_of_queue(queue)}
            client.put_targets(Rule="to-queue", EventBusName=name, Targets=[target])
        return arn


def _arn_of_queue(name: str) -> str:
    return f"arn:aws:sqs:{_REGION}:123456789012:{name}"


@pytest.fixture(scope="session")
def sqs_server() -> Iterator[SqsServer]:
    if find_spec("moto") is None or find_spec("flask") is None:
        missing("sqs", "moto or flask is not installed")
    server = SqsServer(free_ports(1)[0])
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give boto3's chain test credentials, and keep it off this machine's profile and metadata service."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", _REGION)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")


@pytest.fixture
def sqs_queue(sqs_server: SqsServer, aws_environment: None) -> str:
    """Return the URL of a fresh standard queue."""
    return sqs_server.create_queue(f"events-{next(_numbers)}")


@pytest.fixture
def sqs_fifo_queue(sqs_server: SqsServer, aws_environment: None) -> str:
    """Return the URL of a fresh FIFO queue."""
    return sqs_server.create_queue(f"events-{next(_numbers)}.fifo")
