#!/usr/bin/env bash
# httpx 0.28.1 and httpx2 2.16.2 return the first member of a gzipped body and drop the others without a word.
#
# RFC 9110, section 8.4.1.3, defines the coding gzip by RFC 1952, whose section 2.2 says that a file is a series of members.
# Servers send several where they join gzipped parts: appended logs, uploads in blocks, `cat a.gz b.gz`. `Content-Length`
# agrees, the status is 200, and no error tells of the rest. OkHttp 5.5.1 fails. requests 2.34.2, aiohttp 3.14.5 and Node's
# fetch return all.
#
# Output seen 2026-11-30:
#   httpx first
#   httpx2 first
#   requests first,second
#   aiohttp first,second
#   node first,second
#   OkHttp IOException: gzip finished without exhausting source
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check httpx==0.28.1 httpx2==2.16.2 requests==2.34.2 urllib3==2.8.0 aiohttp==3.14.5
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>show</groupId><artifactId>show</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>com.squareup.okhttp3</groupId><artifactId>okhttp-jvm</artifactId><version>5.5.1</version>
  </dependency></dependencies>
</project>
XML
mvn -B -q -Dmaven.repo.local="$folder/maven" dependency:copy-dependencies -DoutputDirectory=jars >/dev/null
cat >Show.java <<'JAVA'
import java.io.IOException;
import okhttp3.OkHttpClient;
import okhttp3.Request;

public class Show {
  public static void main(String[] arguments) {
    try (var answer = new OkHttpClient().newCall(new Request.Builder().url(arguments[0]).build()).execute()) {
      System.out.println(answer.body().string());
    } catch (IOException error) {
      System.out.println(error.getClass().getSimpleName() + ": " + error.getMessage());
    }
    System.exit(0);
  }
}
JAVA
cat >show.py <<'PYTHON'
import asyncio
import gzip
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import aiohttp
import httpx
import httpx2
import requests

BODY = gzip.compress(b"first") + gzip.compress(b",second")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):
        pass


async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
print("httpx", httpx.get(url).text)
print("httpx2", httpx2.get(url).text)
print("requests", requests.get(url).text)
print("aiohttp", asyncio.run(with_aiohttp(url)))
node = "fetch(process.argv[1]).then(answer => answer.text()).then(console.log)"
print("node", subprocess.check_output(["node", "-e", node, url], text=True).strip())
java = ["java", "-cp", "jars/*", "Show.java", url]
print("OkHttp", subprocess.check_output(java, stderr=subprocess.DEVNULL, text=True).strip())
server.shutdown()
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
httpx first
httpx2 first
requests first,second
aiohttp first,second
node first,second
OkHttp IOException: gzip finished without exhausting source
SEEN
