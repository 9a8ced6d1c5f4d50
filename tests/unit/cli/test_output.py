"""Results on standard output, what is only for a person on standard error."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from receiver.cli.output import Columns, Record, printable, show_record, show_rows

ROWS: list[Record] = [
    {"id": "a", "made_at": datetime(2025, 1, 9, tzinfo=UTC), "error": None},
    {"id": "b", "error": "x\ny"},
]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make everything look like a terminal of 40 columns."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "40")


def plain(text: str) -> str:
    """Return *text* without colours and blanks at the ends of lines."""
    return re.sub(r" +$", "", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text), flags=re.MULTILINE)


class TestShowRows:
    def test_prints_whole_records_as_json_lines(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Each with every field, times in ISO 8601, in plain ASCII."""
        show_rows([*ROWS, {"id": "é\ud800\u2028"}], columns="id", as_json=True)
        assert capsys.readouterr().out.splitlines() == [
            '{"id": "a", "made_at": "2025-01-09T00:00:00+00:00", "error": null}',
            '{"id": "b", "error": "x\\ny"}',
            '{"id": "\\u00e9\\ud800\\u2028"}',
        ]

    def test_prints_json_lines_as_they_come(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What is there is printed before the rest is asked for."""

        def rows() -> Iterator[dict[str, str]]:
            yield {"id": "a"}
            assert capsys.readouterr().out == '{"id": "a"}\n'
            yield {"id": "b"}

        show_rows(rows(), columns="id", as_json=True)
        assert capsys.readouterr().out == '{"id": "b"}\n'

    @pytest.mark.parametrize(
        ("columns", "heading"), [("id, made_at", "made at"), ("id, error as why", "why")]
    )
    def test_prints_tabs_without_a_terminal(
        self, capsys: pytest.CaptureFixture[str], columns: Columns, heading: str
    ) -> None:
        """Headings first; nothing where there is no value."""
        show_rows(ROWS, columns=columns, as_json=False)
        first, *lines = capsys.readouterr().out.splitlines()
        assert first == f"id\t{heading}"
        assert [line.split("\t")[0] for line in lines] == ["a", "b"]
        assert "" in {line.split("\t")[1] for line in lines}

    @pytest.mark.usefixtures("terminal")
    def test_prints_a_table_on_a_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        """An id stays in one piece, to be copied; a long prompt gives way."""
        row = {"id": "gen_0123456789abcdef", "prompt": "fox " * 10}
        show_rows([row], columns="id, prompt", as_json=False)
        lines = plain(capsys.readouterr().out).splitlines()
        assert lines[0].split() == ["id", "prompt"]
        assert lines[1].startswith("gen_0123456789abcdef  fox fox")
        assert len(lines) > 2
        assert all(len(line) <= 40 for line in lines)

    @pytest.mark.usefixtures("terminal")
    def test_leaves_columns_out_before_it_breaks_an_id(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A narrow terminal shows fewer columns, and says which are not there."""
        row = {"event": "e" * 30, "type": "generation.completed", "kind": "video", "state": "ok"}
        show_rows([row], columns=", ".join(row), as_json=False)
        out, err = capsys.readouterr()
        assert plain(out).splitlines() == [f"{'event':30}  state", "e" * 30 + "  ok"]
        assert err == "Not enough room for: type, kind. --json prints all.\n"

    @pytest.mark.usefixtures("terminal")
    def test_shows_where_it_cuts(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What is left out of a cell is not taken for a whole word."""
        show_rows([{"id": "late assets", "state": "x" * 40}], columns="id, state", as_json=False)
        assert plain(capsys.readouterr().out).splitlines()[1].rstrip().endswith("x…")

    @pytest.mark.usefixtures("terminal")
    def test_takes_nothing_for_markup(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What others wrote is shown as it is."""
        show_rows([{"id": "[red]x[/red]"}], columns="id", as_json=False)
        assert "[red]x[/red]" in plain(capsys.readouterr().out)


class TestShowRecord:
    def test_prints_a_line_for_each_value(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Whole, however long; fields without a value are left out."""
        show_record({"id": "a", "body": {"é": 1}, "error": None, "long_one": "x" * 99}, as_json=False)
        assert capsys.readouterr().out == f'id\ta\nbody\t{{"é": 1}}\nlong one\t{"x" * 99}\n'

    @pytest.mark.usefixtures("terminal")
    def test_breaks_a_long_name(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A name that others chose does not push the rest out of sight; all of it is there."""
        show_rows([{"id": "b" * 100, "state": "dead"}], columns="id, state", as_json=False)
        shown = plain(capsys.readouterr().out)
        assert "dead" in shown
        assert shown.count("b") == 100

    @pytest.mark.usefixtures("terminal")
    def test_leaves_a_long_value_whole_on_a_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        """So that a URL can be copied."""
        url = "https://example.com/" + "x" * 99
        show_record({"id": "[b]a[/b]", "output_url": url}, as_json=False)
        assert plain(capsys.readouterr().out) == f"id          [b]a[/b]\noutput url  {url}\n"

    def test_prints_one_json_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Also the fields without a value."""
        show_record({"id": "a", "error": None}, as_json=True)
        assert capsys.readouterr().out == '{"id": "a", "error": null}\n'


class TestPrintable:
    def test_keeps_nothing_that_commands_a_terminal(self, subtests: pytest.Subtests) -> None:
        """Escapes, control characters, reversals of direction and halves of characters."""
        for bad in ("\x1b", "\r", "\b", "\x07", "\x9b", "\u202e", "\ud800", "\0"):
            with subtests.test(bad=bad):
                assert printable(f"a{bad}b") == "a\ufffdb"

    def test_keeps_text(self) -> None:
        """Of any language, and its line breaks."""
        assert printable("naïve 狐\n🦊") == "naïve 狐\n🦊"
