"""A line in which each network has its turn, however many of one network stand in it."""

import socket
from collections import OrderedDict
from functools import lru_cache
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

_CUSTOMER_BYTES: Final = 8
"""The /64 network of an IPv6 address is what one customer of a provider has."""
_MAPPED: Final = bytes(10) + b"\xff\xff"


class FairQueue(Generic[Item]):
    """Items by the address that they are of: one of each network in turn, and of one network in their order.

    Behind a proxy all have its address: the order is that of their coming then.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[bytes, OrderedDict[Item, None]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, address: str, item: Item) -> None:
        """Place *item* behind those of its network, unless it is there already."""
        line = self._lines.setdefault(_network(address), OrderedDict())
        self._size += item not in line
        line[item] = None

    def take(self) -> Item:
        """Take the next one."""
        network, line = self._lines.popitem(last=False)
        item, _ = line.popitem(last=False)
        self._size -= 1
        if line:
            self._lines[network] = line
        return item

    def drop(self) -> Item:
        """Take the first of the network that has most."""
        network = max(self._lines, key=lambda one: len(self._lines[one]))
        self._lines.move_to_end(network, last=False)
        return self.take()


@lru_cache(maxsize=1024)
def _network(address: str) -> bytes:
    if ":" not in address:
        return address.encode()
    packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    return packed if packed.startswith(_MAPPED) else packed[:_CUSTOMER_BYTES]
