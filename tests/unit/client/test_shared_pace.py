"""One key's rate limit, shared by programs."""

from collections.abc import Callable
from typing import TypeVar

from receiver.client import KeyPace, MemoryLedger
from receiver.client.config import Config, configure
from receiver.client.shared_pace import learn, pace_name, take
from receiver.client.wire import Answer
from receiver.errors import StoreUnavailable
from tests.unit.client.script import NOW, ok, row, scripted

T = TypeVar("T")

FULL = KeyPace(limit=60, remaining=30, reset_at=NOW + 40, opened_at=NOW - 20)


def told(remaining: int, reset: float, status: int = 200) -> Answer:
    headers = {
        "x-ratelimit-limit": "60",
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(int(reset)),
        "date": "Thu, 09 Jan 2025 12:00:00 GMT",
    }
    return Answer(status, headers, b"")


def limited(limit: int, remaining: int) -> Answer:
    answer = told(remaining, NOW + 60)
    return Answer(200, {**answer.headers, "x-ratelimit-limit": str(limit)}, b"")


class Memory:
    """Keeps one pace; or fails."""

    def __init__(self, pace: KeyPace | None = None) -> None:
        self.pace = KeyPace() if pace is None else pace
        self.failure: Exception | None = None
        self.asked = 0

    def change(self, name: str, change: Callable[[KeyPace], tuple[KeyPace, T]]) -> T:
        """Replace it."""
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        self.pace, said = change(self.pace)
        return said


class TestTake:
    def test_each_leave_counts_for_all(self) -> None:
        """What one takes, the others do not have; and the row runs out before the provider says so."""
        pace, waits = FULL, []
        for _ in range(32):
            pace, wait = take(pace, NOW, "interactive")
            waits.append(wait)
        assert waits == [0.0] * 30 + [40.0] * 2

    def test_background_leaves_some_to_the_others(self) -> None:
        """Of a whole minute's 60, the last 25 are not for it; nor the last 10 for those that wait."""
        for priority, left in (("background", 25), ("wait", 10), ("interactive", 0)):
            pace = FULL
            while not (changed := take(pace, NOW, priority))[1]:  # type: ignore[arg-type]
                pace = changed[0]
            assert pace.remaining == left

    def test_nothing_is_sent_at_the_very_end(self) -> None:
        """The provider may be in its next window already, and would count it there."""
        assert take(FULL, NOW + 38.5, "interactive")[1] == 0.0
        assert take(FULL, NOW + 39, "interactive")[1] == 1.0

    def test_the_documents_limit_holds_at_first(self) -> None:
        """Sixty, in a minute, until an answer tells."""
        pace, wait = take(KeyPace(), NOW, "background")
        assert (wait, pace.limit, pace.remaining) == (0.0, None, 59)

    def test_a_new_window_is_whole(self) -> None:
        """Until its first answer tells when it ends, no more than the limit goes out."""
        pace, wait = take(FULL, NOW + 40, "interactive")
        assert (wait, pace.remaining, pace.reset_at, pace.opened_at) == (0.0, 59, None, NOW + 40)
        for _ in range(59):
            pace, wait = take(pace, NOW + 41, "interactive")
        assert take(pace, NOW + 41, "interactive")[1] == 1.0

    def test_a_window_that_nobody_tells_the_end_of_ends(self) -> None:
        """Whoever began it may have died."""
        dead = KeyPace(limit=60, remaining=0, opened_at=NOW)
        assert take(dead, NOW + 59, "interactive")[1] > 0
        assert take(dead, NOW + 60, "interactive")[1] == 0.0

    def test_a_new_window_lets_at_least_one_through(self) -> None:
        """Whatever limit is in the row: only an answer can correct it."""
        pace, wait = take(KeyPace(limit=0, remaining=0, reset_at=NOW), NOW, "background")
        assert (wait, pace.remaining) == (0.0, 0)

    def test_a_pause_is_for_all(self) -> None:
        """After a 429 of one of them."""
        pace = KeyPace(limit=60, remaining=60, reset_at=NOW + 40, paused_until=NOW + 7)
        assert take(pace, NOW, "interactive")[1] == 7.0


