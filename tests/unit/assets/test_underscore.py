"""Which names of a certificate cover a host. The connection itself is tried in `test_fetch`."""

import pytest

from receiver.assets.underscore import covers


class TestCovers:
    @pytest.mark.parametrize(
        "name",
        ["my_bucket.s3.example.com", "*.s3.example.com", "*.S3.Example.COM", "MY_BUCKET.s3.example.com"],
    )
    def test_its_own(self, name: str) -> None:
        """The very name, or a wildcard for its first label, in any case."""
        assert covers(["other.com", name], "my_bucket.s3.Example.com")

    @pytest.mark.parametrize(
        "name",
        [
            *(
                "*.example.com",
                "*",
                "*.com",
                "my*.s3.example.com",
                "*_bucket.s3.example.com",
                "s3.example.com",
            ),
            *("*.*.example.com", "", "a.my_bucket.s3.example.com", "my_bucket.*.example.com"),
        ],
    )
    def test_of_others(self, name: str) -> None:
        """No part of a label, no second label, and nothing shorter."""
        assert not covers([name], "my_bucket.s3.example.com")

    def test_wildcard_right_below_the_top(self) -> None:
        """No wildcard covers all of a top level."""
        assert not covers(["*.com"], "my_bucket.com")
