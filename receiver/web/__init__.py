"""The public side: the webhook endpoint and two health checks. Nothing else is ever public."""
