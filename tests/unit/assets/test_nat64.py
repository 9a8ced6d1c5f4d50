"""IPv4 addresses inside IPv6 ones."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest

from receiver.assets.nat64 import discovered, embedded, parse_prefixes

# RFC 6052, section 2.4
RFC_6052 = [
    ("2001:db8::/32", "2001:db8:c000:221::"),
    ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
    ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
    ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
    ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
    ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
]


class TestEmbedded:
    @pytest.mark.parametrize(("prefix", "address"), RFC_6052)
    def test_examples_of_the_rfc(self, prefix: str, address: str) -> None:
        """Each length of prefix has its place for the four octets."""
        assert embedded(IPv6Address(address), [IPv6Network(prefix)]) == (IPv4Address("192.0.2.33"),)

    def test_well_known(self) -> None:
        """The prefix of RFC 6052 needs not be told."""
        assert embedded(IPv6Address("64:ff9b::8.8.8.8")) == (IPv4Address("8.8.8.8"),)

    def test_local(self) -> None:
        """Of a local prefix every reading is returned, or the one of a prefix that is known."""
        address = IPv6Address("64:ff9b:1:fffe::8.8.8.8")
        read = {str(each) for each in embedded(address)}
        assert read == {"8.8.8.8", "0.0.0.8", "254.0.0.0", "255.254.0.0"}
        assert embedded(address, [IPv6Network("64:ff9b:1:fffe::/96")]) == (IPv4Address("8.8.8.8"),)

    @pytest.mark.parametrize(
        "address", ["2001:4860::8888", "64:ff9b:2::1", "::ffff:8.8.8.8", "fd00::8.8.8.8"]
    )
    def test_none(self, address: str) -> None:
        """No other address has one."""
        assert embedded(IPv6Address(address)) == ()


class TestDiscovered:
    @pytest.mark.parametrize(
        ("prefix", "answers"),
        [
            (
                "2a00:1:2::/96",
                ["192.0.0.170", "192.0.0.171", "2a00:1:2::192.0.0.170", "2a00:1:2::192.0.0.171"],
            ),
            ("2a00:1:2:3::/64", ["2a00:1:2:3:c0:0:aa00:0"]),
            ("2a00:1::/32", ["2a00:1:c000:aa::"]),
            ("64:ff9b:1:a00::/96", ["64:ff9b:1:a00::192.0.0.171"]),
        ],
    )
    def test_prefix_of_the_network(self, prefix: str, answers: list[str]) -> None:
        """The network's answer for a name without IPv6 shows its prefix (RFC 7050)."""
        assert discovered(answers) == (IPv6Network(prefix),)

    @pytest.mark.parametrize(
        "answer",
        [
            *("fd00:64::192.0.0.170", "fe80::192.0.0.170", "::ffff:192.0.0.170", "::192.0.0.170"),
            *("2002:c000:aa::", "2001:0:c000:aa::", "fe80::c000:aa%lo", "ff02::192.0.0.170"),
            *("2a00::192.0.0.172", "192.0.0.170", "8.8.8.8", "2a00::1"),
        ],
    )
    def test_not_believed(self, answer: str) -> None:
        """No answer opens private space, however it is signed; nor does one that shows no prefix."""
        assert discovered([answer]) == ()


class TestParsePrefixes:
    def test_longest_first(self) -> None:
        """The prefix that fits best decides."""
        assert list(map(str, parse_prefixes(["fd00::/32", "fd00::/96"]))) == ["fd00::/96", "fd00::/32"]

    @pytest.mark.parametrize("entry", ["", "x", "10.0.0.0/96", "fd00::/95", "fd00::1/96", "fd00::1"])
    def test_refused(self, entry: str) -> None:
        """Anything else is quoted."""
        with pytest.raises(ValueError, match=repr(entry)):
            parse_prefixes([entry])
