"""A Kafka topic on three real brokers: what is missing, what is refused, and leaders that hang or die.

    python -m tests.field.kafka             prints its rows of docs/field.md

Needs `java` (17 or later) and `mvn`, which copies the brokers' jars once; or FIELD_KAFKA, a folder of them.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from receiver.destinations import Destination, open_destination
from tests.field.drill import Report, ride, run, said
from tests.servers import kafka_brokers, valkey
from tests.servers.kafka_brokers import Brokers
from tests.servers.process import ServerProcess
from tests.waiting.blocking import until

_numbers = count(1)
_MET_S: Final = 2.0
"""So long a fault lasts, so that it is met."""
_TIMEOUT_S: Final = 10
_SIGNED_IN: Final = {"security_protocol": "SASL_PLAINTEXT"}


class _Field:
    """Drills on brokers that all of them share, because they take long to come up."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._brokers: Brokers | None = None

    def start(self) -> str:
        """Start the brokers; return what they are."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        self._brokers = self._stack.enter_context(kafka_brokers.running(Path(folder)))
        return f"Kafka {kafka_brokers.VERSION}, 3 brokers"

    async def no_topic(self, report: Report) -> None:
        topic = self._name()

        def trouble() -> None:
            time.sleep(_MET_S)
            self.brokers.make_topic(topic)

        told = await ride(self._open(topic), trouble, before=0)
        report.row("no such topic; then it is made", told, self._held(topic), says="has no topic", within_s=8)

    async def too_few_replicas(self, report: Report) -> None:
        topic = self._topic(min_insync_replicas="3")
        follower = self.brokers.servers[(self.brokers.leader(topic) + 1) % 3]

        def trouble() -> None:
            follower.kill()
            until(lambda: self.brokers.in_sync(topic) < 3, seconds=40)
            time.sleep(2 * _TIMEOUT_S)  # what was sent before is over by then
            follower.start(within_s=120)

        told = await ride(self._open(topic), trouble, within_s=200)
        situation = "`min.insync.replicas=3`; a follower is killed and started again"
        report.row(situation, told, self._held(topic), says="too few replicas", within_s=90)

    async def leader_killed(self, report: Report) -> None:
        await self._without_leader(report, "the leader is killed", ServerProcess.kill)

    async def leader_hangs(self, report: Report) -> None:
        await self._without_leader(report, "the leader hangs (SIGSTOP)", ServerProcess.freeze)

    async def _without_leader(
        self, report: Report, situation: str, how: Callable[[ServerProcess], None]
    ) -> None:
        topic = self._topic(min_insync_replicas="2")
        number = self.brokers.leader(topic)
        leader = self.brokers.servers[number]

        def trouble() -> None:
            how(leader)
            until(lambda: self.brokers.leader(topic) not in (number, -1), seconds=60)
            time.sleep(_MET_S)
            leader.thaw()

        try:
            told = await ride(self._open(topic), trouble, within_s=120)
        finally:
            leader.kill()
            leader.start(within_s=120)
        report.row(situation, told, self._held(topic), within_s=45)

    async def refused_time(self, report: Report) -> None:
        topic = self._topic(message_timestamp_before_max_ms="1")

        def trouble() -> None:
            time.sleep(_MET_S)
            self.brokers.configure(topic, **{"message.timestamp.before.max.ms": str(2**63 - 1)})

        told = await ride(self._open(topic), trouble, before=0)
        situation = "a topic that takes no time of a millisecond ago; then it does"
        report.row(situation, told, self._held(topic), says="clock", within_s=8)

    async def made_again(self, report: Report) -> None:
        topic = self._topic()

        def trouble() -> None:
            self.brokers.delete_topic(topic)
            time.sleep(_MET_S)
            self.brokers.make_topic(topic)

        told = await ride(self._open(topic), trouble)
        del told.delivered[:-50]  # what it held before is gone, as it should be
        report.row("the topic is deleted, and made again", told, self._held(topic), within_s=15)

    async def rights(self, report: Report) -> None:
        topic = self._topic()

        def granted() -> None:
            time.sleep(_MET_S)
            self.brokers.grant(topic)

        def revoked() -> None:
            self.brokers.revoke(topic)
            time.sleep(_MET_S)
            self.brokers.grant(topic)

        for situation, trouble, before in (
            ("no right to write; then it is granted", granted, 0),
            ("the right is revoked, and granted again", revoked, 10),
        ):
            destination = self._open(topic, self.brokers.signed_in_url, **_SIGNED_IN)
            told = await ride(destination, trouble, before=before)
            report.row(situation, told, self._held(topic), says="permission to write", within_s=10)

    async def certificates(self, report: Report) -> None:
        topic, url, files = self._topic(), self.brokers.encrypted_url, self.brokers.client_files
        self.brokers.grant(topic, who="*")
        ssl = {"security_protocol": "SSL"}
        told = await said(self._open(topic, url, **ssl, **files))
        assert len(told.delivered) > 1, told.texts
        report.row("TLS with a client certificate", told, self._held(topic), within_s=5)
        for situation, options, says in (
            (
                "TLS without the certificate that is asked for",
                {"ca_file": files["ca_file"]},
                "cert_file|certificate",
            ),
            ("TLS with an authority that we do not trust", {}, "ca_file"),
        ):
            told = await said(self._open(topic, url, **ssl, **options))
            report.row(situation, told, [], says=says, within_s=10.5)

    async def wrong_door(self, report: Report) -> None:
        plain, signed_in = self.brokers.url, self.brokers.signed_in_url
        with tempfile.TemporaryDirectory() as folder:
            other = valkey.server(Path(folder))
            other.start()
            self._stack.callback(other.kill)
            wrong = {
                "TLS to a port without": (plain, {"security_protocol": "SSL"}, "security_protocol"),
                "no sign-in to a port that asks for it": (
                    signed_in.replace(f"{kafka_brokers.USER}:{kafka_brokers.PASSWORD}@", ""),
                    {},
                    "security_protocol",
                ),
                "a sign-in to a port without": (
                    plain.replace("//", "//someone:secret@"),
                    _SIGNED_IN,
                    "security_protocol|sign-in",
                ),
                "a wrong password": (signed_in.replace("correct", "wrong"), _SIGNED_IN, "sign-in"),
                "Valkey on the port": (
                    f"kafka://127.0.0.1:{other.port}",
                    {},
                    "does not speak Kafka",
                ),
            }
            for situation, (url, options, says) in wrong.items():
                told = await said(self._open(self._name(), url, **options))
                report.row(situation, told, [], says=says, within_s=10.5)
            other.kill()

    @property
    def brokers(self) -> Brokers:
        assert self._brokers is not None, "started before any drill"
        return self._brokers

    def _name(self) -> str:
        return f"events-{next(_numbers)}"

    def _topic(self, **config: str) -> str:
        """Return a new topic of one partition and three replicas, all of them in sync."""
        name = self._name()
        self.brokers.make_topic(name, **{key.replace("_", "."): value for key, value in config.items()})
        until(lambda: self.brokers.in_sync(name) == 3, seconds=60)
        return name

    def _open(self, topic: str, url: str = "", **options: str) -> Destination:
        return open_destination("queue", url or self.brokers.url, {"topic": topic, **options})

    def _held(self, topic: str) -> list[str]:
        """Return the ids of all records of the one partition."""
        config = {"bootstrap.servers": self.brokers.addresses, "group.id": "field", "log_level": 0}
        consumer = Consumer(config)
        try:
            consumer.assign([TopicPartition(topic, 0, 0)])
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
            found: list[str] = []
            deadline = time.monotonic() + 30
            while len(found) < end and time.monotonic() < deadline:
                records = consumer.consume(500, 1)
                found += [json.loads(each.value() or b"")["id"] for each in records if not each.error()]
            return found
        finally:
            consumer.close()


def main() -> int:
    """Print the rows; return how many are not as they should be."""
    with ExitStack() as stack:
        field = _Field(stack)
        return run(
            "kafka",
            field.start,
            field.no_topic,
            field.refused_time,
            field.rights,
            field.certificates,
            field.wrong_door,
            field.made_again,
            field.too_few_replicas,
            field.leader_killed,
            field.leader_hangs,
        )


if __name__ == "__main__":
    sys.exit(main())
