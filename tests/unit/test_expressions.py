"""JMESPath expressions: sound when compiled, harmless when applied."""

from typing import Any

import pytest

from receiver.expressions import Found, NotApplicable, compile_expression

DOCUMENT: dict[str, Any] = {
    "type": "co.aivisualstudio.generation.completed",
    "data": {"kind": "image", "error": None, "tags": ["a", "b"], "credits": 0},
}


def refusal(text: str) -> str:
    with pytest.raises(ValueError, match="a JMESPath expression") as refused:
        compile_expression(text)
    return str(refused.value)


class TestCompileExpression:
    @pytest.mark.parametrize("text", ["", " ", "\n"])
    def test_empty(self, text: str) -> None:
        """Nothing is no expression: a variable that was left empty must not mean anything."""
        assert refusal(text) == "a JMESPath expression that is not empty"

    @pytest.mark.parametrize(
        ("text", "place", "fault"),
        [
            ("data.kind = 'image'", 11, "Unknown token '='"),
            ("data.kind == 'image", 14, "Unclosed ' delimiter"),
            ("data.kind ==", 13, "it ends too early"),
            ("data.", 6, "it ends too early"),
            ("data kind", 6, "'kind' is not expected"),
            ("data['kind']", 6, "'kind' is not expected"),
            ("[", 2, "it ends too early"),
        ],
    )
    def test_unreadable(self, text: str, place: int, fault: str) -> None:
        """A slip is refused with an arrow below it."""
        assert refusal(text).splitlines() == [
            f"a JMESPath expression; at character {place}: {fault}",
            f"  {text}",
            "  " + " " * (place - 1) + "^",
        ]

    def test_calls_that_can_never_work(self, subtests: pytest.Subtests) -> None:
        """What the library would find out with the first event is refused before it."""
        for text, place, fault in (
            ("contain(data.tags, 'a')", 1, "there is no function contain()"),
            ("data.kind == 'image' && lower(data.kind)", 25, "there is no function lower()"),
            ("length(data.tags, 'a')", 1, "length() takes 1 argument, not 2"),
            ("not_null()", 1, "not_null() takes at least 1 argument, not 0"),
            ("sort_by(data.tags, id)", 1, "sort_by() takes &expression as argument 2"),
            ("to_string(&data)", 1, "to_string() takes no &expression as argument 1"),
            ("data.tags[?nope(@)].length(@, @)", 12, "there is no function nope()"),
            ("data.tags[?length(@) == `1`].nope(@)", 30, "there is no function nope()"),
            ("a && {b: &c}", 10, "& may only stand before a function argument"),
            ("&a", 1, "& may only stand before a function argument"),
        ):
            with subtests.test(text=text):
                assert (
                    refusal(text).splitlines()[0] == f"a JMESPath expression; at character {place}: {fault}"
                )

    def test_arrow_on_the_right_line(self) -> None:
        """An expression of several lines is shown at the one that is wrong."""
        assert refusal("data.kind == 'image'\n  && nope(type)\n  && id").splitlines()[1:] == [
            "    && nope(type)",
            "       ^",
        ]

    @pytest.mark.parametrize("text", ["(" * 5_000, "`" + "[" * 5_000 + "`", " || ".join(["a"] * 5_000)])
    def test_too_deep(self, text: str) -> None:
        """An expression that would exhaust the interpreter is refused, not a crash."""
        assert refusal(text) == "a JMESPath expression that is nested less deeply"

    def test_backtick_words(self) -> None:
        """`word` in backticks, deprecated and common, is a string."""
        assert compile_expression("data.kind == `image`").search(DOCUMENT) == Found(value=True)


class TestSearch:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("data.kind", "image"),
            ("data.nothing.at.all", None),
            ("{kind: data.kind, n: length(data.tags)}", {"kind": "image", "n": 2}),
            ("sort_by(data.tags[*].{tag: @}, &tag)[-1].tag", "b"),
        ],
    )
    def test_finds(self, text: str, value: object) -> None:
        """It gives what JMESPath's specification says."""
        assert compile_expression(text).search(DOCUMENT) == Found(value)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("contains(data.error, 'x')", "contains() takes array or string, but got null"),
            ("starts_with(data, 'x')", "starts_with() takes string, but got object"),
            ("data.kind < data.credits", "it fails with TypeError"),
            ("data.tags[::0]", "it fails with ValueError"),
        ],
    )
    def test_not_applicable(self, text: str, reason: str) -> None:
        """What does not suit a document is a value, without a word of the document."""
        assert compile_expression(text).search(DOCUMENT) == NotApplicable(reason)


class TestIsTrue:
    @pytest.mark.parametrize("value", [None, False, "", [], {}])
    def test_false(self, value: object) -> None:
        """JMESPath's five false values."""
        assert not Found(value).is_true

    @pytest.mark.parametrize("value", [True, 0, 0.0, "false", [None], {"a": None}])
    def test_true(self, value: object) -> None:
        """Everything else is true, zero included."""
        assert Found(value).is_true
