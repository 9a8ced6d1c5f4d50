"""A connection to NATS: when it is lost."""

import pytest

from receiver.destinations.nats_connection import Connection
from tests.servers.nats import NatsServer
from tests.servers.require import free_ports


class TestDial:
    async def test_a_refusal_is_told_as_it_was(self) -> None:
        """When no server answers, what is raised is why, and not that there are none."""
        connection = Connection(lambda _: None)
        with pytest.raises(ConnectionRefusedError):
            await connection.dial(servers=[f"nats://127.0.0.1:{free_ports(1)[0]}"], insist_on_tls=False)

    async def test_it_never_dials_again(self, nats_server: NatsServer) -> None:
        """Closed is closed: whoever sends decides when to connect again."""
        lost: list[Connection] = []
        connection = Connection(lost.append)
        await connection.dial(servers=[nats_server.url], insist_on_tls=False)
        assert connection.is_connected
        await connection.hang_up()
        assert connection.is_closed
        assert lost == [connection]
