"""What an operator may ask of every object."""

from urllib.parse import parse_qs

import pytest

from receiver.assets.s3_options import ObjectOptions
from receiver.errors import ConfigError

IDS = {"event-id": "e" * 36, "generation-id": "gen:1", "source": "photoverse", "sha256": "f" * 64}


class TestParse:
    def test_nothing_asked(self) -> None:
        """Without settings no parameter is sent."""
        assert ObjectOptions.parse().parameters(IDS) == {}

    def test_everything_asked(self) -> None:
        """Each setting is the parameter S3 has for it."""
        options = ObjectOptions.parse(
            sse="aws:kms", kms_key_id="alias/media", storage_class="STANDARD_IA", tags=("team=media",)
        )
        assert options.parameters(IDS) == {
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": "alias/media",
            "StorageClass": "STANDARD_IA",
            "Tagging": "team=media",
        }

    @pytest.mark.parametrize("sse", [None, "AES256"])
    def test_key_without_kms(self, sse: str | None) -> None:
        """A key that would not be used is refused: the operator believes that it is."""
        with pytest.raises(ConfigError, match=r"RECEIVER_S3_KMS_KEY_ID: set RECEIVER_S3_SSE=aws:kms, too"):
            ObjectOptions.parse(sse=sse, kms_key_id="alias/media")

    @pytest.mark.parametrize("storage_class", ["standard ia", "cold\n", "x" * 65])
    def test_no_storage_class(self, storage_class: str) -> None:
        """What cannot be a header's value is refused."""
        with pytest.raises(ConfigError, match="RECEIVER_S3_STORAGE_CLASS"):
            ObjectOptions.parse(storage_class=storage_class)

    def test_tags_beyond_the_limits(self, subtests: pytest.Subtests) -> None:
        """What S3 would refuse with each asset is refused at start."""
        for tags in [
            *(
                ("",),
                ("team",),
                ("=media",),
                ("a=1", "a=2"),
                ("aws:a=1",),
                ("AWS:a=1",),
                ("a&b=1",),
                ("a=1;2",),
            ),
            *(("a" * 129 + "=1",), ("a=" + "x" * 257,), tuple(f"tag{number}=1" for number in range(11))),
            *(("a={url}",), ("a={event_id",), ("a=" + "{generation_id}" * 3,), ("a=x\ny",)),
        ]:
            with subtests.test(tags=tags), pytest.raises(ConfigError, match="RECEIVER_S3_TAGS"):
                ObjectOptions.parse(tags=tags)


class TestParameters:
    def test_tags_tell_what_the_object_is(self) -> None:
        """Values may hold the ids; whatever they hold is encoded as S3 wants it."""
        tags = ("team=a b+c", "event={event_id}", "of={source}/{generation_id}", "digest={sha256}", "empty=")
        sent = ObjectOptions.parse(tags=tags).parameters(IDS)["Tagging"]
        assert parse_qs(sent, keep_blank_values=True, strict_parsing=True) == {
            "team": ["a b+c"],
            "event": ["e" * 36],
            "of": ["photoverse/gen:1"],
            "digest": ["f" * 64],
            "empty": [""],
        }
