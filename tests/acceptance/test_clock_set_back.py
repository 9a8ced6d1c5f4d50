"""The machine's clock ran an hour ahead and is set right: nothing waits for that hour."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.signatures import sign
from tests.acceptance.service import MORTAL, SECRET, Service, completed, failed, kill, service
from tests.servers.assets import AssetHost
from tests.servers.hook import Hook
from tests.waiting.blocking import until

AHEAD_S = 3600.0
CLOCK = """
import os, time
real = time.time
time.time = lambda: real() + float(open(os.environ["AHEAD"]).read() or 0)
"""


def deliver(receiver: Service, body: bytes, *, ahead_s: float = AHEAD_S) -> None:
    signature = sign(body, secret=SECRET, timestamp=int(time.time() + ahead_s))
    answer = receiver.request("POST", "/webhooks/photoverse", body, {"X-Webhook-Signature": signature})
    assert answer.status == 200


@pytest.fixture
def hook(tmp_path: Path) -> Iterator[Hook]:
    """A consumer that is down until it is started."""
    hook = Hook(tmp_path)
    yield hook
    hook.stop()


class TestAClockThatIsSetBack:
    @pytest.mark.parametrize("restarted", [False, True])
    def test_holds_nothing_for_the_difference(
        self, tmp_path: Path, asset_host: AssetHost, hook: Hook, restarted: bool
    ) -> None:
        """Neither events nor retries, nor what a worker held that was killed."""
        (tmp_path / "sitecustomize.py").write_text(CLOCK)
        ahead = tmp_path / "ahead"
        ahead.write_text(str(AHEAD_S))
        settings = {
            **MORTAL,
            "PYTHONPATH": str(tmp_path),
            "AHEAD": str(ahead),
            "RECEIVER_DESTINATIONS__HOOK__URL": hook.url,
            "RECEIVER_DESTINATIONS__HOOK__BREAKER_MAX_S": "1",
            "RECEIVER_DESTINATIONS__HOOK__BACKOFF_MAX_S": "1",
        }
        asset_host.status = 503
        with service(tmp_path, python=sys.executable, **settings) as receiver:
            process = receiver.start()
            for name in ("gen_1", "gen_2"):
                deliver(receiver, completed(name, f"{asset_host.url}/{name}.png"))
            deliver(receiver, completed("gen_3", f"{asset_host.url}/hang.png"))
            deliver(receiver, failed("gen_4"))
            until(lambda: len(asset_host.asked) >= 3 and receiver.messages())
            until(lambda: receiver.logged("breaker opened") or receiver.logged("forward postponed"))
            if restarted:
                kill(process)
            ahead.write_text("0")
            asset_host.status = 200
            asset_host.released.set()
            hook.start()
            if restarted:
                receiver.start()
            deliver(receiver, failed("gen_5"), ahead_s=0)
            wanted = {f"gen_{number}" for number in range(1, 6)}
            until(lambda: {one["subject"] for one in receiver.messages()} == wanted)
            until(lambda: len(set(hook.taken())) == len(wanted))
            assert receiver.logged("due times corrected")
