"""`receiver refusals`: the addresses refused most."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from receiver.cli.connection import load_settings
from receiver.cli.output import json_option, say, show_rows
from receiver.errors import ConfigError

if TYPE_CHECKING:
    from receiver.settings import Settings


@click.command()
@click.option("--url", help="URL of the admin API to ask.  [default: from the settings]")
@json_option
def refusals(*, url: str | None, as_json: bool) -> None:
    """List the addresses refused most in the last ten minutes.

    Each process remembers its own, so a running `receiver serve` or `receiver web` is asked over its admin
    API.
    Behind a proxy, name it in RECEIVER_TRUSTED_PROXIES: otherwise every address is the proxy's.
    """
    settings = load_settings()
    found = _ask(url or f"http://{settings.admin_host}:{settings.admin_port}", _token(settings))
    columns = f"address, requests as refused in {found['minutes']} minutes"
    show_rows(found["data"], columns=columns, as_json=as_json)
    if not found["data"] and not as_json:
        say("nobody was refused")


def _ask(url: str, token: str) -> Any:
    import httpx2

    try:
        answer = httpx2.get(f"{url}/v1/refusals", headers={"Authorization": f"Bearer {token}"})
        answer.raise_for_status()
    except httpx2.HTTPError as error:
        raise ConfigError(
            f"the admin API at {url} cannot be reached ({error}): is the process running, and unless it is"
            " `receiver serve`, is RECEIVER_ADMIN_PORT set?"
        ) from None
    return answer.json()


def _token(settings: "Settings") -> str:
    from receiver.admin.token import FILE_NAME

    if settings.admin_token is not None:
        return settings.admin_token.get_secret_value()
    scheme, _, path = settings.database_url.get_secret_value().partition(":///")
    kept = Path(path.partition("?")[0]).parent / FILE_NAME
    if not scheme.startswith("sqlite") or not kept.is_file():
        raise ConfigError("RECEIVER_ADMIN_TOKEN is not set: set it to the token of the process to ask")
    return kept.read_text().strip()
