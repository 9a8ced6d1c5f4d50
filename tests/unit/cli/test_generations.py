"""`receiver generations`, against a provider on loopback."""

import asyncio
import json
from pathlib import Path

import pytest

from receiver.client import Client
from receiver.sandbox import Sandbox
from receiver.store import Store
from receiver.store.record import NewEvent
from tests.contract.provider_clients import quickly
from tests.stored import migrated
from tests.unit.cli.running import Run, nothing_is_sent
from tests.unit.client.raw_server import answer, raw_server


@pytest.fixture
def listed(sandbox: Sandbox, made: list[str]) -> list[str]:
    """Return the same ids in the order in which the provider lists them."""
    return made if sandbox.dialect.order == "oldest_first" else made[::-1]


@pytest.fixture
def made(sandbox: Sandbox) -> list[str]:
    """Return the ids of three finished generations, of which the last failed."""
    with Client(sandbox.key(), base_url=sandbox.url, sleep=quickly) as client:
        asked = [client.generate.image(prompt) for prompt in ("one", "two", "[fail: too dark] three")]
        return [client.generations.wait(one, raise_on_failed=False).id for one in asked]


class TestList:
    def test_prints_an_object_for_each(self, ask: Run, made: list[str], listed: list[str]) -> None:
        """In the provider's order, with the fields of a generation."""
        found = ask("generations", "list", "--json").objects
        assert [one["id"] for one in found] == listed
        (first,) = (one for one in found if one["id"] == made[0])
        assert first["prompt"] == "one"
        assert first["created_at"].endswith("+00:00")

    def test_prints_tabs_without_a_terminal(self, ask: Run, listed: list[str]) -> None:
        """A line of names, then a line for each, for `cut` and its kind."""
        lines = ask("generations", "list").out.splitlines()
        assert lines[0].split("\t") == ["id", "type", "status", "credits", "created", "prompt"]
        assert [line.split("\t")[0] for line in lines[1:]] == listed

    def test_filters_and_pages(self, ask: Run, made: list[str]) -> None:
        """The options are those of the API document."""
        failed = ask("generations", "list", "--type", "image", "--status", "failed", "--json")
        assert [one["id"] for one in failed.objects] == [made[2]]
        page = ask("generations", "list", "--limit", "1", "--offset", "1", "--json")
        assert [one["id"] for one in page.objects] == [made[1]]

    def test_prints_all(self, ask: Run, made: list[str]) -> None:
        """With --all, however small a page."""
        found = ask("generations", "list", "--all", "--json").objects
        assert sorted(one["id"] for one in found) == sorted(made)

    @pytest.mark.parametrize("option", ["--limit=5", "--offset=0"])
    def test_does_not_take_a_part_of_all(self, run: Run, option: str) -> None:
        """Rather than to ignore what was asked for."""
        ended = run("generations", "list", "--all", option)
        assert ended.status == 2
        assert "--all takes neither" in ended.err

    @pytest.mark.parametrize(
        "option", ["--limit=0", "--limit=101", "--limit=many", "--offset=-1", "--type=sound", "--status=done"]
    )
    def test_refuses_what_is_wrong(self, run: Run, option: str) -> None:
        """The message names the option."""
        ended = run("generations", "list", option)
        assert ended.status == 2
        assert option.partition("=")[0] in ended.err


class TestGet:
    def test_prints_what_is_there_and_tells_what_is_not(self, ask: Run, made: list[str]) -> None:
        """One that is missing does not hide the next; each missing one is named, and the status is 5."""
        ended = ask("generations", "get", "gen_no", made[0], "gen_none", made[2], "--json")
        assert [one["id"] for one in ended.objects] == [made[0], made[2]]
        assert ended.status == 5
        assert "There is no generation gen_no in" in ended.err
        assert "There is no generation gen_none in" in ended.err

    @nothing_is_sent
    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "x\x1b[31m", "💥", "%2e%2e"])
    def test_refuses_rubbish(self, ask: Run, name: str) -> None:
        """Whatever the id is, there is one message, which cannot command the terminal."""
        ended = ask("generations", "get", name)
        assert ended.status in {2, 5}
        assert "Traceback" not in ended.err
        assert "\x1b" not in ended.err

    def test_shows_no_control_characters_of_others(self, run: Run) -> None:
        """A prompt cannot command the terminal, but a program gets it as it is."""
        body = json.dumps({"id": "gen_1", "prompt": "\x1b[2Jhello\ud800"}).encode()
        with raw_server(answer(200, body)) as server:
            settings = {"RECEIVER_API_KEY": "avs_live_x", "RECEIVER_API_BASE_URL": server.url}
            shown = run("generations", "get", "gen_1", **settings)
            exact = run("generations", "get", "gen_1", "--json", **settings)
        assert "prompt\t\ufffd[2Jhello\ufffd\n" in shown.out
        assert exact.object["prompt"] == "\x1b[2Jhello\ufffd"