class TestLearn:
    def test_the_lowest_count_of_a_window_is_the_newest(self) -> None:
        """Ours holds those that are still on their way."""
        assert learn(FULL, told(29, NOW + 40), NOW, 0.0).remaining == 29
        assert learn(FULL, told(35, NOW + 40), NOW, 0.0).remaining == 30

    def test_a_new_window_begins(self) -> None:
        """With the provider's count; an answer about the one before comes too late."""
        later = learn(FULL, told(59, NOW + 100), NOW, 0.0)
        assert (later.remaining, later.reset_at) == (59, NOW + 100)
        assert learn(later, told(3, NOW + 40), NOW, 0.0) == later

    def test_the_first_answer_of_a_window_tells_its_end(self) -> None:
        """What was sent since it began stays counted."""
        pace = learn(KeyPace(limit=60, remaining=50, opened_at=NOW), told(59, NOW + 60), NOW, 0.0)
        assert (pace.remaining, pace.reset_at) == (50, NOW + 60)

    def test_what_was_sent_before_the_first_answer_counts(self) -> None:
        """Of the limit that it tells, whatever that is."""
        begun = KeyPace(remaining=48, opened_at=NOW)
        assert learn(begun, told(59, NOW + 60), NOW, 0.0).remaining == 48
        assert learn(begun, limited(100, 99), NOW, 0.0).remaining == 88
        assert learn(begun, limited(20, 15), NOW, 0.0).remaining == 8

    def test_a_limit_of_none_at_all_is_not_believed(self) -> None:
        """Nor kept for the windows to come."""
        pace = learn(FULL, limited(0, 0), NOW, 0.0)
        assert (pace.limit, pace.remaining) == (60, 0)

    def test_a_late_answer_does_not_end_the_new_window(self) -> None:
        """It tells of the one before; taken for this one, what was sent in it would be forgotten."""
        pace = KeyPace(limit=60, remaining=50, opened_at=NOW + 40.5)
        assert learn(pace, told(0, NOW + 40), NOW, 0.0) == pace

    def test_is_kept_in_the_providers_time(self) -> None:
        """Two machines whose clocks differ by an hour read the same row alike."""
        answer = told(10, NOW + 60)
        for own, skew_s in ((NOW, 0.0), (NOW - 3600, 3600.0)):
            assert learn(KeyPace(), answer, own, skew_s).reset_at == NOW + 60

    def test_a_refusal_stops_all(self) -> None:
        """Until the window is over."""
        pace = learn(FULL, told(0, NOW + 40, status=429), NOW, 0.0)
        assert (pace.paused_until, pace.remaining) == (NOW + 40, 0)


class TestPaceName:
    def test_tells_keys_apart_and_none_of_them(self) -> None:
        """The row is found by it, and nobody finds the key by it."""
        names = {pace_name(config(key)) for key in ("avs_live_a", "avs_live_b", "avs_live_a")}
        assert len(names) == 2
        assert all(len(name) == 64 and "avs" not in name for name in names)


class TestSharedPace:
    def test_waits_for_what_others_used(self) -> None:
        """The row is looked at before each request, and learns from each answer."""
        store = Memory(KeyPace(limit=60, remaining=0, reset_at=NOW + 5))
        client, script = scripted(answered(59, NOW + 65), pace=store)
        client.models.list()
        assert script.times == [5]
        assert (store.pace.remaining, store.pace.reset_at) == (59, NOW + 65)

    def test_a_failing_store_stops_nothing(self) -> None:
        """And is left alone for a while, because failing may take it long."""
        store = Memory()
        store.failure = StoreUnavailable("the disk")
        client, script = scripted(*[answered(9, NOW + 60)] * 4, pace=store)
        for _ in range(3):
            client.models.list()
        assert (script.times, store.asked) == ([0, 0, 0], 1)
        script.now += 31
        store.failure = None
        client.models.list()
        assert store.asked == 3

    def test_an_order_that_was_answered_is_not_lost_with_it(self) -> None:
        """Whatever a store raises: it is somebody else's, and was asked after the money was spent."""
        store, ledger = Memory(), MemoryLedger()

        def answer(_: object) -> Answer:
            store.failure = RuntimeError("can't start new thread")
            return ok(row())

        client, _ = scripted(answer, pace=store, ledger=ledger)
        assert client.generate.image("a fox", client_ref="r").id == "gen_1"
        assert [entry.state for entry in ledger.list()] == ["submitted"]

    def test_a_clock_that_is_set_back_silences_no_store(self) -> None:
        """The half minute is not made an hour."""
        store = Memory()
        store.failure = StoreUnavailable("the disk")
        client, script = scripted(*[answered(9, NOW + 60)] * 2, pace=store)
        client.models.list()
        script.now -= 3600
        store.failure = None
        client.models.list()
        assert store.asked == 3

    def test_a_leave_that_was_not_given_is_given_back(self) -> None:
        """The program's own pacer does not count it as under way."""
        store = Memory(KeyPace(limit=60, remaining=0, reset_at=NOW + 5))
        client, _ = scripted(answered(59, NOW + 65), pace=store)
        client.models.list()
        assert client._caller.pacer._in_flight == 0


def config(key: str) -> Config:
    return configure(key, base_url="https://x", webhook_url=None, timeout=None, max_retries=0)


def answered(remaining: int, reset: float) -> Answer:
    return Answer(200, told(remaining, reset).headers, ok({"data": []}).body)
