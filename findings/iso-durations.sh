#!/usr/bin/env bash
# iso8601-duration 2.1.4 for Node drops the sign of a duration, and channelmeter's iso8601duration for Go drops fractions.
#
# ISO 8601-1:2019, section 5.5.2: the smallest unit of a duration may have a decimal fraction. ISO 8601-2:2019 adds a sign, and
# weeks next to days. Node's package reads minus an hour as an hour, and refuses half a day. Go's skips each unit that
# has a fraction, so a time-out of 0.5 seconds or 1.5 hours becomes zero, and it skips the days after weeks. Neither
# reports an error for those. isodate 0.7.2 for Python and sosodev/duration 1.4.0 for Go read all of them.
#
# Output seen 2026-11-30, in seconds:
#   PT36H: isodate 129600, sosodev 129600, iso8601-duration 129600, channelmeter 129600
#   PT0.5S: isodate 0.5, sosodev 0.5, iso8601-duration 0.5, channelmeter 0
#   PT1.5H: isodate 5400, sosodev 5400, iso8601-duration 5400, channelmeter 0
#   P0.5D: isodate 43200, sosodev 43200, iso8601-duration RangeError, channelmeter 0
#   P1W2D: isodate 777600, sosodev 777600, iso8601-duration 777600, channelmeter 604800
#   -PT1H: isodate -3600, sosodev -3600, iso8601-duration 3600, channelmeter 3600
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check isodate==0.7.2
npm install --silent --no-audit --no-fund iso8601-duration@2.1.4 >/dev/null
cat >show.py <<'PYTHON'
import sys

import isodate

print(f"{isodate.parse_duration(sys.argv[1]).total_seconds():.6g}")
PYTHON
cat >show.mjs <<'JAVASCRIPT'
import { parse, toSeconds } from 'iso8601-duration'

const text = process.argv[2]
try {
  console.log(toSeconds(parse(text)))
} catch (error) {
  console.log(error.constructor.name)
}
JAVASCRIPT
cat >show.go <<'GO'
package main

import (
	"fmt"
	"os"

	channelmeter "github.com/channelmeter/iso8601duration"
	sosodev "github.com/sosodev/duration"
)

func main() {
	one, err := sosodev.Parse(os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Println(one.ToTimeDuration().Seconds())
	other, err := channelmeter.FromString(os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Println(other.ToDuration().Seconds())
}
GO
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/channelmeter/iso8601duration@v0.0.0-20150204201828-8da3af7a2a61 github.com/sosodev/duration@v1.4.0 >/dev/null 2>&1
go build -o show show.go
for text in PT36H PT0.5S PT1.5H P0.5D P1W2D -PT1H; do
  mapfile -t go < <(./show $text)
  echo "$text: isodate $(venv/bin/python show.py $text), sosodev ${go[0]}," \
    "iso8601-duration $(node show.mjs $text), channelmeter ${go[1]}"
done | tee seen
diff seen - <<'SEEN'
PT36H: isodate 129600, sosodev 129600, iso8601-duration 129600, channelmeter 129600
PT0.5S: isodate 0.5, sosodev 0.5, iso8601-duration 0.5, channelmeter 0
PT1.5H: isodate 5400, sosodev 5400, iso8601-duration 5400, channelmeter 0
P0.5D: isodate 43200, sosodev 43200, iso8601-duration RangeError, channelmeter 0
P1W2D: isodate 777600, sosodev 777600, iso8601-duration 777600, channelmeter 604800
-PT1H: isodate -3600, sosodev -3600, iso8601-duration 3600, channelmeter 3600
SEEN
