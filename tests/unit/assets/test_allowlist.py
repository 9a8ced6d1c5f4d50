"""The operator's list of networks and hosts."""

from ipaddress import ip_address, ip_network

import pytest

from receiver.assets.allowlist import AllowList


class TestParse:
    def test_reads_networks_addresses_and_hosts(self) -> None:
        """A network, an address and a host with or without a port are told apart."""
        parsed = AllowList.parse(["10.0.0.0/8", "::1", "10.0.0.7", "LocalHost", "minio_1.internal:9000"])
        assert parsed.networks == (ip_network("10.0.0.0/8"), ip_network("::1"), ip_network("10.0.0.7"))
        assert parsed.hosts == {("localhost", None), ("minio_1.internal", 9000)}

    def test_refuses_what_is_neither(self, subtests: pytest.Subtests) -> None:
        """A malformed entry is refused with its own text in the message, never passed over."""
        for entry in [
            *("", " ", "10.0.0.1/8", "10.0.0.0/33", "127.1", "0x7f000001", "10.0.0.7:80", "[::1]:80"),
            *("fe80::1%lo", "a b", "http://minio", "minio:0", "minio:65536", "minio:x", "-a.b", "a..b"),
            *("*.internal", "x" * 64, ".".join(["a" * 60] * 5), "é.internal"),
        ]:
            with subtests.test(entry=entry):
                with pytest.raises(ValueError, match=r"network|port|zone") as refusal:
                    AllowList.parse(["10.0.0.0/8", entry])
                assert repr(entry) in str(refusal.value)

    def test_refuses_one_text(self) -> None:
        """A bare string is not taken for a list of letters."""
        with pytest.raises(ValueError, match="list"):
            AllowList.parse("localhost")


class TestMatches:
    def test_host_without_port_is_allowed_on_every_port(self) -> None:
        """`localhost` covers each port of that name, and no name below it."""
        allow = AllowList.parse(["localhost"])
        assert allow.matches("localhost", 1)
        assert not allow.matches("a.localhost", 1)

    def test_host_with_port_is_allowed_on_that_port(self) -> None:
        """`minio:9000` does not cover `minio:9001`."""
        allow = AllowList.parse(["minio:9000"])
        assert allow.matches("minio", 9000)
        assert not allow.matches("minio", 9001)

    def test_address_is_matched_by_network(self) -> None:
        """An address written as a host is looked up in the networks."""
        allow = AllowList.parse(["127.0.0.0/8"])
        assert allow.matches("127.0.0.1", 80)
        assert not allow.matches("128.0.0.1", 80)


class TestCovers:
    @pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::5"])
    def test_plain_and_mapped(self, address: str) -> None:
        """An IPv4 network covers its addresses in IPv4-mapped spelling too."""
        assert AllowList.parse(["10.0.0.0/8", "fd00::/8"]).covers(ip_address(address))

    @pytest.mark.parametrize("address", ["11.1.2.3", "::ffff:11.1.2.3", "::1", "::10.1.2.3"])
    def test_others(self, address: str) -> None:
        """Nothing outside the networks is covered."""
        assert not AllowList.parse(["10.0.0.0/8", "fd00::/8"]).covers(ip_address(address))
