"""What may have become of an event, a delivery and a quarantined body: the words that every part has for it.

Here and not beside the tables, because the command line offers them before anything slow is imported.
"""

from typing import Final

PENDING: Final = "pending"
"""Waiting for work: an event for its asset, a delivery for its destination."""
SETTLED: Final = "settled"
"""An event whose asset's fate is known and whose deliveries exist."""
LATE: Final = "late"
"""A failure reported after the completion of the same generation: kept, never forwarded."""
DELIVERED: Final = "delivered"
DEAD: Final = "dead"
"""A dead letter: given up, kept for a person to look at and replay."""
DROPPED: Final = "dropped"
"""A dead letter, or a quarantined body, that a person wants to see no more: kept, never sent."""
OPEN: Final = "open"
"""A quarantined body that nobody has dealt with."""
RESOLVED: Final = "resolved"
"""A quarantined body that a later release could read: its event is recorded."""

PRUNED: Final = "pruned"
"""An event or a quarantined body of which only the row is left: repeats of it are still recognised."""

EVENT_STATES: Final = (PENDING, SETTLED, LATE, PRUNED)
DELIVERY_STATES: Final = (PENDING, DELIVERED, DEAD, DROPPED)
BODY_STATES: Final = (OPEN, RESOLVED, DROPPED, PRUNED)
RETRIABLE: Final = (DEAD, PENDING)
"""The deliveries that can be sent again, or sooner."""
