"""`receiver submissions`: the ledger of requests with a reference, and those in doubt."""

from typing import TYPE_CHECKING, Final

import click

from receiver.cli import records
from receiver.cli.connection import load_settings, open_client, open_ledger
from receiver.cli.console import note, use_store
from receiver.cli.output import json_option, say, show_record, show_rows

if TYPE_CHECKING:
    from receiver.client import Ledger, Submission
    from receiver.settings import Settings

_STATES = ("sending", "submitted", "refused", "unknown")
_COLUMNS: Final = (
    "client_ref as ref, state, kind as type, generation_id as generation, sent_at as sent, prompt, error"
)


@click.group()
def submissions() -> None:
    """List requests made with --ref, and settle those in doubt."""


@submissions.command("list")
@click.option("--state", type=click.Choice(_STATES), help="Only this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@json_option
def list_(*, state: str | None, limit: int, as_json: bool) -> None:
    """List submissions, latest first. `sending` and `unknown` are in doubt."""
    with open_ledger(load_settings()) as ledger:
        found = ledger.list(state=state, limit=limit)
    show_rows([records.submission(one) for one in found], columns=_COLUMNS, as_json=as_json)


@submissions.command()
@click.argument("ref")
@json_option
def recover(*, ref: str, as_json: bool) -> None:
    """Find the generation of the submission REF.

    REF is settled if exactly one in the provider's list matches. Only reads; charges nothing.
    """
    settings = load_settings()
    with open_ledger(settings) as ledger, open_client(settings, ledger=ledger) as client:
        _in_doubt(ledger, ref)
        _note(settings, "submissions.recover", ref)
        show_record(records.generation(client.generate.recover(ref)), as_json=as_json)


@submissions.command()
@click.argument("ref")
@click.argument("generation_id", metavar="ID")
@click.option("--force", is_flag=True, help="Even if type, model or prompt differ.")
@json_option
def adopt(*, ref: str, generation_id: str, force: bool, as_json: bool) -> None:
    """Settle the submission REF, which is in doubt, as the generation ID.

    Find ID with `receiver generations list`. It must match the request, and belong to no other submission.
    """
    from receiver.wiring.ledgers import differences

    settings = load_settings()
    with open_ledger(settings) as ledger, open_client(settings, ledger=ledger) as client:
        wanted = _in_doubt(ledger, ref)
        mismatch = differences(wanted, client.generations.get(generation_id))
        if mismatch and not force:
            raise click.UsageError(f"{generation_id} is not what {ref} asked for: {'; '.join(mismatch)}.")
        _note(settings, "submissions.adopt", f"{ref} is {generation_id}")
        show_record(records.generation(client.generate.adopt(ref, generation_id)), as_json=as_json)


@submissions.command()
@click.argument("ref")
@click.option("--yes", is_flag=True, help="Skip the confirmation.")
def abandon(*, ref: str, yes: bool) -> None:
    """Settle the submission REF, which is in doubt, as never accepted.

    Using REF again is then charged. Check the provider's own pages first: if the request was accepted after
    all, you pay twice.
    """
    settings = load_settings()
    with open_ledger(settings) as ledger:
        _in_doubt(ledger, ref)
        if not (yes or click.confirm(f"The next call of {ref} will be charged. Continue?", err=True)):
            say("Nothing was done.")
            return
        _note(settings, "submissions.abandon", ref)
        ledger.settle(ref, state="refused", error="abandoned")
    say(f"{ref} may be requested again.")


def _note(settings: "Settings", what: str, on: str) -> None:
    """Record it in the audit log, which is in the ledger's database."""
    use_store(settings, lambda store: note(store, what, on))


def _in_doubt(ledger: "Ledger", ref: str) -> "Submission":
    from receiver.client import NotFound

    found = ledger.get(ref)
    if found is None:
        raise NotFound(f"there is no submission {ref} in RECEIVER_DATABASE_URL")
    if found.state == "submitted":
        raise click.UsageError(f"{ref} is settled: it is {found.generation_id}.")
    if found.state == "refused":
        raise click.UsageError(f"{ref} was refused, and nothing was charged: request it again.")
    return found
