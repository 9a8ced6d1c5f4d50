"""`receiver status` and `receiver workers`: the backlog, the time to drain it, and the workers."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from receiver import clock
from receiver.cli.connection import load_settings, load_settings_and_warn
from receiver.cli.console import use_store
from receiver.cli.moments import age
from receiver.cli.output import Record, json_option, one_line, say, show_record, show_rows
from receiver.errors import ConfigError, StoreUnavailable

if TYPE_CHECKING:
    from receiver.operations.schemas import Credits
    from receiver.operations.stages import Overview, Stage
    from receiver.settings import Settings

_EVERY_S: Final = 2.0
_COLUMNS: Final = "stage, state, waiting, oldest, per_minute, gone as gone in, error as last error"
_FIGURES: Final = ("dead_letters", "quarantined", "workers_alive")
_STUCK_S: Final = 300.0
"""The rate covers the same time: a backlog that is older, at a rate of zero, is stuck."""
_OUTAGES: Final = 10
"""Maximum lines about outages: senders choose the hosts."""
_WORKERS: Final = "host, pid, seen_at as seen, state, spool as spool folder"


@click.command()
@click.option("--watch", is_flag=True, help="Refresh every two seconds until Ctrl-C.")
@json_option
def status(*, watch: bool, as_json: bool) -> None:
    """Show backlogs and problems on one screen.

    The time to drain a backlog assumes the rate of the last five minutes and no new events. At most 10,000
    rows of a stage are counted.
    """
    settings = load_settings_and_warn()
    _show_screen(settings, clears=watch and not as_json, as_json=as_json)
    while watch:
        time.sleep(_EVERY_S)
        try:
            _show_screen(settings, clears=not as_json, as_json=as_json)
        except StoreUnavailable as error:
            # --watch is most useful during an outage, so continue.
            say(f"{datetime.now(UTC):%H:%M:%S} UTC: the figures above are old: {error}")


@click.command()
@json_option
def workers(*, as_json: bool) -> None:
    """List the workers of the last 30 days.

    Latest seen first; workers that share a spool folder are one row. A worker that stopped cleanly is
    `stopped`. It is `gone` when it has not reported for RECEIVER_LEASE_S, or for three minutes if that is
    shorter.
    """
    from receiver.operations.status import worker_records

    found = _look(load_settings_and_warn())
    show_rows(worker_records(found), columns=_WORKERS, as_json=as_json)


def _show_screen(settings: "Settings", *, clears: bool, as_json: bool) -> None:
    found = _look(settings)
    if clears:
        click.clear()
    _show(found, settings, as_json=as_json)


def _look(settings: "Settings") -> "Overview":
    from receiver.operations.stages import overview

    names = tuple(settings.destinations)
    now_ms, lease_s = clock.now_ms(), settings.lease_s
    return use_store(settings, lambda store: store.transact(overview, names, now_ms=now_ms, lease_s=lease_s))


def _pace_names(settings: "Settings") -> Mapping[str, str]:
    if settings.api_key is None and not any(one.api_key for one in settings.sources.values()):
        return {}
    from receiver.wiring.accounts import pace_names

    return pace_names(settings)


def _show(found: "Overview", settings: "Settings", *, as_json: bool) -> None:
    from receiver.operations.status import status_record

    record = status_record(found, _pace_names(settings))
    if as_json:
        show_record(record, as_json=True)
        return
    show_rows([_for_people(one) for one in record["stages"]], columns=_COLUMNS, as_json=False)
    limits = {f"rate_limit_{one['source']}": _of(one["left"], one["limit"]) for one in record["rate_limits"]}
    credits_left = {f"credits_{one['source']}": _when_refused(one, found) for one in record["credits"]}
    show_record({**{name: record[name] for name in _FIGURES}, **limits, **credits_left}, as_json=False)
    for line in _advice(found, record["workers_alive"]):
        say(one_line(line))


def _of(left: int | None, limit: int | None) -> str:
    return "not known before the first request" if limit is None else f"{left} of {limit} requests left"


def _when_refused(one: "Credits", found: "Overview") -> str:
    left = "too few" if one["left"] is None else f"{one['left']} left"
    return f"{left} when a request was refused {age(found.now_ms / 1000 - one['refused_at'].timestamp())} ago"


def _for_people(one: Record) -> Record:
    return {
        **one,
        "waiting": f"{one['waiting']}{'+' if one['is_capped'] else ''}",
        "oldest": age(one["oldest_s"]),
        "gone": age(one["gone_s"]),
    }


def _advice(found: "Overview", alive: int) -> list[str]:
    """Say what to do about each problem, one line each."""
    from receiver.store.outages import BUCKET

    lines = []
    if not alive and any(one.waiting.count for one in found.stages):
        lines.append("No worker is alive: run `receiver serve` or `receiver worker`.")
    lines += [
        f"{one.title} has been down for {age((found.now_ms - one.since_ms) / 1000)}: {one.error}"
        for one in found.outages[:_OUTAGES]
    ]
    if any(one.kind == BUCKET for one in found.outages):
        lines.append("`receiver check` tries the bucket now, and says what to change.")
    if len(found.outages) > _OUTAGES:
        lines.append(f"{len(found.outages) - _OUTAGES} more asset hosts are down: see --json.")
    lines += filter(None, (_about(one, found.now_ms) for one in found.stages))
    if found.dead:
        lines.append("Dead letters: `receiver deliveries list --state dead` says why.")
    if found.standing.quarantined:
        lines.append("Bodies that could not be read: `receiver quarantine list --state open`.")
    return lines


def _about(one: "Stage", now_ms: int) -> str | None:
    """Say what to do about one destination, if anything."""
    if one.state == "paused":
        return f"{one.name} is paused: `receiver destinations resume {one.name}` sends its backlog."
    if one.state == "not configured" and one.waiting.count:
        return f"{one.name} is not configured, and deliveries to it wait."
    if one.state == "down":
        return f"{one.name} is down; a worker keeps probing it."
    if one.state == "running" and not one.per_minute and one.waiting.oldest_s(now_ms) > _STUCK_S:
        why = f"`receiver deliveries list --state pending --destination {one.name}` says why"
        return f"{one.name} took nothing for five minutes: {why}. If it is pulled, do its consumers run?"
    return None


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
