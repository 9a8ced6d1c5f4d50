"""`receiver deliveries`, over a store with dead letters."""

from pathlib import Path

import pytest

from receiver.store import Store
from tests.stored import FAR, NOW, an_event, claimed, dead
from tests.unit.cli.running import Run
from tests.unit.cli.stored import in_store

AN_ID = "01944aef-c880-7001-8203-040506070809"


@pytest.fixture
def letters(run: Run, tmp_path: Path) -> list[str]:
    """Return the events of three dead letters for `orders`; those for `audit` are pending."""

    async def make(store: Store) -> list[str]:
        good = await dead(store, *(an_event(f"gen_{n}", at=NOW + n) for n in range(2)))
        bad = an_event("gen_2", at=NOW + 2, kind="video")
        return good + await dead(store, bad, error="\x1b[31mtimeout of https://u:p@h/x?sig=hush")

    return in_store(tmp_path, make)


class TestList:
    def test_prints_an_object_for_each(self, run: Run, letters: list[str]) -> None:
        """The latest first, with everything that is known."""
        found = run("deliveries", "list", "--state", "dead", "--json").objects
        assert [one["event_id"] for one in found] == letters[::-1]
        assert found[0]["kind"] == "video"
        assert found[0]["received_at"] == "2023-11-14T22:13:20.002000+00:00"

    def test_filters(self, run: Run, letters: list[str]) -> None:
        """Times may be ages."""
        ended = run("deliveries", "list", "--error", "TIMEOUT", "--kind", "video", "--until", "2h", "--json")
        assert [one["event_id"] for one in ended.objects] == [letters[2]]
        assert run("deliveries", "list", "--since", "2h", "--json").objects == []

    def test_a_span_that_is_empty(self, run: Run, letters: list[str]) -> None:
        """Ages the wrong way round match nothing, for sure: that is a mistake."""
        ended = run("deliveries", "list", "--since", "1h", "--until", "2h")
        assert ended.status == 2
        assert "--since must be before --until" in ended.err

    def test_an_unknown_name(self, run: Run, letters: list[str], subtests: pytest.Subtests) -> None:
        """A list, or an order, about what there is not is a mistake, and the message says what there is."""
        for command in (
            *(("deliveries", "list"), ("events", "list"), ("quarantine", "list"), ("events", "tail")),
            *(("assets", "verify"), ("deliveries", "retry", "--yes"), ("quarantine", "drop", "--dry-run")),
        ):
            with subtests.test(" ".join(command)):
                ended = run(*command, "--source", "nope")
                assert (ended.status, ended.out) == (2, "")
                assert "There is no source 'nope'; there are: photoverse" in ended.err

    def test_says_which_values_there_are(self, run: Run, letters: list[str]) -> None:
        """Where nothing matches, without secrets, on standard error."""
        ended = run("deliveries", "list", "--state", "dead", "--error", "HTTP 401", "--json")
        assert (ended.status, ended.out) == (0, "")
        first = ended.err
        assert first.startswith("Nothing matches. Without --error there are: HTTP 422 (2), ")
        assert "hush" not in first
        ended = run("deliveries", "list", "--state", "delivered", "--error", "HTTP 401")
        assert ended.err.startswith("Nothing matches, not even without --error.")

    def test_shows_nothing_that_is_secret_or_commands_a_terminal(self, run: Run, letters: list[str]) -> None:
        """Errors are other people's words."""
        for form in ([], ["--json"]):
            ended = run("deliveries", "list", *form)
            assert letters[2] in ended.out
            assert "hush" not in ended.out
            assert "u:p" not in ended.out
            assert "\x1b" not in ended.out

    def test_goes_on_with_a_cursor(self, run: Run, letters: list[str]) -> None:
        """Which the shorter list tells, on standard error."""
        first = run("deliveries", "list", "--state", "dead", "--limit", "2", "--json")
        cursor = first.err.split("--cursor ")[1].strip()
        rest = run("deliveries", "list", "--state", "dead", "--cursor", cursor, "--json")
        assert [one["event_id"] for one in first.objects + rest.objects] == letters[::-1]
        assert rest.err == ""

    @pytest.mark.parametrize("cursor", ["abc", "a/b/c", "a\0/b", "a/b", f"{AN_ID}/", AN_ID])
    def test_refuses_what_is_no_cursor(self, run: Run, letters: list[str], cursor: str) -> None:
        """It is a mistake of the user's, not a failure of the database."""
        ended = run("deliveries", "list", "--cursor", cursor)
        assert ended.status == 2
        assert "--cursor" in ended.err

    def test_refuses_a_destination_that_is_not_there(self, run: Run, letters: list[str]) -> None:
        """An empty list would say that nothing waits for it."""
        ended = run("deliveries", "list", "--destination", "oders")
        assert ended.status == 2
        assert "Did you mean 'orders'?" in ended.err

    @pytest.mark.parametrize("since", ["tomorrow", "2", "2w"])
    def test_refuses_what_is_no_time(self, run: Run, since: str) -> None:
        """And shows how to write one."""
        ended = run("deliveries", "list", "--since", since)
        assert ended.status == 2
        assert "36h" in ended.err

    def test_is_empty_at_first(self, run: Run) -> None:
        """Also before there is a database."""
        assert run("deliveries", "list", "--json").objects == []


