#!/usr/bin/env bash
# imagesize 2.0.1 reads the size of some valid WebP and GIF images wrongly.
#
# WebP: of the 16 bits of a VP8 frame's width and height, 14 are the size and the upper two say by how much to scale it up
# when it is shown (RFC 6386, section 9.1). imagesize takes all 16 for the size. GIF: width and height are unsigned
# (GIF89a, section 18). imagesize takes them for signed. Pillow 13.0.0 and image-size 2.1.0 for Node read both correctly.
#
# Output seen 2026-11-30:
#   scaled.webp Pillow 40x30, image-size 40x30, imagesize 16424x32798
#   wide.gif Pillow 40000x1, image-size 40000x1, imagesize -25536x1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check imagesize==2.0.1 pillow==13.0.0
npm install --silent --no-audit --no-fund image-size@2.1.0 >/dev/null
cat >make.py <<'PYTHON'
import io
import struct

from PIL import Image

Image.new("P", (40000, 1)).save("wide.gif")
written = io.BytesIO()
Image.new("RGB", (40, 30)).save(written, "WEBP")
webp = bytearray(written.getvalue())
size_at = webp.index(b"\x9d\x01\x2a") + 3
struct.pack_into("<HH", webp, size_at, 1 << 14 | 40, 2 << 14 | 30)
with open("scaled.webp", "wb") as file:
    file.write(webp)
PYTHON
cat >show.py <<'PYTHON'
import subprocess
import sys

import imagesize
from PIL import Image

name = sys.argv[1]
node = "const { width, height } = require('image-size').imageSize(require('fs').readFileSync(process.argv[1]))"
theirs = subprocess.check_output(["node", "-e", node + "; console.log(`${width}x${height}`)", name], text=True).strip()
pillow, imagesize_ = ("{}x{}".format(*size) for size in (Image.open(name).size, imagesize.get(name)))
print(f"{name} Pillow {pillow}, image-size {theirs}, imagesize {imagesize_}")
PYTHON
venv/bin/python make.py
for name in scaled.webp wide.gif; do venv/bin/python show.py "$name"; done | tee seen
diff seen - <<'SEEN'
scaled.webp Pillow 40x30, image-size 40x30, imagesize 16424x32798
wide.gif Pillow 40000x1, image-size 40000x1, imagesize -25536x1
SEEN
