#!/usr/bin/env bash
# HashiCorp's go-retryablehttp 0.7.8 does not wait until a Retry-After in one of HTTP's older forms of a date.
#
# RFC 9110, section 5.6.7: a recipient must accept all three forms of an HTTP date, the one that is sent today, RFC 850's and
# that of C's asctime. Go's own `http.ParseTime` does. The library knows the first only. With another it waits for its
# usual backoff, which begins at a second, and asks a server again that wanted half a minute.
#
# Output seen 2026-11-30, the wait after a 503 that asks for 30 s:
#   seconds as asked
#   IMF-fixdate as asked
#   RFC 850 1s
#   asctime 1s
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
cat >show.go <<'GO'
package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

func main() {
	for _, form := range []struct{ name, layout string }{
		{"seconds", ""},
		{"IMF-fixdate", http.TimeFormat},
		{"RFC 850", "Monday, 02-Jan-06 15:04:05 GMT"},
		{"asctime", time.ANSIC},
	} {
		value := "30"
		if form.layout != "" {
			value = time.Now().UTC().Add(30*time.Second).Format(form.layout)
			if _, err := http.ParseTime(value); err != nil {
				panic(err)
			}
		}
		answer := &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {value}}}
		wait := retryablehttp.DefaultBackoff(time.Second, time.Minute, 0, answer)
		if wait > 28*time.Second && wait <= 30*time.Second {
			fmt.Println(form.name, "as asked")
		} else {
			fmt.Println(form.name, wait)
		}
	}
}
GO
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/hashicorp/go-retryablehttp@v0.7.8 >/dev/null 2>&1
go run show.go | tee seen
diff seen - <<'SEEN'
seconds as asked
IMF-fixdate as asked
RFC 850 1s
asctime 1s
SEEN
