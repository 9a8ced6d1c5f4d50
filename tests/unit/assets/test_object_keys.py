"""The names assets have in a bucket."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.assets import Fetched
from receiver.assets.object_keys import DEFAULT_KEY, KeyTemplate, beside, require_safe
from receiver.events import Event

RECEIVED_MS = 1_736_424_015_250
ASSET = Fetched(Path("spooled"), 3, "0123456789abcdef" * 4, "image/webp")
EVERY_FIELD = "{source}/{kind}/{year}-{month}-{day}/{event_id}/{generation_id}/{sha256}.{extension}"

values = st.none() | st.integers() | st.text() | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
datas = st.dictionaries(st.sampled_from(["type", "completed_at", "created_at", "output_url"]), values)
generation_ids = st.from_regex(r"[A-Za-z0-9_.:-]{1,128}", fullmatch=True) | st.sampled_from([".", ".."])


class TestRequireSafe:
    @pytest.mark.parametrize(
        "key", ["a", "a/b.png", "photoverse/image/2025/01/09/gen_1:2-3.png", ".a/..b/c..", "a=b@c+d"]
    )
    def test_plain_names(self, key: str) -> None:
        """Names of our ids and dates pass."""
        require_safe(key)

    def test_everything_else(self, subtests: pytest.Subtests) -> None:
        """What could leave the prefix, or be read in two ways, is refused."""
        for key in [
            *(
                "",
                "/",
                "/a",
                "a/",
                "a//b",
                ".",
                "..",
                "../a",
                "a/../b",
                "a/./b",
                "a/..",
                "a\\b",
                "a\0b",
                "a\n",
            ),
            *("a b", "é", "a%2fb", "~", "a?b", "a#b", "a" * 201, "a/" * 600 + "a"),
        ]:
            with subtests.test(key=key), pytest.raises(ValueError, match="key"):
                require_safe(key)


class TestBeside:
    def test_carries_the_digest(self) -> None:
        """The name says which bytes it holds, and keeps its folder and extension."""
        assert beside("a/b.c/gen_1.png", "0123456789abcdef" * 4) == "a/b.c/gen_1-0123456789abcdef.png"
        assert beside("gen", "f" * 64) == f"gen-{'f' * 16}"


def key(template: str, generation_id: str = "gen_1", sent_at: object = "2025-01-09T23:30:00-05:00") -> str:
    event = Event("photoverse", generation_id, "generation.completed", {"type": "video"}, sent_at)
    return KeyTemplate.parse(template).key(event, event_id="event-1", received_ms=RECEIVED_MS, asset=ASSET)


class TestParse:
    @pytest.mark.parametrize("text", [DEFAULT_KEY, EVERY_FIELD, "{sha256}", "a/{event_id}/b"])
    def test_accepts(self, text: str) -> None:
        """Any plain name that tells one asset from another."""
        assert KeyTemplate.parse(text).text == text

    @pytest.mark.parametrize("text", ["", "{source}/{year}.{extension}", "asset.png", "generation_id"])
    def test_nothing_unique(self, text: str) -> None:
        """A name that a second asset would get too is refused, with the fields that help."""
        with pytest.raises(ValueError, match=r"one of \{generation_id\}, \{event_id\}, \{sha256\}"):
            KeyTemplate.parse(text)

    @pytest.mark.parametrize("text", ["{sha256}/{url}", "{prompt}{sha256}", "{sha256}{}", "{sha256}/{ref}"])
    def test_unknown_field(self, text: str) -> None:
        """Nothing else of an event can enter a name, and the message lists what can."""
        with pytest.raises(ValueError, match=r"is not a field; the fields are .*\{source\}.*\{extension\}"):
            KeyTemplate.parse(text)

    def test_unsafe(self, subtests: pytest.Subtests) -> None:
        """What could leave the prefix, or become too long for S3, is refused before any asset comes."""
        for text in [
            *("/{sha256}", "{sha256}/", "a//{sha256}", "../{sha256}", "./{sha256}", "a b/{sha256}"),
            *("{{sha256}}", "{sha256!r}{sha256}", "{sha256:>9}{sha256}", "{sha256.x}{sha256}", "{sha256"),
            *("%41{sha256}", "é{sha256}"),
            "{source}{generation_id}{sha256}",
            "/".join(["{generation_id}"] * 9),
        ]:
            with subtests.test(text=text), pytest.raises(ValueError, match="the fields are"):
                KeyTemplate.parse(text)


class TestKey:
    def test_default_says_source_kind_day_and_id(self) -> None:
        """People find an asset in the bucket by what they know of it; the day is in UTC."""
        assert key(DEFAULT_KEY) == "photoverse/video/2025/01/10/gen_1.webp"

    def test_every_field(self) -> None:
        """Each field is what its name says."""
        assert key(EVERY_FIELD) == f"photoverse/video/2025-01-10/event-1/gen_1/{ASSET.sha256}.webp"

    @given(generation_ids, datas, values)
    def test_is_always_safe(self, generation_id: str, data: dict[str, Any], at: object) -> None:
        """No generation id and no word of a body leaves the prefix, nor does the copy beside it."""
        event = Event("photoverse", generation_id, "generation.completed", data, at)
        for text in (DEFAULT_KEY, EVERY_FIELD):
            made = KeyTemplate(text).key(event, event_id="e", received_ms=RECEIVED_MS, asset=ASSET)
            require_safe(made)
            require_safe(beside(made, ASSET.sha256))
            assert made.startswith(f"photoverse/{event.kind}/")
        day = datetime.strptime(made.split("/")[2], "%Y-%m-%d").replace(tzinfo=UTC)
        assert day.year >= 1
