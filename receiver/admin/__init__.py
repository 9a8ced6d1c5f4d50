"""The private side: a JSON API for operators, and metrics."""
