"""The sandbox as it is made, started and stopped."""

import asyncio
import socket
import threading

import httpx2
import pytest

from receiver.client import AsyncClient, Client
from receiver.errors import ConfigError
from receiver.sandbox import OPERATION_NAMES, Fault, Knobs, Sandbox
from receiver.sandbox.operations import KEY_OPERATIONS, OPERATIONS
from tests.servers.require import free_ports
from tests.unit.client.raw_server import answer, raw_server
from tests.waiting.blocking import until


def order(sandbox: Sandbox, account: str = "default", **body: str) -> str:
    headers = {"Authorization": f"Bearer {sandbox.key(account=account)}"}
    made = httpx2.post(f"{sandbox.url}/generate/image", json={"prompt": "x", **body}, headers=headers)
    name: str = made.json()["id"]
    return name


class TestSandbox:
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.com", ""])
    def test_listens_on_loopback_only(self, host: str) -> None:
        """Everybody knows its secret, so nobody else may reach it."""
        with pytest.raises(ConfigError, match="loopback"), Sandbox(host=host):
            pass

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_takes_a_free_port(self, host: str) -> None:
        """Two can run side by side."""
        with Sandbox(host=host) as one, Sandbox(host=host) as two:
            assert one.url != two.url
            assert one.url.endswith("/api/v1")

    def test_names_a_port_that_is_taken(self) -> None:
        """The message says which."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(ConfigError, match=str(port)), Sandbox(port=port):
                pass

    def test_refuses_a_weak_secret(self) -> None:
        """As the receiver would."""
        with pytest.raises(ConfigError, match="webhook_secret"):
            Sandbox(webhook_secret="short")

    def test_same_seed_same_world(self) -> None:
        """Keys, and everything else that is random, repeat."""
        assert Sandbox(seed=7).key() == Sandbox(seed=7).key() != Sandbox(seed=8).key()

    def test_ids_are_new_in_every_run(self) -> None:
        """A receiver that kept its database has seen none of them; a seed repeats them."""

        def ids(seed: int | None = None) -> tuple[str, ...]:
            with Sandbox(seed=seed) as sandbox:
                return order(sandbox), order(sandbox)

        assert len({*ids(), *ids()}) == 4
        assert ids(7) == ids(7)
        assert Sandbox().key() == Sandbox().key()

    def test_refuses_a_scope_that_is_none(self) -> None:
        """A typo in a test is found at once."""
        with pytest.raises(ValueError, match="reed"):
            Sandbox().key("reed")

    def test_refuses_a_fault_for_nothing(self) -> None:
        """The same for an operation; every one that there is can be named."""
        with pytest.raises(ValueError, match="no such operation"):
            Sandbox().fail("generate.audio", Fault("stall"))
        named = {one.name for one in (*OPERATIONS, *KEY_OPERATIONS)} | {"asset.get"}
        assert set(OPERATION_NAMES) == named

    def test_counts_what_was_charged(self) -> None:
        """By account, refunded or not."""
        with Sandbox(knobs=Knobs(progression="immediate", failure_rate=1, refund_failures=True)) as sandbox:
            made = [order(sandbox), order(sandbox)]
            other = order(sandbox, account="other")
            assert sandbox.generation_ids() == tuple(made)
            assert (sandbox.charges(), sandbox.charges("other"), sandbox.charges("nobody")) == (2, 1, 0)
            assert sandbox.generation_ids("other") == (other,)
            assert sandbox.credits() == Knobs().credits

    def test_finishes_and_tells_again_from_any_thread(self) -> None:
        """The test's own thread is not the sandbox's."""
        with (
            raw_server(answer()) as hook,
            Sandbox(knobs=Knobs(progression="manual", duplicate_rate=0)) as sandbox,
        ):
            made, failed = (order(sandbox, webhook_url=hook.url) for _ in range(2))
            sandbox.complete(made)
            until(lambda: len(sandbox.sent) == 1)
            sandbox.fail_generation(failed, "too dark")
            until(lambda: len(sandbox.sent) == 2)
            sandbox.resend(made)
            until(lambda: len(sandbox.sent) == 3)
            assert [(sent.generation_id, sent.event.partition(".")[2]) for sent in sandbox.sent] == [
                (made, "completed"),
                (failed, "failed"),
                (made, "completed"),
            ]
        assert b"too dark" in hook.requests[1]

    def test_knobs_can_be_turned_while_it_runs(self) -> None:
        """What is asked for next behaves accordingly; lost webhooks are known."""
        with Sandbox(knobs=Knobs(progression="immediate", loss_rate=1)) as sandbox:
            lost = order(sandbox, webhook_url="http://127.0.0.1:9")
            until(lambda: sandbox.lost)
            sandbox.knobs = Knobs(progression="manual")
            assert (sandbox.lost, sandbox.sent) == ((lost,), ())
            with pytest.raises(ValueError, match="not finished"):
                sandbox.resend(order(sandbox))

    def test_revokes_a_key(self) -> None:
        """From then on it is invalid."""
        with Sandbox() as sandbox:
            key = sandbox.key()
            sandbox.revoke(key)
            answered = httpx2.get(f"{sandbox.url}/models", headers={"Authorization": f"Bearer {key}"})
        assert answered.json()["error"]["code"] == "invalid_api_key"

    def test_stops_and_leaves_nothing(self) -> None:
        """The port is free, the thread is gone, and unfinished work is dropped."""
        (port,) = free_ports(1)
        with Sandbox(port=port, knobs=Knobs(image_delay_s=60)) as sandbox:
            client = Client(sandbox.key(), base_url=sandbox.url)
            client.generate.image("x")
            client.close()
        assert "receiver-sandbox" not in {thread.name for thread in threading.enumerate()}
        with socket.create_server(("127.0.0.1", port)):
            pass

    async def test_serves_within_a_running_loop(self) -> None:
        """`async with` needs no thread."""
        before = len(asyncio.all_tasks())
        async with Sandbox() as sandbox, AsyncClient(sandbox.key(), base_url=sandbox.url) as client:
            assert len(await client.models.list()) == 18
            assert "receiver-sandbox" not in {thread.name for thread in threading.enumerate()}
        assert len(asyncio.all_tasks()) == before

    def test_answers_at_once_on_a_kept_connection(self) -> None:
        """Nagle's algorithm is off: without that, each answer takes 40 ms."""
        with Sandbox() as sandbox:
            server = sandbox._server
            assert server is not None
            assert server._listener.proto == socket.IPPROTO_TCP
