"""`receiver serve`, `receiver web`, `receiver worker`: the running service."""

from typing import TYPE_CHECKING

import click

from receiver.cli.connection import load_settings_and_log

if TYPE_CHECKING:
    from receiver.cli.private import Wish


@click.command()
def serve() -> None:
    """Run the webhook endpoint and the worker in one process.

    Requires RECEIVER_WEBHOOK_SECRETS. By default, events are stored in data/receiver.db and assets in
    data/assets.
    """
    _run(with_web=True, with_worker=True, admin="if possible", pull="if possible")


@click.command()
def web() -> None:
    """Run only the public webhook endpoint.

    You can run any number on one PostgreSQL database.
    """
    _run(with_web=True, with_worker=False, admin="if asked for")


@click.command()
def worker() -> None:
    """Run only the worker: mirror assets, forward events.

    You can run any number on one PostgreSQL database. If one dies, the others take over its work.
    """
    _run(with_web=False, with_worker=True, admin="if asked for")


@click.command()
def admin() -> None:
    """Run only the private API for operators, and its metrics.

    Requires RECEIVER_ADMIN_TOKEN, or a SQLite file, next to which a token is saved. `receiver serve` includes
    the API; so do `receiver web` and `receiver worker` if RECEIVER_ADMIN_PORT is set.
    """
    _run(with_web=False, with_worker=False, admin="always")


@click.command()
def pull() -> None:
    """Run only the API for consumers that pull.

    Consumers of pull: destinations fetch messages from it. Needs RECEIVER_PULL_TOKEN, or a token for each
    destination. `receiver serve` includes it; `receiver web` and `receiver worker` do if RECEIVER_PULL_PORT
    is set.
    """
    _run(with_web=False, with_worker=False, admin="if asked for", pull="always")


def _run(*, with_web: bool, with_worker: bool, admin: "Wish", pull: "Wish" = "if asked for") -> None:
    from receiver.cli.process import run

    settings = load_settings_and_log()
    run(settings, with_web=with_web, with_worker=with_worker, admin=admin, pull=pull)
