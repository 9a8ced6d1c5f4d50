"""What operators see: log lines and counters. Never a secret, a signature or a query string."""
