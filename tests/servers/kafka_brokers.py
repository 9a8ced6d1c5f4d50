"""Three real Kafka brokers, which are their own controllers (KRaft), from the jars that Maven copies.

They take about 20 s to come up, so only `tests/field` starts them.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import trustme
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._metadata import PartitionMetadata
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewTopic
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.servers.process import ServerProcess
from tests.servers.relay import client_files
from tests.servers.require import free_ports, missing

VERSION: Final = "4.4.0"
USER: Final = "receiver"
PASSWORD: Final = "correct-horse"
_CLUSTER_ID: Final = "MkU3OEVBNTcwNTJENDM2Qg"
_RIGHTS: Final = (AclOperation.WRITE, AclOperation.DESCRIBE)
_SET: Final = AlterConfigOpType.SET
_JVM: Final = ("-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_POM: Final = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>field</groupId><artifactId>kafka</artifactId><version>1</version><dependencies><dependency>
<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version>
</dependency></dependencies></project>
"""
T = TypeVar("T", AclBinding, AclBindingFilter)


@dataclass(frozen=True)
class Brokers:
    """Three brokers. Topics are made, never created by being named; whoever signs in needs rights."""

    servers: tuple[ServerProcess, ...]
    signed_in: tuple[int, ...]
    """The ports at which one has to sign in, as USER."""
    encrypted: tuple[int, ...]
    """The ports that want TLS, and a certificate."""
    client_files: dict[str, str]
    """The options that name one that they take."""
    admin: AdminClient

    @property
    def addresses(self) -> str:
        """All of them, where nobody signs in and everything is allowed."""
        return ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    @property
    def url(self) -> str:
        return f"kafka://{self.addresses}"

    @property
    def signed_in_url(self) -> str:
        return f"kafka://{USER}:{PASSWORD}@" + ",".join(f"127.0.0.1:{port}" for port in self.signed_in)

    @property
    def encrypted_url(self) -> str:
        return "kafka://" + ",".join(f"127.0.0.1:{port}" for port in self.encrypted)

    def make_topic(self, name: str, **config: str) -> None:
        """Make *name*: one partition, three replicas."""
        topic = NewTopic(name, num_partitions=1, replication_factor=3, config=dict(config))
        _all(self.admin.create_topics([topic]))

    def delete_topic(self, name: str) -> None:
        """Delete *name*, with all that it holds."""
        _all(self.admin.delete_topics([name]))

    def configure(self, topic: str, **config: str) -> None:
        """Set *config* of *topic*."""
        entries = [ConfigEntry(name, value, incremental_operation=_SET) for name, value in config.items()]
        _all(
            self.admin.incremental_alter_configs(
                [ConfigResource("topic", topic, incremental_configs=entries)]
            )
        )

    def grant(self, topic: str, who: str = USER) -> None:
        """Give *who* the rights to write to *topic* that docs/destinations/kafka.md asks for."""
        _all(self.admin.create_acls([_right(AclBinding, topic, each, who) for each in _RIGHTS]))

    def revoke(self, topic: str) -> None:
        """Take them away."""
        _all(self.admin.delete_acls([_right(AclBindingFilter, topic, each) for each in _RIGHTS]))

    def leader(self, topic: str) -> int:
        """Return which of the brokers leads the partition of *topic*; -1: none."""
        partition = self._partition(topic)
        return -1 if partition is None else partition.leader

    def in_sync(self, topic: str) -> int:
        """Return how many replicas are in sync."""
        partition = self._partition(topic)
        return 0 if partition is None else len(partition.isrs)

    def _partition(self, topic: str) -> PartitionMetadata | None:
        with suppress(KafkaException):  # the broker that was asked hangs
            # One that has not heard of the topic yet knows no partition of it.
            return self.admin.list_topics(topic, timeout=10).topics[topic].partitions.get(0)
        return None


