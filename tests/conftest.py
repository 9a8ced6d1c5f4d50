"""Fixtures shared by every test: the real servers, each started once per session and only when asked for."""

pytest_plugins = [
    "tests.servers.assets",
    "tests.servers.postgres",
    "tests.servers.seaweedfs",
    "tests.servers.sqs",
    "tests.servers.valkey",
]
