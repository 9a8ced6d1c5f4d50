"""A running service process, from its start to its end."""

import json
import signal
import socket
import time
from pathlib import Path

import pytest

from receiver.signatures import sign
from tests.acceptance.service import SECRET, completed, failed, service
from tests.servers.assets import AssetHost
from tests.servers.postgres import running
from tests.servers.silent import silent_url
from tests.unit.cli.command import SECRET as OTHER_SECRET
from tests.unit.cli.command import Command, wait_for
from tests.waiting.blocking import until

WITHIN_S = 15


class TestRun:
    @pytest.mark.parametrize(
        ("command_name", "number"),
        [("serve", signal.SIGTERM), ("worker", signal.SIGTERM), ("web", signal.SIGINT)],
    )
    def test_one_signal_drains(self, command: Command, command_name: str, number: signal.Signals) -> None:
        """An idle service told to stop ends at once and in good order, whichever signal it is."""
        settings = {"RECEIVER_WEBHOOK_SECRETS": OTHER_SECRET, "RECEIVER_PORT": "0"}
        with command.started(command_name, **settings) as process:
            wait_for(process, "worker started" if command_name == "worker" else "listening")
            process.send_signal(number)
            _, log = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 0, log
        [stopping] = [line for line in map(json.loads, log.splitlines()) if line["event"] == "stopping"]
        assert stopping["signal"] == number.name
        assert "Traceback" not in log

    def test_finishes_what_it_began(self, tmp_path: Path, asset_host: AssetHost) -> None:
        """A download under way at SIGTERM is finished, kept and forwarded or left for the next start."""
        with service(tmp_path) as receiver:
            process = receiver.start()
            event_id = receiver.deliver(completed("gen_1", f"{asset_host.url}/hang.png")).json["event_id"]
            until(lambda: asset_host.asked)
            process.send_signal(signal.SIGTERM)
            until(lambda: receiver.logged("stopping"))
            asset_host.released.set()
            assert process.wait(WITHIN_S) == 0
            assert receiver.logged("mirrored")
            receiver.start("worker")
            assert until(lambda: receiver.forwarded(event_id))

    def test_answers_what_it_began(self, tmp_path: Path) -> None:
        """A delivery half sent at SIGTERM is received whole, recorded and answered."""
        body = failed("gen_1")
        with service(tmp_path) as receiver:
            process = receiver.start("web")
            with socket.create_connection(("127.0.0.1", receiver.port)) as sender:
                signature = sign(body, secret=SECRET, timestamp=int(time.time()))
                head = (
                    f"POST /webhooks/photoverse HTTP/1.1\r\nHost: h\r\nX-Webhook-Signature: {signature}\r\n"
                )
                sender.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:10])
                until(lambda: receiver.request("GET", "/healthz").status == 200)
                process.send_signal(signal.SIGTERM)
                until(lambda: receiver.logged("stopping"))
                sender.sendall(body[10:])
                sender.settimeout(WITHIN_S)
                assert sender.recv(65536).startswith(b"HTTP/1.1 200")
            assert process.wait(WITHIN_S) == 0

    def test_gives_back_after_the_drain_time(self, tmp_path: Path, asset_host: AssetHost) -> None:
        """A download that does not end is cut short; the process still ends in good order."""
        with service(tmp_path, RECEIVER_DRAIN_S="0.2") as receiver:
            process = receiver.start()
            receiver.deliver(completed("gen_1", f"{asset_host.url}/hang.png"))
            until(lambda: asset_host.asked)
            process.send_signal(signal.SIGTERM)
            assert process.wait(WITHIN_S) == 0
            assert receiver.logged("unfinished work released")
            assert "Traceback" not in receiver.log()

    def test_leaves_an_upload_that_hangs(self, tmp_path: Path, asset_host: AssetHost) -> None:
        """A bucket that never answers holds up no stop, long before boto3 gives up on it."""
        with silent_url() as endpoint:
            settings = {
                "RECEIVER_ASSETS_URL": "s3://silent/assets",
                "RECEIVER_S3_ENDPOINT_URL": endpoint,
                "RECEIVER_DRAIN_S": "0.2",
                "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "x",
            }
            with service(tmp_path, **settings) as receiver:
                process = receiver.start()
                for number in range(20):
                    receiver.deliver(completed(f"gen_{number}", f"{asset_host.url}/{number}.png"))
                until(lambda: list(tmp_path.glob("data/spool/kept/*/*.png")))
                process.send_signal(signal.SIGTERM)
                assert process.wait(2 * WITHIN_S) == 0
                assert receiver.logged("unfinished work released")
                assert "Traceback" not in receiver.log()

    def test_leaves_a_database_that_hangs(self, tmp_path: Path, asset_host: AssetHost) -> None:
        """One that keeps its connections and never answers holds up no stop: leases run out by themselves."""
        with (
            running(durable=False) as postgres,
            service(tmp_path, RECEIVER_DATABASE_URL=postgres.url) as receiver,
        ):
            receiver.settings["RECEIVER_DRAIN_S"] = "0.2"
            receiver.run("migrate")
            process = receiver.start()
            receiver.deliver(completed("gen_1", f"{asset_host.url}/hang.png"))
            until(lambda: asset_host.asked)
            postgres.freeze()
            process.send_signal(signal.SIGTERM)
            try:
                assert process.wait(4 * WITHIN_S) == 0
            finally:
                postgres.thaw()
            assert receiver.logged("unfinished work waits for its leases to expire")
            assert "Traceback" not in receiver.log()

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (signal.SIGTERM, signal.SIGTERM),
            (signal.SIGINT, signal.SIGINT),
            (signal.SIGTERM, signal.SIGINT),
        ],
    )
    def test_second_signal_ends_at_once(
        self, tmp_path: Path, asset_host: AssetHost, first: signal.Signals, second: signal.Signals
    ) -> None:
        """Whoever is in a hurry asks twice: nothing is waited for, nothing acknowledged is lost."""
        with service(tmp_path) as receiver:
            process = receiver.start()
            receiver.deliver(completed("gen_1", f"{asset_host.url}/hang.png"))
            until(lambda: asset_host.asked)
            process.send_signal(first)
            until(lambda: receiver.logged("stopping"))
            process.send_signal(second)
            assert process.wait(WITHIN_S) != 0
            assert "Traceback" not in receiver.log()
