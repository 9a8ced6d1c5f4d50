"""IPv4 addresses inside IPv6 ones, as networks without IPv4 of their own write them (NAT64 with DNS64).

Where such an address leads is decided by the IPv4 address in it, so that one is judged. Which prefix a
network uses it says itself, in its answer for `ipv4only.arpa`. That is believed of space that is public
anyway, where it closes what would be open; of private space only the operator is believed.

Sources: RFC 6052 (section 2.2), RFC 7050, RFC 8215.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Final

DISCOVERY_NAME: Final = "ipv4only.arpa"

_LENGTHS: Final = (96, 64, 56, 48, 40, 32)
_WELL_KNOWN: Final = IPv6Network("64:ff9b::/96")
_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
"""A network may take its prefix from here, of any length."""
_ALLOCATED: Final = IPv6Network("2000::/3")
_OTHER_TUNNELS: Final = (IPv6Network("2001::/23"), IPv6Network("2002::/16"))
_SOUGHT: Final = (IPv4Address("192.0.0.170"), IPv4Address("192.0.0.171"))
_ZERO_OCTET: Final = 8


def embedded(address: IPv6Address, prefixes: Iterable[IPv6Network] = ()) -> tuple[IPv4Address, ...]:
    """Return the IPv4 address in *address*, under one of *prefixes* or of those that all networks know.

    Every one that it may be, where the length of the prefix is not known; none, if it is no such address.
    """
    for prefix in (*prefixes, _WELL_KNOWN):
        if address in prefix:
            return (_read(address, prefix.prefixlen),)
    if address in _LOCAL:
        return tuple(_read(address, length) for length in _LENGTHS if length >= _LOCAL.prefixlen)
    return ()


def parse_prefixes(entries: Iterable[str]) -> tuple[IPv6Network, ...]:
    """Read prefixes such as `fd00:64::/96`.

    Raises:
        ValueError: one is no IPv6 network, or of a length that RFC 6052 does not have.
    """
    prefixes = tuple(map(_prefix, entries))
    return tuple(sorted(prefixes, key=lambda prefix: prefix.prefixlen, reverse=True))


def discovered(answers: Sequence[str]) -> tuple[IPv6Network, ...]:
    """Return the prefixes that *answers* for `DISCOVERY_NAME` show, as far as they are believed."""
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
    """Return what stands behind a prefix of *length*; the ninth octet is no part of any but the longest."""
    octets = address.packed
    if length < max(_LENGTHS):
        octets = octets[:_ZERO_OCTET] + octets[_ZERO_OCTET + 1 :]
    return IPv4Address(octets[length // 8 : length // 8 + 4])
