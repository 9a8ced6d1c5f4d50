"""What programs on one database write down for each other."""

from pathlib import Path

import pytest

from receiver.client import Client, Ledger, PaceStore
from receiver.errors import ConfigError
from receiver.sandbox import Knobs, Sandbox
from receiver.wiring.ledgers import open_ledger, open_pace


class TestOpenLedger:
    def test_is_one_for_a_client(self, tmp_path: Path) -> None:
        """A name is never paid for twice, not by another client, and not after a restart either."""
        url = f"sqlite:///{tmp_path}/new/ledger.db"
        with Sandbox(knobs=Knobs(progression="immediate")) as sandbox:
            made = []
            for _ in range(2):
                ledger = open_ledger(url)
                typed: Ledger = ledger
                with Client(sandbox.key(), base_url=sandbox.url, ledger=typed) as client:
                    made.append(client.run("image", "a fox", client_ref="order-1").id)
                ledger.close()
            assert made[0] == made[1]
            assert sandbox.charges() == 1

    def test_refuses_what_it_cannot_be_kept_in(self) -> None:
        """In words of ours."""
        with pytest.raises(ConfigError):
            open_ledger("mysql://x/y")


class TestOpenPace:
    def test_is_one_for_a_client(self, tmp_path: Path) -> None:
        """Beside a ledger, which made the file."""
        url = f"sqlite:///{tmp_path}/ledger.db"
        open_ledger(url).close()
        pace = open_pace(url)
        typed: PaceStore = pace
        with Sandbox() as sandbox, Client(sandbox.key(), base_url=sandbox.url, pace=typed) as client:
            client.models.list()
        pace.close()
