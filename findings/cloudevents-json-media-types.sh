#!/usr/bin/env bash
# Which media types are JSON? The SDKs of CloudEvents for Go 2.16.2 and Java 4.0.1 refuse events whose data say they are.
#
# The JSON format of CloudEvents 1.0.2, section 3.1.1: with `datacontenttype` of the form `*/json` or `*/*+json`, the member
# `data` is any JSON value. Media types match in any case (RFC 9110, section 8.3.1). Go knows two types, as written. Java knows
# a suffix unless a dot comes before it. Both then expect a string. Java and JavaScript (10.0.0) know the type of the
# message itself in small letters only, too. Python 2.2.0 reads all.
#
# Output seen 2026-11-30, of the same event with a JSON object as its data:
#   datacontenttype application/problem+json: Go refuses, Java reads, JavaScript reads, Python reads
#   datacontenttype application/vnd.api+json: Go refuses, Java refuses, JavaScript reads, Python reads
#   datacontenttype Application/JSON: Go refuses, Java refuses, JavaScript reads, Python reads
#   content-type Application/CloudEvents+JSON: Go reads, Java refuses, JavaScript refuses, Python reads
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check cloudevents==2.2.0
npm install --silent --no-audit --no-fund cloudevents@10.0.0 >/dev/null
artifact() { echo "<dependency><groupId>io.cloudevents</groupId><artifactId>$1</artifactId><version>4.0.1</version></dependency>"; }
cat >pom.xml <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>show</groupId><artifactId>show</artifactId><version>1</version>
  <dependencies>$(artifact cloudevents-http-basic)$(artifact cloudevents-json-jackson)</dependencies>
</project>
XML
mvn -B -q -Dmaven.repo.local="$folder/maven" dependency:copy-dependencies -DoutputDirectory=jars >/dev/null
cat >show.go <<'GO'
package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"

	events "github.com/cloudevents/sdk-go/v2"
)

func main() {
	request, _ := http.NewRequest("POST", "http://localhost", strings.NewReader(os.Args[2]))
	request.Header.Set("Content-Type", os.Args[1])
	event, err := events.NewEventFromHTTPRequest(request)
	if err == nil && string(event.Data()) == `{"a":1}` {
		fmt.Println("reads")
	} else {
		fmt.Println("refuses")
	}
}
GO
cat >Show.java <<'JAVA'
import io.cloudevents.core.format.EventDeserializationException;
import io.cloudevents.http.HttpMessageFactory;
import io.cloudevents.rw.CloudEventRWException;
import java.util.Map;

public class Show {
  public static void main(String[] arguments) {
    try {
      var headers = Map.of("Content-Type", arguments[0]);
      var event = HttpMessageFactory.createReader(headers, arguments[1].getBytes()).toEvent();
      System.out.println(new String(event.getData().toBytes()).equals("{\"a\":1}") ? "reads" : "differs");
    } catch (CloudEventRWException | EventDeserializationException error) {
      System.out.println("refuses");
    }
  }
}
JAVA
cat >show.js <<'JAVASCRIPT'
const { HTTP, ValidationError } = require('cloudevents')
const [, , type, body] = process.argv
try {
  console.log(HTTP.toEvent({ headers: { 'content-type': type }, body }).data.a === 1 ? 'reads' : 'differs')
} catch (error) {
  if (!(error instanceof ValidationError)) throw error
  console.log('refuses')
}
JAVASCRIPT
cat >show.py <<'PYTHON'
import sys

from cloudevents.core.bindings import http

event = http.from_http_event(http.HTTPMessage({"content-type": sys.argv[1]}, sys.argv[2].encode()))
print("reads" if event.get_data() == {"a": 1} else "differs")
PYTHON
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/cloudevents/sdk-go/v2@v2.16.2 >/dev/null 2>&1
go build -o show show.go
javac -cp 'jars/*' Show.java
seen_by_all() { # what is shown $1, the type of the message $2, the type of its data $3
  local body='{"specversion":"1.0","id":"1","source":"urn:x","type":"t","datacontenttype":"'$3'","data":{"a":1}}'
  echo "$1: Go $(./show "$2" "$body"), Java $(java -cp 'jars/*:.' Show "$2" "$body" 2>/dev/null)," \
    "JavaScript $(node show.js "$2" "$body"), Python $(venv/bin/python show.py "$2" "$body")"
}
{
  for type in application/problem+json application/vnd.api+json Application/JSON; do
    seen_by_all "datacontenttype $type" application/cloudevents+json "$type"
  done
  seen_by_all 'content-type Application/CloudEvents+JSON' Application/CloudEvents+JSON application/json
} | tee seen
diff seen - <<'SEEN'
datacontenttype application/problem+json: Go refuses, Java reads, JavaScript reads, Python reads
datacontenttype application/vnd.api+json: Go refuses, Java refuses, JavaScript reads, Python reads
datacontenttype Application/JSON: Go refuses, Java refuses, JavaScript reads, Python reads
content-type Application/CloudEvents+JSON: Go reads, Java refuses, JavaScript refuses, Python reads
SEEN
