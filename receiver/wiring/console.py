"""The console: its libraries are an extra's."""

from receiver.console.app import open_console

__all__ = ["open_console"]
