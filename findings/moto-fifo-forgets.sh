#!/usr/bin/env bash
# moto 5.2.5 delivers a message of a FIFO queue again once the first copy is deleted, and numbers messages at random.
#
# AWS's SQS reference: SQS "continues to keep track of the message deduplication ID even after the message is received and
# deleted" for five minutes (SendMessage, MessageDeduplicationId), and `SequenceNumber` grows with each message of a group. moto
# compares with the messages it still holds. So a test of a sender that repeats itself sees a double where AWS has none, and
# who orders by the number gets any order. ElasticMQ 1.6.11 does both as AWS does.
#
# Output seen 2026-11-30:
#   moto: repeated after the delete 1 message, numbers grow False
#   ElasticMQ: repeated after the delete 0 message, numbers grow True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'moto[server,sqs]==5.2.5' boto3==1.44.8
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>show</groupId><artifactId>show</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.elasticmq</groupId><artifactId>elasticmq-server_2.13</artifactId><version>1.6.11</version>
  </dependency></dependencies>
</project>
XML
mvn -B -q -Dmaven.repo.local="$folder/maven" dependency:copy-dependencies -DoutputDirectory=jars >/dev/null
cat >show.py <<'PYTHON'
import logging
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
from botocore.exceptions import ConnectionError, HTTPClientError
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)


def show(name, endpoint):
    keys = {"aws_access_key_id": "id", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    sqs = boto3.client("sqs", endpoint_url=endpoint, **keys)
    url = created(sqs)

    def send(body):
        sent = sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="group", MessageDeduplicationId=body)
        return int(sent["SequenceNumber"])

    def receive():
        return sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])

    send("first")
    for message in receive():
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    send("first")
    repeated = len(receive())
    numbers = [send(str(number)) for number in range(20)]
    print(f"{name}: repeated after the delete {repeated} message, numbers grow {numbers == sorted(numbers)}")


def created(sqs):
    for _ in range(120):
        try:
            return sqs.create_queue(QueueName="events.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        except (ConnectionError, HTTPClientError):
            time.sleep(0.5)
    sys.exit("no server")


moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
moto.start()
show("moto", f"http://127.0.0.1:{moto.get_host_and_port()[1]}")
moto.stop()
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
Path("show.conf").write_text(
    'include classpath("application.conf")\n'
    f'node-address {{ host = "127.0.0.1", port = {port} }}\n'
    f'rest-sqs {{ bind-hostname = "127.0.0.1", bind-port = {port} }}\n'
    "rest-stats { enabled = false }\n"
)
java = ["java", "-Dconfig.file=show.conf", "-cp", "jars/*", "org.elasticmq.server.Main"]
with subprocess.Popen(java, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
    try:
        show("ElasticMQ", f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
PYTHON
venv/bin/python show.py 2>/dev/null | tee seen
diff seen - <<'SEEN'
moto: repeated after the delete 1 message, numbers grow False
ElasticMQ: repeated after the delete 0 message, numbers grow True
SEEN
