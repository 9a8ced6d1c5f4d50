"""IPv4 addresses embedded in IPv6 ones, as in IPv6-only networks (NAT64 with DNS64).

Such an address leads to the embedded IPv4 address, so we judge that one. A network announces its prefix in
its answer for `ipv4only.arpa`. We believe that only for public space, where it can only close what would be
open. For private space, only the operator's word counts.

Sources: RFC 6052 (section 2.2), RFC 7050, RFC 8215.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Final

DISCOVERY_NAME: Final = "ipv4only.arpa"

_LENGTHS: Final = (96, 64, 56, 48, 40, 32)
_WELL_KNOWN: Final = IPv6Network("64:ff9b::/96")
_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
"""A network may choose its prefix from here, with any length."""
_ALLOCATED: Final = IPv6Network("2000::/3")
_OTHER_TUNNELS: Final = (IPv6Network("2001::/23"), IPv6Network("2002::/16"))
_SOUGHT: Final = (IPv4Address("192.0.0.170"), IPv4Address("192.0.0.171"))
_ZERO_OCTET: Final = 8


def embedded(address: IPv6Address, prefixes: Iterable[IPv6Network] = ()) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses in *address*, under one of *prefixes* or the well-known ones.

    If the prefix length is unknown, return all possible readings. Return none if it is not such an address.
    """
    for prefix in (*prefixes, _WELL_KNOWN):
        if address in prefix:
            return (_read(address, prefix.prefixlen),)
    if address in _LOCAL:
        return tuple(_read(address, length) for length in _LENGTHS if length >= _LOCAL.prefixlen)
    return ()


def parse_prefixes(entries: Iterable[str]) -> tuple[IPv6Network, ...]:
    """Parse prefixes such as `fd00:64::/96`.

    Raises:
        ValueError: one is not an IPv6 network, or has a length that RFC 6052 does not define.
    """
    prefixes = tuple(map(_prefix, entries))
    return tuple(sorted(prefixes, key=lambda prefix: prefix.prefixlen, reverse=True))


def discovered(answers: Sequence[str]) -> tuple[IPv6Network, ...]:
    """Return the prefixes that *answers* for `DISCOVERY_NAME` show, if we believe them."""
    addresses = (IPv6Address(answer) for answer in answers if ":" in answer and "%" not in answer)
    found = {prefix for address in addresses if (prefix := _prefix_of(address)) and _is_believed(prefix)}
    return tuple(sorted(found, key=lambda prefix: prefix.prefixlen, reverse=True))


def _prefix(entry: str) -> IPv6Network:
    try:
        prefix = IPv6Network(entry)
    except ValueError as error:
        raise ValueError(f"{entry!r} is not an IPv6 prefix such as fd00:64::/96: {error}") from error
    if prefix.prefixlen not in _LENGTHS:
        raise ValueError(f"{entry!r}: a NAT64 prefix is /{', /'.join(map(str, sorted(_LENGTHS)))}")
    return prefix


def _prefix_of(address: IPv6Address) -> IPv6Network | None:
    for length in _LENGTHS:
        if _read(address, length) in _SOUGHT:
            return IPv6Network((address, length), strict=False)
    return None


def _is_believed(prefix: IPv6Network) -> bool:
    if any(prefix.overlaps(tunnel) for tunnel in _OTHER_TUNNELS):
        return False
    return prefix.subnet_of(_ALLOCATED) or prefix.subnet_of(_LOCAL)


def _read(address: IPv6Address, length: int) -> IPv4Address:
    """Return the address after a prefix of *length*; only the longest prefix includes the ninth octet."""
    octets = address.packed
    if length < max(_LENGTHS):
        octets = octets[:_ZERO_OCTET] + octets[_ZERO_OCTET + 1 :]
    return IPv4Address(octets[length // 8 : length // 8 + 4])
