"""What a paid call may cost."""

import pytest

from receiver.client import InvalidParameter, parse
from receiver.client.pricing import check_price, model_of
from tests.unit.client.test_paid_calls import ordered

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
