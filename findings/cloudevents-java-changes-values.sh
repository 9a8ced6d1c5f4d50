#!/usr/bin/env bash
# The Java SDK of CloudEvents 4.0.1 hands on other values than it read: "null" for null, and "Infinity" for a large number.
#
# The JSON format of CloudEvents 1.0.2, section 2.2: an attribute that is null is unset. The SDK gives an extension the text
# "null"; a context attribute that is null it leaves out. Section 3.1.2: `data` is the JSON value itself. The SDK reads each
# fraction or exponent as a double and writes that again: digits are lost, and what is too large becomes a string. Long
# integers stay whole. An event that is only passed on is changed, and so is a signature or a checksum of its data.
#
# Output seen 2026-11-30, members as read and as written again:
#   "ext":null -> "ext":"null"
#   "subject":null -> nothing
#   "data":12345678901234567890 -> "data":12345678901234567890
#   "data":0.1234567890123456789 -> "data":0.12345678901234568
#   "data":1.50 -> "data":1.5
#   "data":1e400 -> "data":"Infinity"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>show</groupId><artifactId>show</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>io.cloudevents</groupId><artifactId>cloudevents-json-jackson</artifactId><version>4.0.1</version>
  </dependency></dependencies>
</project>
XML
mvn -B -q -Dmaven.repo.local="$folder/maven" dependency:copy-dependencies -DoutputDirectory=jars >/dev/null
cat >Show.java <<'JAVA'
import io.cloudevents.jackson.JsonFormat;

public class Show {
  public static void main(String[] members) {
    var start = "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"urn:x\",\"type\":\"t\"";
    var format = new JsonFormat();
    for (var member : members) {
      var written = new String(format.serialize(format.deserialize((start + "," + member + "}").getBytes())));
      var rest = written.substring(start.length(), written.length() - 1).replace(",\"datacontenttype\":\"application/json\"", "");
      System.out.println(member + " -> " + (rest.isEmpty() ? "nothing" : rest.substring(1)));
    }
  }
}
JAVA
java -cp 'jars/*' Show.java '"ext":null' '"subject":null' '"data":12345678901234567890' '"data":0.1234567890123456789' \
  '"data":1.50' '"data":1e400' | tee seen
diff seen - <<'SEEN'
"ext":null -> "ext":"null"
"subject":null -> nothing
"data":12345678901234567890 -> "data":12345678901234567890
"data":0.1234567890123456789 -> "data":0.12345678901234568
"data":1.50 -> "data":1.5
"data":1e400 -> "data":"Infinity"
SEEN
