"""Each destination gets exactly what it asks for, also what was there before it: real processes."""

from pathlib import Path

import pytest

from tests.acceptance.service import MORTAL, Service, completed, failed, kill, service
from tests.servers.assets import AssetHost
from tests.waiting.blocking import until

IMAGES = {"KINDS": "image", "FILTER": "data.asset.status == 'mirrored'"}
FAILURES = {
    "TYPES": "generation.failed",
    "PROJECTION": "{generation: generation_id, why: error.message}",
}


def destination(receiver: Service, name: str, **options: str) -> None:
    """Add a file destination to the settings of what is started from now on."""
    wanted = {"URL": f"file://{receiver.folder}/{name}.jsonl", **options}
    receiver.settings |= {
        f"RECEIVER_DESTINATIONS__{name.upper()}__{key}": text for key, text in wanted.items()
    }


def subjects(receiver: Service, name: str) -> list[str]:
    return [message["subject"] for message in receiver.messages(name)]


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_filters_and_a_latecomer(
    tmp_path: Path, asset_host: AssetHost, database: str, request: pytest.FixtureRequest
) -> None:
    """Two destinations get what their filters hold for; a third, added later, gets the past, once."""
    with service(tmp_path, **MORTAL) as receiver:
        if database == "postgres":
            receiver.settings["RECEIVER_DATABASE_URL"] = request.getfixturevalue("postgres_database")
            receiver.run("migrate")
        destination(receiver, "images", **IMAGES)
        destination(receiver, "failures", **FAILURES)
        process = receiver.start()
        url = f"{asset_host.url}/a.png?sig=x"
        for number in range(2):
            receiver.deliver(completed(f"gen_i{number}", url))
            receiver.deliver(completed(f"gen_v{number}", url, type="video"))
            receiver.deliver(completed(f"gen_n{number}", None))  # an image that has no file
            receiver.deliver(failed(f"gen_f{number}", error=f"broken {number}"))
        until(lambda: len(set(subjects(receiver, "messages"))) == 8)
        until(lambda: set(subjects(receiver, "images")) == {f"gen_i{n}" for n in range(2)})
        until(lambda: set(subjects(receiver, "failures")) == {f"gen_f{n}" for n in range(2)})
        kill(process)
        del receiver.settings["RECEIVER_LEASE_S"]
        first, *_ = [one for one in receiver.messages("failures") if one["subject"] == "gen_f0"]
        assert first["data"] == {"generation": "gen_f0", "why": "broken 0"}
        assert "dataschema" not in first

        asset_host.status = 404  # whatever comes from now on comes from the bucket
        destination(receiver, "late", KINDS="image")
        receiver.start()
        (offer,) = until(lambda: receiver.logged("destination has missed events"))
        assert (offer["destination"], offer["events"]) == ("late", 8)
        receiver.deliver(failed("gen_new"))
        until(lambda: subjects(receiver, "late") == ["gen_new"])
        for _ in range(2):
            receiver.run("destinations", "backfill", "late", "--filter", "data.asset.url || data.error")
        until(lambda: len(subjects(receiver, "late")) == 5)
        last = receiver.deliver(failed("gen_last")).json["event_id"]
        until(lambda: receiver.forwarded(last, "late"))

        assert sorted(subjects(receiver, "late")) == sorted(
            ["gen_new", "gen_last", *(f"gen_{kind}{n}" for kind in "if" for n in range(2))]
        )
        for before in receiver.messages("images"):
            (again,) = receiver.forwarded(before["id"], "late")
            assert again == before
        # The kill may have come between a message and the note of it.
        until(lambda: len({message["id"] for message in receiver.messages()}) == 10)
