"""One paid call as the caller wants it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from receiver.client import InvalidParameter, parse
from receiver.client.paid_calls import LONGEST_REF, PaidCall, Terms, check_price, model_of, paid_call

BODY = {"prompt": "a fox"}


def ordered(
    body: Mapping[str, Any] = BODY, *, kind: str = "image", durable: bool = True, **given: Any
) -> PaidCall:
    terms: dict[str, Any] = {
        "client_ref": None,
        "metadata": None,
        "on_unknown": "raise",
        "max_credits": None,
    }
    return paid_call(kind, body, Terms(**terms | given), durable=durable)


class TestOrder:
    def test_has_a_name_of_its_own(self) -> None:
        """Two that were not named differ."""
        assert ordered().client_ref != ordered().client_ref
        assert ordered(durable=False).client_ref
        assert ordered(client_ref="r").client_ref == "r"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("client_ref", ""),
            ("client_ref", "a\nb"),
            ("client_ref", "x" * (LONGEST_REF + 1)),
            ("client_ref", 7),
            ("metadata", [1]),
            ("metadata", {"a": object()}),
            ("metadata", {"a": float("nan")}),
            ("metadata", {1: "a key that JSON would change"}),
            ("metadata", {"half of an emoji": "\ud83d"}),
            ("metadata", {"wide": 2**64}),
            ("metadata", json.loads('{"deep": ' + "[" * 300 + "]" * 300 + "}")),
            ("on_unknown", "retry"),
            ("max_credits", -1),
            ("max_credits", True),
            ("max_credits", 1.5),
        ],
    )
    def test_refuses(self, name: str, value: Any) -> None:
        """Whatever could not be kept, or means nothing."""
        with pytest.raises(InvalidParameter) as error:
            ordered(**{name: value})
        assert error.value.parameter == name

    def test_metadata_is_a_copy(self) -> None:
        """What the caller does to it later changes nothing."""
        metadata = {"tags": ["a"]}
        made = ordered(metadata=metadata)
        metadata["tags"].append("b")
        assert made.metadata == {"tags": ["a"]}

    def test_submission_is_what_is_written_down(self) -> None:
        """All of it, before it is sent."""
        row = ordered(client_ref="r", metadata={"a": 1}).submission(7.0)
        assert (row.client_ref, row.kind, row.request, row.metadata) == ("r", "image", BODY, {"a": 1})
        assert (row.state, row.sent_at, row.generation_id) == ("sending", 7.0, None)

    def test_is_that_of_the_same_request(self) -> None:
        """The same kind and body; `webhook_url` may differ."""
        row = ordered().submission(7.0)
        assert ordered({**BODY, "webhook_url": "https://x/"}).is_that_of(row)
        assert not ordered({**BODY, "model": "m"}).is_that_of(row)
        assert not ordered(kind="video").is_that_of(row)

    def test_is_that_of_a_forgotten_request(self) -> None:
        """Any of its kind: the name must not be charged for twice."""
        row = replace(ordered().submission(7.0), request={})
        assert ordered().is_that_of(row)
        assert not ordered(kind="video").is_that_of(row)


MODELS = parse.models(
    {"data": [{"id": "minimax/hailuo-2.3-fast", "credits_per_generation": 450}, {"id": "free"}]}
)


class TestModelOf:
    def test_left_out_means_the_documents_default(self) -> None:
        """One for each kind."""
        assert model_of("image", {}) == "prunaai/z-image-turbo"
        assert model_of("video", {}) == "minimax/hailuo-2.3-fast"
        assert model_of("video", {"model": "m"}) == "m"


class TestCheckPrice:
    def test_up_to_the_price_is_fine(self) -> None:
        """Equal is enough; no limit is no question."""
        check_price(ordered(kind="video", max_credits=450), MODELS)
        check_price(ordered(kind="video"), MODELS)

    @pytest.mark.parametrize(
        ("model", "problem"),
        [("minimax/hailuo-2.3-fast", "costs 450"), ("free", "no known price"), ("x", "no")],
    )
    def test_refuses_what_costs_more_or_who_knows(self, model: str, problem: str) -> None:
        """An unknown price could be any."""
        with pytest.raises(InvalidParameter, match=problem):
            check_price(ordered({"model": model}, kind="video", max_credits=449), MODELS)
