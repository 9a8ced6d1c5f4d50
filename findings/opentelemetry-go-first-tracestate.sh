#!/usr/bin/env bash
# OpenTelemetry for Go 1.47.0 reads the first of several tracestate headers only, and passes the others to nobody.
#
# W3C Trace Context, section 3.3.1: a tracestate may be sent in several header fields, which are to be read as one list.
# Go's propagator asks the carrier for one value; its baggage propagator asks for all. So what a second header says is lost:
# the sampling of a vendor, say, that a proxy has put in front. Python 1.45.2 and JavaScript 2.12.1 read both.
#
# Output seen 2026-11-30, of two headers each:
#   Go: tracestate a=1, baggage k1=1,k2=2
#   Python: tracestate a=1,b=2
#   JavaScript: tracestate a=1,b=2
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check opentelemetry-api==1.45.2
npm install --silent --no-audit --no-fund @opentelemetry/core@2.12.1 @opentelemetry/api@1.9.1 >/dev/null
cat >show.go <<'GO'
package main

import (
	"context"
	"fmt"
	"net/http"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

func main() {
	request := http.Header{}
	request.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	for number, name := range []string{"a", "b"} {
		request.Add("tracestate", fmt.Sprintf("%s=%d", name, number+1))
		request.Add("baggage", fmt.Sprintf("k%d=%d", number+1, number+1))
	}
	both := propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	read := both.Extract(context.Background(), propagation.HeaderCarrier(request))
	members := baggage.FromContext(read)
	fmt.Printf("Go: tracestate %s, baggage k1=%s,k2=%s\n", trace.SpanContextFromContext(read).TraceState(),
		members.Member("k1").Value(), members.Member("k2").Value())
}
GO
cat >show.py <<'PYTHON'
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": ["a=1", "b=2"]}
read = trace.get_current_span(TraceContextTextMapPropagator().extract(headers)).get_span_context()
print("Python: tracestate", read.trace_state.to_header())
PYTHON
cat >show.js <<'JAVASCRIPT'
const { ROOT_CONTEXT, defaultTextMapGetter, trace } = require('@opentelemetry/api')
const { W3CTraceContextPropagator } = require('@opentelemetry/core')
const headers = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: ['a=1', 'b=2'] }
const read = new W3CTraceContextPropagator().extract(ROOT_CONTEXT, headers, defaultTextMapGetter)
console.log('JavaScript: tracestate', trace.getSpanContext(read).traceState.serialize())
JAVASCRIPT
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get go.opentelemetry.io/otel@v1.47.0 go.opentelemetry.io/otel/trace@v1.47.0 >/dev/null 2>&1
{
  go run show.go
  venv/bin/python show.py
  node show.js
} | tee seen
diff seen - <<'SEEN'
Go: tracestate a=1, baggage k1=1,k2=2
Python: tracestate a=1,b=2
JavaScript: tracestate a=1,b=2
SEEN
