"""A durable webhook receiver for AI Visual Studio."""

__version__ = "0.1.0"
