"""`receiver image` and `receiver video`, against a provider on loopback."""

import json
import signal
from pathlib import Path

import pytest

from receiver.sandbox import Sandbox
from tests.unit.cli.command import Command
from tests.unit.cli.running import Run
from tests.unit.client.raw_server import answer, close, raw_server, stall
from tests.waiting.blocking import until

VIDEO = ("video", "a boat", "--aspect-ratio", "9:16", "--duration", "3")


class TestImage:
    def test_prints_what_was_accepted(self, ask: Run, sandbox: Sandbox) -> None:
        """One object, and nothing else, on standard output; the credits are spent once."""
        ended = ask("image", "a fox", "--aspect-ratio", "3:2", "--format", "png", "--json")
        assert (ended.status, ended.err) == (0, "")
        assert ended.object["status"] == "processing"
        assert ended.object["credits_charged"] == 5
        assert sandbox.credits() == 1_000_000 - 5

    def test_prints_a_line_for_each_field_to_people(self, ask: Run) -> None:
        """Without --json there is a name and a value on each line."""
        ended = ask("image", "a fox")
        assert "prompt\ta fox\n" in ended.out
        assert "credits charged\t5\n" in ended.out

    def test_sends_what_was_given_and_no_more(self, run: Run) -> None:
        """Each option is one parameter of the API document; what is not given stays out."""
        with raw_server(answer(200, b'{"id": "gen_1"}')) as server:
            settings = {"RECEIVER_API_KEY": "avs_live_x", "RECEIVER_API_BASE_URL": server.url}
            run("image", "x", **settings)
            run("image", "x", "--model", "m", "--webhook-url", "https://y/z", "--format", "jpg", **settings)
        plain, full = (json.loads(request.partition(b"\r\n\r\n")[2]) for request in server.requests)
        assert plain == {"prompt": "x"}
        assert full == {"prompt": "x", "output_format": "jpg", "model": "m", "webhook_url": "https://y/z"}

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            (("image",), "PROMPT"),
            (("image", ""), "prompt"),
            (("image", "x", "--aspect-ratio", "5:4"), "--aspect-ratio"),
            (("image", "x", "--format", "gif"), "--format"),
            (("image", "x", "--webhook-url", "ftp://x"), "webhook_url"),
            (("image", "x", "--timeout", "0"), "--timeout"),
            (("image", "x", "--timeout", "soon"), "--timeout"),
            (("image", "x", "--download", "/nowhere/at/all.png"), "/nowhere/at is not a folder"),
            (("image", "x", "--download", "/dev/null/x/"), "--download"),
            (("image", "\udcff"), "prompt"),
            (("video", "x", "--duration", "11"), "--duration"),
            (("video", "x", "--aspect-ratio", "3:2"), "--aspect-ratio"),
            (("video", "x", "--first-frame", "cat.png"), "first_frame_image"),
        ],
    )
    def test_refuses_what_is_wrong(self, run: Run, arguments: tuple[str, ...], name: str) -> None:
        """The message names the argument; nothing is sent, or the status would be that of a dead network."""
        ended = run(*arguments, RECEIVER_API_KEY="avs_live_x", RECEIVER_API_BASE_URL="http://127.0.0.1:9")
        assert (ended.status, ended.out) == (2, "")
        assert name in ended.err

    def test_waits(self, ask: Run) -> None:
        """With --wait it returns once it is finished, having said at once what was accepted."""
        ended = ask("image", "a fox", "--wait", "--json")
        assert ended.status == 0
        assert ended.object["status"] == "completed"
        assert ended.err == f"{ended.object['id']} was requested: 5 credits\n"

    def test_downloads_to_a_file(self, ask: Run, tmp_path: Path) -> None:
        """--download waits, and the file has the name that was given, over whatever had it."""
        (tmp_path / "fox.png").write_bytes(b"old")
        ended = ask("image", "a fox", "--format", "png", "--download", "fox.png", "--json")
        assert ended.object["file"] == "fox.png"
        assert (tmp_path / "fox.png").read_bytes().startswith(b"\x89PNG")

    def test_downloads_to_a_new_folder(self, ask: Run, tmp_path: Path) -> None:
        """A path that ends in a slash is a folder, and the file is named after the generation."""
        ended = ask("image", "a fox", "--download", "new/ones/", "--json")
        assert ended.status == 0
        (file,) = (tmp_path / "new/ones").iterdir()
        assert file.name == f"{ended.object['id']}.webp"

    def test_leaves_no_part_of_a_download(self, run: Run, tmp_path: Path) -> None:
        """A file that does not come whole is not there at all; the generation is printed all the same."""
        with raw_server(close) as assets:
            body = f'{{"id": "gen_1", "status": "completed", "output_url": "{assets.url}/x"}}'.encode()
            with raw_server(answer(200, body)) as server:
                ended = run(
                    *("image", "x", "--download", ".", "--json"),
                    RECEIVER_API_KEY="avs_live_x",
                    RECEIVER_API_BASE_URL=server.url,
                )
        assert ended.status == 10
        assert ended.object["id"] == "gen_1"
        assert not list(tmp_path.iterdir())

    def test_shows_progress_to_a_person_only(self, ask: Run) -> None:
        """On a terminal there is a spinner on standard error; elsewhere there is none."""
        assert "waiting for" not in ask("image", "x", "--wait").err
        watched = ask("image", "x", "--wait", "--json", TTY_COMPATIBLE="1")
        assert f"waiting for {watched.object['id']}" in watched.err


