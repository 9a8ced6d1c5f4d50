"""The names assets have in a bucket."""

import pytest

from receiver.assets.object_keys import beside, require_safe


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
