#!/usr/bin/env bash
# s3fs 2026.9.0 and cloudpathlib 0.26.0 store what was written so far if the writing program fails within its `with` block.
#
# In Amazon's guide "Uploading and copying objects using multipart upload", an object exists once all of it was sent and the
# upload is completed; one that is aborted leaves none. Closing the file completes it, and `with` closes it after an exception
# as well. So the first half of a video replaces the whole one, with a valid checksum. smart_open 9.0.2 aborts the upload
# instead. With s3fs, write within `fs.transaction`, which discards the files of a failed block; with cloudpathlib, use
# `upload_from` with a finished file.
#
# Output seen 2026-11-30, an object of 10 bytes after a program failed that had written 4 of its next 10:
#   smart_open b'0123456789'
#   s3fs b'half'
#   s3fs in a transaction b'0123456789'
#   cloudpathlib b'half'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check s3fs==2026.9.0 'cloudpathlib[s3]==0.26.0' 'smart_open[s3]==9.0.2' 'moto[server,s3]==5.2.5' boto3==1.43.117 aiobotocore==3.10.0
cat >show.py <<'PYTHON'
import logging
from contextlib import nullcontext

import boto3
import s3fs
import smart_open
from cloudpathlib import S3Client
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
moto.start()
endpoint = f"http://127.0.0.1:{moto.get_host_and_port()[1]}"
session = boto3.Session("id", "secret", region_name="us-east-1")
s3 = session.client("s3", endpoint_url=endpoint)
s3.create_bucket(Bucket="bucket")
files = s3fs.S3FileSystem(key="id", secret="secret", endpoint_url=endpoint)
clouds = S3Client(boto3_session=session, endpoint_url=endpoint)


class Failure(Exception):
    pass


def show(name, opened, block=nullcontext):
    s3.put_object(Bucket="bucket", Key="key", Body=b"0123456789")
    try:
        with block(), opened() as file:
            file.write(b"half")
            raise Failure
    except Failure:
        print(name, s3.get_object(Bucket="bucket", Key="key")["Body"].read())


show("smart_open", lambda: smart_open.open("s3://bucket/key", "wb", transport_params={"client": s3}))
show("s3fs", lambda: files.open("bucket/key", "wb"))
show("s3fs in a transaction", lambda: files.open("bucket/key", "wb"), lambda: files.transaction)
show("cloudpathlib", lambda: clouds.CloudPath("s3://bucket/key").open("wb"))
moto.stop()
PYTHON
venv/bin/python show.py 2>errors | tee seen
diff seen - <<'SEEN'
smart_open b'0123456789'
s3fs b'half'
s3fs in a transaction b'0123456789'
cloudpathlib b'half'
SEEN
