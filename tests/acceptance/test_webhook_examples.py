"""The programs of docs/webhooks.md, run as they stand there by their own servers."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from receiver.signatures import sign
from tests.servers.process import ServerProcess
from tests.servers.require import free_ports

PAGE = Path(__file__).parents[2] / "docs/webhooks.md"
SECRET, OLDER = "whsec_examples_0123456789", "whsec_former_0123456789"
BODY = (
    '{"event": "generation.completed", "data": {"id": "gen_1", "prompt": "ein Fuchs im Schnee, 狐"}}'.encode()
)
WSGI = """
from wsgiref.simple_server import make_server
from program import app
make_server("127.0.0.1", {port}, app).serve_forever()
"""
ASGI = """
import uvicorn
uvicorn.run("program:app", host="127.0.0.1", port={port}, log_level="warning")
"""
SERVERS = {"Flask": WSGI, "FastAPI": ASGI, "Django": WSGI}


@contextmanager
def served(framework: str, folder: Path) -> Iterator[str]:
    """Run the page's program for *framework*; yield its URL."""
    blocks = re.findall(r"^## (\w+)\n\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    (folder / "program.py").write_text(dict(blocks)[framework])
    port = free_ports(1)[0]
    env = {"WEBHOOK_SECRETS": f"{SECRET},{OLDER}", "PYTHONPATH": str(folder)}
    server = ServerProcess([sys.executable, "-c", SERVERS[framework].format(port=port)], port, env=env)
    server.start()
    try:
        yield f"http://127.0.0.1:{port}/webhooks/photoverse"
    finally:
        server.stop()


def signed(body: bytes = BODY, *, secret: str = SECRET, age_s: int = 0) -> dict[str, str]:
    signature = sign(body, secret=secret.encode(), timestamp=int(time.time()) - age_s)
    return {"X-Webhook-Signature": signature, "Content-Type": "application/json"}


class TestExamples:
    @pytest.mark.parametrize("framework", SERVERS)
    def test_takes_what_is_signed_and_nothing_else(self, framework: str, tmp_path: Path) -> None:
        """The body reaches `unwrap` as it was sent, and the answer says no more than that it was refused."""
        with served(framework, tmp_path) as url:

            def answered(headers: dict[str, str], body: bytes = BODY) -> tuple[int, str]:
                answer = httpx2.post(url, content=body, headers=headers, timeout=60)
                return answer.status_code, answer.text

            assert answered(signed()) == (200, "OK")
            assert answered(signed(secret=OLDER)) == (200, "OK")
            for refused in (signed(age_s=301), signed(secret="whsec_of_somebody_else"), {}):
                assert answered(refused) == (401, "invalid_signature")
            assert answered(signed(), BODY + b" ") == (401, "invalid_signature")
            assert answered(signed(b"[]"), b"[]") == (400, "not_json")


class TestWithoutServers:
    def test_needs_neither_key_nor_http_library(self) -> None:
        """Verifying imports nothing that connects, and no setting."""
        program = (
            "import sys; from receiver.client import webhooks, unwrap, SignatureError\n"
            "try: unwrap(b'{}', None, secrets='0123456789abcdef')\n"
            "except SignatureError as error: print(error.reason, 'httpx2' in sys.modules)"
        )
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env={}, check=True
        )
        assert run.stdout.split() == ["header_count", "False"]
