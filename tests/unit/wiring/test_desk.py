"""Submissions in doubt, settled by an operator over HTTP."""

from contextlib import closing
from pathlib import Path

import pytest

from receiver.client import Client, InvalidParameter, Submission
from receiver.sandbox import Sandbox
from receiver.wiring.desk import LedgerDesk
from receiver.wiring.ledgers import build_ledger
from tests.stored import migrated
from tests.unit.wiring.configured import settings


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
