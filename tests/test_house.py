"""The measure of the house measures what it says."""

import pytest

from tests import house


class TestProse:
    def test_sentences_words_and_marks(self) -> None:
        """Sentences end at a mark and at the end of a paragraph; an abbreviation inside a word ends none."""
        prose = house.Prose.of("One two, three. Four: five `a.b` six!\n\nSeven eight")
        assert (prose.sentences, prose.words, prose.p90) == (3, 9, 4)
        assert prose.mean == pytest.approx(3)
        assert prose.marks == pytest.approx(2 / 3)

    def test_what_is_not_prose_is_left_out(self) -> None:
        """Code, tables, headings, comments and link targets are not read aloud."""
        code = "```sh\nmake it\n```\n<!-- a note -->"
        page = f"# A head\n\nRead [this page](x.md#y).\n\n| a | b |\n\n{code}\n- a point"
        assert list(house.sentences(house.plain(page))) == ["Read this page.", "a point"]


class TestTables:
    def test_of_this_tree(self) -> None:
        """Every page has its row, and the packages add up."""
        table = "\n".join(house.prose_table(by_page=True))
        assert all(f"| {page.relative_to(house.ROOT)} |" in table for page in house.pages())
        assert sum(house.packages().values()) == house.lines([house.ROOT / "receiver"]) > 0

    def test_of_what_is_generated(self) -> None:
        """The blocking client is counted apart, as nobody reads or edits it."""
        assert {file.parent.name for file in house.generated()} == {"blocking"}

    def test_of_later_features(self) -> None:
        """Each of their modules is there, and counted once."""
        names = [name for listed in house.LATER.values() for name in listed.split()]
        assert len({*names}) == len(names)
        assert all(house.later().values())
        assert sum(house.later().values()) == house.lines(map(house._module, names))