class TestShow:
    def test_prints_one(self, run: Run, letters: list[str]) -> None:
        """By event and destination."""
        found = run("deliveries", "show", letters[0], "orders", "--json").object
        assert found["error"] == "HTTP 422"
        [attempt] = found["failed_attempts"]
        assert (attempt["number"], attempt["took_s"], attempt["said"]) == (1, 0.25, "no such order")
        shown = run("deliveries", "show", letters[0], "orders").out
        assert "after 0.2 s: HTTP 422; the answer: no such order\n" in shown
        assert "failed attempts" not in shown

    def test_by_generation(self, run: Run, letters: list[str]) -> None:
        """Each delivery of its events to that destination."""
        [found] = run("deliveries", "show", "gen_1", "orders", "--json").objects
        assert found["event_id"] == letters[1]

    def test_tells_what_is_not_there(self, run: Run, letters: list[str]) -> None:
        """A status of its own."""
        ended = run("deliveries", "show", letters[0], "nowhere")
        assert ended.status == 5
        assert "Traceback" not in ended.err


class TestRetry:
    def test_sends_again_what_fits(self, run: Run, tmp_path: Path, letters: list[str]) -> None:
        """And says how to take it back."""
        ended = run("deliveries", "retry", "--error", "422", "--rate", "0", "--json")
        assert (ended.object["state"], ended.object["changed"]) == ("done", 2)
        assert f"receiver operations cancel {ended.object['id']}" in ended.err
        jobs = in_store(tmp_path, lambda store: claimed(store, at=FAR))
        assert [job.event_id for job in jobs] == letters[:2]

    def test_by_id(self, run: Run, letters: list[str]) -> None:
        """Just those."""
        assert run("deliveries", "retry", letters[1], letters[2], "--json").object["changed"] == 2

    def test_by_generation(self, run: Run, letters: list[str]) -> None:
        """An id of the provider's does as well as ours."""
        ended = run("deliveries", "retry", "gen_1", letters[1], "--json")
        assert (ended.object["matched"], ended.object["filter"]["ids"]) == (1, [letters[1]])

    def test_dry_run_counts(self, run: Run, letters: list[str]) -> None:
        """And does nothing."""
        ended = run("deliveries", "retry", "--all", "--dry-run", "--json")
        assert (ended.object["changed"], ended.object["dry_run"]) == (3, True)
        assert len(run("deliveries", "list", "--state", "dead", "--json").objects) == len(letters)

    @pytest.mark.parametrize("words", [[], ["--state", "pending"], ["--dry-run"]])
    def test_all_must_be_said(self, run: Run, letters: list[str], words: list[str]) -> None:
        """A forgotten filter changes nothing."""
        ended = run("deliveries", "retry", *words)
        assert ended.status == 2
        assert "--all" in ended.err
        assert len(run("deliveries", "list", "--state", "dead", "--json").objects) == len(letters)

    def test_without_a_schema(self, run: Run) -> None:
        """On PostgreSQL it is not made on the way; the message names the setting, without a traceback."""
        ended = run(
            "deliveries", "retry", "--all", RECEIVER_DATABASE_URL="postgresql://u@127.0.0.1:1/nowhere"
        )
        assert ended.status == 1
        assert "store_unavailable" in ended.err
        assert "Traceback" not in ended.err


class TestDrop:
    def test_can_be_taken_back(self, run: Run, letters: list[str]) -> None:
        """Dropped letters are kept, not sent, and dead again once it is cancelled."""
        dropped = run("deliveries", "drop", "--error", "422", "--json").object
        assert run("deliveries", "retry", "--all", "--dry-run", "--json").object["changed"] == 1
        assert len(run("deliveries", "list", "--state", "dropped", "--json").objects) == 2
        assert run("operations", "cancel", dropped["id"], "--json").object["restored"] == 2
        assert len(run("deliveries", "list", "--state", "dead", "--json").objects) == len(letters)
