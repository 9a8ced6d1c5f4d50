"""The worker: mirrors assets, forwards events, keeps its leases alive. One duty per file."""
