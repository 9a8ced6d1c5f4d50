"""The asset host: links that work and expire, and files that come well or badly."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response

from receiver.sandbox import Dialect, Fault, Knobs, ManualClock, Sandbox
from receiver.sandbox.assets import respond

KNOBS = Knobs(progression="immediate", duplicate_rate=0)


@dataclass
class Host:
    sandbox: Sandbox
    clock: ManualClock
    http: httpx2.Client

    def make(self) -> dict[str, Any]:
        body = {"prompt": "x", "output_format": "png"}
        made: dict[str, Any] = self.http.post("/generate/image", json=body).json()
        return made

    def look(self, made: dict[str, Any]) -> dict[str, Any]:
        seen: dict[str, Any] = self.http.get(f"/generations/{made['id']}").json()
        return seen


@pytest.fixture
def host() -> Iterator[Host]:
    yield from hosts(Dialect())


def hosts(dialect: Dialect) -> Iterator[Host]:
    clock = ManualClock()
    with Sandbox(knobs=KNOBS, clock=clock, dialect=dialect) as sandbox:
        headers = {"Authorization": f"Bearer {sandbox.key()}"}
        with httpx2.Client(base_url=sandbox.url, headers=headers, timeout=5, trust_env=False) as http:
            yield Host(sandbox, clock, http)


class TestServe:
    def test_a_file_can_be_had_in_parts(self, host: Host) -> None:
        """Two halves are the whole, by HEAD it has the same length."""
        url = host.make()["output_url"]
        whole = host.http.get(url).content
        half = len(whole) // 2
        parts = [host.http.get(url, headers={"Range": f"bytes={r}"}) for r in (f"0-{half - 1}", f"{half}-")]
        assert b"".join(part.content for part in parts) == whole
        assert host.http.head(url).headers["content-length"] == str(len(whole))

    @pytest.mark.parametrize("status", [403, 404, 410])
    def test_a_link_expires_and_another_look_gives_a_fresh_one(self, status: Any) -> None:
        """The status of an old link is a matter of dialect; it cannot be made young again."""
        for host in hosts(Dialect(expired_link_status=status)):
            host.sandbox.knobs = replace(KNOBS, asset_ttl_s=60)
            made = host.make()
            assert host.http.get(made["output_url"]).status_code == 200
            host.clock.advance(60)
            assert host.http.get(made["output_url"]).status_code == status
            assert host.http.get(made["output_url"] + "0").status_code == 403
            assert host.http.get(host.look(made)["output_url"]).status_code == 200

    def test_wrong_type(self, host: Host) -> None:
        """The right bytes under the wrong name."""
        host.sandbox.knobs = replace(KNOBS, asset_fault="wrong_type")
        answer = host.http.get(host.make()["output_url"])
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.content.startswith(b"\x89PNG")

    def test_redirect(self, host: Host) -> None:
        """By way of another address."""
        host.sandbox.knobs = replace(KNOBS, asset_fault="redirect")
        answer = host.http.get(host.make()["output_url"])
        assert answer.status_code == 302
        assert host.http.get(answer.headers["location"]).content.startswith(b"\x89PNG")

    def test_cut(self, host: Host) -> None:
        """The whole is promised, half comes."""
        host.sandbox.knobs = replace(KNOBS, asset_fault="cut")
        with pytest.raises(httpx2.RemoteProtocolError):
            host.http.get(host.make()["output_url"])

    def test_slow(self, host: Host) -> None:
        """Before the first byte, by the sandbox's clock, and between the others."""
        host.sandbox.knobs = replace(KNOBS, asset_delay_s=30)
        url = host.make()["output_url"]
        with pytest.raises(httpx2.ReadTimeout):
            host.http.get(url, timeout=httpx2.Timeout(5, read=0.2))
        host.sandbox.knobs = replace(KNOBS, asset_chunk_delay_s=30)
        with host.http.stream("GET", url) as answer:
            first = next(answer.iter_raw())
            assert 0 < len(first) < int(answer.headers["content-length"])

    def test_faults_can_be_queued(self, host: Host) -> None:
        """As for every other call."""
        url = host.make()["output_url"]
        host.sandbox.fail("asset.get", Fault("html_502"))
        assert [host.http.get(url).status_code for _ in range(2)] == [502, 200]


CONTENT = bytes(range(100))


def ask(**headers: str) -> Response:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return respond(Request({"type": "http", "headers": named}), CONTENT, "image/png")


class TestAnswer:
    def test_whole(self) -> None:
        """All of it, and that parts can be had."""
        whole = ask()
        assert (whole.status_code, whole.body) == (200, CONTENT)
        assert (whole.headers["accept-ranges"], whole.headers["content-type"]) == ("bytes", "image/png")

    @pytest.mark.parametrize(
        ("asked", "first", "last"),
        [
            ("bytes=0-9", 0, 9),
            ("bytes=90-", 90, 99),
            ("bytes=90-1000", 90, 99),
            ("bytes=-10", 90, 99),
            ("bytes=-1000", 0, 99),
        ],
    )
    def test_part(self, asked: str, first: int, last: int) -> None:
        """From the start, from the middle, from the end."""
        part = ask(range=asked)
        assert (part.status_code, part.body) == (206, CONTENT[first : last + 1])
        assert part.headers["content-range"] == f"bytes {first}-{last}/100"

    @pytest.mark.parametrize("asked", ["bytes=100-", "bytes=-0", "bytes=9-3"])
    def test_outside(self, asked: str) -> None:
        """There is no such part."""
        outside = ask(range=asked)
        assert (outside.status_code, outside.headers["content-range"]) == (416, "bytes */100")

    @pytest.mark.parametrize("asked", ["", "lines=1-2", "bytes=a-b", "bytes=0-1,5-6", "bytes=-"])
    def test_what_is_no_single_range_is_ignored(self, asked: str) -> None:
        """Then the whole comes, as the RFC allows."""
        assert ask(range=asked).status_code == 200

    def test_unchanged(self) -> None:
        """Whoever has it already is told so; a range of another version is not given."""
        etag = ask().headers["etag"]
        assert (ask(if_none_match=etag).status_code, ask(if_none_match=etag).body) == (304, b"")
        assert ask(if_none_match='"other"').status_code == 200
        assert ask(range="bytes=0-9", if_range=etag).status_code == 206
        assert ask(range="bytes=0-9", if_range='"other"').status_code == 200
