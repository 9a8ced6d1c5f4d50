"""The shapes that chat systems take."""

import html
from typing import Any, Final

import orjson

from receiver.destinations.chat import slack, teams

OPERATORS: Final = {
    "type": "co.aivisualstudio.receiver.operator.destination_down",
    "subject": "destination:orders:1",
    "data": {
        "cause": "destination:orders",
        "summary": "The destination orders is down <now> & here.",
        "facts": {"destination": "orders", "waiting": 5, "error": None},
        "next": "receiver destinations list",
    },
}
GENERATION: Final = {
    "type": "co.aivisualstudio.generation.completed",
    "subject": "gen_1",
    "data": {
        "generation_id": "gen_1",
        "asset": {"url": "s3://b/k.png", "error": None},
        "submission": {"a": 1},
    },
}


def shaped(shape: Any, envelope: object) -> Any:
    return orjson.loads(shape(orjson.dumps(envelope)))


class TestSlack:
    def test_operators(self) -> None:
        """A fallback text and one section, with Slack's markup escaped."""
        made = shaped(slack, OPERATORS)
        assert made["text"] == "The destination orders is down &lt;now&gt; &amp; here."
        [section] = made["blocks"]
        assert (section["type"], section["text"]["type"]) == ("section", "mrkdwn")
        assert section["text"]["text"].splitlines() == [
            made["text"],
            "destination: orders",
            "waiting: 5",
            "next: receiver destinations list",
            "event: receiver.operator.destination_down",
        ]

    def test_generation(self) -> None:
        """Any other event is readable, too."""
        lines = shaped(slack, GENERATION)["blocks"][0]["text"]["text"].splitlines()
        assert lines == ["generation.completed gen_1", "generation_id: gen_1", "asset: s3://b/k.png"]

    def test_fits(self) -> None:
        """However long it is, Slack's limit of 3,000 characters in a section holds for letters."""
        long = {**OPERATORS, "data": {"summary": "x" * 9_000, "facts": {"a": "y" * 9_000}}}
        made = shaped(slack, long)
        assert len(made["blocks"][0]["text"]["text"]) <= 3_000

    def test_fits_escaped(self) -> None:
        """The limit holds for the escapes, too, and none is cut in two."""
        for letters in ("&", "<", "x&", "xyz>"):
            long = {**OPERATORS, "data": {"summary": letters * 3_000, "facts": {}}}
            text = shaped(slack, long)["blocks"][0]["text"]["text"]
            assert len(text) <= 3_000
            assert html.unescape(text).strip(letters) == ""


class TestTeams:
    def test_card(self) -> None:
        """One adaptive card, the only form that workflows take."""
        made = shaped(teams, OPERATORS)
        [attachment] = made["attachments"]
        assert (made["type"], attachment["contentType"]) == (
            "message",
            "application/vnd.microsoft.card.adaptive",
        )
        card = attachment["content"]
        title, facts = card["body"]
        assert (card["type"], title["text"]) == ("AdaptiveCard", OPERATORS["data"]["summary"])  # type: ignore[index]
        assert {"title": "waiting", "value": "5"} in facts["facts"]

    def test_projected(self) -> None:
        """What a projection left is shown as it is."""
        assert shaped(teams, {"type": "t", "data": 5})["attachments"][0]["content"]["body"][1]["facts"]
