"""Pace, send, decide, and perhaps once more: with a clock that only sleeping moves."""

from collections.abc import Iterable
from email.utils import formatdate
from pathlib import Path

import pytest

from receiver.client import parse, requests
from receiver.client.blocking.caller import Caller
from receiver.client.config import configure
from receiver.client.decisions import TooLate
from receiver.client.downloads import Partial
from receiver.client.errors import DownloadFailed, NotSent, OutcomeUnknown, RateLimited, ServerError
from receiver.client.wire import Answer, Lost, Outgoing, Reply, Sink, Unsent

NOW = 1_736_424_000.0
GOOD = Answer(200, {}, b'{"id": "gen_1"}')
PAID = requests.generate("image", {"prompt": "x"})
READ = requests.get_generation("gen_1")


class Script:
    """A transport that answers as written, and notes what it was given and when."""

    def __init__(self, replies: Iterable[Reply | BaseException]) -> None:
        self.replies = list(replies)
        self.sent: list[Outgoing] = []
        self.times: list[float] = []
        self.closed = False
        self.now = NOW

    def send(self, outgoing: Outgoing, *, sink: Sink | None = None) -> Reply:
        self.sent.append(outgoing)
        self.times.append(self.now - NOW)
        reply = self.replies.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        if sink is not None and isinstance(reply, Answer):
            sink(reply.body)
        return reply

    def close(self) -> None:
        self.closed = True

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def calling(*replies: Reply | BaseException) -> tuple[Caller, Script]:
    script = Script(replies)
    config = configure(
        "avs_live_hush",
        base_url="https://x/api/v1",
        webhook_url=None,
        timeout=None,
        max_retries=4,
    )
    caller = Caller(config, script, clock=lambda: script.now, sleep=script.sleep, chance=lambda: 1.0)
    return caller, script


def limited(reset: float) -> Answer:
    return Answer(429, window(0, reset), b"{}")


def window(remaining: int, reset: float) -> dict[str, str]:
    return {
        "x-ratelimit-limit": "60",
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(int(NOW + reset)),
        "date": formatdate(NOW, usegmt=True),
    }


