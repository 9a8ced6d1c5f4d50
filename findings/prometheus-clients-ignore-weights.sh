#!/usr/bin/env bash
# The Prometheus clients for Python 0.26.0 and Java 1.3.10 answer in OpenMetrics where the scraper prefers, or excludes, it.
#
# RFC 9110, section 12.4.2: a weight of 0 means "not acceptable", and a higher weight is preferred. Prometheus sends weights
# in the order of its setting `scrape_protocols`, "in order of preference". Both clients only look whether OpenMetrics is
# mentioned. So who puts the text format first, to be rid of the `_created` series for example, still gets OpenMetrics.
#
# Output seen 2026-11-30, the answer to "Accept: text/plain;q=0.9, application/openmetrics-text;q=…":
#   Python q=0.5 application/openmetrics-text
#   Python q=0 application/openmetrics-text
#   Java q=0.5 application/openmetrics-text
#   Java q=0 application/openmetrics-text
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check prometheus-client==0.26.0
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>show</groupId><artifactId>show</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>io.prometheus</groupId><artifactId>prometheus-metrics-exposition-textformats</artifactId><version>1.3.10</version>
  </dependency></dependencies>
</project>
XML
mvn -B -q -Dmaven.repo.local="$folder/maven" dependency:copy-dependencies -DoutputDirectory=jars >/dev/null
cat >show.py <<'PYTHON'
import sys

from prometheus_client.exposition import choose_encoder

print(choose_encoder(sys.argv[1])[1].partition(";")[0])
PYTHON
cat >Show.java <<'JAVA'
import io.prometheus.metrics.expositionformats.ExpositionFormats;

public class Show {
  public static void main(String[] arguments) {
    System.out.println(ExpositionFormats.init().findWriter(arguments[0]).getContentType().split(";")[0]);
  }
}
JAVA
{
  for weight in 0.5 0; do
    accept="text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=$weight"
    echo "Python q=$weight $(venv/bin/python show.py "$accept")"
  done
  for weight in 0.5 0; do
    accept="text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=$weight"
    echo "Java q=$weight $(java -cp 'jars/*' Show.java "$accept")"
  done
} | tee seen
diff seen - <<'SEEN'
Python q=0.5 application/openmetrics-text
Python q=0 application/openmetrics-text
Java q=0.5 application/openmetrics-text
Java q=0 application/openmetrics-text
SEEN
