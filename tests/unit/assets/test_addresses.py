"""Which addresses are public: every range at its edges."""

from ipaddress import IPv6Network, ip_address

import pytest

from receiver.assets.addresses import is_public

IPV4_EDGES = [
    ("0.255.255.255", "1.0.0.0"),
    ("10.0.0.0", "9.255.255.255"),
    ("10.255.255.255", "11.0.0.0"),
    ("100.64.0.0", "100.63.255.255"),
    ("100.127.255.255", "100.128.0.0"),
    ("127.0.0.0", "126.255.255.255"),
    ("127.255.255.255", "128.0.0.0"),
    ("168.63.129.16", "168.63.129.17"),
    ("169.254.0.0", "169.253.255.255"),
    ("169.254.255.255", "169.255.0.0"),
    ("172.16.0.0", "172.15.255.255"),
    ("172.31.255.255", "172.32.0.0"),
    ("192.0.0.0", "191.255.255.255"),
    ("192.0.0.255", "192.0.1.0"),
    ("192.0.2.255", "192.0.3.0"),
    ("192.31.196.1", "192.31.197.0"),
    ("192.52.193.1", "192.52.194.0"),
    ("192.88.99.1", "192.88.100.0"),
    ("192.168.0.0", "192.167.255.255"),
    ("192.168.255.255", "192.169.0.0"),
    ("192.175.48.1", "192.175.49.0"),
    ("198.18.0.0", "198.17.255.255"),
    ("198.19.255.255", "198.20.0.0"),
    ("198.51.100.7", "198.51.101.0"),
    ("203.0.113.7", "203.0.114.0"),
    ("224.0.0.0", "223.255.255.255"),
    ("255.255.255.255", "8.8.8.8"),
    ("240.0.0.1", "1.1.1.1"),
]
IPV6_EDGES = [
    ("1fff:ffff::", "2000::1"),
    ("4000::", "3ffe:ffff::1"),
    ("2001:1ff:ffff::1", "2001:200::1"),
    ("2001:db8:ffff::1", "2001:db7::1"),
    ("2002::1", "2003::1"),
    ("2620:4f:8000::1", "2620:4f:8001::1"),
    ("3fff:fff::1", "3fff:1000::1"),
]
WRAPPED = ["::ffff:8.8.8.8", "::8.8.8.8", "::ffff:0:8.8.8.8", "2002:808:808::1", "64:ff9b:2::808:808"]


class TestIsPublic:
    def test_edges(self, subtests: pytest.Subtests) -> None:
        """Each special range is refused at its edge, and its neighbour is not."""
        for inside, outside in IPV4_EDGES + IPV6_EDGES:
            with subtests.test(inside=inside, outside=outside):
                assert not is_public(ip_address(inside))
                assert is_public(ip_address(outside))

    @pytest.mark.parametrize("address", WRAPPED)
    def test_wrapped_ipv4_is_never_public(self, address: str) -> None:
        """An IPv4 address inside an IPv6 one is refused: a gateway would decide where it leads."""
        assert not is_public(ip_address(address))

    @pytest.mark.parametrize("prefix", ["64:ff9b::", "64:ff9b:1::", "64:ff9b:1:fffe::"])
    def test_nat64(self, prefix: str) -> None:
        """What the network translates is as public as the address inside, at each of its edges."""
        for private, public in IPV4_EDGES:
            assert not is_public(ip_address(prefix + private))
            assert is_public(ip_address(prefix + public))

    @pytest.mark.parametrize(
        ("address", "public"),
        [
            ("64:ff9b:1:808:8:800::", True),
            ("64:ff9b:1:a9fe:a9:fe00:808:808", False),
            ("64:ff9b:1:0:a9:fea9:fe00:808", False),
            ("64:ff9b:1::", False),
        ],
    )
    def test_nat64_of_unknown_length(self, address: str, public: bool) -> None:
        """Where several readings are possible, none may lead to what is not public."""
        assert is_public(ip_address(address)) is public

    def test_own_nat64(self) -> None:
        """A prefix that is known decides, in private space as in public."""
        ours = (
            IPv6Network("fd00:64::/96"),
            IPv6Network("2a00:1:2:3::/96"),
            IPv6Network("64:ff9b:1:a00::/96"),
        )
        for prefix in ("fd00:64::", "2a00:1:2:3::", "64:ff9b:1:a00::"):
            assert is_public(ip_address(f"{prefix}8.8.8.8"), nat64=ours)
            assert not is_public(ip_address(f"{prefix}10.0.0.1"), nat64=ours)
        assert not is_public(ip_address("fd00:65::8.8.8.8"), nat64=ours)
        assert not is_public(ip_address("fd00:64::8.8.8.8"))
