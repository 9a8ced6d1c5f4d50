"""The command line: one file per group of commands. Each imports slow modules only when it runs."""

import click

from receiver import __version__
from receiver.cli import (
    assets,
    backfill,
    backup,
    check,
    completion,
    config,
    deliveries,
    demo,
    destinations,
    erase,
    events,
    generate,
    generations,
    init,
    interventions,
    keys,
    models,
    operations,
    prune,
    quarantine,
    reconcile,
    sandbox,
    serve,
    signing,
    status,
    submissions,
    webhooks,
)
from receiver.cli.sections import SectionedGroup

cli = SectionedGroup(
    "receiver",
    help="""Receive AI Visual Studio webhooks: verify, dedupe, mirror the asset, forward the event.

    Try `receiver demo` first: it needs no account and no settings. Then `receiver init` writes your settings,
    and `receiver serve` runs. Settings are environment variables or lines in receiver.toml: see
    docs/settings.md.""",
)
cli.add_section(
    "Receive", [init.init, serve.serve, serve.web, serve.worker, backup.migrate, reconcile.reconcile]
)
destinations.destinations.add_command(backfill.backfill)
events.events.add_command(interventions.mirror_now)
events.events.add_command(interventions.release)
cli.add_section("Forward", [destinations.destinations, serve.pull])
cli.add_section("Mirrored assets", [assets.assets])
cli.add_section(
    "Operate",
    [
        status.status,
        events.find,
        events.events,
        deliveries.deliveries,
        quarantine.quarantine,
        operations.operations,
        status.refusals,
        backup.backup,
        backup.restore,
        prune.prune,
        erase.erase,
        operations.audit,
        status.workers,
        check.check,
        config.config,
        serve.admin,
    ],
)
cli.add_section(
    "Generate", [generate.image, generate.video, generations.generations, submissions.submissions]
)
cli.add_section("Account", [models.models, models.limits, webhooks.webhooks, keys.keys])
cli.add_section("Try and debug", [demo.demo, sandbox.sandbox, signing.verify, signing.sign])
cli.add_section("Shell", [completion.completion])
click.version_option(__version__, prog_name="receiver")(cli)
