"""Receive webhooks in a program of your own: `unwrap` verifies a delivery, without an API key."""

from receiver.client.deliveries import Body, Headers, Secrets, unwrap
from receiver.errors import NotJson, SignatureError, SignatureFault

__all__ = ["Body", "Headers", "NotJson", "Secrets", "SignatureError", "SignatureFault", "unwrap"]
