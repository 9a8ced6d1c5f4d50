#!/usr/bin/env bash
# mqtt-pattern 2.1.1 for Node does not match `/events` with `+/+`. It and mqtt-match 3.0.0 match `$SYS/…` with `#`.
#
# MQTT 5.0, section 4.7: a level may be empty, and `+` matches it (its own example is "/finance"); a filter that begins with a
# wildcard matches no topic that begins with `$` (4.7.2). Programs use these packages to hand each message to the handler
# whose filter it came for. A message that the broker sent for `+/+` finds no handler, and one for `#` counts the broker's
# statistics as events if another one asked for `$SYS/#`. Python's paho-mqtt 2.2.0 agrees with the standard.
#
# Output seen 2026-11-30, who says that the filter matches:
#   +/+ /events: mqtt-match, paho-mqtt
#   +/a/# /a: mqtt-match, paho-mqtt
#   # $SYS/uptime: mqtt-pattern, mqtt-match
#   +/uptime $SYS/uptime: mqtt-pattern, mqtt-match
#   sport/# sport: mqtt-pattern, mqtt-match, paho-mqtt
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check paho-mqtt==2.2.0
npm install --silent --no-audit --no-fund mqtt-pattern@2.1.1 mqtt-match@3.0.0 >/dev/null
cat >match.mjs <<'JAVASCRIPT'
import match from 'mqtt-match'
import { matches } from 'mqtt-pattern'

const [, , filter, topic] = process.argv
console.log(JSON.stringify({ 'mqtt-pattern': matches(filter, topic), 'mqtt-match': match(filter, topic) }))
JAVASCRIPT
cat >show.py <<'PYTHON'
import json
import subprocess

from paho.mqtt.client import topic_matches_sub

for pair in (("+/+", "/events"), ("+/a/#", "/a"), ("#", "$SYS/uptime"), ("+/uptime", "$SYS/uptime"), ("sport/#", "sport")):
    matched = json.loads(subprocess.check_output(["node", "match.mjs", *pair]))
    matched["paho-mqtt"] = topic_matches_sub(*pair)
    print(f"{' '.join(pair)}: {', '.join(name for name, yes in matched.items() if yes)}")
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
+/+ /events: mqtt-match, paho-mqtt
+/a/# /a: mqtt-match, paho-mqtt
# $SYS/uptime: mqtt-pattern, mqtt-match
+/uptime $SYS/uptime: mqtt-pattern, mqtt-match
sport/# sport: mqtt-pattern, mqtt-match, paho-mqtt
SEEN
