"""`receiver sandbox` as a process of its own."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from receiver.sandbox import Dialect
from tests.servers import warm


@contextmanager
def running(*options: str) -> Iterator[tuple[str, str]]:
    """Run the command; yield the base URL and the key that it printed."""
    words = ["receiver", "sandbox", "--port", "0", *options]
    with warm.start(words, cwd=Path(), env=os.environ, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            lines = (line for line in process.stdout if "export" in line)
            printed = dict(re.findall(r"export (\w+)=(\S+)", "".join(next(lines) for _ in range(4))))
            yield printed["RECEIVER_API_BASE_URL"], printed["RECEIVER_API_KEY"]
        finally:
            process.terminate()
            assert process.wait(10) == 0


class TestSandbox:
    def test_behaves_as_its_options_say(self) -> None:
        """The knobs are turned, and time is moved by hand."""
        options = ["--progression", "manual", "--manual-clock", "--rate-limit", "2", "--loss-rate", "0.5"]
        with running(*options, "--delay", "3", "--asset-ttl", "60") as (url, key):
            admin = url.replace("/api/v1", "/__sandbox__")
            knobs = httpx2.get(f"{admin}/knobs").json()
            turned = [knobs[name] for name in ("progression", "rate_limit", "loss_rate", "asset_ttl_s")]
            assert turned == ["manual", 2, 0.5, 60]
            assert (knobs["image_delay_s"], knobs["video_delay_s"]) == (3, 6)
            before = httpx2.get(f"{admin}/clock").json()["now"]
            assert httpx2.post(f"{admin}/clock", json={"seconds": 5}).json()["now"] == before + 5
            headers = {"Authorization": f"Bearer {key}"}
            codes = [httpx2.get(f"{url}/models", headers=headers).status_code for _ in range(3)]
            assert codes == [200, 200, 429]

    def test_any_knob_switch_and_fault(self) -> None:
        """Those without an option of their own are given by name, and hold from the first call."""
        options = ["--knob", "webhook_retries_s=1,2", "--knob", "video_delay_s=9", "--delay", "3"]
        options += ["--dialect", "generate_status=202", "--fault", "generate.image:status=503,times=2"]
        with running(*options) as (url, key):
            knobs = httpx2.get(f"{url.replace('/api/v1', '/__sandbox__')}/knobs").json()
            assert (knobs["webhook_retries_s"], knobs["image_delay_s"], knobs["video_delay_s"]) == (
                [1, 2],
                3,
                9,
            )
            headers = {"Authorization": f"Bearer {key}"}
            asked = [
                httpx2.post(f"{url}/generate/image", json={"prompt": "x"}, headers=headers) for _ in range(3)
            ]
            assert [answer.status_code for answer in asked] == [503, 503, 202]

    def test_ids_are_new_in_every_run(self) -> None:
        """Beside a data folder that was kept, the second run's generations are not taken for the first's."""
        made = []
        for _ in range(2):
            with running() as (url, key):
                headers = {"Authorization": f"Bearer {key}"}
                answer = httpx2.post(f"{url}/generate/image", json={"prompt": "x"}, headers=headers)
                made.append((key, answer.json()["id"]))
        (first_key, first), (second_key, second) = made
        assert first_key == second_key
        assert first != second

    def test_speaks_the_dialect_of_its_seed(self) -> None:
        """The same one as from Python."""
        dialect = Dialect.random(11)
        with running("--dialect", "random", "--seed", "11") as (url, key):
            headers = {"Authorization": f"Bearer {key}"}
            made = httpx2.post(f"{url}/generate/image", json={"prompt": "x"}, headers=headers)
            assert made.status_code == dialect.generate_status
            assert (dialect.request_id_header in made.headers) == (dialect.request_id_header != "absent")
