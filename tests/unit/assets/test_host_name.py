"""Names of hosts."""

import pytest

from receiver.assets.host_name import to_ascii


class TestToAscii:
    @pytest.mark.parametrize(
        ("written", "name"),
        [
            ("CDN.Example.com", "cdn.example.com"),
            ("a_b.Bücher.de", "a_b.xn--bcher-kva.de"),
            ("ΑΒΓ.gr", "xn--mxacd.gr"),
            ("", ""),
        ],
    )
    def test_what_dns_knows(self, written: str, name: str) -> None:
        """ASCII is lowered, every other label encoded; an underscore beside it is no hindrance."""
        assert to_ascii(written) == name

    def test_refused(self, subtests: pytest.Subtests) -> None:
        """What stands for another name, or for none, is a ValueError."""
        for written in (
            "\u212a.com",
            "examp\xadle.com",
            "127。0。0。1",
            "\uff58.com",
            "a\u2044b.com",
            "é-.com",
            "🦊.com",
            "ü" * 64,
        ):
            with subtests.test(written=written), pytest.raises(ValueError, match=r"."):
                to_ascii(written)
