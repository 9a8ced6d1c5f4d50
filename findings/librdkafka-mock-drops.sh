#!/usr/bin/env bash
# The mock cluster of librdkafka, in confluent-kafka 2.16.1, drops records after 5 MB and finds none by their time.
#
# The setting `test.mock.num.brokers` (librdkafka's CONFIGURATION.md) starts it, for tests. It keeps the last 5 MB of a
# partition and confirms more: a test that sends 12 large records reads 5, without an error. Kafka's documentation of
# KafkaConsumer, `offsetsForTimes`: the offset of the first record at or after a time. The mock answers that there is none,
# whatever is asked. A program that reads again from a moment on begins at the end, and its test sees nothing to do.
#
# Output seen 2026-11-30:
#   12 records of 900 kB, all confirmed: offsets 7 to 11 are left
#   3 records, first at or after the second's time: offset -1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check confluent-kafka==2.16.1
cat >show.py <<'PYTHON'
from confluent_kafka import Consumer, Producer, TopicPartition

producer = Producer({"bootstrap.servers": "replaced", "test.mock.num.brokers": 1, "log_level": 0})
broker = producer.list_topics(timeout=30).brokers[1]
consumer = Consumer({"bootstrap.servers": f"{broker.host}:{broker.port}", "group.id": "group"})
confirmed = []


def confirm(error, _):
    assert error is None
    confirmed.append(error)


for _ in range(12):
    producer.produce("large", bytes(900_000), partition=0, on_delivery=confirm)
    producer.flush(30)
first, following = consumer.get_watermark_offsets(TopicPartition("large", 0), timeout=30)
assert len(confirmed) == 12
print(f"12 records of 900 kB, all confirmed: offsets {first} to {following - 1} are left")
for second in range(3):
    producer.produce("timed", b"", partition=0, timestamp=1_700_000_000_000 + 1000 * second, on_delivery=confirm)
producer.flush(30)
found = consumer.offsets_for_times([TopicPartition("timed", 0, 1_700_000_001_000)], timeout=30)
print(f"3 records, first at or after the second's time: offset {found[0].offset}")
consumer.close()
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
12 records of 900 kB, all confirmed: offsets 7 to 11 are left
3 records, first at or after the second's time: offset -1
SEEN
