"""Keeping an asset on disk, whole or not at all."""

import socket
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from receiver.client import Client, parse
from receiver.client.decisions import Again, Attempt, Done, Moved, Refused
from receiver.client.downloads import Partial, asset_url, decide_download
from receiver.client.errors import DownloadFailed
from receiver.client.results import Generation
from receiver.client.wire import Answer, Lost, Reply, Unsent
from tests.unit.client import raw_server

URL = "https://cdn.example.com/a.png?X-Signature=hush"
FIRST, LAST = Attempt(1, URL, 0.0, chance=0.5), Attempt(5, URL, 0.0)


def generation(name: str = "gen_1", output_url: str | None = URL) -> Generation:
    return parse.generation({"id": name, "status": "completed", "output_url": output_url})


def decided(reply: Reply, attempt: Attempt = FIRST, *, fault: str | None = None) -> Any:
    return decide_download("gen_1", reply, attempt, fault=fault, max_retries=4)


class TestPartial:
    def test_appears_whole_under_its_name(self, tmp_path: Path) -> None:
        """In a folder, the file is named after the generation and what it is."""
        with Partial(generation(), tmp_path, max_bytes=10) as partial:
            partial.write(b"12345")
            partial.write(b"67890")
            assert partial.keep("image/png; charset=binary") == tmp_path / "gen_1.png"
        assert [path.name for path in tmp_path.iterdir()] == ["gen_1.png"]
        assert (tmp_path / "gen_1.png").read_bytes() == b"1234567890"

    def test_replaces_the_file_it_is_given(self, tmp_path: Path) -> None:
        """A file name is used as it is."""
        wanted = tmp_path / "fox.bin"
        wanted.write_bytes(b"old")
        with Partial(generation(), wanted, max_bytes=10) as partial:
            partial.write(b"new")
            partial.keep("image/png")
        assert wanted.read_bytes() == b"new"

    def test_leaves_nothing_behind(self, tmp_path: Path) -> None:
        """Whatever goes wrong, there is no half file."""
        with Partial(generation(), tmp_path, max_bytes=10) as partial:
            partial.write(b"12345")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            (b"", "nothing"),
            (b"\n<!DOCTYPE html><title>Soon", "a web page"),
            (b"<HTML>", "a web page"),
            (b"<svg>", None),
            (b"\x89PNG", None),
        ],
    )
    def test_tells_what_cannot_be_the_asset(self, tmp_path: Path, body: bytes, fault: str | None) -> None:
        """Whatever it is called."""
        with Partial(generation(), tmp_path, max_bytes=100) as partial:
            partial.write(body)
            assert partial.fault == fault

    def test_has_a_limit(self, tmp_path: Path) -> None:
        """The disk is not the asset host's to fill."""
        with (
            pytest.raises(DownloadFailed, match="10 bytes"),
            Partial(generation(), tmp_path, max_bytes=10) as p,
        ):
            p.write(b"12345678901")

    def test_starts_over(self, tmp_path: Path) -> None:
        """A second attempt does not continue the first."""
        with Partial(generation(), tmp_path, max_bytes=10) as partial:
            partial.write(b"half")
            partial.restart()
            partial.write(b"whole")
            assert partial.keep("").read_bytes() == b"whole"

    def test_an_id_is_no_path(self, tmp_path: Path) -> None:
        """The provider does not choose where we write."""
        with Partial(generation("../../etc/x"), tmp_path, max_bytes=10) as partial:
            assert partial.keep("video/mp4") == tmp_path / "______etc_x.mp4"

    @pytest.mark.parametrize("dest", ["{}/new/deeper/", "{}/new/deeper/."])
    def test_makes_a_folder(self, tmp_path: Path, dest: str) -> None:
        """What ends in a slash is one, so that a second generation does not replace the first."""
        for name in ("gen_1", "gen_2"):
            self._kept(name, dest.format(tmp_path), name.encode())
        assert _contents(tmp_path / "new/deeper") == {"gen_1.png": b"gen_1", "gen_2.png": b"gen_2"}

    def test_no_folder_where_a_file_is(self, tmp_path: Path) -> None:
        """The file stays."""
        (tmp_path / "taken").write_bytes(b"x")
        with pytest.raises(FileExistsError):
            self._kept("gen_1", f"{tmp_path}/taken/", b"y")
        assert _contents(tmp_path) == {"taken": b"x"}

    @pytest.mark.parametrize("order", [1, -1])
    @pytest.mark.parametrize("others", [["a/b", "a_b", "a.b"], ["x" * 300, "x" * 301]])
    def test_each_generation_has_a_file(self, tmp_path: Path, others: list[str], order: int) -> None:
        """However alike their ids look as file names; fetched again, the file is the same one."""
        paths = {name: self._kept(name, tmp_path, name.encode()) for name in others[::order]}
        assert {path.read_bytes() for path in paths.values()} == {name.encode() for name in others}
        assert {name: self._kept(name, tmp_path, name.encode()) for name in others} == paths
        assert len(_contents(tmp_path)) == len(others)

    def test_a_file_system_without_links(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing changes."""
        monkeypatch.setattr(Path, "hardlink_to", Mock(side_effect=PermissionError))
        paths = [self._kept(name, tmp_path, name.encode()) for name in ("a.b", "a_b", "a.b", "a_b")]
        assert [path.read_bytes() for path in paths] == [b"a.b", b"a_b", b"a.b", b"a_b"]
        assert len(_contents(tmp_path)) == 2

    @staticmethod
    def _kept(name: str, dest: str | Path, content: bytes) -> Path:
        with Partial(generation(name), dest, max_bytes=1000) as partial:
            partial.write(content)
            return partial.keep("image/png")


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class TestAssetUrl:
    @pytest.mark.parametrize(
        ("base", "written", "url"),
        [
            ("https://x/api/v1", "https://cdn/a.png", "https://cdn/a.png"),
            ("https://x/api/v1", "/a.png", "https://x/a.png"),
            ("http://127.0.0.1:9/api/v1", "http://127.0.0.1:9/assets/a", "http://127.0.0.1:9/assets/a"),
        ],
    )
    def test_absolute_or_beside_the_api(self, base: str, written: str, url: str) -> None:
        """A path without a host is the API's own host."""
        assert asset_url(generation(output_url=written), base) == url

    @pytest.mark.parametrize(
        "written",
        [
            None,
            "",
            "http://cdn/a",
            "ftp://cdn/a",
            "file:///etc/passwd",
            "http://[x",
            "https://127.0.0.1:99999/",
        ],
    )
    def test_refuses_what_is_missing_or_unprotected(self, written: str | None) -> None:
        """No file, or not over TLS."""
        with pytest.raises(DownloadFailed, match="gen_1"):
            asset_url(generation(output_url=written), "https://x/api/v1")


class TestCut:
    def test_a_file_without_a_length_is_not_kept(self, tmp_path: Path, subtests: pytest.Subtests) -> None:
        """It ends with the connection, whether it is whole or not: nobody could tell."""
        for version in (b"1.0", b"1.1"):
            with subtests.test(version=version):

                def half(connection: socket.socket, version: bytes = version) -> None:
                    connection.sendall(b"HTTP/%b 200 OK\r\nConnection: close\r\n\r\n\x89PNG" % version)
                    connection.close()

                with raw_server.raw_server(half) as server, Client("avs_x", base_url=server.url) as client:
                    wanted = generation(output_url=f"{server.url}/a.png")
                    with pytest.raises(DownloadFailed, match="without the length"):
                        client.generations.download(wanted, tmp_path)
                assert list(tmp_path.iterdir()) == []


class TestDecideDownload:
    def test_done(self) -> None:
        """The content type decides the name."""
        headers = {"content-type": "image/png", "content-length": "9"}
        assert decided(Answer(200, headers, b"")) == Done("image/png")
        assert decided(Answer(200, {"transfer-encoding": "chunked"}, b"")) == Done("")

    @pytest.mark.parametrize("coding", ["gzip", "x-gzip", "br, identity"])
    def test_compressed(self, coding: str) -> None:
        """Some of it may be missing once it is decoded, and nobody could see that."""
        headers = {"content-length": "9", "content-encoding": coding}
        error = decided(Answer(200, headers, b"")).error
        assert (
            str(error) == "gen_1: the asset host answered 200 with a compressed file, which was not asked for"
        )
        assert decided(Answer(200, {**headers, "content-encoding": "Identity"}, b"")) == Done("")

    @pytest.mark.parametrize(
        "reply",
        [
            Unsent("x"),
            Lost("x"),
            *(Answer(status, {}, b"") for status in (503, 429, 202, 204, 403, 404, 423)),
        ],
    )
    def test_passing_trouble_goes_again(self, reply: Reply) -> None:
        """A download may always be repeated, a few times."""
        assert decided(reply) == Again(0.25)
        assert isinstance(decided(reply, LAST).error, DownloadFailed)

    def test_a_page_in_place_of_the_file_goes_again(self) -> None:
        """And is never kept for the file."""
        assert decided(Answer(200, {}, b""), fault="a web page") == Again(0.25)
        error = decided(Answer(200, {}, b""), LAST, fault="a web page").error
        assert str(error) == "gen_1: the asset host answered 200 with a web page"

    @pytest.mark.parametrize("status", [206, 400, 401, 410])
    def test_final_answers(self, status: int) -> None:
        """A link that has expired will not come back; the error hides its signature."""
        error = decided(Answer(status, {}, b"")).error
        assert isinstance(error, DownloadFailed)
        assert str(status) in str(error)
        assert "hush" not in str(error)

    def test_follows_https(self) -> None:
        """Asset hosts redirect, and no key is sent anyway."""
        assert decided(Answer(302, {"location": "https://other/x"}, b"")) == Moved("https://other/x")
        with pytest.raises(DownloadFailed):
            decided(Answer(302, {"location": "http://other/x"}, b""))
        assert isinstance(decided(Answer(302, {"location": "/x"}, b""), LAST), Refused)
