"""The console over a real store, asked without a network."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlencode

import pytest

from receiver.admin.runner import Runner
from receiver.assets.by_source import BucketsBySource
from receiver.assets.folder import FolderBucket
from receiver.console.app import open_console
from receiver.console.parts import BucketAddress, Parts, Setting, Target
from receiver.outcomes import Delivered, Outcome
from receiver.store import Store
from receiver.store.fanout import everywhere
from receiver.telemetry.refusals import Refusals
from tests.stored import migrated
from tests.unit.admin.asking import TOKEN, Answer, Caller

NONE: Mapping[str, str] = MappingProxyType({})


@dataclass
class Desk:
    """Remembers what it was asked for."""

    settled: list[tuple[str, str | None]] = field(default_factory=list)

    async def adopt(self, client_ref: str, generation_id: str) -> None:
        self.settled.append((client_ref, generation_id))

    async def abandon(self, client_ref: str) -> None:
        self.settled.append((client_ref, None))


async def took() -> Outcome:
    return Delivered("at 7")


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
    bucket = FolderBucket(tmp_path / "assets")
    parts = Parts(
        store,
        Refusals(),
        runner,
        targets={name: Target("redis", took) for name in ("orders", "audit")},
        route=everywhere,
        buckets=BucketsBySource(bucket),
        addresses=[BucketAddress("*", "file:assets")],
        desk=desk,
        settings=[Setting("RECEIVER_PORT", "8000", is_secret=False, is_default=True)],
        folders={"Spool": tmp_path},
        late_s=3600,
        paces={"of-key": "photoverse"},
    )
    async with open_console(parts, TOKEN) as app:
        yield Browser(Caller(app))
    await runner.aclose()
    await bucket.aclose()


@pytest.fixture
async def browser(stranger: Browser) -> Browser:
    """A browser that has signed in."""
    await stranger.sign_in()
    return stranger
