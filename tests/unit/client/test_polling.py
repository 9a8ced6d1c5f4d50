"""How often to look, and when to stop."""

import math

import pytest

from receiver.client import parse
from receiver.client.errors import GenerationFailed, NotFound, WaitTimeout
from receiver.client.polling import Group, Watch
from receiver.client.results import Generation


def generation(kind: str = "image", status: str = "processing") -> Generation:
    return parse.generation({"id": "gen_1", "type": kind, "status": status, "error": "too dark"})


def pauses(watch: Watch, *, until: float) -> list[float]:
    """Return each pause of a wait that sees nothing new before *until*."""
    now, taken = 0.0, list[float]()
    while now < until:
        taken.append(watch.pause_s(now))
        now += taken[-1]
        watch.saw(watch.last or generation())
    return taken


class TestPause:
    def test_image(self) -> None:
        """Two seconds first, then half as much again each time, ten at most."""
        assert pauses(Watch(generation(), now=0, timeout_s=None), until=40) == [2, 3, 4.5, 6.75, 10, 10, 10]

    def test_video(self) -> None:
        """Videos take longer, so looks are rarer."""
        assert pauses(Watch(generation("video"), now=0, timeout_s=None), until=50) == [5, 7.5, 11.25, 15, 15]

    def test_an_id_is_looked_at_once(self) -> None:
        """Nothing is known of it yet."""
        assert pauses(Watch("gen_1", now=0, timeout_s=None), until=2) == [0, 2]

    def test_last_look_is_at_the_deadline(self) -> None:
        """No pause goes beyond it, and then it is over."""
        watch = Watch(generation(), now=0, timeout_s=6)
        assert pauses(watch, until=6) == [2, 3, 1]
        with pytest.raises(WaitTimeout) as timeout:
            watch.pause_s(6)
        assert (timeout.value.generation_id, timeout.value.waited_s) == ("gen_1", 6)
        assert timeout.value.last == generation()

    @pytest.mark.parametrize(("kind", "patience"), [("image", 300), ("video", 1200), ("audio", 300)])
    def test_default_patience(self, kind: str, patience: int) -> None:
        """Five minutes for an image, twenty for a video."""
        watch = Watch(generation(kind), now=0, timeout_s=None)
        watch.pause_s(patience - 1)
        with pytest.raises(WaitTimeout):
            watch.pause_s(patience)

    def test_no_patience_is_one_look(self) -> None:
        """A timeout of zero looks once."""
        watch = Watch("gen_1", now=0, timeout_s=0)
        assert watch.pause_s(0) == 0
        with pytest.raises(WaitTimeout):
            watch.pause_s(0.1)

    def test_no_patience_is_over_after_one_look_that_took_no_time(self) -> None:
        """Such as one for which there was no time."""
        watch = Watch("gen_1", now=0, timeout_s=0)
        watch.pause_s(0)
        with pytest.raises(WaitTimeout):
            watch.pause_s(0)


class TestAClockThatIsSetBack:
    def test_makes_no_wait_longer(self) -> None:
        """What was left of the time is left."""
        watch = Watch(generation(), now=1000, timeout_s=60)
        watch.pause_s(1030)
        assert watch.pause_s(1030 - 3600) == 3
        assert watch.deadline == 1060 - 3600
        with pytest.raises(WaitTimeout):
            watch.pause_s(1060 - 3600)


class TestMayBeInvisible:
    def test_for_half_a_minute(self) -> None:
        """A list that lags behind is given thirty seconds."""
        watch = Watch("gen_1", now=100, timeout_s=None)
        assert watch.may_be_invisible(129)
        assert not watch.may_be_invisible(130)


