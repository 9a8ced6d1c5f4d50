"""The console. Its libraries are in an extra."""

from receiver.console.app import open_console

__all__ = ["open_console"]
