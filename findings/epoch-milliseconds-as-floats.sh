#!/usr/bin/env bash
# msgpackr 2.1.4 and cbor-x 1.6.9 for Node write the milliseconds of a time, and each integer of 2^32 or more, as a float.
#
# The specification of MessagePack ("Serialization: type to format conversion") has integers for integers, and so has RFC
# 8949, section 3.1, for CBOR. JavaScript has one type of number, and these packages write its integers as integers only up to
# 32 bits. For Python's msgpack 1.2.4 and cbor2 6.3.0 the time is then a float, so its text and each id or signature made of
# it end in ".0". Go's msgpack 5.4.1 refuses to read it into an int64. Numbers below 2^32 arrive as integers, so tests with
# small ones pass. @msgpack/msgpack 3.1.3 and cbor 10.0.12 for Node write integers; a BigInt helps too.
#
# Output seen 2026-11-30, of 1764540000000:
#   msgpackr cb4279ad6c7a700000: Python 1764540000000.0, Go msgpack: invalid code=cb decoding int64
#   @msgpack/msgpack cf0000019ad6c7a700: Python 1764540000000, Go 1764540000000
#   cbor-x fb4279ad6c7a700000: Python 1764540000000.0
#   cbor 1b0000019ad6c7a700: Python 1764540000000
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check msgpack==1.2.4 cbor2==6.3.0
npm install --silent --no-audit --no-fund msgpackr@2.1.4 cbor-x@1.6.9 @msgpack/msgpack@3.1.3 cbor@10.0.12 >/dev/null
cat >write.mjs <<'JAVASCRIPT'
import { encode as packEncode } from '@msgpack/msgpack'
import cbor from 'cbor'
import { encode as cborEncode } from 'cbor-x'
import { pack } from 'msgpackr'

const writers = { msgpackr: pack, '@msgpack/msgpack': packEncode, 'cbor-x': cborEncode, cbor: cbor.encode }
console.log(Buffer.from(writers[process.argv[2]](1764540000000)).toString('hex'))
JAVASCRIPT
cat >read.py <<'PYTHON'
import sys

import cbor2
import msgpack

format, written = sys.argv[1:]
print((msgpack.unpackb if format == "msgpack" else cbor2.loads)(bytes.fromhex(written)))
PYTHON
cat >read.go <<'GO'
package main

import (
	"encoding/hex"
	"fmt"
	"os"

	"github.com/vmihailenco/msgpack/v5"
)

func main() {
	written, err := hex.DecodeString(os.Args[1])
	if err != nil {
		panic(err)
	}
	var milliseconds int64
	if err := msgpack.Unmarshal(written, &milliseconds); err != nil {
		fmt.Println(err)
	} else {
		fmt.Println(milliseconds)
	}
}
GO
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init read >/dev/null 2>&1
go get github.com/vmihailenco/msgpack/v5@v5.4.1 >/dev/null 2>&1
go build -o read read.go
{
  for package in msgpackr @msgpack/msgpack; do
    written=$(node write.mjs $package)
    echo "$package $written: Python $(venv/bin/python read.py msgpack "$written"), Go $(./read "$written")"
  done
  for package in cbor-x cbor; do
    written=$(node write.mjs $package)
    echo "$package $written: Python $(venv/bin/python read.py cbor "$written")"
  done
} | tee seen
diff seen - <<'SEEN'
msgpackr cb4279ad6c7a700000: Python 1764540000000.0, Go msgpack: invalid code=cb decoding int64
@msgpack/msgpack cf0000019ad6c7a700: Python 1764540000000, Go 1764540000000
cbor-x fb4279ad6c7a700000: Python 1764540000000.0
cbor 1b0000019ad6c7a700: Python 1764540000000
SEEN
