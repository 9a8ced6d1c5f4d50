"""The consumers in docs/destinations/ handle each event once, whatever is sent twice and whatever fails."""

import ast
import asyncio
import contextlib
import json
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
import redis
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.destinations import Message, open_destination
from receiver.outcomes import Delivered, Outcome
from receiver.signatures import verify
from tests.messages import message
from tests.servers.require import free_ports
from tests.servers.sqs import SqsServer
from tests.servers.valkey import ValkeyServer
from tests.waiting.aio import until

FOLDER: Final = Path(__file__).parents[1] / "docs/destinations"
PAGES: Final = sorted({*FOLDER.glob("*.md")} - {FOLDER / "README.md", FOLDER / "conformance.md"})
TWICE: Final = [message(1), message(2), message(1)]
SECRET: Final = "0123456789abcdef"


def _example(page: str) -> str:
    """Return the consumer of a page, which waits for nothing new."""
    return _code(page, "python").replace("WaitTimeSeconds=20", "WaitTimeSeconds=0")


def _code(page: str, language: str) -> str:
    """Return the first block of a page in *language*."""
    found = re.search(rf"```{language}\n(.*?)```", (FOLDER / page).read_text(), re.DOTALL)
    assert found, f"{page} shows no {language}"
    return found[1]


class _Consumer:
    """What the examples take as given, with a `handle` whose first call fails."""

    def __init__(self) -> None:
        self.handled: list[str] = []
        self.given: dict[str, Any] = {"json": json, "time": time, "handle": self._handle}
        exec(
            _code("README.md", "python").replace("consumer.db", ":memory:"), {"sqlite3": sqlite3}, self.given
        )

    def run(self, page: str, **more: Any) -> None:
        """Run the page's consumer until it has read everything, or the first event fails."""
        with contextlib.suppress(_FirstCallError):
            exec(_example(page), self.given | more)

    def assert_handled_once(self) -> None:
        """Assert that each event was handled once, and that which failed once more."""
        [failed, *_] = self.handled
        expected = Counter({message(1).id, message(2).id}) + Counter([failed])
        assert Counter(self.handled) == expected

    def close(self) -> None:
        self.given["db"].close()

    def _handle(self, event: dict[str, Any]) -> None:
        self.handled.append(event["id"])
        if len(self.handled) == 1:
            raise _FirstCallError


class _FirstCallError(Exception):
    pass


@pytest.fixture
def consumer() -> Any:
    with closing(_Consumer()) as made:
        yield made


async def _deliver(url: str, batch: Sequence[Message], **options: str) -> list[Outcome]:
    async with aclosing(open_destination("queue", url, options)) as destination:
        return [*await destination.send(batch)]


def _all_delivered(outcomes: Sequence[Outcome]) -> bool:
    return bool(outcomes) and all(isinstance(outcome, Delivered) for outcome in outcomes)


class TestExamples:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_every_page_has_a_consumer_that_dedupes(self, page: Path) -> None:
        """Each page shows in a few lines of Python how to handle an event once; each at least compiles."""
        program = _example(page.name)
        ast.parse(program)
        assert len(program.splitlines()) <= 12
        assert re.search(r"\bid\b|_id\b", program)


