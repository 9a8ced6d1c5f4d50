"""Keeping below the rate limit, by the server's clock."""

import gc
import time
import weakref
from email.utils import formatdate

import pytest

from receiver.client import AsyncClient, Client
from receiver.client.config import Config, configure
from receiver.client.pacer import Pacer, lower, pacer_for
from receiver.client.rate_headers import LONGEST_WAIT_S, read_window, retry_after_of, wait_after_429
from receiver.client.wire import Answer, Lost
from tests.unit.client.script import ok, row, scripted

NOW = 1_736_424_000.0


def headers(remaining: int, reset: float, *, date: float | None = NOW, limit: int = 60) -> dict[str, str]:
    told = {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(int(reset)),
    }
    return told | ({} if date is None else {"date": formatdate(date, usegmt=True)})


def answer(remaining: int, reset: float, *, status: int = 200, date: float = NOW) -> Answer:
    return Answer(status, headers(remaining, reset, date=date), b"")


def told(*answers: Answer, at: float = NOW) -> Pacer:
    """Return a pacer that sent one request for each of *answers* and heard them all."""
    pacer = Pacer()
    for _ in answers:
        pacer.reserve(at, 0.0)
    for heard in answers:
        pacer.observe(heard, at)
    return pacer


class TestReserve:
    def test_before_the_first_answer_the_documents_limit_holds(self) -> None:
        """Sixty may be under way; whoever comes then waits for what the first answer tells."""
        pacer = Pacer()
        assert [pacer.reserve(NOW, 0.0) for _ in range(62)] == [0.0] * 60 + [1.0, 1.0]

    def test_a_larger_limit_is_believed_from_the_first_answer_on(self) -> None:
        """What is under way counts of it."""
        pacer = Pacer()
        for _ in range(60):
            pacer.reserve(NOW, 0.0)
        pacer.observe(Answer(200, headers(99, NOW + 20, limit=100), b""), NOW)
        assert [pacer.reserve(NOW, 0.0) for _ in range(41)] == [0.0] * 40 + [20.0]

    def test_answers_without_a_limit_hold_nobody(self) -> None:
        """Whoever does not count is not counted for."""
        pacer = Pacer()
        for _ in range(100):
            assert pacer.reserve(NOW, 0.0) == 0.0
            pacer.observe(Answer(200, {}, b""), NOW)

    def test_waits_for_the_reset_when_none_remain(self) -> None:
        """With nothing left, the wait is until the window ends."""
        assert told(answer(0, NOW + 20)).reserve(NOW, 0.0) == 20.0

    def test_waits_on_the_servers_clock(self) -> None:
        """Our clock runs an hour fast; the wait is still twenty seconds."""
        pacer = told(answer(0, NOW + 20), at=NOW + 3600)
        assert pacer.reserve(NOW + 3600, 0.0) == 20.0

    def test_goes_again_after_the_reset(self) -> None:
        """The new window is full."""
        pacer = told(answer(0, NOW + 20))
        assert pacer.reserve(NOW + 20, 0.0) == 0.0

    def test_counts_what_is_on_its_way(self) -> None:
        """Three remain, so three may be in flight, and no more."""
        pacer = told(answer(3, NOW + 20))
        assert [pacer.reserve(NOW, 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 20.0]

    def test_an_answer_makes_room(self) -> None:
        """What came back is no longer in flight, and says itself how many remain."""
        pacer = told(answer(1, NOW + 20))
        pacer.reserve(NOW, 0.0)
        pacer.observe(None, NOW)
        assert pacer.reserve(NOW, 0.0) == 0.0

    def test_keeps_room_for_those_who_go_first(self) -> None:
        """Of sixty, ten are left by those who wait, and twenty-five by work in the background."""
        for remaining, waiting, background in [
            (26, 0, 0),
            (25, 0, 20),
            (11, 0, 20),
            (10, 20, 20),
            (1, 20, 20),
        ]:
            pacers = [told(answer(remaining, NOW + 20)) for _ in range(3)]
            assert pacers[0].reserve(NOW, 0.0, "interactive") == 0.0
            assert pacers[1].reserve(NOW, 0.0, "wait") == waiting
            assert pacers[2].reserve(NOW, 0.0, "background") == background

    @pytest.mark.parametrize("limit", [1, 2, 10])
    def test_a_small_limit_starves_nobody(self, limit: int) -> None:
        """The reserve is a part of the limit, so a new window always has room."""
        pacer = told(Answer(200, headers(limit, NOW + 20, limit=limit), b""))
        assert pacer.reserve(NOW, 0.0, "background") == 0.0

    def test_a_limit_of_none_at_all_stops_nothing_for_ever(self) -> None:
        """The next window lets a request through, which learns otherwise."""
        pacer = told(Answer(200, headers(0, NOW + 20, limit=0), b""))
        assert pacer.reserve(NOW, 0.0) == 20.0
        assert pacer.reserve(NOW + 20, 0.0) == 0.0

    def test_jitter_spreads_those_who_wait(self) -> None:
        """Two processes do not wake at the same instant."""
        pacer = told(answer(0, NOW + 20))
        assert pacer.reserve(NOW, 0.8) == pytest.approx(20.2)

    def test_a_full_new_window_waits_for_its_first_answer(self) -> None:
        """After the reset no more than the limit go before the server has spoken."""
        pacer = told(Answer(200, headers(0, NOW + 20, limit=2), b""))
        assert [pacer.reserve(NOW + 20, 0.0) for _ in range(3)] == [0.0, 0.0, 1.0]


class TestAClockThatIsSetBack:
    @pytest.mark.parametrize("refused", [answer(0, NOW + 20), answer(7, NOW + 20, status=429)])
    def test_nothing_waits_for_the_difference(self, refused: Answer) -> None:
        """What was left to wait is left to wait, by the clock of now; the provider's is as far away again."""
        pacer = told(refused)
        assert pacer.reserve(NOW + 5, 0.0) == 15.0
        assert pacer.reserve(NOW + 5 - 3600, 0.0) == 15.0
        assert pacer.skew_s == 3600.0
        assert pacer.reserve(NOW + 20 - 3600, 0.0) == 0.0

    def test_threads_may_tell_older_times(self) -> None:
        """One that asked a second ago makes no wait shorter."""
        pacer = told(answer(0, NOW + 20))
        assert pacer.reserve(NOW + 5, 0.0) == 15.0
        assert pacer.reserve(NOW + 4, 0.0) == 16.0
        assert pacer.reserve(NOW + 5, 0.0) == 15.0


class TestObserve:
    def test_lowest_count_of_a_window_holds(self) -> None:
        """An answer that was overtaken does not raise the count."""
        pacer = told(answer(0, NOW + 20), answer(5, NOW + 20))
        assert pacer.reserve(NOW, 0.0) == 20.0

    def test_a_new_window_replaces_the_old_one(self) -> None:
        """A later reset is a later window, with its own count."""
        pacer = told(answer(0, NOW + 20), answer(59, NOW + 80))
        assert pacer.reserve(NOW, 0.0) == 0.0

    def test_a_late_answer_of_the_old_window_is_ignored(self) -> None:
        """An earlier reset is old news."""
        pacer = told(answer(59, NOW + 80), answer(0, NOW + 20))
        assert pacer.reserve(NOW, 0.0) == 0.0

    def test_429_holds_every_request(self) -> None:
        """Nothing leaves on this key before the reset."""
        assert told(answer(7, NOW + 20, status=429)).reserve(NOW, 0.0) == 20.0

    def test_second_429_in_a_row_doubles(self) -> None:
        """The first wait was not enough, so someone else uses this key too."""
        pacer = told(answer(0, NOW + 20, status=429))
        pacer.reserve(NOW + 20, 0.0)
        pacer.observe(Answer(429, {"retry-after": "20"}, b""), NOW + 21, sent_at=NOW + 20)
        assert pacer.reserve(NOW + 21, 0.0) == 40.0

    def test_refusals_of_one_burst_are_one(self) -> None:
        """All were sent before the pause that the first of them began; none makes it shorter."""
        pacer = Pacer()
        for _ in range(30):
            pacer.reserve(NOW, 0.0)
        for _ in range(28):
            pacer.observe(answer(0, NOW + 20, status=429), NOW, sent_at=NOW)
        assert pacer.reserve(NOW, 0.0) == 20.0
        pacer.observe(Answer(429, {"retry-after": "7"}, b""), NOW + 1, sent_at=NOW)
        assert pacer.reserve(NOW + 1, 0.0) == 19.0
        pacer.observe(Answer(429, {"retry-after": "7"}, b""), NOW + 15, sent_at=NOW)
        assert pacer.reserve(NOW + 15, 0.0) == 7.0

    def test_success_ends_the_doubling(self) -> None:
        """Only refusals in a row count."""
        limited, fine = answer(0, NOW + 20, status=429), answer(9, NOW + 20)
        assert told(limited, fine, limited).reserve(NOW, 0.0) == 20.0

    def test_429_without_any_header_waits_a_minute(self) -> None:
        """The document's window."""
        assert told(Answer(429, {}, b"")).reserve(NOW, 0.0) == 60.0

    def test_lost_answers_teach_nothing(self) -> None:
        """A request without an answer only ends."""
        pacer = Pacer()
        pacer.reserve(NOW, 0.0)
        pacer.observe(Lost("x"), NOW)
        assert pacer.rate_limit is None


class TestRateLimit:
    def test_tells_what_was_seen_in_our_clock(self) -> None:
        """Reset and skew are ours to compare with time.time()."""
        seen = told(answer(12, NOW + 20), at=NOW - 5).rate_limit
        assert seen is not None
        assert (seen.limit, seen.remaining, seen.reset_at) == (60, 12, NOW + 15)
        assert (seen.skew_s, seen.observed_at) == (5.0, NOW - 5)


class TestReadWindow:
    @pytest.mark.parametrize("reset", [NOW + 30, (NOW + 30) * 1000, 30])
    def test_seconds_milliseconds_or_from_now(self, reset: float) -> None:
        """The unit is told by the size."""
        window = read_window(headers(1, reset), NOW)
        assert window is not None
        assert window.reset_at == NOW + 30

    def test_without_date_a_second_is_added(self) -> None:
        """Our own clock is trusted then, but not to the second."""
        window = read_window(headers(1, NOW + 30, date=None), NOW)
        assert window is not None
        assert window.reset_at == NOW + 31

    def test_no_wait_is_longer_than_two_minutes(self) -> None:
        """A nonsensical reset cannot stop the client for days."""
        window = read_window(headers(0, NOW + 1e6), NOW)
        assert window is not None
        assert window.reset_at == NOW + LONGEST_WAIT_S

    @pytest.mark.parametrize("value", ["0", "-60", "0.5", "1000001", "9" * 400, "many"])
    def test_a_limit_that_cannot_be_is_unknown(self, value: str) -> None:
        """The rest of the answer counts all the same."""
        window = read_window(headers(1, NOW + 30) | {"x-ratelimit-limit": value}, NOW)
        assert window is not None
        assert (window.limit, window.remaining) == (None, 1)

    def test_an_absurd_count_is_a_large_one(self) -> None:
        """It fits into a database's column, too."""
        window = read_window(headers(1, NOW + 30) | {"x-ratelimit-remaining": "9" * 400}, NOW)
        assert window is not None
        assert window.remaining == 1_000_000

    @pytest.mark.parametrize("value", ["", "soon", "-1", "1e3", "٣", "1.2.3", "NaN"])
    def test_unreadable_headers_say_nothing(self, value: str) -> None:
        """Garbage is as good as no header."""
        assert read_window(headers(1, NOW) | {"x-ratelimit-reset": value}, NOW) is None
        assert read_window(headers(1, NOW) | {"x-ratelimit-remaining": value}, NOW) is None
        assert read_window({}, NOW) is None


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("7", 7.0),
            ("0", 0.0),
            ("1.5", 1.5),
            ("86400", 120.0),
            (formatdate(NOW + 9, usegmt=True), 9.0),
            (formatdate(NOW + 9, usegmt=True).removesuffix(" GMT"), 9.0),
            ("later", None),
        ],
    )
    def test_seconds_or_a_date_within_reason(self, value: str, seconds: float | None) -> None:
        """Both forms of HTTP, clamped to two minutes."""
        assert retry_after_of({"retry-after": value, "date": formatdate(NOW)}, NOW + 1000) == seconds

    def test_a_date_in_the_past_is_no_wait(self) -> None:
        """Never negative."""
        assert retry_after_of({"retry-after": formatdate(NOW - 9)}, NOW) == 0.0


