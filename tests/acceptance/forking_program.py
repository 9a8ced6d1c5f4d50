"""A program that makes its client first and forks then, as Celery, gunicorn --preload and multiprocessing do.

Threads of the parent use the client meanwhile, so that its locks are held when it forks.
"""

import json
import os
import sys
import threading
from contextlib import suppress

from receiver.client import Client, ClientError
from receiver.wiring.ledgers import open_ledger, open_pace

CHILDREN, CALLS = 3, 3


def main(key: str, base_url: str, database_url: str) -> None:
    """Print what each child got: pairs of what it asked for and what it was told."""
    ledger, pace = open_ledger(database_url), open_pace(database_url)
    client = Client(key, base_url=base_url, ledger=ledger, pace=pace)
    plain = Client(key, base_url=base_url)
    known = [client.generate.image(f"of the parent {n}").id for n in range(CALLS)]
    stopped = threading.Event()

    def hammer() -> None:
        while not stopped.is_set():
            with suppress(ClientError):
                plain.generations.get(known[0])
                client.generations.get(known[0])
                ledger.get("none")

    threads = [threading.Thread(target=hammer, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    children = [os.fork() or child(client, plain, known, number) for number in range(CHILDREN)]
    stopped.set()
    for thread in threads:
        thread.join()
    statuses = [os.waitpid(pid, 0)[1] for pid in children]
    after = [client.generations.get(name).id for name in known]
    print(json.dumps({"parent": [known, after], "statuses": statuses}), flush=True)  # noqa: T201  # its result
    client.close()
    plain.close()
    ledger.close()
    pace.close()


def child(client: Client, plain: Client, known: list[str], number: int) -> int:
    """Use everything that the parent made, and print one line."""
    pairs = []
    for count, wanted in enumerate(known):
        pairs.append((wanted, client.generations.get(wanted).id))
        pairs.append((wanted, plain.generations.get(wanted).id))
        made = client.generate.image(f"{number}/{count}", client_ref=f"{number}/{count}")
        row = client.generate.image(f"{number}/{count}", client_ref=f"{number}/{count}")
        pairs.append((made.id, row.id))
    client.close()
    print(json.dumps({"child": number, "pairs": pairs}), flush=True)  # noqa: T201  # its result
    sys.exit(0)  # through the interpreter's end, which closes whatever is left


if __name__ == "__main__":
    main(*sys.argv[1:])
