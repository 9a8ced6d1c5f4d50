"""The async client. `receiver.client.blocking` is this package without async."""