class TestCtrlC:
    @pytest.mark.parametrize("ref", [(), ("--ref", "order-1")])
    def test_says_that_it_may_have_been_charged(self, tmp_path: Path, ref: tuple[str, ...]) -> None:
        """And how to find out, while the answer is still to come; the status is that of Ctrl-C."""
        with raw_server(stall) as server:
            command = Command(tmp_path)
            settings = {"RECEIVER_API_KEY": "avs_live_x", "RECEIVER_API_BASE_URL": server.url}
            with command.started("image", "a fox", *ref, **settings) as process:
                until(lambda: bool(server.requests))
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=20)
        assert process.returncode == 130
        assert said.startswith("It may have been accepted, and charged.")
        assert said.endswith("receiver: interrupted\n")
        assert "`receiver generations list`" in said
        assert ("`receiver submissions recover order-1`" in said) is bool(ref)
        if ref:
            listed = json.loads(command.run("submissions", "list", "--json").stdout)
            assert (listed["client_ref"], listed["state"]) == ("order-1", "sending")


class TestDryRun:
    def test_prints_the_request_and_its_price(self, ask: Run, sandbox: Sandbox) -> None:
        """Method, address, body and credits; no key, and nothing is charged."""
        ended = ask("image", "a fox", "--model", "sandbox/poster", "--dry-run", "--json")
        assert ended.object == {
            "method": "POST",
            "url": f"{sandbox.url}/generate/image",
            "body": {"prompt": "a fox", "model": "sandbox/poster"},
            "credits": 10,
        }
        assert sandbox.credits() == 1_000_000

    def test_knows_the_price_of_the_default_model(self, ask: Run) -> None:
        """Without --model it is the one that the API document says."""
        assert ask(*VIDEO, "--dry-run", "--json").object["credits"] == 450

    def test_warns_of_an_unknown_model(self, ask: Run) -> None:
        """A model that the provider does not list has no price."""
        ended = ask(*VIDEO, "--model", "sandbox/poster", "--dry-run", "--json")
        assert ended.object["credits"] is None
        assert "lists no video model sandbox/poster" in ended.err

    def test_needs_no_database(self, ask: Run, tmp_path: Path) -> None:
        """A REF is not noted either."""
        assert ask("image", "x", "--ref", "a", "--dry-run").status == 0
        assert not list(tmp_path.iterdir())


class TestRef:
    def test_the_same_ref_is_the_same_generation(self, ask: Run, sandbox: Sandbox) -> None:
        """The second call sends nothing and prints the first one's generation."""
        first, second = (ask("image", "a fox", "--ref", "order-1", "--json") for _ in range(2))
        assert first.object["id"] == second.object["id"]
        assert sandbox.credits() == 1_000_000 - 5

    def test_another_ref_is_another_one(self, ask: Run, sandbox: Sandbox) -> None:
        """Different names are different generations."""
        first, second = (ask("image", "x", "--ref", ref, "--json") for ref in ("a", "b"))
        assert first.object["id"] != second.object["id"]
        assert sandbox.credits() == 1_000_000 - 10


class TestMaxCredits:
    def test_sends_nothing_that_costs_more(self, ask: Run, sandbox: Sandbox) -> None:
        """The price is looked up first."""
        ended = ask(*VIDEO, "--max-credits", "449")
        assert ended.status == 2
        assert "max_credits is 449, and minimax/hailuo-2.3-fast costs 450" in ended.err
        assert sandbox.credits() == 1_000_000

    def test_sends_what_costs_as_much(self, ask: Run) -> None:
        """The limit itself is allowed."""
        assert ask(*VIDEO, "--max-credits", "450").status == 0


class TestVideo:
    def test_makes_a_video(self, ask: Run, tmp_path: Path) -> None:
        """From an image to a file, with every option of its own."""
        ended = ask(*VIDEO, "--first-frame", "https://example.com/x.png", "--download", "x.mp4", "--json")
        assert (ended.status, ended.object["type"]) == (0, "video")
        assert b"ftyp" in (tmp_path / "x.mp4").read_bytes()[:16]
