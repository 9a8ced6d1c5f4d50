"""One of several programs that share an API key and a database: asks for a while, as often as it may."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from pydantic import SecretStr

from receiver.client import Client
from receiver.settings import Settings
from receiver.wiring.ledgers import open_shared

AT_ONCE = 4


def main(key: str, base_url: str, database_url: str, priority: str, seconds: str) -> None:
    """Ask, and print how many answers there were."""
    shared = open_shared(Settings(database_url=SecretStr(database_url)))
    pace = None if shared is None else shared.pace
    until = time.monotonic() + float(seconds)
    with Client(key, base_url=base_url, priority=priority, pace=pace) as client:  # type: ignore[arg-type]

        def ask(_: int) -> int:
            asked = 0
            while time.monotonic() < until:
                client.models.list()
                asked += 1
            return asked

        with ThreadPoolExecutor(AT_ONCE) as pool:
            print(sum(pool.map(ask, range(AT_ONCE))))  # noqa: T201  # its result


if __name__ == "__main__":
    main(*sys.argv[1:])
