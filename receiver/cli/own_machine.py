"""Addresses that mean the local machine; in a container, that is the container itself."""

import re
from collections.abc import Iterator
from typing import Final

from receiver.client.parameters import is_loopback

_HOSTS: Final = re.compile(r"//(?:[^/?#]*@)?([^/?#]+)")
_HOST: Final = re.compile(r"\[([^\]]*)\]|([^:]+)")


def is_own_machine(url: str) -> bool:
    """Whether a host of *url* means the local machine."""
    return any(is_loopback(host) or host == "0.0.0.0" for host in _hosts(url))  # noqa: S104  it binds nothing


def _hosts(url: str) -> Iterator[str]:
    """Yield each host: some URLs name several, or are prefixed by another scheme."""
    for several in _HOSTS.findall(url):
        for one in several.split(","):
            if found := _HOST.match(one):
                yield (found[1] or found[2] or "").lower()
