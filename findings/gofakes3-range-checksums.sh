#!/usr/bin/env bash
# boto3 1.44.8 can read no range of an object from gofakes3 1.2.0, and a range that is longer than the object is refused.
#
# "Checking object integrity" in the S3 guide: S3 returns the checksum of an object when all of it is read. gofakes3 also sends
# it with a part, and boto3, which checks what it gets, raises. RFC 9110, section 14.1.2: a suffix that is longer than the object
# means all of it. gofakes3 answers 416 to it. moto 5.2.5 does both as S3 does.
#
# Output seen 2026-11-30, of the object "0123456789":
#   gofakes3: whole 0123456789, bytes=0-3 FlexibleChecksumError, bytes=-3 FlexibleChecksumError, bytes=-100 InvalidRange
#   moto: whole 0123456789, bytes=0-3 0123, bytes=-3 789, bytes=-100 0123456789
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'moto[server,s3]==5.2.5' boto3==1.44.8
cat >serve.go <<'GO'
package main

import (
	"fmt"
	"io"
	"net/http/httptest"
	"os"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

func main() {
	server := httptest.NewServer(gofakes3.New(s3mem.New()).Server())
	fmt.Println(server.URL)
	io.Copy(io.Discard, os.Stdin)
	server.Close()
}
GO
cat >show.py <<'PYTHON'
import logging
import subprocess

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, FlexibleChecksumError
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)


def show(name, endpoint):
    keys = {"aws_access_key_id": "id", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    s3 = boto3.client("s3", endpoint_url=endpoint, config=Config(s3={"addressing_style": "path"}), **keys)
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="key", Body=b"0123456789")

    def read(**asked):
        try:
            return s3.get_object(Bucket="bucket", Key="key", **asked)["Body"].read().decode()
        except FlexibleChecksumError as error:
            return type(error).__name__
        except ClientError as error:
            return error.response["Error"]["Code"]

    ranges = [f"{asked} {read(Range=asked)}" for asked in ("bytes=0-3", "bytes=-3", "bytes=-100")]
    print(f"{name}: whole {read()}, {', '.join(ranges)}")


with subprocess.Popen(["./serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
    try:
        show("gofakes3", server.stdout.readline().strip())
    finally:
        server.stdin.close()
moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
moto.start()
show("moto", f"http://127.0.0.1:{moto.get_host_and_port()[1]}")
moto.stop()
PYTHON
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init serve >/dev/null 2>&1
go get github.com/johannesboyne/gofakes3/backend/s3mem@v1.2.0 >/dev/null 2>&1
go build -o serve serve.go
venv/bin/python show.py 2>/dev/null | tee seen
diff seen - <<'SEEN'
gofakes3: whole 0123456789, bytes=0-3 FlexibleChecksumError, bytes=-3 FlexibleChecksumError, bytes=-100 InvalidRange
moto: whole 0123456789, bytes=0-3 0123, bytes=-3 789, bytes=-100 0123456789
SEEN
