#!/usr/bin/env bash
# librdkafka 2.16.1, Sarama 1.61.1 and kafka-go 0.4.51 put a key into another Kafka partition than Java's client does.
#
# Kafka's documentation, "Introduction": events with the same key are written to the same partition, in which they keep their
# order. But each client chooses the partition. Java's hashes the key with murmur2, and so do aiokafka 0.14.0, kafkajs 2.2.4
# and franz-go 1.22.3. librdkafka, here in confluent-kafka, uses CRC32; Sarama and kafka-go's `Hash` use FNV-1a. If programs
# with two of these clients write the events of one order, they are in two partitions and arrive in any order. librdkafka's
# setting `partitioner=murmur2_random` and kafka-go's `Murmur2Balancer` agree with Java. Sarama needs a hash of your own.
#
# Output seen 2026-12-01, the partitions of order-1 to order-6 in a topic of four:
#   Java 2 3 3 2 2 1
#   aiokafka 2 3 3 2 2 1
#   librdkafka 3 1 3 0 2 0
#   librdkafka, murmur2_random 2 3 3 2 2 1
#   kafkajs 2 3 3 2 2 1
#   franz-go 2 3 3 2 2 1
#   Sarama 1 0 3 2 1 0
#   kafka-go 1 0 3 2 1 0
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check confluent-kafka==2.16.1 aiokafka==0.14.0
npm install --silent --no-audit --no-fund kafkajs@2.2.4 >/dev/null
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>show</groupId><artifactId>show</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.apache.kafka</groupId><artifactId>kafka-clients</artifactId><version>4.1.0</version>
  </dependency></dependencies>
</project>
XML
mvn -B -q -Dmaven.repo.local="$folder/maven" dependency:copy-dependencies -DoutputDirectory=jars >/dev/null
cat >Show.java <<'JAVA'
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;

public class Show {
  public static void main(String[] keys) {
    System.out.print("Java");
    for (var key : keys) System.out.print(" " + BuiltInPartitioner.partitionForKey(key.getBytes(), 4));
    System.out.println();
  }
}
JAVA
cat >show.py <<'PYTHON'
import sys

from aiokafka.partitioner import DefaultPartitioner
from confluent_kafka import Producer

keys = [key.encode() for key in sys.argv[1:]]
print("aiokafka", *(DefaultPartitioner()(key, [0, 1, 2, 3], [0, 1, 2, 3]) for key in keys))
broker = Producer({"bootstrap.servers": "replaced", "test.mock.num.brokers": 1, "log_level": 0})
address = broker.list_topics(timeout=30).brokers[1]
for name, settings in (("librdkafka", {}), ("librdkafka, murmur2_random", {"partitioner": "murmur2_random"})):
    producer = Producer({"bootstrap.servers": f"{address.host}:{address.port}", "log_level": 0} | settings)
    partitions = []
    for key in keys:
        producer.produce("orders", key=key, on_delivery=lambda error, message: partitions.append(message.partition()))
        producer.flush(30)
    print(name, *partitions)
PYTHON
cat >show.cjs <<'JAVASCRIPT'
const { Partitioners } = require('kafkajs')

const partitionMetadata = [0, 1, 2, 3].map((partitionId) => ({ partitionId, leader: 0 }))
const partition = Partitioners.DefaultPartitioner()
const keys = process.argv.slice(2)
console.log('kafkajs', ...keys.map((key) => partition({ topic: 'orders', partitionMetadata, message: { key } })))
JAVASCRIPT
cat >show.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

func show(name string, partition func(key string) int) {
	fmt.Print(name)
	for _, key := range os.Args[1:] {
		fmt.Print(" ", partition(key))
	}
	fmt.Println()
}

func main() {
	franz := kgo.StickyKeyPartitioner(nil).ForTopic("orders")
	show("franz-go", func(key string) int { return franz.Partition(&kgo.Record{Key: []byte(key)}, 4) })
	show("Sarama", func(key string) int {
		partition, err := sarama.NewHashPartitioner("orders").Partition(&sarama.ProducerMessage{Key: sarama.StringEncoder(key)}, 4)
		if err != nil {
			panic(err)
		}
		return int(partition)
	})
	show("kafka-go", func(key string) int { return new(kafka.Hash).Balance(kafka.Message{Key: []byte(key)}, 0, 1, 2, 3) })
}
GO
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/IBM/sarama@v1.61.1 github.com/segmentio/kafka-go@v0.4.51 github.com/twmb/franz-go/pkg/kgo@v1.22.3 >/dev/null 2>&1
keys=(order-1 order-2 order-3 order-4 order-5 order-6)
{
  java -cp 'jars/*' Show.java "${keys[@]}" 2>/dev/null
  venv/bin/python show.py "${keys[@]}"
  node show.cjs "${keys[@]}" 2>/dev/null
  go run show.go "${keys[@]}"
} | tee seen
diff seen - <<'SEEN'
Java 2 3 3 2 2 1
aiokafka 2 3 3 2 2 1
librdkafka 3 1 3 0 2 0
librdkafka, murmur2_random 2 3 3 2 2 1
kafkajs 2 3 3 2 2 1
franz-go 2 3 3 2 2 1
Sarama 1 0 3 2 1 0
kafka-go 1 0 3 2 1 0
SEEN
