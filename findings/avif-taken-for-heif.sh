#!/usr/bin/env bash
# file-type 21.3.4 and magic-bytes.js 1.13.1 for Node and mimetype 1.4.16 for Go take some AVIF images for HEIF.
#
# "AV1 Image File Format" 1.1.0, "General constraints": such a file lists `avif` or `avis` among its compatible brands. Its
# major brand may be another: ISO/IEC 14496-12, section 4.3, makes that only the best use. These packages look at the major
# brand alone. The image is then stored under a name and a type that most browsers do not show. filetype 1.2.0 and Pillow
# 13.0.0 for Python look at all brands.
#
# Output seen 2026-12-01, by the major brand of one image with the compatible brands avif, mif1, miaf:
#   avif: Pillow image/avif, filetype image/avif
#   avif: file-type image/avif avif, magic-bytes.js image/avif avif
#   avif: mimetype image/avif .avif
#   mif1: Pillow image/avif, filetype image/avif
#   mif1: file-type image/heif heic, magic-bytes.js image/heif heif
#   mif1: mimetype image/heif .heif
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check pillow==13.0.0 filetype==1.2.0
npm install --silent --no-audit --no-fund file-type@21.3.4 magic-bytes.js@1.13.1 >/dev/null
cat >make.py <<'PYTHON'
from io import BytesIO
from pathlib import Path

from PIL import Image

file = BytesIO()
Image.new("RGB", (40, 30), "teal").save(file, "AVIF")
written = file.getvalue()
brands = written[16 : int.from_bytes(written[:4], "big")]
assert {b"avif", b"mif1", b"miaf"} <= {brands[at : at + 4] for at in range(0, len(brands), 4)}
for major in ("avif", "mif1"):
    Path(major).write_bytes(written[:8] + major.encode() + written[12:])
PYTHON
cat >show.py <<'PYTHON'
import sys

import filetype
from PIL import Image

major = sys.argv[1]
with Image.open(major) as image:
    image.load()
    print(f"{major}: Pillow {image.get_format_mimetype()}, filetype {filetype.guess(major).mime}")
PYTHON
cat >show.mjs <<'JAVASCRIPT'
import { readFileSync } from 'node:fs'
import { fileTypeFromFile } from 'file-type'
import magic from 'magic-bytes.js'

const major = process.argv[2]
const { mime, ext } = await fileTypeFromFile(major)
const [guess] = magic.filetypeinfo(readFileSync(major))
console.log(`${major}: file-type ${mime} ${ext}, magic-bytes.js ${guess.mime} ${guess.extension}`)
JAVASCRIPT
cat >show.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/gabriel-vasile/mimetype"
)

func main() {
	found, err := mimetype.DetectFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s: mimetype %s %s\n", os.Args[1], found, found.Extension())
}
GO
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/gabriel-vasile/mimetype@v1.4.16 >/dev/null 2>&1
venv/bin/python make.py
for major in avif mif1; do
  venv/bin/python show.py $major
  node show.mjs $major
  go run show.go $major
done | tee seen
diff seen - <<'SEEN'
avif: Pillow image/avif, filetype image/avif
avif: file-type image/avif avif, magic-bytes.js image/avif avif
avif: mimetype image/avif .avif
mif1: Pillow image/avif, filetype image/avif
mif1: file-type image/heif heic, magic-bytes.js image/heif heif
mif1: mimetype image/heif .heif
SEEN
