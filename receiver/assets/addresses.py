"""Which addresses are public.

`ipaddress.is_global` is not used: it calls multicast, NAT64, 6to4 and unallocated space global, and differs
between patch releases of Python (CVE-2024-4032). IPv4 is public unless listed here; IPv6 is public only
inside 2000::/3, the space allocated so far, unless listed here. So addresses that wrap an IPv4 address
(mapped, compatible, translated, Teredo, 6to4) are not public. NAT64's are the exception: the network
translates them, so the embedded IPv4 address decides.

Source: https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Final

from receiver.assets.allowlist import Address
from receiver.assets.nat64 import embedded

_NOT_PUBLIC_IPV4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT; Alibaba Cloud's metadata
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure's platform endpoint, in public space
            "169.254.0.0/16",  # link-local; metadata of most clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments; Oracle Cloud's metadata
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarking
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved and broadcast
        ),
    )
)
_NOWHERE: Final = (IPv4Network("0.0.0.0/8"), IPv4Network("240.0.0.0/4"))
"""Unreachable addresses."""
_ALLOCATED_IPV6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_IPV6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)


def is_public(address: Address, *, nat64: Sequence[IPv6Network] = ()) -> bool:
    """Whether *address* is an ordinary host on the public Internet, seen from a network with *nat64*."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_IPV4)
    inside = embedded(address, nat64)
    if inside:
        # All possible readings must be public.
        return any(map(is_public, inside)) and all(is_public(each) or _is_nowhere(each) for each in inside)
    return address in _ALLOCATED_IPV6 and not any(address in network for network in _NOT_PUBLIC_IPV6)


def _is_nowhere(address: IPv4Address) -> bool:
    return any(address in network for network in _NOWHERE)
