"""A ledger in memory."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from receiver.client import GenerationClaimed, Ledger, MemoryLedger, Submission


def sending(ref: str = "r", *, at: float = 1.0) -> Submission:
    return Submission(ref, "image", {"prompt": "a fox"}, "sending", sent_at=at)


@pytest.fixture
def ledger() -> Ledger:
    return MemoryLedger()


class TestBegin:
    def test_new_is_none(self, ledger: Ledger) -> None:
        """It may be sent, and is there."""
        assert ledger.begin(sending()) is None
        assert ledger.get("r") == sending()
        assert ledger.get("s") is None

    def test_the_first_row_stays(self, ledger: Ledger) -> None:
        """A second one of the name is not written."""
        ledger.begin(sending())
        assert ledger.begin(sending(at=2)) == sending()
        assert ledger.get("r") == sending()

    def test_a_refused_row_is_replaced(self, ledger: Ledger) -> None:
        """Whole, as if it were new."""
        ledger.begin(sending())
        ledger.settle("r", state="refused", error="no credits")
        assert ledger.begin(sending(at=2)) is None
        assert ledger.get("r") == sending(at=2)

    def test_one_of_many_gets_the_name(self) -> None:
        """However many try at once, refused before or not."""
        for state in (None, "refused"):
            ledger = MemoryLedger()
            if state is not None:
                ledger.begin(sending())
                ledger.settle("r", state=state)
            start = threading.Barrier(8)

            def begin(at: float, ledger: Ledger = ledger, start: threading.Barrier = start) -> bool:
                start.wait()
                return ledger.begin(sending(at=at)) is None

            with ThreadPoolExecutor(8) as pool:
                assert sum(pool.map(begin, range(8))) == 1

    def test_forgets_settled_rows_only(self) -> None:
        """What is in doubt stays, however many there are."""
        ledger = MemoryLedger(limit=2)
        for ref in ("doubt", "done", "new"):
            ledger.begin(sending(ref))
            ledger.settle(ref, state="unknown" if ref == "doubt" else "submitted", generation_id=ref)
        ledger.begin(sending("newest"))
        assert {row.client_ref for row in ledger.list()} == {"doubt", "newest"}


class TestSettle:
    def test_submitted_is_final(self, ledger: Ledger) -> None:
        """Nothing makes it undone."""
        ledger.begin(sending())
        ledger.settle("r", state="submitted", generation_id="gen_1")
        ledger.settle("r", state="refused", error="late")
        ledger.settle("r", state="submitted", generation_id="gen_2")
        row = ledger.get("r")
        assert row is not None
        assert (row.state, row.generation_id, row.error) == ("submitted", "gen_1", None)

    def test_a_generation_has_one_owner(self, ledger: Ledger) -> None:
        """The second to claim it is refused, and keeps its state."""
        for ref in ("one", "two"):
            ledger.begin(sending(ref))
        ledger.settle("one", state="submitted", generation_id="gen_1")
        with pytest.raises(GenerationClaimed):
            ledger.settle("two", state="submitted", generation_id="gen_1")
        assert ledger.get("two") == sending("two")
        assert ledger.claimed(["gen_1", "gen_2"]) == {"gen_1"}

    def test_unknown_names_are_nothing(self, ledger: Ledger) -> None:
        """There is nothing to settle."""
        ledger.settle("r", state="submitted", generation_id="gen_1")
        assert ledger.list() == []


class TestList:
    def test_latest_first_by_state(self, ledger: Ledger) -> None:
        """As many as asked for."""
        for at, ref in enumerate("abc"):
            ledger.begin(sending(ref, at=at))
        ledger.settle("b", state="unknown")
        assert [row.client_ref for row in ledger.list()] == ["c", "b", "a"]
        assert [row.client_ref for row in ledger.list(state="sending")] == ["c", "a"]
        assert [row.client_ref for row in ledger.list(limit=1)] == ["c"]


class TestOutcome:
    def test_is_none_until_it_came(self) -> None:
        """Then it is the event's data."""
        ledger = MemoryLedger()
        assert ledger.outcome("gen_1") is None
        ledger.put_outcome({"id": "gen_1", "status": "completed"})
        assert ledger.outcome("gen_1") == {"id": "gen_1", "status": "completed"}
