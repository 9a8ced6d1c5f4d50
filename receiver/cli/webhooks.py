"""`receiver webhooks`: the webhooks registered with the provider."""

from typing import Final

import click

from receiver.cli import records
from receiver.cli.connection import load_settings, open_client
from receiver.cli.output import json_option, say, show_record, show_rows
from receiver.contract import EVENT_TYPES, EventType

_COLUMNS: Final = "id, created_at as created, events, url"
_SECRET = frozenset({"secret"})

_events = click.option(
    "--event", "events", type=click.Choice(EVENT_TYPES), multiple=True, help="Only this event; repeatable."
)


@click.group()
def webhooks() -> None:
    """Manage the webhooks registered with the provider."""


@webhooks.command()
@click.argument("url")
@_events
@json_option
def create(*, url: str, events: tuple[EventType, ...], as_json: bool) -> None:
    """Register URL, which must be https, and print the signing secret if returned."""
    with open_client(load_settings()) as client:
        made = client.webhooks.create(url, events or None)
    show_record(records.record(made), as_json=as_json)
    if made.secret:
        say("Put the secret into RECEIVER_WEBHOOK_SECRETS now: the provider may never show it again.")
    else:
        say("The provider showed no secret: copy it from its webhook page into RECEIVER_WEBHOOK_SECRETS.")


@webhooks.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List the registered webhooks."""
    with open_client(load_settings()) as client:
        found = [records.record(one, without=_SECRET) for one in client.webhooks.list()]
        show_rows(found, columns=_COLUMNS, as_json=as_json)


@webhooks.command()
@click.argument("webhook_id", metavar="ID")
@click.option("--url", help="The new URL.")
@_events
@json_option
def update(*, webhook_id: str, url: str | None, events: tuple[EventType, ...], as_json: bool) -> None:
    """Change the given options of a webhook."""
    from receiver.client import OMIT

    if url is None and not events:
        raise click.UsageError("Give --url or --event: there is nothing to change.")
    with open_client(load_settings()) as client:
        changed = client.webhooks.update(webhook_id, url=url or OMIT, events=events or OMIT)
    show_record(records.record(changed, without=_SECRET), as_json=as_json)


@webhooks.command()
@click.argument("webhook_id", metavar="ID")
def delete(*, webhook_id: str) -> None:
    """Remove a webhook."""
    with open_client(load_settings()) as client:
        client.webhooks.delete(webhook_id)
    say(f"{webhook_id} is removed")
