"""Counters, gauges and histograms.

Labels are fixed words, and names and places from the settings, never anything a request carried; addresses
that were refused most are the one exception, ten at a time (`receiver.admin.gauges`).
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, Info

from receiver import __version__

DELIVERIES: Final = Counter("receiver_webhooks", "Genuine deliveries, by outcome.", ["source", "outcome"])
VERIFIED: Final = Counter(
    "receiver_webhooks_verified",
    "Genuine deliveries, by what was signed (raw bytes or their JSON.stringify form), and by the position "
    "of the secret in the source's list, from 1.",
    ["source", "via", "secret"],
)
SKEW: Final = Histogram(
    "receiver_signature_skew_seconds",
    "Our clock minus the signing time of a genuine delivery.",
    ["source"],
    buckets=(-120, -60, -30, -10, -5, -1, 0, 1, 2, 5, 10, 30, 60, 120, 300),
)
SIGNATURE_FAULTS: Final = Counter(
    "receiver_signature_faults", "Deliveries refused as not genuine, by reason.", ["source", "reason"]
)
REFUSED: Final = Counter(
    "receiver_requests_refused",
    "Requests refused for other reasons than their signature, by reason.",
    ["reason"],
)
ASSETS: Final = Counter(
    "receiver_assets",
    "Attempts to mirror an asset, by outcome: mirrored, postponed, or the failure's code, or of a late one.",
    ["outcome"],
)
ASSETS_GIVEN_UP: Final = Counter(
    "receiver_assets_given_up",
    "Events settled without their asset; it may still arrive late.",
)
ASSET_CONFLICTS: Final = Counter(
    "receiver_asset_conflicts",
    "Assets stored under another name because a different file had theirs.",
    ["source"],
)
_DELAYS_S: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600)

MIRROR_DELAY: Final = Histogram(
    "receiver_mirror_delay_seconds",
    "From the receipt of an event until its asset was mirrored, without late ones.",
    ["source"],
    buckets=_DELAYS_S,
)
DELIVERY_DELAY: Final = Histogram(
    "receiver_delivery_delay_seconds",
    "From the receipt of an event until its destination confirmed it, without replays and backfills.",
    ["destination"],
    buckets=_DELAYS_S,
)
FORWARDS: Final = Counter(
    "receiver_forwards", "Attempts to forward an event, by outcome.", ["destination", "outcome"]
)
UNROUTED: Final = Counter(
    "receiver_events_unrouted", "Settled events that no destination wanted.", ["source"]
)
PRUNED: Final = Counter(
    "receiver_rows_pruned", "Rows emptied or deleted because they were past their retention.", ["kind"]
)
NOT_APPLICABLE: Final = Counter(
    "receiver_expressions_not_applicable",
    "Messages to which a destination's filter or projection could not be applied.",
    ["destination", "option"],
)
BREAKER_OPEN: Final = Gauge(
    "receiver_breaker_open",
    "1 while this worker finds the destination down.",
    ["destination"],
)
BUILD: Final = Info("receiver_build", "The running release.")
BUILD.info({"version": __version__})
