#!/usr/bin/env bash
# Standard Webhooks for JavaScript 1.1.1 and Python 1.1.0 verify a good signature, then fail because the payload is not JSON.
#
# The specification, "Payload structure": JSON is recommended, "but other content types can be used as well", and what is
# signed is the body as sent. `verify` of these two packages parses the body as JSON and lets that error out, not the one
# for a wrong signature. So a genuine delivery of a form or of text becomes a 500, and is sent again and again. Go's (0.0.1)
# and Java's (1.1.0) check the signature only.
#
# Output seen 2026-11-30, one signed payload of the type application/x-www-form-urlencoded:
#   JavaScript SyntaxError
#   Python JSONDecodeError
#   Go verified
#   Java verified
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check standardwebhooks==1.1.0
npm install --silent --no-audit --no-fund standardwebhooks@1.1.1 >/dev/null
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>show</groupId><artifactId>show</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>com.standardwebhooks</groupId><artifactId>standardwebhooks</artifactId><version>1.1.0</version>
  </dependency></dependencies>
</project>
XML
mvn -B -q -Dmaven.repo.local="$folder/maven" dependency:copy-dependencies -DoutputDirectory=jars >/dev/null
cat >show.js <<'JAVASCRIPT'
const { Webhook, WebhookVerificationError } = require('standardwebhooks')
const [, , timestamp, signature, payload] = process.argv
const headers = { 'webhook-id': 'msg_1', 'webhook-timestamp': timestamp, 'webhook-signature': signature }
try {
  new Webhook('c2VjcmV0').verify(payload, headers)
  console.log('JavaScript verified')
} catch (error) {
  if (error instanceof WebhookVerificationError) throw error
  console.log('JavaScript', error.constructor.name)
}
JAVASCRIPT
cat >show.py <<'PYTHON'
import sys

from standardwebhooks import Webhook

_, timestamp, signature, payload = sys.argv
headers = {"webhook-id": "msg_1", "webhook-timestamp": timestamp, "webhook-signature": signature}
try:
    Webhook("c2VjcmV0").verify(payload, headers)
    print("Python verified")
except ValueError as error:
    print("Python", type(error).__name__)
PYTHON
cat >show.go <<'GO'
package main

import (
	"fmt"
	"net/http"
	"os"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	headers := http.Header{}
	headers.Set("webhook-id", "msg_1")
	headers.Set("webhook-timestamp", os.Args[1])
	headers.Set("webhook-signature", os.Args[2])
	webhook, err := webhooks.NewWebhook("c2VjcmV0")
	if err != nil {
		panic(err)
	}
	if err := webhook.Verify([]byte(os.Args[3]), headers); err != nil {
		panic(err)
	}
	fmt.Println("Go verified")
}
GO
cat >Show.java <<'JAVA'
import com.standardwebhooks.Webhook;
import java.util.List;
import java.util.Map;

public class Show {
  public static void main(String[] given) throws Exception {
    var headers = Map.of("webhook-id", List.of("msg_1"), "webhook-timestamp", List.of(given[0]),
        "webhook-signature", List.of(given[1]));
    new Webhook("c2VjcmV0").verify(given[2], headers);
    System.out.println("Java verified");
  }
}
JAVA
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/standard-webhooks/standard-webhooks/libraries@v0.0.1 >/dev/null 2>&1
go build -o show show.go
payload='status=completed&id=1'
timestamp=$(date +%s)
key=$(printf 'c2VjcmV0' | base64 -d)
signature="v1,$(printf '%s' "msg_1.$timestamp.$payload" | openssl dgst -sha256 -hmac "$key" -binary | base64)"
{
  node show.js "$timestamp" "$signature" "$payload"
  venv/bin/python show.py "$timestamp" "$signature" "$payload"
  ./show "$timestamp" "$signature" "$payload"
  java -cp 'jars/*' Show.java "$timestamp" "$signature" "$payload"
} | tee seen
diff seen - <<'SEEN'
JavaScript SyntaxError
Python JSONDecodeError
Go verified
Java verified
SEEN
