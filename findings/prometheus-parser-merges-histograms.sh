#!/usr/bin/env bash
# parse-prometheus-text-format 1.1.1 makes one series without labels of all series of a histogram.
#
# In Prometheus's text format each set of labels other than `le` is a histogram of its own. The package, whose README promises
# the output of prom2json, keeps counters and gauges apart by their labels. Of histograms it keeps what comes last, and no
# labels at all. A check that asks how many deliveries of queue a took less than a second gets those of queue b. Python's
# prometheus-client 0.26.0 keeps them apart.
#
# Output seen 2026-11-30, the count up to one second of two queues, 7 and 1, and two gauges:
#   parse-prometheus-text-format: [{"buckets":{"1":"1","+Inf":"1"}}] [{"value":"7","labels":{"queue":"a"}},{"value":"1","labels":{"queue":"b"}}]
#   prometheus-client: [('a', 7), ('b', 1)] [('a', 7), ('b', 1)]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check prometheus-client==0.26.0
npm install --silent --no-audit --no-fund parse-prometheus-text-format@1.1.1 >/dev/null
cat >metrics.txt <<'METRICS'
# TYPE seconds histogram
seconds_bucket{queue="a",le="1"} 7
seconds_bucket{queue="a",le="+Inf"} 9
seconds_sum{queue="a"} 20
seconds_count{queue="a"} 9
seconds_bucket{queue="b",le="1"} 1
seconds_bucket{queue="b",le="+Inf"} 1
seconds_sum{queue="b"} 1
seconds_count{queue="b"} 1
# TYPE open gauge
open{queue="a"} 7
open{queue="b"} 1
METRICS
cat >show.mjs <<'JAVASCRIPT'
import { readFileSync } from 'node:fs'
import parse from 'parse-prometheus-text-format'

const families = parse(readFileSync('metrics.txt', 'utf8'))
const of = (wanted) => JSON.stringify(families.find(({ name }) => name === wanted).metrics)
console.log('parse-prometheus-text-format:', of('seconds'), of('open'))
JAVASCRIPT
cat >show.py <<'PYTHON'
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families


def of(name):
    samples = (sample for family in families for sample in family.samples if sample.name == name)
    return [(sample.labels["queue"], sample.value) for sample in samples if sample.labels.get("le", "1") == "1"]


families = list(text_string_to_metric_families(Path("metrics.txt").read_text()))
print("prometheus-client:", of("seconds_bucket"), of("open"))
PYTHON
{
  node show.mjs
  venv/bin/python show.py
} | tee seen
diff seen - <<'SEEN'
parse-prometheus-text-format: [{"buckets":{"1":"1","+Inf":"1"}}] [{"value":"7","labels":{"queue":"a"}},{"value":"1","labels":{"queue":"b"}}]
prometheus-client: [('a', 7), ('b', 1)] [('a', 7), ('b', 1)]
SEEN
