#!/usr/bin/env bash
# JPEGs with fill bytes and BMPs from top to bottom are valid. Node's image-size and Rust's imagesize do not know them.
#
# ITU-T T.81, section B.1.1.2: any number of fill bytes X'FF' may precede a marker. image-size 2.1.0 and imagesize 0.15.0 take
# the second of them for the marker and read a wrong length: both call the file damaged. BITMAPINFOHEADER has a negative
# height if the rows go from top to bottom, as screenshots and video frames do. To imagesize that is a height of
# four thousand million. Pillow 13.0.0, probe-image-size 7.5.0 and image-meta 0.3.0 read all three.
#
# Output seen 2026-11-30, of an image of 300 x 200 (image-size and imagesize fail with these errors):
#   plain.jpg: Pillow 300x200, image-size 300x200, probe-image-size 300x200, image-meta 300x200, imagesize 300x200
#   filled.jpg: Pillow 300x200, image-size TypeError, probe-image-size 300x200, image-meta 300x200, imagesize UnexpectedEof
#   topdown.bmp: Pillow 300x200, image-size 300x200, probe-image-size 300x200, image-meta 300x200, imagesize 300x4294967096
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check pillow==13.0.0
npm install --silent --no-audit --no-fund image-size@2.1.0 probe-image-size@7.5.0 image-meta@0.3.0 >/dev/null
cat >write.py <<'PYTHON'
from io import BytesIO
from pathlib import Path

from PIL import Image


def written(kind):
    file = BytesIO()
    Image.new("RGB", (300, 200), "teal").save(file, format=kind)
    return file.getvalue()


plain = written("JPEG")
filled, at, marker = plain[:2], 2, 0
while marker != 0xDA:  # what follows the start of the scan stays as it is
    marker, length = plain[at + 1], int.from_bytes(plain[at + 2 : at + 4], "big")
    filled += b"\xff\xff" + plain[at : at + 2 + length]
    at += 2 + length
bmp = written("BMP")
Path("plain.jpg").write_bytes(plain)
Path("filled.jpg").write_bytes(filled + plain[at:])
Path("topdown.bmp").write_bytes(bmp[:22] + (-200).to_bytes(4, "little", signed=True) + bmp[26:])
PYTHON
cat >show.py <<'PYTHON'
import sys

from PIL import Image

with Image.open(sys.argv[1]) as image:
    image.load()
    print("Pillow {}x{}".format(*image.size))
PYTHON
cat >show.mjs <<'JAVASCRIPT'
import { readFileSync } from 'fs'
import { imageSize } from 'image-size'
import { imageMeta } from 'image-meta'
import probe from 'probe-image-size'

const bytes = readFileSync(process.argv[2])
const readers = { 'image-size': imageSize, 'probe-image-size': probe.sync, 'image-meta': imageMeta }
const found = Object.entries(readers).map(([name, read]) => {
  try {
    const { width, height } = read(bytes)
    return `${name} ${width}x${height}`
  } catch (error) {
    return `${name} ${error.constructor.name}`
  }
})
console.log(found.join(', '))
JAVASCRIPT
cat >Cargo.toml <<'TOML'
[package]
name = "show"
version = "1.0.0"
edition = "2021"

[dependencies]
imagesize = "=0.15.0"
TOML
mkdir src
cat >src/main.rs <<'RUST'
fn main() {
    match imagesize::size(std::env::args().nth(1).unwrap()) {
        Ok(size) => println!("imagesize {}x{}", size.width, size.height),
        Err(imagesize::ImageError::IoError(error)) => println!("imagesize {:?}", error.kind()),
        Err(error) => println!("imagesize {error:?}"),
    }
}
RUST
CARGO_HOME="$folder/cargo" cargo build -q
venv/bin/python write.py
for file in plain.jpg filled.jpg topdown.bmp; do
  echo "$file: $(venv/bin/python show.py $file), $(node show.mjs $file), $(target/debug/show $file)"
done | tee seen
diff seen - <<'SEEN'
plain.jpg: Pillow 300x200, image-size 300x200, probe-image-size 300x200, image-meta 300x200, imagesize 300x200
filled.jpg: Pillow 300x200, image-size TypeError, probe-image-size 300x200, image-meta 300x200, imagesize UnexpectedEof
topdown.bmp: Pillow 300x200, image-size 300x200, probe-image-size 300x200, image-meta 300x200, imagesize 300x4294967096
SEEN
