"""The client that blocks: `receiver.client.aio` with the awaiting removed, which a test holds it to."""
