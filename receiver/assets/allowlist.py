"""What the operator allows asset downloads to reach although it is not public."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST: Final = re.compile(rf"(?P<name>{_LABEL}(?:\.{_LABEL})*)(?::(?P<port>[1-9][0-9]{{0,4}}))?")
# Unusual forms that inet_aton reads as an address: 127.1, 0x7f000001.
_ENDS_IN_A_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_MAX_HOST_NAME: Final = 253
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class AllowList:
    """Networks and hosts, parsed once."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[tuple[str, int | None]] = frozenset()
    """Lower-case names, each with the one port it is allowed on, or None for every port."""

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Self:
        """Read entries such as `10.0.0.0/8`, `::1`, `localhost` and `minio.internal:9000`.

        Raises:
            ValueError: an entry is neither a network nor a host name; the message quotes it.
        """
        if isinstance(entries, str):
            raise ValueError("must be a list of networks and host names, not one string")  # noqa: TRY004  a setting's value is wrong
        networks: list[Network] = []
        hosts: set[tuple[str, int | None]] = set()
        for entry in entries:
            if host := _host(entry):
                hosts.add(host)
            else:
                networks.append(_network(entry))
        return cls(tuple(networks), frozenset(hosts))

    def names(self, host: str, port: int) -> bool:
        """Whether *host*, in lower case, is allowed on *port*."""
        return (host, None) in self.hosts or (host, port) in self.hosts

    def covers(self, address: Address) -> bool:
        """Whether *address*, possibly IPv4-mapped, is in an allowed network."""
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return any(address in network or (mapped and mapped in network) for network in self.networks)

    def matches(self, host: str, port: int) -> bool:
        """Whether *host*, a lower-case name or an address, is allowed on *port* or in an allowed network."""
        address = parse_address(host)
        return self.covers(address) if address else self.names(host, port)


@lru_cache(maxsize=1024)
def parse_address(text: str) -> Address | None:
    """Return *text* as an address, or None if it is not one."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def _host(entry: str) -> tuple[str, int | None] | None:
    match = _HOST.fullmatch(entry.lower())
    if match is None or len(match["name"]) > _MAX_HOST_NAME or _ENDS_IN_A_NUMBER.fullmatch(match["name"]):
        return None
    port = int(match["port"]) if match["port"] else None
    if port and port > _MAX_PORT:
        raise ValueError(f"{entry!r}: a port is at most {_MAX_PORT}")
    return match["name"], port


def _network(entry: str) -> Network:
    if "%" in entry:
        raise ValueError(f"{entry!r}: an address with a zone cannot be allowed")
    try:
        return ip_network(entry)
    except ValueError as error:
        raise ValueError(
            f"{entry!r} is neither a network such as 10.0.0.0/8 nor a host name such as minio.internal:9000"
        ) from error
