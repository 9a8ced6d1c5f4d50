"""`receiver keys`: API keys, which only a signed-in person may manage."""

from typing import Final

import click

from receiver.cli import records
from receiver.cli.connection import load_settings, open_session
from receiver.cli.output import json_option, say, show_record, show_rows
from receiver.contract import SCOPES, Scope

_COLUMNS: Final = "id, name, created_at as created, expires_at as expires, scopes, ip_allowlist as only from"
_KEY = frozenset({"key"})


@click.group()
def keys() -> None:
    """Manage API keys, as the signed-in user.

    The provider does not accept an API key here. Sign in on its page, and put the Cookie header that the
    browser sends into RECEIVER_SESSION_COOKIE.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    help="What the key may do; repeatable.  [default: read]",
)
@click.option(
    "--ip",
    "ip_allowlist",
    metavar="ADDRESS",
    multiple=True,
    help="IP address that may use it; repeatable.  [default: any]",
)
@click.option(
    "--expires-at", metavar="TIME", help="When it expires, in ISO 8601 with a time zone.  [default: never]"
)
@json_option
def create(
    *,
    name: str,
    scopes: tuple[Scope, ...],
    ip_allowlist: tuple[str, ...],
    expires_at: str | None,
    as_json: bool,
) -> None:
    """Create an API key called NAME and print it: the provider shows it only once."""
    from receiver.client import OMIT

    with open_session(load_settings()) as session:
        made = session.keys.create(
            name,
            scopes=scopes or OMIT,
            ip_allowlist=ip_allowlist or OMIT,
            expires_at=expires_at or OMIT,
        )
    show_record(records.record(made), as_json=as_json)
    say("Put the key into RECEIVER_API_KEY now: the provider may never show it again.")


@keys.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List the API keys, without the keys themselves."""
    with open_session(load_settings()) as session:
        found = [records.record(one, without=_KEY) for one in session.keys.list()]
        show_rows(found, columns=_COLUMNS, as_json=as_json)


@keys.command()
@click.argument("key_id", metavar="ID")
def revoke(*, key_id: str) -> None:
    """Revoke an API key, immediately and permanently."""
    with open_session(load_settings()) as session:
        session.keys.revoke(key_id)
    say(f"{key_id} is revoked")
