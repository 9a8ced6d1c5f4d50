#!/usr/bin/env bash
# mock-aws-s3 4.0.2 for Node ignores `Range`, and lists keys in another order than S3, with prefixes that nobody asked for.
#
# S3's API reference, GetObject: `Range` downloads that part of the object. ListObjectsV2: keys come in lexicographical order,
# by the bytes of their names (general purpose buckets), and `CommonPrefixes` only with a delimiter. The mock returns the
# whole object, and lists folder by folder: "a-b" comes after "a/1" though "-" is before "/". Code that continues after the
# last key, or that merges two listings, passes its tests and skips objects in S3, or the reverse. moto 5.2.5 does all three
# as S3 does.
#
# Output seen 2026-11-30:
#   mock-aws-s3: bytes=0-3 of 0123456789 is 0123456789, keys a/1 a/c/d a-b, prefixes a/ a/c/ /
#   moto: bytes=0-3 of 0123456789 is 0123, keys a-b a/1 a/c/d, prefixes none
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'moto[s3]==5.2.5' boto3==1.44.8
npm install --silent --no-audit --no-fund mock-aws-s3@4.0.2 >/dev/null
cat >show.js <<'JAVASCRIPT'
const mock = require('mock-aws-s3')

mock.config.basePath = `${__dirname}/buckets`
const s3 = mock.S3({ params: { Bucket: 'bucket' } })
async function show() {
  for (const Key of ['a-b', 'a/1', 'a/c/d']) await s3.putObject({ Key, Body: '0123456789' }).promise()
  const part = await s3.getObject({ Key: 'a/1', Range: 'bytes=0-3' }).promise()
  const { Contents, CommonPrefixes } = await s3.listObjectsV2({ Prefix: 'a' }).promise()
  const [keys, prefixes] = [Contents.map((object) => object.Key), CommonPrefixes.map((common) => common.Prefix)]
  console.log(`mock-aws-s3: bytes=0-3 of 0123456789 is ${part.Body}, keys ${keys.join(' ')}, prefixes ${prefixes.join(' ') || 'none'}`)
}
show()
JAVASCRIPT
cat >show.py <<'PYTHON'
import boto3
from moto import mock_aws

with mock_aws():
    s3 = boto3.client("s3", aws_access_key_id="id", aws_secret_access_key="secret", region_name="us-east-1")
    s3.create_bucket(Bucket="bucket")
    for key in ("a-b", "a/1", "a/c/d"):
        s3.put_object(Bucket="bucket", Key=key, Body=b"0123456789")
    part = s3.get_object(Bucket="bucket", Key="a/1", Range="bytes=0-3")["Body"].read().decode()
    listed = s3.list_objects_v2(Bucket="bucket", Prefix="a")
    keys = " ".join(found["Key"] for found in listed["Contents"])
    prefixes = " ".join(found["Prefix"] for found in listed.get("CommonPrefixes", [])) or "none"
    print(f"moto: bytes=0-3 of 0123456789 is {part}, keys {keys}, prefixes {prefixes}")
PYTHON
{
  node show.js 2>/dev/null
  venv/bin/python show.py
} | tee seen
diff seen - <<'SEEN'
mock-aws-s3: bytes=0-3 of 0123456789 is 0123456789, keys a/1 a/c/d a-b, prefixes a/ a/c/ /
moto: bytes=0-3 of 0123456789 is 0123, keys a-b a/1 a/c/d, prefixes none
SEEN
