"""The options that every destination has."""

import pytest

from receiver.destinations import SCHEMES, own_options
from receiver.destinations.policy import DeliveryPolicy, batch_size, take_policy
from receiver.errors import ConfigError


class TestTakePolicy:
    def test_defaults(self) -> None:
        """Nothing set: nothing is limited, and the destination gets all there is."""
        assert take_policy("q", {"stream": "s"}) == (DeliveryPolicy(), {"stream": "s"})

    def test_splits_the_options(self) -> None:
        """What is common is taken out, whatever its case; the rest stays as it was."""
        options = {
            "batch_size": "50",
            "CONCURRENCY": "4",
            "rate_limit": "0.5",
            "attempts": "7",
            "backoff_first_s": "2",
            "backoff_max_s": "30",
            "breaker_failures": "9",
            "breaker_max_s": "15",
            "Stream": "s",
        }
        policy = DeliveryPolicy(50, 4, 0.5, 7, 2.0, 30.0, 9, 15.0)
        assert take_policy("q", options) == (policy, {"Stream": "s"})

    def test_a_destinations_own_option_is_left_to_it(self) -> None:
        """Where the destination sends the requests of one batch itself, concurrency is its business."""
        policy, rest = take_policy("q", {"concurrency": "200"}, own={"concurrency"})
        assert (policy.concurrency, rest) == (1, {"concurrency": "200"})

    @pytest.mark.parametrize(
        ("option", "text"),
        [
            ("batch_size", "0"),
            ("batch_size", "ten"),
            ("concurrency", "65"),
            ("rate_limit", "0"),
            ("rate_limit", "-1"),
            ("rate_limit", "nan"),
            ("rate_limit", "inf"),
            ("rate_limit", "fast"),
            ("attempts", "0"),
            ("backoff_first_s", "0"),
            ("backoff_max_s", "3601"),
            ("breaker_failures", "0"),
            ("breaker_max_s", "-1"),
        ],
    )
    def test_bad_values_are_refused(self, option: str, text: str) -> None:
        """By the name of the setting, with what it accepts."""
        with pytest.raises(ConfigError, match=f"RECEIVER_DESTINATIONS__Q__{option.upper()} must be"):
            take_policy("q", {option: text})

    def test_a_first_wait_above_the_longest_is_refused(self) -> None:
        """Both settings are named."""
        with pytest.raises(ConfigError, match=r"Q__BACKOFF_FIRST_S must .*Q__BACKOFF_MAX_S"):
            take_policy("q", {"backoff_first_s": "20", "backoff_max_s": "10"})


class TestBatchSize:
    def test_as_many_as_the_destination_takes(self) -> None:
        """Unless fewer are asked for."""
        assert batch_size(DeliveryPolicy(), "q", max_batch=10) == 10
        assert batch_size(DeliveryPolicy(batch_size=3), "q", max_batch=10) == 3
        assert batch_size(DeliveryPolicy(batch_size=10), "q", max_batch=10) == 10

    def test_more_is_refused(self) -> None:
        """By the name of the setting and the most it may be."""
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__Q__BATCH_SIZE must be at most 10"):
            batch_size(DeliveryPolicy(batch_size=11), "q", max_batch=10)


class TestNames:
    def test_no_destination_hides_a_common_option(self, subtests: pytest.Subtests) -> None:
        """But for concurrency, which a destination may take over, each name means the same everywhere."""
        for scheme in SCHEMES:
            with subtests.test(scheme=scheme):
                common = set(DeliveryPolicy.__dataclass_fields__)
                assert own_options("q", f"{scheme}:") & common <= {"concurrency"}
