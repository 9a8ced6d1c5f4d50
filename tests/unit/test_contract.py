"""The provider's words agree with one another."""

from receiver import contract


class TestContract:
    def test_defaults_are_choices(self) -> None:
        """Every default is one of the values it defaults among."""
        assert contract.DEFAULT_IMAGE_FORMAT in contract.IMAGE_FORMATS
        assert contract.DEFAULT_VIDEO_ASPECT_RATIO in contract.VIDEO_ASPECT_RATIOS
        assert contract.DEFAULT_VIDEO_SECONDS in contract.VIDEO_SECONDS
        assert contract.PAGE_SIZE_DEFAULT <= contract.PAGE_SIZE_MAX

    def test_event_types_end_in_a_status(self) -> None:
        """An event tells of a final status."""
        assert {name.removeprefix("generation.") for name in contract.EVENT_TYPES} < set(contract.STATUSES)
