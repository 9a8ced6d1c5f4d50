"""What the provider shows may be what was sent, shown otherwise."""

import pytest

from receiver.client.wording import may_be, same_letters, same_words

SENT = "A café & a “fox”,\nin the fog"


class TestSameWords:
    def test_blanks_make_no_difference(self) -> None:
        """Anything else does."""
        assert same_words(" a  fox\n", "a fox")
        assert not same_words("A fox", "a fox")


class TestSameLetters:
    @pytest.mark.parametrize(
        "shown", [SENT.upper(), 'A CAFE & a "fox" in the fog', "A caf&eacute; &amp; a fox, in the fog", SENT]
    )
    def test_case_accents_and_signs_make_no_difference(self, shown: str) -> None:
        """Nor do blanks and HTML entities."""
        assert same_letters(shown, SENT)

    def test_a_letter_does(self) -> None:
        """In any script."""
        assert not same_letters("a box", "a fox")
        assert not same_letters("狐", "狼")


class TestMayBe:
    def test_what_is_left_out_or_added_makes_no_difference(self, subtests: pytest.Subtests) -> None:
        """With or without a sign that something is missing, and in other letters too."""
        for shown in (
            "",
            "…",
            "A ca",
            "a cafe...",
            "A café & a… fog",
            "a fox",
            f"{SENT}, best quality",
            f"Draw: {SENT}",
        ):
            with subtests.test(shown=shown):
                assert may_be(shown, SENT)

    @pytest.mark.parametrize("shown", ["a wolf", "A café & a wolf…", "in the fog: a café"])
    def test_what_is_there_must_be_in_both(self, shown: str) -> None:
        """Other words are another text."""
        assert not may_be(shown, SENT)
