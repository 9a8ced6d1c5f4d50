"""One of several programs that share an API key and a database: asks as often as it may, until told."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import SecretStr

from receiver.client import Client
from receiver.settings import Settings
from receiver.wiring.ledgers import open_shared

AT_ONCE = 4
ENOUGH = 5
STOP = "stop"


def main(key: str, base_url: str, database_url: str, priority: str, folder: str) -> None:
    """Ask until *folder* says to stop, where a thread that had ENOUGH says so; print how many there were."""
    shared = open_shared(Settings(database_url=SecretStr(database_url)))
    pace = None if shared is None else shared.pace
    stop = Path(folder, STOP)
    with Client(key, base_url=base_url, priority=priority, pace=pace) as client:  # type: ignore[arg-type]

        def ask(number: int) -> int:
            asked = 0
            while not stop.exists():
                client.models.list()
                asked += 1
                if asked == ENOUGH:
                    Path(folder, f"{priority} {os.getpid()} {number}").touch()
            return asked

        with ThreadPoolExecutor(AT_ONCE) as pool:
            print(sum(pool.map(ask, range(AT_ONCE))))  # noqa: T201  # its result


if __name__ == "__main__":
    main(*sys.argv[1:])
