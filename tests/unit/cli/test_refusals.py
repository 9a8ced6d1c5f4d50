"""`receiver refusals`, asked of a running process."""

import http.client
import json

from tests.servers.require import free_ports
from tests.unit.cli.command import SECRET, Command, wait_for


class TestRefusals:
    def test_asks_a_running_process(self, command: Command) -> None:
        """The addresses that a process refused, by the client that its trusted proxy names."""
        ports = [str(port) for port in free_ports(2)]
        settings = {
            "RECEIVER_WEBHOOK_SECRETS": SECRET,
            "RECEIVER_PORT": ports[0],
            "RECEIVER_ADMIN_PORT": ports[1],
            "RECEIVER_TRUSTED_PROXIES": "127.0.0.1",
            "RECEIVER_LOG_FORMAT": "json",
        }
        with command.started("serve", **settings) as process:
            wait_for(process, "listening")
            for _ in range(3):
                connection = http.client.HTTPConnection("127.0.0.1", int(ports[0]), timeout=20)
                connection.request("POST", "/webhooks/photoverse", b"{}", {"X-Forwarded-For": "192.0.2.7"})
                assert connection.getresponse().status == 401
                connection.close()
            found = command.run("refusals", "--json", **settings)
        assert [json.loads(line) for line in found.stdout.splitlines()] == [
            {"address": "192.0.2.7", "requests": 3}
        ]

    def test_nobody_to_ask(self, command: Command) -> None:
        """Without a running process it says what to start, and where to look."""
        (port,) = free_ports(1)
        done = command.run("refusals", RECEIVER_ADMIN_TOKEN="0123456789abcdef", RECEIVER_ADMIN_PORT=str(port))
        assert done.returncode != 0
        assert f"the admin API at http://127.0.0.1:{port} cannot be reached" in done.stderr
        assert "Traceback" not in done.stderr