class TestRuns:
    """Those whose server is real, or moto, are run against it."""

    async def test_file(self, consumer: _Consumer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file, with a line torn in the middle."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "data").mkdir()
        (tmp_path / "data/events.jsonl").write_bytes(message(1).body[:30])
        assert _all_delivered(await _deliver("file:data/events.jsonl", TWICE))
        consumer.run("file.md", open=_opened_and_closed)
        consumer.run("file.md", open=_opened_and_closed)
        consumer.assert_handled_once()

    async def test_http(self, consumer: _Consumer) -> None:
        """An endpoint that checks the signature; what failed is sent again by us."""
        endpoint: dict[str, Any] = {}
        given = consumer.given | {"verify": verify, "Response": Response, "secret": SECRET.encode()}
        exec(_example("http.md"), given, endpoint)

        async def hook(request: Request) -> Response:
            try:
                answer: Response = await endpoint["hook"](request)
            except _FirstCallError:
                return Response(status_code=500)
            return answer

        [port] = free_ports(1)
        app = Starlette(routes=[Route("/hook", hook, methods=["POST"])])
        config = uvicorn.Config(app, port=port, log_config=None, access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        url = f"http://127.0.0.1:{port}/hook"
        try:
            await until(lambda: server.started)
            options = {"secrets": f"{SECRET},older-{SECRET}", "concurrency": "1"}
            assert not _all_delivered(await _deliver(url, TWICE[:1], **options))
            assert _all_delivered(await _deliver(url, TWICE, **options))
        finally:
            server.should_exit = True
            await serving
        consumer.assert_handled_once()

    async def test_redis(self, consumer: _Consumer, valkey_server: ValkeyServer) -> None:
        """A consumer group; what failed is pending, and read again. What was trimmed has no fields."""
        with closing(redis.Redis.from_url(valkey_server.url, protocol=2)) as client:
            client.delete("receiver:events")
            client.xgroup_create("receiver:events", "billing", id="0", mkstream=True)
            assert _all_delivered(await _deliver(valkey_server.url, TWICE[:1]))
            client.xreadgroup("billing", "one", {"receiver:events": ">"})
            client.xtrim("receiver:events", maxlen=0, approximate=False)
            assert _all_delivered(await _deliver(valkey_server.url, TWICE))
            with closing(_Redis(valkey_server.url)) as opened:
                consumer.run("redis.md", redis=opened, url=valkey_server.url)
                consumer.run("redis.md", redis=opened, url=valkey_server.url)
            told: Any = client.xpending("receiver:events", "billing")
            assert told["pending"] == 0
        consumer.assert_handled_once()

    async def test_postgresql(self, consumer: _Consumer, postgres_database: str) -> None:
        """The table of the page, whose rows are claimed; what failed is rolled back, and claimed again."""
        with psycopg.connect(postgres_database) as connection:
            connection.execute(_code("postgresql.md", "sql").encode())
        assert _all_delivered(await _deliver(postgres_database, TWICE))
        for _ in range(2):
            consumer.run("postgresql.md", psycopg=psycopg, url=postgres_database)
        assert _all_delivered(await _deliver(postgres_database, TWICE))
        consumer.run("postgresql.md", psycopg=psycopg, url=postgres_database)
        consumer.assert_handled_once()

    @pytest.mark.parametrize("page", ["sqs.md", "sns.md", "eventbridge.md"])
    async def test_a_queue_at_amazon(
        self, consumer: _Consumer, sqs_server: SqsServer, sqs_queue: str, page: str
    ) -> None:
        """A queue on moto, filled directly, by a topic or by a rule; what failed comes again."""
        name = sqs_queue.rpartition("/")[2]
        urls = {
            "sqs.md": lambda: f"sqs:{sqs_queue}",
            "sns.md": lambda: f"sns:{sqs_server.create_topic(name, queue=name)}",
            "eventbridge.md": lambda: f"eventbridge:{sqs_server.create_bus(name, queue=name)}",
        }
        url = urls[page]()
        with closing(sqs_server.client()) as sqs:
            for batch in (TWICE[:1], TWICE):
                assert _all_delivered(await _deliver(url, batch, endpoint_url=sqs_server.endpoint_url))
                consumer.run(page, sqs=sqs, queue_url=sqs_queue)
        consumer.assert_handled_once()


def _opened_and_closed(path: str, _mode: str) -> list[bytes]:
    """Stand in for `open`, which leaves closing to the end of the program."""
    return Path(path).read_bytes().splitlines(keepends=True)


class _Redis:
    """Stands in for the module `redis`, to close what an example leaves to the end of the program."""

    def __init__(self, url: str) -> None:
        self.Redis = self
        self._client = redis.Redis.from_url(url, protocol=2, decode_responses=True)

    def from_url(self, _url: str, **options: Any) -> "redis.Redis":
        assert options == {"protocol": 2, "decode_responses": True}
        return self._client

    def close(self) -> None:
        self._client.close()
