"""The systems that the destination contract is run on."""

from typing import Final

from tests.contract.systems.files import open_file
from tests.contract.systems.http import open_http
from tests.contract.systems.kafka import open_kafka_mock_cluster
from tests.contract.systems.nats import open_nats
from tests.contract.systems.postgresql import open_postgresql
from tests.contract.systems.pull import open_pull
from tests.contract.systems.rabbitmq import open_rabbitmq
from tests.contract.systems.redis import open_redis
from tests.contract.systems.replicated_redis import open_replicated_redis
from tests.contract.systems.sqs import opener as sqs_opener
from tests.contract.systems.stdout import open_stdout
from tests.contract.systems.subscribed import EVENTBRIDGE, SNS
from tests.contract.systems.subscribed import opener as subscribed_opener
from tests.contract.systems.system import Opener

SYSTEMS: Final[dict[str, Opener]] = {
    "file": open_file,
    "stdout": open_stdout,
    "http": open_http,
    "kafka-mock-cluster": open_kafka_mock_cluster,
    "nats": open_nats,
    "rabbitmq": open_rabbitmq,
    "redis": open_redis,
    "redis-wait": open_replicated_redis,
    "postgresql": open_postgresql,
    "pull": open_pull,
    "sqs": sqs_opener("sqs_queue"),
    "sqs-fifo": sqs_opener("sqs_fifo_queue"),
    "sns": subscribed_opener(SNS, "sqs_queue"),
    "sns-fifo": subscribed_opener(SNS, "sqs_fifo_queue"),
    "eventbridge": subscribed_opener(EVENTBRIDGE, "sqs_queue"),
}
