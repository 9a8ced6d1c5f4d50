"""What to do about each problem that operators are told of: the first command, and where to read on."""

from dataclasses import replace
from typing import Final

from receiver.store.notices import Observed

STEPS: Final = {
    "destination_down": ("receiver destinations list", "a-destination-is-down"),
    "bucket_down": ("receiver check", "the-bucket-is-down"),
    "asset_host_down": (
        "receiver events list --state pending --oldest-first",
        "events-wait-for-their-asset",
    ),
    "backlog_old": ("receiver status", "when-something-is-wrong"),
    "dead_letters": ("receiver deliveries list --state dead", "dead-letters"),
    "quarantined": ("receiver quarantine list --state open", "quarantine"),
    "secret_unused": ("receiver config", "reload-the-settings"),
    "credits_low": ("receiver submissions list --state refused", "credits-run-out"),
    "disk_low": ("receiver check", "a-disk-fills-up"),
    "worker_gone": ("receiver workers", "a-process-is-down"),
}
"""By the word that reports it: a command, and the section of docs/operations.md."""


def with_steps(one: Observed) -> Observed:
    """Add what to do about it, if something is wrong."""
    if not one.is_wrong:
        return one
    command, section = STEPS[one.wrong]
    return replace(one, steps={"next": command, "runbook": f"docs/operations.md#{section}"})
