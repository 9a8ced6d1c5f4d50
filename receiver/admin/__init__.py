"""The private side: what operators look at and have done, as a JSON API, and metrics."""
