"""The states of an event, a delivery and a quarantined body, as every part names them.

They are not next to the tables, because the command line needs them before slow imports.
"""

from typing import Final

PENDING: Final = "pending"
"""Waiting for work: an event for its asset, a delivery for its destination."""
SETTLED: Final = "settled"
"""An event whose asset is mirrored or given up, and whose deliveries exist."""
LATE: Final = "late"
"""A failure reported after the completion of the same generation: kept, never forwarded."""
DELIVERED: Final = "delivered"
DEAD: Final = "dead"
"""A dead letter: given up, kept for a person to look at and replay."""
DROPPED: Final = "dropped"
"""A dead letter or quarantined body that an operator dismissed: kept, never sent."""
OPEN: Final = "open"
"""A quarantined body that nobody has handled."""
RESOLVED: Final = "resolved"
"""A quarantined body that a later release could read: its event is recorded."""

PRUNED: Final = "pruned"
"""An event or quarantined body with only its row left; repeats are still recognised."""

EVENT_STATES: Final = (PENDING, SETTLED, LATE, PRUNED)
DELIVERY_STATES: Final = (PENDING, DELIVERED, DEAD, DROPPED)
BODY_STATES: Final = (OPEN, RESOLVED, DROPPED, PRUNED)
RETRIABLE: Final = (DEAD, PENDING)
"""States of deliveries that can be sent again, or sooner."""
