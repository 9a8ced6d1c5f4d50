"""What programs on one database write down for each other."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.client import Client, InvalidParameter, Ledger, PaceStore, Submission
from receiver.errors import ConfigError
from receiver.sandbox import Knobs, Sandbox
from receiver.store.ledger import StoreLedger
from receiver.wiring.ledgers import LedgerDesk, build_ledger, open_ledger, open_pace
from tests.stored import migrated
from tests.unit.wiring.configured import settings


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


class TestAdopt:
    async def test_what_was_not_asked_for(self, tmp_path: Path) -> None:
        """It is refused, with what differs; `force` takes it all the same."""
        with Sandbox() as sandbox:
            desk = LedgerDesk(
                settings(
                    api_key=sandbox.key(),
                    api_base_url=sandbox.url,
                    database_url=migrated(tmp_path / "receiver.db"),
                )
            )
            with Client(sandbox.key(), base_url=sandbox.url) as client:
                made = client.generate.image("a paper boat")
            with closing(build_ledger(desk.settings)) as ledger:
                wanted = {"prompt": "a lighthouse in fog", "model": made.model}
                ledger.begin(Submission("order-1", "image", wanted, "unknown", sent_at=1.0))
            with pytest.raises(InvalidParameter, match="not what was asked for: "):
                await desk.adopt("order-1", made.id)
            settled = await desk.adopt("order-1", made.id, force=True)
            assert (settled.state, settled.generation_id) == ("submitted", made.id)


class TestAbandon:
    async def test_a_name_that_was_used_again_is_left_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another program freed it, and sent another order, just after we had read the first."""
        desk = LedgerDesk(settings(database_url=migrated(tmp_path / "receiver.db")))
        read = StoreLedger.get

        def used_again(ledger: StoreLedger, client_ref: str) -> Submission | None:
            found = read(ledger, client_ref)
            if found is not None and found.state == "unknown":
                ledger.settle(client_ref, state="refused")
                ledger.begin(replace(found, state="sending", sent_at=2.0))
            return found

        monkeypatch.setattr(StoreLedger, "get", used_again)
        with closing(build_ledger(desk.settings)) as ledger:
            ledger.begin(Submission("order-1", "image", {"prompt": "a fox"}, "unknown", sent_at=1.0))
        left = await desk.abandon("order-1")
        assert (left.state, left.sent_at) == ("sending", 2.0)
