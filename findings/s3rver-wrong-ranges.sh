#!/usr/bin/env bash
# s3rver 3.7.1 answers a range with other bytes: the first four for the last three, all for the first one.
#
# RFC 9110, section 14.1.2, which S3's GetObject refers to: `bytes=-3` is the last three bytes, `bytes=0-0` the first.
# s3rver takes a missing first position for 0, and a last position of 0 for none. It answers 206 with a `Content-Range` that
# fits what it sends, so a program that reads the end of an archive or of an MP4, or probes with one byte, gets no error.
#
# Output seen 2026-11-30, of the object "0123456789":
#   bytes=2-5 -> 206, bytes 2-5/10, 2345
#   bytes=-3 -> 206, bytes 0-3/10, 0123
#   bytes=0-0 -> 206, bytes 0-9/10, 0123456789
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund s3rver@3.7.1 @aws-sdk/client-s3@3.1175.0 >/dev/null 2>&1
cat >show.js <<'JAVASCRIPT'
const { S3Client, GetObjectCommand, PutObjectCommand } = require('@aws-sdk/client-s3')
const S3rver = require('s3rver')

const at = { address: '127.0.0.1', port: 0, silent: true, directory: 'data', configureBuckets: [{ name: 'bucket' }] }
const server = new S3rver(at)
server.run().then(async ({ port }) => {
  const client = new S3Client({
    endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', forcePathStyle: true,
    credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
  })
  const object = { Bucket: 'bucket', Key: 'key' }
  await client.send(new PutObjectCommand({ ...object, Body: '0123456789' }))
  for (const Range of ['bytes=2-5', 'bytes=-3', 'bytes=0-0']) {
    const found = await client.send(new GetObjectCommand({ ...object, Range }))
    const text = await found.Body.transformToString()
    console.log(`${Range} -> ${found.$metadata.httpStatusCode}, ${found.ContentRange}, ${text}`)
  }
  await server.close()
  client.destroy()
})
JAVASCRIPT
NODE_NO_WARNINGS=1 node show.js | tee seen
diff seen - <<'SEEN'
bytes=2-5 -> 206, bytes 2-5/10, 2345
bytes=-3 -> 206, bytes 0-3/10, 0123
bytes=0-0 -> 206, bytes 0-9/10, 0123456789
SEEN
