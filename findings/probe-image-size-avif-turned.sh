#!/usr/bin/env bash
# probe-image-size 7.5.0 takes a quarter turn of an AVIF for one in the other direction.
#
# HEIF (ISO/IEC 23008-12, 6.5.10): `irot` turns the image anti-clockwise, by its value times 90 degrees. A value of 3 is a
# quarter turn clockwise, which is Exif's orientation 6, and 1 is orientation 8. The library says 8 for the one and 6 for
# the other. Pillow 13.0.0 writes these boxes for an orientation; Pillow and FFmpeg both show the file upright. Half a turn,
# and width and height, are right; of a JPEG with the same orientation so is all.
#
# Output seen 2026-11-30, of an image whose red half belongs on top:
#   orientation 6: irot 3, FFmpeg shows red on top, probe-image-size says 8 (JPEG: 6)
#   orientation 3: irot 2, FFmpeg shows red on top, probe-image-size says 3 (JPEG: 3)
#   orientation 8: irot 1, FFmpeg shows red on top, probe-image-size says 6 (JPEG: 8)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check pillow==13.0.0 imageio-ffmpeg==0.8.1
npm install --silent --no-audit --no-fund probe-image-size@7.5.0 >/dev/null
cat >show.py <<'PYTHON'
import subprocess

from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

upright = Image.new("RGB", (64, 64), "blue")
upright.paste("red", (0, 0, 64, 32))
for orientation, undo in ((6, Image.Transpose.ROTATE_90), (3, Image.Transpose.ROTATE_180), (8, Image.Transpose.ROTATE_270)):
    exif = Image.Exif()
    exif[0x112] = orientation
    for suffix in ("jpg", "avif"):  # the latter takes the orientation out of `exif`
        upright.transpose(undo).save(f"{orientation}.{suffix}", exif=exif)
    subprocess.run([get_ffmpeg_exe(), "-v", "error", "-i", f"{orientation}.avif", "shown.png", "-y"], check=True)
    red, _, blue = Image.open("shown.png").convert("RGB").getpixel((32, 8))
    with open(f"{orientation}.avif", "rb") as file:
        turns = file.read().partition(b"irot")[2][0]
    says = subprocess.run(["node", "show.js", str(orientation)], capture_output=True, text=True, check=True).stdout.strip()
    print(f"orientation {orientation}: irot {turns}, FFmpeg shows {'red' if red > blue else 'blue'} on top, {says}")
PYTHON
cat >show.js <<'JAVASCRIPT'
const { readFileSync } = require('fs')
const probe = require('probe-image-size')
const of = name => probe.sync(readFileSync(name)).orientation
console.log(`probe-image-size says ${of(process.argv[2] + '.avif')} (JPEG: ${of(process.argv[2] + '.jpg')})`)
JAVASCRIPT
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
orientation 6: irot 3, FFmpeg shows red on top, probe-image-size says 8 (JPEG: 6)
orientation 3: irot 2, FFmpeg shows red on top, probe-image-size says 3 (JPEG: 3)
orientation 8: irot 1, FFmpeg shows red on top, probe-image-size says 6 (JPEG: 8)
SEEN
