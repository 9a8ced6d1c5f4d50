#!/usr/bin/env bash
# In moto 5.2.5, an EventBridge rule for `true` matches 1, and a rule for 0 matches `false`.
#
# Amazon's EventBridge guide, "Creating event patterns": the values to match follow the rules of JSON, where true is no number.
# moto compares them as Python does, to which True == 1. A rule that passes its test then never fires. event-ruler 1.7.3,
# which Amazon publishes as the engine of the service, keeps them apart.
#
# Output seen 2026-12-01, of the event {"source":"app","detail":{"done":1,"failed":false}}:
#   {"detail":{"done":[1]}}: moto true, event-ruler true
#   {"detail":{"done":[true]}}: moto true, event-ruler false
#   {"detail":{"failed":[false]}}: moto true, event-ruler true
#   {"detail":{"failed":[0]}}: moto true, event-ruler false
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'moto[events,sqs]==5.2.5' boto3==1.44.8
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>show</groupId><artifactId>show</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>software.amazon.event.ruler</groupId><artifactId>event-ruler</artifactId><version>1.7.3</version>
  </dependency></dependencies>
</project>
XML
mvn -B -q -Dmaven.repo.local="$folder/maven" dependency:copy-dependencies -DoutputDirectory=jars >/dev/null
cat >Show.java <<'JAVA'
import software.amazon.event.ruler.Ruler;

public class Show {
  public static void main(String[] texts) throws Exception {
    System.out.println(Ruler.matchesRule(texts[0], texts[1]));
  }
}
JAVA
cat >show.py <<'PYTHON'
import json
import sys

import boto3
from moto import mock_aws

detail, pattern = sys.argv[1:]
keys = {"aws_access_key_id": "id", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
with mock_aws():
    events, sqs = boto3.client("events", **keys), boto3.client("sqs", **keys)
    url = sqs.create_queue(QueueName="queue")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="rule", EventPattern=pattern)
    events.put_targets(Rule="rule", Targets=[{"Id": "queue", "Arn": arn}])
    events.put_events(Entries=[{"Source": "app", "DetailType": "type", "Detail": detail}])
    print(json.dumps("Messages" in sqs.receive_message(QueueUrl=url)))
PYTHON
detail='{"done":1,"failed":false}'
for pattern in '{"detail":{"done":[1]}}' '{"detail":{"done":[true]}}' '{"detail":{"failed":[false]}}' '{"detail":{"failed":[0]}}'; do
  moto=$(venv/bin/python show.py "$detail" "$pattern")
  echo "$pattern: moto $moto, event-ruler $(java -cp 'jars/*' Show.java "{\"source\":\"app\",\"detail\":$detail}" "$pattern")"
done | tee seen
diff seen - <<'SEEN'
{"detail":{"done":[1]}}: moto true, event-ruler true
{"detail":{"done":[true]}}: moto true, event-ruler false
{"detail":{"failed":[false]}}: moto true, event-ruler true
{"detail":{"failed":[0]}}: moto true, event-ruler false
SEEN