@contextmanager
def running(folder: Path) -> Iterator[Brokers]:
    """Start them, with their data in *folder*."""
    jars, ports = _jars(), free_ports(12)
    plain, signed_in, encrypted, controllers = (ports[first : first + 3] for first in (0, 3, 6, 9))
    files = _certify(folder)
    servers = []
    with ExitStack() as stack:
        for index in range(3):
            home = folder / str(index)
            home.mkdir()
            config = home / "server.properties"
            mine = (plain[index], signed_in[index], encrypted[index], controllers[index])
            config.write_text(_properties(index, mine, controllers, home))
            _java(jars, "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(config))
            argv = ["java", *_JVM, "-cp", f"{jars}/*", "kafka.Kafka", str(config)]
            servers.append(ServerProcess(argv, plain[index]))
            stack.callback(servers[-1].kill)
            stack.callback(servers[-1].thaw)
        start_together(servers)
        admin = AdminClient(
            {"bootstrap.servers": ",".join(f"127.0.0.1:{port}" for port in plain), "log_level": 0}
        )
        yield Brokers(tuple(servers), tuple(signed_in), tuple(encrypted), files, admin)


def start_together(servers: Iterable[ServerProcess]) -> None:
    """Start *servers* side by side: a broker is ready once most of the controllers agree."""
    with ThreadPoolExecutor() as threads:
        for starting in [threads.submit(server.start, within_s=120) for server in servers]:
            starting.result()


def _right(kind: type[T], topic: str, operation: AclOperation, who: str = USER) -> T:
    return kind(
        ResourceType.TOPIC,
        topic,
        ResourcePatternType.LITERAL,
        f"User:{who}",
        "*",
        operation,
        AclPermissionType.ALLOW,
    )


def _all(asked: Mapping[Any, "Future[Any]"]) -> None:
    for each in asked.values():
        each.result(30)


def _certify(folder: Path) -> dict[str, str]:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    # The only form that Java reads.
    written = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "brokers.pem").write_bytes(written + certificate.cert_chain_pems[0].bytes())
    return client_files(authority, folder)


def _jars() -> Path:
    """Return the folder of the jars, which FIELD_KAFKA names, or Maven fills once."""
    given = os.environ.get("FIELD_KAFKA")
    folder = Path(given) if given else Path(sys.prefix, f"kafka-{VERSION}")
    if shutil.which("java") is None:
        missing("kafka", "no `java`", installer="apt-get install default-jre-headless")
    if not folder.is_dir():
        if shutil.which("mvn") is None:
            missing(
                "kafka",
                "no `mvn`, and FIELD_KAFKA names no folder of jars",
                installer="apt-get install maven",
            )
        pom = folder.with_suffix(".pom.xml")
        pom.write_text(_POM)
        copy = [
            "mvn",
            "-q",
            "-B",
            "-f",
            str(pom),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={folder}",
        ]
        subprocess.run([*copy, "-DincludeScope=runtime"], check=True, timeout=600)
    return folder


def _java(jars: Path, *argv: str) -> None:
    done = subprocess.run(
        ["java", *_JVM, "-cp", f"{jars}/*", *argv], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]


def _properties(index: int, mine: tuple[int, int, int, int], controllers: list[int], home: Path) -> str:
    plain, signed_in, encrypted, controller = mine
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in enumerate(controllers))
    listen = (
        f"PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{signed_in},SSL://127.0.0.1:{encrypted}"
    )
    protocols = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL"
    return "\n".join(
        [
            "process.roles=broker,controller",
            f"node.id={index}",
            f"controller.quorum.voters={voters}",
            "controller.listener.names=CONTROLLER",
            f"listeners={listen},CONTROLLER://127.0.0.1:{controller}",
            f"advertised.listeners={listen}",
            f"listener.security.protocol.map={protocols}",
            "inter.broker.listener.name=PLAINTEXT",
            "sasl.enabled.mechanisms=PLAIN",
            f'listener.name.sasl_plaintext.plain.sasl.jaas.config={login} user_{USER}="{PASSWORD}";',
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={home.parent}/brokers.pem",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={home.parent}/ca.pem",
            "ssl.client.auth=required",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users=User:ANONYMOUS",
            "auto.create.topics.enable=false",
            f"log.dirs={home}/data",
            "offsets.topic.replication.factor=3",
            "controlled.shutdown.enable=true",
            "",
        ]
    )