class TestWaitAfter429:
    def test_retry_after_beats_the_reset(self) -> None:
        """The header made for it wins."""
        assert wait_after_429(headers(0, NOW + 30) | {"retry-after": "3"}, NOW) == 3.0
        assert wait_after_429(headers(0, NOW + 30), NOW) == 30.0


class TestSkew:
    def test_is_known_from_any_date(self) -> None:
        """Also from an answer that says nothing about the limit; and not before."""
        assert Pacer().skew_s is None
        pacer = Pacer()
        pacer.reserve(NOW, 0.0)
        pacer.observe(Answer(200, {"date": formatdate(NOW + 7, usegmt=True)}, b""), NOW)
        assert pacer.skew_s == 7.0
        assert pacer.rate_limit is None


class TestLower:
    def test_who_gives_way_to_more(self) -> None:
        """A wait in the background stays in the background."""
        assert lower("interactive", None) == "interactive"
        assert lower("interactive", "wait") == "wait"
        assert lower("background", "wait") == "background"


def config(key: str = "avs_live_x", url: str = "https://x/api/v1") -> Config:
    return configure(key, base_url=url, webhook_url=None, timeout=None, max_retries=0)


class TestPacerFor:
    def test_same_key_same_pacer(self) -> None:
        """Blocking or not: what one learns the other knows."""
        one, other = Client("avs_live_shared"), AsyncClient("avs_live_shared")
        assert one._caller.pacer is other._caller.pacer

    def test_another_key_place_or_clock_has_its_own(self) -> None:
        """They are counted apart, or cannot be compared."""
        first = pacer_for(config(), time.time)
        others = (
            pacer_for(config("avs_live_y"), time.time),
            pacer_for(config(url="https://y/api/v1"), time.time),
            pacer_for(config(), time.monotonic),
        )
        assert all(other is not first for other in others)
        assert pacer_for(config(), time.time) is first

    def test_is_forgotten_with_its_last_client(self) -> None:
        """A process that makes many clients keeps none of them."""
        gone = weakref.ref(pacer_for(config("avs_live_z"), time.time))
        gc.collect()
        assert gone() is None

    def test_options_share_it_too(self) -> None:
        """The rate limit is the key's, whatever the options."""
        client, _ = scripted(ok(row()))
        assert client.with_options(priority="background")._caller.pacer is client._caller.pacer
