#!/usr/bin/env bash
# How long is ten seconds of sound? Libraries that read it from the headers say anything from nothing to 13 hours.
#
# Each file holds 10 s and is as FFmpeg writes it. In a fragmented MP4 the durations are in the fragments (ISO/IEC
# 14496-12, 8.8): tinytag 2.3.2 and mutagen 1.48.1 see an empty movie, and say 0 instead of nothing. A WAV that is written
# to a pipe declares the largest length there is; both believe it. Of FLAC in Ogg, and of MP3 without a table of
# its variable bit rate, the libraries guess, give 0 or give nothing. All are right with Opus.
#
# Output seen 2026-11-30, in seconds:
#   fragmented.m4a tinytag 0.0, mutagen 0.0, music-metadata 10.0
#   piped.wav tinytag 48695.8, mutagen 48695.8, music-metadata 10.0
#   flac.ogg tinytag 0.0, mutagen 10.0, music-metadata none
#   variable.mp3 tinytag 10.0, mutagen 2.0, music-metadata none
#   opus.ogg tinytag 10.0, mutagen 10.0, music-metadata 10.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check tinytag==2.3.2 mutagen==1.48.1 imageio-ffmpeg==0.8.1
npm install --silent --no-audit --no-fund music-metadata@11.16.1 >/dev/null
ffmpeg=$(venv/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
sound() { "$ffmpeg" -v error -f lavfi -i sine=440:duration=10 "$@"; }
sound -c:a aac -movflags frag_keyframe+empty_moov fragmented.m4a
sound -f wav - | cat >piped.wav
sound -c:a flac flac.ogg
sound -c:a libmp3lame -q:a 9 -write_xing 0 variable.mp3
sound -c:a libopus opus.ogg
cat >show.py <<'PYTHON'
import sys

import mutagen
import tinytag

print(f"tinytag {tinytag.TinyTag.get(sys.argv[1]).duration:.1f}, mutagen {mutagen.File(sys.argv[1]).info.length:.1f}")
PYTHON
cat >show.mjs <<'JAVASCRIPT'
import { parseFile } from 'music-metadata'
const { duration } = (await parseFile(process.argv[2])).format
console.log('music-metadata', duration?.toFixed(1) ?? 'none')
JAVASCRIPT
for file in fragmented.m4a piped.wav flac.ogg variable.mp3 opus.ogg; do
  echo "$file $(venv/bin/python show.py "$file"), $(node show.mjs "$file")"
done | tee seen
diff seen - <<'SEEN'
fragmented.m4a tinytag 0.0, mutagen 0.0, music-metadata 10.0
piped.wav tinytag 48695.8, mutagen 48695.8, music-metadata 10.0
flac.ogg tinytag 0.0, mutagen 10.0, music-metadata none
variable.mp3 tinytag 10.0, mutagen 2.0, music-metadata none
opus.ogg tinytag 10.0, mutagen 10.0, music-metadata 10.0
SEEN
