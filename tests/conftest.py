"""Fixtures shared by every test: the real servers, each started once per session and only when asked for."""

pytest_plugins = [
    "tests.contract.sandbox_dialects",
    "tests.servers.assets",
    "tests.servers.kafka",
    "tests.servers.nats",
    "tests.servers.postgres",
    "tests.servers.rabbitmq",
    "tests.servers.seaweedfs",
    "tests.servers.sqs",
    "tests.servers.valkey",
]
