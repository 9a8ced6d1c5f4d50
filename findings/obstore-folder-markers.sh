#!/usr/bin/env bash
# obstore 0.12.1 lists the object `images/` as `images`, which it cannot open. One object called `a//b` ends every listing.
#
# A key in S3 is any text: AWS's console makes the object `images/` for "Create folder", and `base + "/" + name` makes `a//b`.
# obstore rests on Rust's object_store, as Polars, delta-rs and Lance do. It cuts the slashes off both ends of a key, so what
# it lists is another object, or none. A key with an empty part, or with `.` or `..` as a part, is refused: not alone, but
# with all others below the prefix. boto3 1.44.8 lists and reads the same objects from the same server, moto 5.2.5.
#
# Output seen 2026-11-30, a bucket with `ok` and one other object:
#   images/: obstore lists ['images', 'ok'], opens ['ok']; boto3 opens 2
#   /log: obstore lists ['log', 'ok'], opens ['ok']; boto3 opens 2
#   a//b: obstore InvalidPathError; boto3 opens 2
#   a/./b: obstore InvalidPathError; boto3 opens 2
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check obstore==0.12.1 boto3==1.44.8 'moto[server,s3]==5.2.5'
cat >"$folder/show.py" <<'PYTHON'
import logging

import boto3
import obstore
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

logging.getLogger("werkzeug").setLevel(logging.ERROR)
KEYS = {"aws_access_key_id": "id", "aws_secret_access_key": "secret"}


def opens(store, path):
    try:
        return bytes(obstore.get(store, path).bytes()) == b"bytes"
    except FileNotFoundError:
        return False


def seen_by_obstore(endpoint, bucket):
    store = S3Store(bucket, endpoint=endpoint, region="us-east-1", client_options={"allow_http": True}, **KEYS)
    try:
        paths = [entry["path"] for entry in obstore.list(store).collect()]
    except Exception as error:
        return type(error).__name__
    return f"lists {paths}, opens {[path for path in paths if opens(store, path)]}"


moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
moto.start()
endpoint = f"http://127.0.0.1:{moto.get_host_and_port()[1]}"
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **KEYS)
for number, key in enumerate(["images/", "/log", "a//b", "a/./b"]):
    bucket = f"bucket-{number}"
    s3.create_bucket(Bucket=bucket)
    for name in (key, "ok"):
        s3.put_object(Bucket=bucket, Key=name, Body=b"bytes")
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    opened = [name for name in listed if s3.get_object(Bucket=bucket, Key=name)["Body"].read() == b"bytes"]
    print(f"{key}: obstore {seen_by_obstore(endpoint, bucket)}; boto3 opens {len(opened)}")
moto.stop()
PYTHON
"$folder/venv/bin/python" "$folder/show.py" | tee "$folder/seen"
diff "$folder/seen" - <<'SEEN'
images/: obstore lists ['images', 'ok'], opens ['ok']; boto3 opens 2
/log: obstore lists ['log', 'ok'], opens ['ok']; boto3 opens 2
a//b: obstore InvalidPathError; boto3 opens 2
a/./b: obstore InvalidPathError; boto3 opens 2
SEEN
