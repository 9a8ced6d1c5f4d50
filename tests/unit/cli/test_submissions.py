"""`receiver submissions`, against a provider on loopback and a database of its own."""

import pytest

from receiver.sandbox import Fault, Sandbox
from tests.unit.cli.running import Run


@pytest.fixture
def lost(ask: Run, sandbox: Sandbox) -> str:
    """Return the id of a generation that was accepted for order-1, and whose answer was lost."""
    sandbox.fail("generate.image", Fault("commit_then_drop"))
    ended = ask("image", "a fox", "--ref", "order-1")
    assert ended.status == 9
    assert "receiver submissions recover order-1" in ended.err
    (made,) = sandbox.generation_ids()
    return made


def deeds(ask: Run) -> list[tuple[str, str]]:
    """Return what the audit log has, latest first."""
    return [(one["what"], one["on"]) for one in ask("audit", "--json").objects]


class TestList:
    def test_prints_an_object_for_each(self, ask: Run) -> None:
        """What was asked for, and what it became."""
        made = ask("image", "a fox", "--ref", "order-1", "--json").object
        found = ask("submissions", "list", "--json").object
        assert found["client_ref"] == "order-1"
        assert found["state"] == "submitted"
        assert found["generation_id"] == made["id"]
        assert found["request"] == {"prompt": "a fox"}

    @pytest.mark.usefixtures("lost")
    def test_filters(self, ask: Run) -> None:
        """By state."""
        ask("image", "a bear", "--ref", "order-2")
        (doubtful,) = ask("submissions", "list", "--state", "unknown", "--json").objects
        assert doubtful["client_ref"] == "order-1"

    def test_is_empty_at_first(self, ask: Run) -> None:
        """Also before there is a database."""
        assert ask("submissions", "list", "--json").objects == []


class TestRecover:
    def test_finds_the_only_one_that_fits(self, ask: Run, sandbox: Sandbox, lost: str) -> None:
        """It is settled; asking again under the same name prints it, and costs nothing."""
        assert ask("submissions", "recover", "order-1", "--json").object["id"] == lost
        assert deeds(ask) == [("submissions.recover", "order-1")]
        assert ask("image", "a fox", "--ref", "order-1", "--json").object["id"] == lost
        assert sandbox.charges() == 1

    def test_at_once_if_asked_to(self, ask: Run, sandbox: Sandbox) -> None:
        """With --recover the lost answer is not even noticed."""
        sandbox.fail("generate.image", Fault("commit_then_drop"))
        ended = ask("image", "a fox", "--recover", "--json")
        assert ended.status == 0
        assert (ended.object["id"],) == tuple(sandbox.generation_ids())

    def test_names_the_candidates_when_several_fit(self, ask: Run, sandbox: Sandbox, lost: str) -> None:
        """Nobody can tell which one it is, so nothing is settled."""
        twin = ask("image", "a fox", "--json").object["id"]
        ended = ask("submissions", "recover", "order-1")
        assert ended.status == 9
        assert lost in ended.err
        assert twin in ended.err
        assert sandbox.charges() == 2


class TestAbandon:
    @pytest.mark.usefixtures("lost")
    def test_frees_the_name(self, ask: Run, sandbox: Sandbox) -> None:
        """Once a person has looked, and says so, the next call of that name is sent."""
        kept = ask("submissions", "abandon", "order-1", stdin="n\n")
        assert "Nothing was done." in kept.err
        assert ask("image", "a fox", "--ref", "order-1").status == 9
        ended = ask("submissions", "abandon", "order-1", stdin="y\n")
        assert "The next call of order-1 will be charged." in ended.err
        assert ask("image", "a fox", "--ref", "order-1").status == 0
        assert sandbox.charges() == 2
        assert deeds(ask) == [("submissions.abandon", "order-1")]

    def test_refuses_what_is_not_in_doubt(self, ask: Run) -> None:
        """Neither what became a generation, nor a name that nobody gave."""
        ask("image", "a fox", "--ref", "order-1")
        assert ask("submissions", "abandon", "order-1", "--yes").status == 2
        assert ask("submissions", "abandon", "order-2", "--yes").status == 5


class TestAdopt:
    def test_settles_what_is_in_doubt(self, ask: Run, sandbox: Sandbox, lost: str) -> None:
        """From then on the name stands for that generation."""
        assert ask("submissions", "adopt", "order-1", lost).status == 0
        assert ask("image", "a fox", "--ref", "order-1", "--json").object["id"] == lost
        assert sandbox.charges() == 1
        assert deeds(ask) == [("submissions.adopt", f"order-1 is {lost}")]

    @pytest.mark.usefixtures("lost")
    def test_refuses_what_was_not_asked_for(self, ask: Run) -> None:
        """Another prompt is another generation, unless one insists."""
        other = ask("image", "a bear", "--json").object["id"]
        ended = ask("submissions", "adopt", "order-1", other)
        assert ended.status == 2
        assert "its prompt is 'a bear', not 'a fox'" in ended.err
        assert ask("submissions", "adopt", "order-1", other, "--force").status == 0

    @pytest.mark.usefixtures("lost")
    def test_refuses_another_submissions_generation(self, ask: Run) -> None:
        """A generation has one name."""
        taken = ask("image", "a fox", "--ref", "order-2", "--json").object["id"]
        ended = ask("submissions", "adopt", "order-1", taken)
        assert ended.status == 2
        assert "generation_claimed" in ended.err

    def test_refuses_what_is_settled(self, ask: Run) -> None:
        """The message says what it is."""
        made = ask("image", "a fox", "--ref", "order-1", "--json").object["id"]
        ended = ask("submissions", "adopt", "order-1", "gen_other")
        assert ended.status == 2
        assert f"it is {made}" in ended.err

    def test_refuses_what_was_refused(self, ask: Run, sandbox: Sandbox) -> None:
        """Nothing was charged, so there is nothing to adopt; the name is free."""
        sandbox.set_credits(0)
        assert ask("image", "a fox", "--ref", "order-1").status == 4
        ended = ask("submissions", "adopt", "order-1", "gen_other")
        assert ended.status == 2
        assert "nothing was charged" in ended.err
        sandbox.set_credits(5)
        assert ask("image", "a fox", "--ref", "order-1").status == 0

    @pytest.mark.usefixtures("lost")
    def test_tells_what_is_not_there(self, ask: Run) -> None:
        """Neither a name nor a generation is invented."""
        assert ask("submissions", "adopt", "order-9", "gen_x").status == 5
        assert ask("submissions", "adopt", "order-1", "gen_x").status == 5