class TestWait:
    def test_prints_each_when_it_ends(self, ask: Run, sandbox: Sandbox, made: list[str]) -> None:
        """Also the one that failed, for which the status is 7."""
        ended = ask("generations", "wait", *made, "--json")
        assert sorted(one["id"] for one in ended.objects) == sorted(made)
        assert ended.status == 7
        assert ("too dark" if sandbox.dialect.failure_field else "no reason given") in ended.err

    def test_an_event_that_is_there_costs_no_request(self, run: Run, tmp_path: Path) -> None:
        """For any generation: the database knows how it ended, and nobody else is asked."""
        url = migrated(tmp_path / "receiver.db")
        store = Store(url)
        data = {"id": "gen_1", "type": "image", "status": "completed", "output_url": "https://cdn/1"}
        body = json.dumps({"event": "generation.completed", "data": data}).encode()
        event = NewEvent("e1", "photoverse", "gen_1", "generation.completed", None, body, "webhook", 0)
        asyncio.run(store.record(event))
        store.close()
        nobody = {"RECEIVER_API_KEY": "avs_live_x", "RECEIVER_API_BASE_URL": "http://127.0.0.1:9"}
        ended = run("generations", "wait", "gen_1", "--json", RECEIVER_DATABASE_URL=url, **nobody)
        assert (ended.status, ended.object["output_url"]) == (0, "https://cdn/1")

    def test_a_database_that_cannot_be_used_is_done_without(self, ask: Run, made: list[str]) -> None:
        """The provider knows as well."""
        Path("broken.db").write_text("no database")
        settings = {"RECEIVER_DATABASE_URL": "sqlite:///broken.db"}
        assert ask("generations", "wait", made[0], "--json", **settings).status == 0

    def test_tells_what_is_not_there_after_all_others(
        self, ask: Run, made: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that does not exist hides none, and each error is told; the first decides the status."""
        monkeypatch.setattr("receiver.client.polling._NOT_YET_VISIBLE_S", 0.0)
        ended = ask("generations", "wait", "gen_no", *made[:2], "gen_none", "--json")
        assert sorted(one["id"] for one in ended.objects) == sorted(made[:2])
        assert ended.status == 5
        assert "there is no generation gen_no, gen_none in this account" in ended.err
        ended = ask("generations", "wait", "gen_no", made[2], "--json")
        assert (ended.status, ended.object["id"]) == (7, made[2])
        assert "there is no generation gen_no in this account" in ended.err

    def test_tells_what_was_not_finished_after_what_failed(self, run: Run) -> None:
        """With what to do about it; the failure came first, so the status is 7."""
        failed, running = (
            f'{{"id": "gen_{n}", "status": "{is_}"}}' for n, is_ in ((1, "failed"), (2, "processing"))
        )
        with raw_server(answer(200, failed.encode()), answer(200, running.encode())) as server:
            ended = run(
                *("generations", "wait", "gen_1", "gen_2", "--timeout", "0.2"),
                RECEIVER_API_KEY="avs_live_x",
                RECEIVER_API_BASE_URL=server.url,
            )
        assert ended.status == 7
        assert ended.err.count("`receiver generations wait gen_2`") == 1

    def test_gives_up_in_time(self, run: Run) -> None:
        """The message names all that were not finished."""
        with raw_server(answer(200, b'{"id": "gen_1", "status": "processing"}')) as server:
            ended = run(
                *("generations", "wait", "gen_1", "--timeout", "0.2"),
                RECEIVER_API_KEY="avs_live_x",
                RECEIVER_API_BASE_URL=server.url,
            )
        assert ended.status == 8
        assert "receiver generations wait gen_1" in ended.err


class TestDownload:
    def test_keeps_each_under_its_name(self, ask: Run, made: list[str], tmp_path: Path) -> None:
        """In a folder, here the working directory; one without a file does not hide the next."""
        ended = ask("generations", "download", made[2], made[0], made[1], "--json")
        assert sorted(file.name for file in tmp_path.iterdir()) == sorted(f"{one}.webp" for one in made[:2])
        assert ended.status == 10
        assert f"{made[2]} has no file: it is failed" in ended.err

    def test_keeps_one_as_a_file(self, ask: Run, made: list[str], tmp_path: Path) -> None:
        """Under the name that was given."""
        assert ask("generations", "download", made[0], "--to", "one.webp").status == 0
        assert (tmp_path / "one.webp").read_bytes()[8:12] == b"WEBP"

    @nothing_is_sent
    def test_does_not_put_two_into_one_file(self, ask: Run, made: list[str], tmp_path: Path) -> None:
        """The second would replace the first: refused before anything is fetched."""
        ended = ask("generations", "download", *made[:2], "--to", "one.webp")
        assert ended.status == 2
        assert not list(tmp_path.iterdir())