class TestResult:
    def test_completed(self) -> None:
        """The wait is over, and this is what it was for."""
        watch = Watch("gen_1", now=0, timeout_s=None)
        assert watch.saw(generation(status="completed"))
        assert watch.result(raise_on_failed=True).status == "completed"

    def test_failed(self) -> None:
        """A failed generation is raised, or returned if so asked."""
        watch = Watch("gen_1", now=0, timeout_s=None)
        assert watch.saw(generation(status="failed"))
        assert watch.result(raise_on_failed=False).status == "failed"
        with pytest.raises(GenerationFailed, match="too dark") as failed:
            watch.result(raise_on_failed=True)
        assert failed.value.reason == "too dark"

    def test_unknown_status_goes_on(self) -> None:
        """A word we do not know is not an end."""
        assert not Watch("gen_1", now=0, timeout_s=None).saw(generation(status="queued"))


def named(name: str, status: str = "processing") -> Generation:
    return parse.generation({"id": name, "type": "image", "status": status})


class TestGroup:
    def test_the_most_impatient_sets_the_pace(self) -> None:
        """An image is looked at sooner than a video."""
        group = Group([generation("video"), named("gen_2")], now=0, timeout_s=None)
        assert group.pause_s(0) == 2

    def test_finished_ones_leave(self) -> None:
        """Each is told once."""
        group = Group(["gen_1", "gen_2"], now=0, timeout_s=None)
        assert group.saw(named("gen_1", "completed"))
        assert not group.saw(named("gen_1", "completed"))
        assert not group.saw(named("gen_2"))
        assert not group.saw(named("gen_3", "completed"))
        assert [watch.id for watch in group.pending] == ["gen_2"]

    def test_overdue_ones_leave_and_are_named(self) -> None:
        """The others are waited for longer: a video has more time than an image."""
        group = Group(
            [named("gen_i"), parse.generation({"id": "gen_v", "type": "video"})], now=0, timeout_s=None
        )
        group.check(301)
        group.pause_s(301)
        assert [watch.id for watch in group.pending] == ["gen_v"]
        with pytest.raises(WaitTimeout, match="gen_i not finished after 301 s") as error:
            group.check(301)
        assert error.value.pending == ("gen_i",)

    def test_the_most_impatient_sets_the_deadline(self) -> None:
        """Until it has left; when all have, there is none."""
        group = Group(
            [named("gen_i"), parse.generation({"id": "gen_v", "type": "video"})], now=0, timeout_s=None
        )
        deadlines = [group.deadline]
        for now in (301, 1201):
            group.pause_s(now)
            deadlines.append(group.deadline)
        assert deadlines == [300, 1200, math.inf]

    def test_missing_ones_leave_and_are_named(self) -> None:
        """Before those that were overdue, which a note names."""
        group = Group(["gen_1", "gen_2", "gen_3", "gen_4"], now=0, timeout_s=40)
        first, second, *_ = group.pending
        group.lacks(first, NotFound("no such thing", request_id="req_1"))
        group.lacks(second, NotFound("nor this"))
        assert [watch.id for watch in group.pending] == ["gen_3", "gen_4"]
        group.pause_s(41)
        with pytest.raises(NotFound, match="no generation gen_1, gen_2 in this account: no such") as error:
            group.check(41)
        assert error.value.request_id == "req_1"
        assert error.value.__notes__ == ["Not finished in time: gen_3, gen_4"]

    def test_several_overdue(self) -> None:
        """The first is named, the others counted."""
        group = Group(["gen_1", "gen_2", "gen_3"], now=0, timeout_s=5)
        group.pause_s(6)
        with pytest.raises(WaitTimeout, match="gen_1 and 2 more") as error:
            group.check(6)
        assert error.value.pending == ("gen_1", "gen_2", "gen_3")

    def test_each_gets_its_turn(self) -> None:
        """Those looked at go to the end of the line."""
        group = Group(["gen_1", "gen_2", "gen_3"], now=0, timeout_s=None)
        group.in_turn(group.pending, 2)
        assert [watch.id for watch in group.in_turn(group.pending, 2)] == ["gen_3", "gen_1"]
