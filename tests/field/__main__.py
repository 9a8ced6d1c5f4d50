"""Everything that this folder tries, one system after the other; ends with 1 if a row is wrong."""

import sys

from tests.field import kafka, litestream, nats, patroni, postgresql, rabbitmq, stores, valkey


def main() -> int:
    """Return how many rows, or stores, failed."""
    return sum(
        field.main() for field in (valkey, nats, rabbitmq, kafka, postgresql, patroni, litestream, stores)
    )


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
