"""The console over a real store, asked without a network."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlencode

import pytest

from receiver.admin.runner import Runner
from receiver.console.app import open_console
from receiver.store import Store
from tests.answer import Answer
from tests.stored import migrated
from tests.unit.admin.asking import TOKEN, Caller
from tests.unit.admin.given import Desk, parts_over

NONE: Mapping[str, str] = MappingProxyType({})


@dataclass
class Browser:
    """Keeps the cookie, and repeats the word of the form it was given."""

    caller: Caller
    cookie: str = ""
    csrf: str = ""

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.caller.get(f"/console{path}", {"Cookie": self.cookie, **headers})

    async def post(self, path: str, headers: Mapping[str, str] = NONE, /, **form: str) -> Answer:
        given = {"Cookie": self.cookie, "Host": "console.test", **headers}
        body = urlencode({"csrf": self.csrf, **form}).encode()
        return await self.caller.ask("POST", f"/console{path}", body, given)

    async def sign_in(self, token: str = TOKEN, who: str = "Ada") -> Answer:
        answer = await self.post("/login", token=token, who=who)
        self.cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        if self.cookie:
            found = re.search(r'name="csrf" value="([^"]+)"', (await self.get("/audit")).body.decode())
            assert found
            self.csrf = found[1]
        return answer


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(migrated(tmp_path / "receiver.db"), destinations=("orders", "audit"))
    yield opened
    opened.close()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def stranger(store: Store, desk: Desk, tmp_path: Path) -> AsyncIterator[Browser]:
    """A browser that has not signed in."""
    runner = Runner(store)
    parts = parts_over(store, runner, tmp_path, desk)
    async with open_console(parts, TOKEN) as app:
        yield Browser(Caller(app))
    await runner.aclose()


@pytest.fixture
async def browser(stranger: Browser) -> Browser:
    """A browser that has signed in."""
    await stranger.sign_in()
    return stranger
