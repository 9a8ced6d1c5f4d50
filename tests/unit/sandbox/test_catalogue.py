"""The models on offer."""

from receiver.contract import DEFAULT_IMAGE_MODEL, DEFAULT_VIDEO_MODEL
from receiver.sandbox.catalogue import BY_ID, MODELS


class TestModels:
    def test_as_many_as_the_document_counts(self) -> None:
        """Eighteen, each once."""
        assert (len(MODELS), len(BY_ID)) == (18, 18)

    def test_the_documents_two_cost_what_it_says(self) -> None:
        """5 and 450 credits."""
        assert BY_ID[DEFAULT_IMAGE_MODEL].credits_per_generation == 5
        assert BY_ID[DEFAULT_VIDEO_MODEL].credits_per_generation == 450

    def test_the_others_are_recognisably_invented(self) -> None:
        """Nobody takes them for the provider's."""
        assert all(model.id.startswith("sandbox/") for model in MODELS[2:])

    def test_there_are_more_categories_than_the_document_shows(self) -> None:
        """So that nobody relies on two."""
        assert {model.category for model in MODELS} > {"image-generation", "video-generation"}
