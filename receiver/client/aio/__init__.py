"""The client that awaits. `receiver.client.blocking` is this package with the awaiting removed."""
