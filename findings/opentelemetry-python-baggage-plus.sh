#!/usr/bin/env bash
# OpenTelemetry for Python 1.45.2 writes a space in baggage as "+", and reads "+" as a space. Nobody else does.
#
# W3C Baggage, section 3.3.1: a value is percent-encoded, and "+" is a plain octet of it. Python uses the encoding of HTML
# forms instead. So what Python sends arrives with plus signs in JavaScript (2.12.1) and Go (1.47.0), and a time zone, a
# phone number or Base64 that those two send loses its plus signs in Python.
#
# Output seen 2026-11-30:
#   Python sends 'night shift' as night+shift, JavaScript reads 'night+shift'
#   Python sends 'night shift' as night+shift, Go reads 'night+shift'
#   JavaScript sends '+1' as %2B1, Python reads '+1'
#   Go sends '12:00+01:00' as 12:00+01:00, Python reads '12:00 01:00'
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check opentelemetry-api==1.45.2
npm install --silent --no-audit --no-fund @opentelemetry/core@2.12.1 @opentelemetry/api@1.9.1 >/dev/null
cat >show.py <<'PYTHON'
import sys

from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator

header = {"baggage": f"a={sys.argv[2]}"}
if sys.argv[1] == "write":
    W3CBaggagePropagator().inject(header, context=baggage.set_baggage("a", sys.argv[2]))
    print(header["baggage"].removeprefix("a="))
else:
    print(baggage.get_baggage("a", W3CBaggagePropagator().extract(header)))
PYTHON
cat >show.js <<'JAVASCRIPT'
const { ROOT_CONTEXT, defaultTextMapGetter, defaultTextMapSetter, propagation } = require('@opentelemetry/api')
const { W3CBaggagePropagator } = require('@opentelemetry/core')
const [, , verb, value] = process.argv
const propagator = new W3CBaggagePropagator()
if (verb === 'write') {
  const header = {}
  const held = propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage({ a: { value } }))
  propagator.inject(held, header, defaultTextMapSetter)
  console.log(header.baggage.slice(2))
} else {
  const read = propagator.extract(ROOT_CONTEXT, { baggage: `a=${value}` }, defaultTextMapGetter)
  console.log(propagation.getBaggage(read).getEntry('a').value)
}
JAVASCRIPT
cat >show.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
)

func main() {
	header := propagation.MapCarrier{"baggage": "a=" + os.Args[2]}
	if os.Args[1] == "write" {
		member, err := baggage.NewMemberRaw("a", os.Args[2])
		if err != nil {
			panic(err)
		}
		held, _ := baggage.New(member)
		propagation.Baggage{}.Inject(baggage.ContextWithBaggage(context.Background(), held), header)
		fmt.Println(header["baggage"][2:])
	} else {
		read := propagation.Baggage{}.Extract(context.Background(), header)
		fmt.Println(baggage.FromContext(read).Member("a").Value())
	}
}
GO
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get go.opentelemetry.io/otel@v1.47.0 >/dev/null 2>&1
python_sent=$(venv/bin/python show.py write 'night shift')
javascript_sent=$(node show.js write '+1')
go_sent=$(go run show.go write '12:00+01:00')
{
  echo "Python sends 'night shift' as $python_sent, JavaScript reads '$(node show.js read "$python_sent")'"
  echo "Python sends 'night shift' as $python_sent, Go reads '$(go run show.go read "$python_sent")'"
  echo "JavaScript sends '+1' as $javascript_sent, Python reads '$(venv/bin/python show.py read "$javascript_sent")'"
  echo "Go sends '12:00+01:00' as $go_sent, Python reads '$(venv/bin/python show.py read "$go_sent")'"
} | tee seen
diff seen - <<'SEEN'
Python sends 'night shift' as night+shift, JavaScript reads 'night+shift'
Python sends 'night shift' as night+shift, Go reads 'night+shift'
JavaScript sends '+1' as %2B1, Python reads '+1'
Go sends '12:00+01:00' as 12:00+01:00, Python reads '12:00 01:00'
SEEN
