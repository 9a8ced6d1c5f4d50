#!/usr/bin/env bash
# s3rver 3.7.1 stores the chunk headers of a stream that the AWS SDK for JavaScript 3.1175.0 uploads.
#
# With a stream as its body, the SDK adds a checksum behind it: it sends `Content-Encoding: aws-chunked` and
# `x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER`, and S3 stores what is in the chunks ("Signature calculations
# for the authorization header, including trailing headers"). s3rver decodes only the older, signed form. It answers 200,
# and the object is the body as sent, with lengths and trailer. A buffer is sent whole, and is stored as it is.
#
# Output seen 2026-11-30:
#   buffer "hello"
#   stream "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund s3rver@3.7.1 @aws-sdk/client-s3@3.1175.0 >/dev/null 2>&1
cat >show.js <<'JAVASCRIPT'
const { Readable } = require('stream')
const { S3Client, GetObjectCommand, PutObjectCommand } = require('@aws-sdk/client-s3')
const S3rver = require('s3rver')

const server = new S3rver({ port: 0, silent: true, directory: 'data', configureBuckets: [{ name: 'bucket' }] })
server.run().then(async ({ port }) => {
  const client = new S3Client({
    endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', forcePathStyle: true,
    credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
  })
  for (const [Key, Body] of [['buffer', Buffer.from('hello')], ['stream', Readable.from([Buffer.from('hello')])]]) {
    await client.send(new PutObjectCommand({ Bucket: 'bucket', Key, Body, ContentLength: 5 }))
    const stored = await client.send(new GetObjectCommand({ Bucket: 'bucket', Key }))
    console.log(Key, JSON.stringify(await stored.Body.transformToString()))
  }
  await server.close()
  client.destroy()
})
JAVASCRIPT
NODE_NO_WARNINGS=1 node show.js | tee seen
diff seen - <<'SEEN'
buffer "hello"
stream "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
SEEN