class TestCall:
    def test_connections_with_others_answers_are_closed(self) -> None:
        """What came is not ours, so what comes next may not be either."""
        caller, script = calling(Answer(200, {}, b'{"id": "gen_2"}'), GOOD)
        assert caller.call(READ).id == "gen_1"
        assert script.closed
        for replies in ([GOOD], [Answer(500, {}, b""), GOOD]):
            caller, script = calling(*replies)
            caller.call(READ)
            assert not script.closed

    def test_sends_the_key_to_the_api(self) -> None:
        """Once, as a bearer token, with a JSON body, on a connection of its own."""
        caller, script = calling(GOOD)
        assert caller.call(PAID).id == "gen_1"
        (sent,) = script.sent
        assert (sent.method, sent.url, sent.content) == (
            "POST",
            "https://x/api/v1/generate/image",
            b'{"prompt":"x"}',
        )
        assert sent.headers["Authorization"] == "Bearer avs_live_hush"
        assert sent.headers["Content-Type"] == "application/json"
        assert sent.fresh
        assert "hush" not in repr(sent)

    def test_an_order_goes_again_only_while_it_was_not_sent(self) -> None:
        """Twice refused, then lost: that is the end of it."""
        caller, script = calling(Unsent("refused"), Unsent("dns"), Lost("reset"))
        with pytest.raises(OutcomeUnknown) as unknown:
            caller.call(PAID)
        assert script.times == [0.0, 0.5, 1.5]
        assert unknown.value.sent_at == NOW + 1.5

    def test_gives_up_after_max_retries(self) -> None:
        """Four repetitions, each wait doubling."""
        caller, script = calling(*[Unsent("refused")] * 5)
        with pytest.raises(NotSent, match="refused"):
            caller.call(PAID)
        assert script.times == [0.0, 0.5, 1.5, 3.5, 7.5]

    def test_a_read_goes_again_whatever_happened(self) -> None:
        """Lost, failed, unreadable: reading is free."""
        caller, script = calling(Lost("reset"), Answer(502, {}, b""), Answer(200, {}, b"<html>"), GOOD)
        assert caller.call(READ).id == "gen_1"
        assert len(script.sent) == 4
        assert not script.sent[0].fresh

    def test_a_read_fails_with_what_happened_last(self) -> None:
        """The last answer is the one that is raised."""
        caller, _ = calling(*[Lost("reset")] * 4, Answer(503, {}, b""))
        with pytest.raises(ServerError):
            caller.call(READ)

    def test_429_waits_for_the_reset(self) -> None:
        """Orders too: a 429 was refused before any work."""
        caller, script = calling(limited(30), GOOD)
        assert caller.call(PAID).id == "gen_1"
        assert script.times == [0.0, 30.25]

    def test_429_again_and_again_is_raised_with_its_time(self) -> None:
        """The caller learns when to come back."""
        caller, script = calling(*[Answer(429, {"retry-after": "10"}, b"{}")] * 5)
        with pytest.raises(RateLimited) as error:
            caller.call(READ)
        assert error.value.retry_at == script.now + 10
        assert script.times == pytest.approx([0, 10.25, 30.5, 70.75, 151])

    def test_nothing_is_sent_in_a_window_that_is_used_up(self) -> None:
        """The 61st request waits without being refused first."""
        caller, script = calling(Answer(200, window(0, 20), GOOD.body), GOOD)
        caller.call(READ)
        caller.call(READ)
        assert script.times == [0.0, 20.25]

    def test_follows_a_redirect_of_a_read(self) -> None:
        """To the place it was told, within the origin."""
        caller, script = calling(Answer(308, {"location": "/api/v2/generations/gen_1"}, b""), GOOD)
        caller.call(READ)
        assert script.sent[1].url == "https://x/api/v2/generations/gen_1"

    def test_an_interrupted_request_gives_its_leave_back(self) -> None:
        """Ctrl-C does not use up the window."""
        caller, _ = calling(Answer(200, window(1, 20), GOOD.body), KeyboardInterrupt(), GOOD)
        caller.call(READ)
        with pytest.raises(KeyboardInterrupt):
            caller.call(READ)
        assert caller.pacer.reserve(NOW, 0.0) == 0.0

    def test_does_not_wait_for_its_turn_beyond_a_deadline(self) -> None:
        """It says so at once, and has used up nothing."""
        caller, script = calling(Answer(200, window(0, 20), GOOD.body), GOOD)
        caller.call(READ)
        with pytest.raises(TooLate):
            caller.call(READ, deadline=NOW + 19)
        assert script.now == NOW
        caller.call(READ, deadline=NOW + 21)
        assert script.times == [0.0, 20.25]

    def test_does_not_go_again_beyond_a_deadline(self) -> None:
        """Nor does it wait after the last attempt that there is time for."""
        caller, script = calling(*[Lost("reset")] * 3)
        with pytest.raises(TooLate):
            caller.call(READ, deadline=NOW + 2)
        assert (script.times, script.now) == ([0.0, 0.5, 1.5], NOW + 1.5)

    def test_what_need_not_wait_goes_at_the_deadline(self) -> None:
        """The last look of a wait is due at its very end."""
        caller, script = calling(GOOD)
        caller.call(READ, deadline=NOW)
        assert script.times == [0.0]


LENGTH = {"content-length": "4"}


class TestFetch:
    def fetch(self, tmp_path: Path, *replies: Reply) -> tuple[str, Script]:
        caller, script = calling(*replies)
        generation = parse.generation({"id": "gen_1", "status": "completed"})
        with Partial(generation, tmp_path, max_bytes=100) as partial:
            kind = caller.fetch("gen_1", "https://cdn/a?sig=hush", partial)
            partial.keep(kind)
        return kind, script

    def test_the_asset_host_never_sees_the_key(self, tmp_path: Path) -> None:
        """Neither does the host it redirects to."""
        moved = Answer(302, {"location": "https://x/api/v1/steal"}, b"")
        _, script = self.fetch(tmp_path, moved, Answer(200, {**LENGTH, "content-type": "image/png"}, b"file"))
        assert [sent.url for sent in script.sent] == ["https://cdn/a?sig=hush", "https://x/api/v1/steal"]
        assert all("Authorization" not in sent.headers for sent in script.sent)
        assert (tmp_path / "gen_1.png").read_bytes() == b"file"

    def test_starts_over_after_trouble(self, tmp_path: Path) -> None:
        """What a lost answer left is not kept, nor what came in place of the file."""
        again = (Lost("cut"), Answer(503, {}, b""), Answer(200, {}, b""), Answer(200, {}, b"<html>"))
        self.fetch(tmp_path, *again, Answer(200, LENGTH, b"file"))
        assert (tmp_path / "gen_1").read_bytes() == b"file"

    def test_raises_what_is_final(self, tmp_path: Path) -> None:
        """Gone is gone."""
        with pytest.raises(DownloadFailed, match="410"):
            self.fetch(tmp_path, Answer(410, {}, b""))
        assert list(tmp_path.iterdir()) == []


class TestClose:
    def test_closes_the_transport(self) -> None:
        """Whoever made it does not have to know."""
        caller, script = calling()
        caller.close()
        assert script.closed
