#!/usr/bin/env bash
# betterproto 1.2.5 for Python writes 12:00+02:00 as 12:00Z in JSON, and a duration of -0.5 s arrives as 0.5 s.
#
# Protocol Buffers' guide "ProtoJSON Format", in its table of types: a Timestamp is in UTC or has its offset, a Duration is a
# decimal number and "s", and infinity is in quotes. betterproto replaces the offset by "Z", writes a microsecond as "1e-06s",
# and infinity bare, which is no JSON. In its bytes, the nanoseconds of what is negative have the wrong sign or the wrong
# second: duration.proto wants the sign of the seconds, timestamp.proto counts forward from them. Google's protobuf 7.36.2
# reads these bytes, and writes the JSON that is expected.
#
# Output seen 2026-12-01:
#   JSON of 2026-12-01T12:00:00+02:00: betterproto {"time": "2026-12-01T12:00:00Z"}, protobuf "2026-12-01T10:00:00Z"
#   JSON of 1e-06 s: betterproto {"wait": "1e-06s"}, protobuf "0.000001s"
#   JSON of infinity: betterproto {"load": Infinity}, protobuf "Infinity"
#   bytes of -0.5 s: protobuf reads 0.5 s
#   bytes of -1.5 s: protobuf reads -0.5 s
#   bytes of 1960-01-01T00:00:00.500000+00:00: protobuf reads 1960-01-01T00:00:01.500Z
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check betterproto==1.2.5 protobuf==7.36.2
cat >show.py <<'PYTHON'
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from math import inf

import betterproto
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToJson
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import DoubleValue


@dataclass
class Event(betterproto.Message):
    time: datetime = betterproto.message_field(1)
    wait: timedelta = betterproto.message_field(2)
    load: float = betterproto.double_field(3)


def read(kind, event):
    written = bytes(event)
    assert written[1] == len(written) - 2
    return kind.FromString(written[2:])


local = datetime(2026, 12, 1, 12, tzinfo=timezone(timedelta(hours=2)))
micro = timedelta(microseconds=1)
time, wait = Timestamp(), Duration()
time.FromDatetime(local)
wait.FromTimedelta(micro)
print(f"JSON of {local.isoformat()}: betterproto {Event(time=local).to_json()}, protobuf {MessageToJson(time)}")
print(f"JSON of 1e-06 s: betterproto {Event(wait=micro).to_json()}, protobuf {MessageToJson(wait)}")
print(f"JSON of infinity: betterproto {Event(load=inf).to_json()}, protobuf {MessageToJson(DoubleValue(value=inf))}")
for seconds in (-0.5, -1.5):
    wait = read(Duration, Event(wait=timedelta(seconds=seconds)))
    print(f"bytes of {seconds} s: protobuf reads {wait.seconds + wait.nanos / 1e9} s")
early = datetime(1960, 1, 1, 0, 0, 0, 500_000, timezone.utc)
print(f"bytes of {early.isoformat()}: protobuf reads {read(Timestamp, Event(time=early)).ToJsonString()}")
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
JSON of 2026-12-01T12:00:00+02:00: betterproto {"time": "2026-12-01T12:00:00Z"}, protobuf "2026-12-01T10:00:00Z"
JSON of 1e-06 s: betterproto {"wait": "1e-06s"}, protobuf "0.000001s"
JSON of infinity: betterproto {"load": Infinity}, protobuf "Infinity"
bytes of -0.5 s: protobuf reads 0.5 s
bytes of -1.5 s: protobuf reads -0.5 s
bytes of 1960-01-01T00:00:00.500000+00:00: protobuf reads 1960-01-01T00:00:01.500Z
SEEN
