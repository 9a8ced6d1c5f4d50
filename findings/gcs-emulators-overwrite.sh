#!/usr/bin/env bash
# gcp-storage-emulator 2026.7.19 overwrites an object although `ifGenerationMatch=0` says to create it only if there is none.
#
# Google's Cloud Storage documentation, "Request preconditions": with `ifGenerationMatch=0` a request succeeds only if there is
# no live version of the object, and fails with 412 otherwise. Pipelines use it as a lock, or so that of two workers only one
# stores. In a test with the emulator both do. It also ignores `startOffset` and `maxResults` ("Objects: list") and answers
# `bytes=-3` with the whole object. fake-gcs-server 1.56.1 does these as documented, but ignores `matchGlob`, which the former
# knows. Neither reports an error.
#
# Output seen 2026-12-01, of the objects a-b, a/1, a/c/d and k, which is 0123456789:
#   gcp-storage-emulator: k again with ifGenerationMatch=0 200
#   gcp-storage-emulator: startOffset=a/1 a-b a/1 a/c/d k
#   gcp-storage-emulator: maxResults=1 a-b a/1 a/c/d k
#   gcp-storage-emulator: matchGlob=a/* a/1
#   gcp-storage-emulator: bytes=-3 0123456789
#   fake-gcs-server: k again with ifGenerationMatch=0 412
#   fake-gcs-server: startOffset=a/1 a/1 a/c/d k
#   fake-gcs-server: maxResults=1 a-b
#   fake-gcs-server: matchGlob=a/* a-b a/1 a/c/d k
#   fake-gcs-server: bytes=-3 789
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check gcp-storage-emulator==2026.7.19
cat >serve.go <<'GO'
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

func main() {
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{Host: "127.0.0.1", Scheme: "http", Writer: io.Discard})
	if err != nil {
		panic(err)
	}
	fmt.Println(server.URL())
	io.Copy(io.Discard, os.Stdin)
	server.Stop()
}
GO
cat >show.py <<'PYTHON'
import json
import socket
import subprocess
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def ask(url, body=None, **headers):
    try:
        with urlopen(Request(url, body, headers)) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def show(name, url):
    bucket, uploads = f"{url}/storage/v1/b/bucket/o", f"{url}/upload/storage/v1/b/bucket/o?uploadType=media&name="
    for _ in range(300):
        try:
            ask(f"{url}/storage/v1/b?project=p", b'{"name":"bucket"}', **{"Content-Type": "application/json"})
            break
        except OSError:
            time.sleep(0.1)
    for key in ("a-b", "a%2F1", "a%2Fc%2Fd", "k"):
        assert ask(uploads + key, b"0123456789", **{"Content-Type": "text/plain"})[0] == 200
    part = ask(f"{bucket}/k?alt=media", Range="bytes=-3")[1].decode()
    status, _ = ask(f"{uploads}k&ifGenerationMatch=0", b"new", **{"Content-Type": "text/plain"})
    print(f"{name}: k again with ifGenerationMatch=0 {status}")
    for wanted in ("startOffset=a/1", "maxResults=1", "matchGlob=a/*"):
        found = json.loads(ask(f"{bucket}?{wanted}")[1])["items"]
        print(f"{name}: {wanted} {' '.join(item['name'] for item in found)}")
    print(f"{name}: bytes=-3 {part}", flush=True)


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
command = ["venv/bin/gcp-storage-emulator", "start", "--host=127.0.0.1", f"--port={port}", "--in-memory"]
emulator = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    show("gcp-storage-emulator", f"http://127.0.0.1:{port}")
finally:
    emulator.terminate()
    emulator.wait()
with subprocess.Popen(["./serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
    show("fake-gcs-server", server.stdout.readline().strip())
    server.stdin.close()
PYTHON
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init serve >/dev/null 2>&1
go get github.com/fsouza/fake-gcs-server/fakestorage@v1.56.1 >/dev/null 2>&1
go build -o serve serve.go
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
gcp-storage-emulator: k again with ifGenerationMatch=0 200
gcp-storage-emulator: startOffset=a/1 a-b a/1 a/c/d k
gcp-storage-emulator: maxResults=1 a-b a/1 a/c/d k
gcp-storage-emulator: matchGlob=a/* a/1
gcp-storage-emulator: bytes=-3 0123456789
fake-gcs-server: k again with ifGenerationMatch=0 412
fake-gcs-server: startOffset=a/1 a/1 a/c/d k
fake-gcs-server: maxResults=1 a-b
fake-gcs-server: matchGlob=a/* a-b a/1 a/c/d k
fake-gcs-server: bytes=-3 789
SEEN
