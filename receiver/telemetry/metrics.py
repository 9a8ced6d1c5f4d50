"""Counters. Labels are fixed words and configured names, never anything a request carried."""

from typing import Final

from prometheus_client import Counter

DELIVERIES: Final = Counter(
    "receiver_webhooks", "Genuine deliveries, by what became of them.", ["source", "outcome"]
)
VERIFIED: Final = Counter(
    "receiver_webhooks_verified",
    "Genuine deliveries, by the form that verified: the raw bytes or their JSON.stringify form.",
    ["source", "via"],
)
SIGNATURE_FAULTS: Final = Counter(
    "receiver_signature_faults", "Deliveries refused as not genuine, by reason.", ["source", "reason"]
)
REFUSED: Final = Counter(
    "receiver_requests_refused", "Requests refused before or besides their signature, by reason.", ["reason"]
)
ASSETS: Final = Counter(
    "receiver_assets",
    "Attempts to mirror an asset, by outcome: mirrored, postponed, or the failure's code.",
    ["outcome"],
)
FORWARDS: Final = Counter(
    "receiver_forwards", "Attempts to forward an event, by outcome.", ["destination", "outcome"]
)
